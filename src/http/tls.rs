//! Sets up TLS: which certificates are trusted, and what to say about one that is not.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore};

use super::HttpError;
use super::certificate::CertificateVerifier;
use crate::file;

const FILE_VARIABLE: &str = "SSL_CERT_FILE";
const FOLDER_VARIABLE: &str = "SSL_CERT_DIR";

/// The largest file of certificates. The bundles of operating systems have less than 1 MiB.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// The TLS configuration. It is made when it is first needed, because reading the certificates
/// takes milliseconds.
#[derive(Default)]
pub(super) struct Tls {
    /// The file of `trust_file`, which replaces the environment.
    file: Option<PathBuf>,
    config: OnceLock<Arc<ClientConfig>>,
}

impl Tls {
    /// Trusts the certificates of a file.
    pub(super) fn trusting(file: PathBuf) -> Self {
        Self {
            file: Some(file),
            ..Self::default()
        }
    }

    /// Sets TLS up, unless that was done.
    pub(super) fn set_up(&self) -> Result<(), HttpError> {
        if self.config.get().is_none() {
            let config = self.make().map_err(|reason| HttpError::Tls { reason })?;
            // If another thread was faster, its configuration is the same.
            self.config.get_or_init(|| Arc::new(config));
        }
        Ok(())
    }

    pub(super) fn is_set_up(&self) -> bool {
        self.config.get().is_some()
    }

    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, HttpError> {
        self.set_up()?;
        self.config
            .get()
            .map(Arc::clone)
            .ok_or_else(|| HttpError::Tls {
                reason: "its configuration is missing".to_owned(),
            })
    }

    fn make(&self) -> Result<ClientConfig, String> {
        let trusted = match &self.file {
            Some(path) => of_file(path, "the option `trust_file`")?,
            None => of_environment(|name| std::env::var_os(name).map(PathBuf::from))?,
        };
        // Named explicitly: the default of the process may be set by another library.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(
            Arc::new(trusted.roots),
            Arc::clone(&provider),
        );
        let verifier = verifier.build().map_err(|error| error.to_string())?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            // rustls calls every verifier of one's own dangerous. Ours only adds to the one of
            // webpki.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(CertificateVerifier::new(
                verifier,
                trusted.certificates,
                trusted.place,
            )))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// Makes a TLS configuration for other protocols than HTTP, with the same trusted certificates.
#[cfg(any(feature = "postgres", feature = "redis"))]
pub(crate) fn tls_config(protocols: &[&[u8]]) -> Result<Arc<ClientConfig>, HttpError> {
    let config = Tls::default().make();
    let mut config = config.map_err(|reason| HttpError::Tls { reason })?;
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls {{ is_set_up: {} }}", self.is_set_up())
    }
}

/// The trusted certificates.
struct Trusted {
    roots: RootCertStore,
    /// Certificates that a person named. A server may present one of them itself.
    certificates: Vec<CertificateDer<'static>>,
    /// The source, if not the operating system.
    place: Option<String>,
}

impl Trusted {
    /// Ignores certificates that cannot be read, as long as one can.
    fn new(
        certificates: Vec<CertificateDer<'static>>,
        place: Option<String>,
    ) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        let (n_added, n_ignored) = roots.add_parsable_certificates(certificates.iter().cloned());
        if n_added == 0 {
            let place = place.as_deref().unwrap_or("the operating system");
            let unread = match n_ignored {
                0 => String::new(),
                n => format!(" ({n} cannot be read)"),
            };
            return Err(format!(
                "{place} has no certificate that can be used{unread}; name a PEM file in {FILE_VARIABLE}"
            ));
        }
        let certificates = match place {
            Some(_) => certificates,
            None => Vec::new(),
        };
        Ok(Self {
            roots,
            certificates,
            place,
        })
    }
}

/// Loads the certificates. As in OpenSSL, the variables replace those of the operating system.
fn of_environment(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<Trusted, String> {
    let named = |name| variable(name).filter(|path| !path.as_os_str().is_empty());
    let (path, folders) = (named(FILE_VARIABLE), named(FOLDER_VARIABLE));
    if path.is_none() && folders.is_none() {
        // Its errors matter only if no certificate is left: one damaged file must not make every
        // connection fail.
        let found = rustls_native_certs::load_native_certs();
        let trusted = Trusted::new(found.certs, None);
        return trusted.map_err(|reason| match found.errors.first() {
            Some(error) => format!("{reason}: {error}"),
            None => reason,
        });
    }
    let mut certificates = Vec::new();
    let mut places = Vec::new();
    if let Some(path) = path {
        certificates.extend(read(&path, FILE_VARIABLE)?);
        places.push(place(&path, FILE_VARIABLE));
    }
    for folder in folders.iter().flat_map(std::env::split_paths) {
        let found = rustls_native_certs::load_certs_from_paths(None, Some(&folder));
        // Such a folder may hold other files too, so only one without any certificate is an error.
        if let (true, Some(error)) = (found.certs.is_empty(), found.errors.first()) {
            return Err(format!("{}: {error}", place(&folder, FOLDER_VARIABLE)));
        }
        certificates.extend(found.certs);
        places.push(place(&folder, FOLDER_VARIABLE));
    }
    Trusted::new(certificates, Some(places.join(" and ")))
}

fn of_file(path: &Path, setting: &'static str) -> Result<Trusted, String> {
    Trusted::new(read(path, setting)?, Some(place(path, setting)))
}

fn read(path: &Path, setting: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = file::read(path, MAX_FILE_BYTES)
        .map_err(|error| format!("{} cannot be read: {error}", place(path, setting)))?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
        .filter_map(Result::ok)
        .collect();
    if certificates.is_empty() {
        let place = place(path, setting);
        return Err(format!("{place} has no certificate in PEM form"));
    }
    Ok(certificates)
}

fn place(path: &Path, setting: &str) -> String {
    format!("{} (of {setting})", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(variables: &[(&str, &str)]) -> String {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| PathBuf::from(value))
        };
        match of_environment(variable) {
            Ok(trusted) => panic!("{:?} is trusted", trusted.place),
            Err(reason) => reason,
        }
    }

    #[test]
    fn a_file_of_certificates_that_cannot_be_used_is_named() {
        let here = env!("CARGO_MANIFEST_DIR");
        for (variables, expected) in [
            (
                [("SSL_CERT_FILE", "/dev/zero")],
                "/dev/zero (of SSL_CERT_FILE) cannot be read: it is a device, and only a regular file is read here",
            ),
            (
                [("SSL_CERT_FILE", "/absent")],
                "/absent (of SSL_CERT_FILE) cannot be read: No such file or directory (os error 2)",
            ),
        ] {
            assert_eq!(refused(&variables), expected);
        }
        let no_certificate = format!("{here}/LICENSE");
        assert_eq!(
            refused(&[("SSL_CERT_FILE", no_certificate.as_str())]),
            format!("{no_certificate} (of SSL_CERT_FILE) has no certificate in PEM form")
        );
        let folder = format!("{here}/.ci");
        assert_eq!(
            refused(&[("SSL_CERT_DIR", folder.as_str())]),
            format!(
                "{folder} (of SSL_CERT_DIR) has no certificate that can be used; name a PEM file in SSL_CERT_FILE"
            )
        );
    }
}
