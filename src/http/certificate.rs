//! Checks the certificate of a server, and explains what is wrong with it and how to trust it.

use std::error::Error as StdError;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use thiserror::Error;

/// Checks chain, time and name, and accepts a certificate that was itself named as trusted.
///
/// A certificate that a server signed for itself is nearly always marked as that of an authority
/// (`CA:TRUE`, the default of `openssl req -x509`). webpki refuses such a certificate for a server,
/// even if it is trusted. Here it is accepted if it is, byte for byte, one that a person named. Its
/// time and name are checked all the same.
#[derive(Debug)]
pub(super) struct CertificateVerifier {
    webpki: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
    /// The source of the trusted certificates, if not the operating system.
    place: Option<String>,
}

/// Why a certificate is not trusted, in words for its user.
#[derive(Debug, Error)]
#[error("{0}")]
pub(super) struct Untrusted(String);

impl CertificateVerifier {
    pub(super) const fn new(
        webpki: Arc<WebPkiServerVerifier>,
        named: Vec<CertificateDer<'static>>,
        place: Option<String>,
    ) -> Self {
        Self {
            webpki,
            named,
            place,
        }
    }

    /// Says how to trust the certificate.
    fn cure(&self, is_own: bool) -> String {
        let what = if is_own {
            "it"
        } else {
            "that of the authority, or it,"
        };
        match &self.place {
            None => {
                format!("to trust it, put {what} into a PEM file and name that in SSL_CERT_FILE")
            }
            Some(place) => format!("to trust it, add {what} to {place}"),
        }
    }
}

impl ServerCertVerifier for CertificateVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judged = self.webpki.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        let error = match judged {
            Ok(verified) => return Ok(verified),
            Err(Error::InvalidCertificate(error)) => error,
            Err(other) => return Err(other),
        };
        // webpki checks the time before the mark, so that the time was right here. A test makes sure of this order.
        if is_marked_as_authority(&error) && self.named.iter().any(|named| named == end_entity) {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            return Ok(ServerCertVerified::assertion());
        }
        let is_own = signs_itself(end_entity);
        let problem = match &error {
            // `BadSignature`: a trusted certificate has the same name, but another key. It was probably replaced.
            CertificateError::UnknownIssuer | CertificateError::BadSignature if is_own => {
                format!(
                    "it is self-signed and not trusted here; {}",
                    self.cure(true)
                )
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                format!("its authority is not trusted here; {}", self.cure(false))
            }
            error if is_marked_as_authority(error) => format!(
                "it is self-signed, marked as an authority (CA:TRUE) and not trusted here; {}",
                self.cure(true)
            ),
            _ => return Err(Error::InvalidCertificate(error)),
        };
        let untrusted = OtherError(Arc::new(Untrusted(problem)));
        Err(CertificateError::Other(untrusted).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// Explains what is wrong with a certificate, from the error of a handshake.
#[cfg(any(feature = "postgres", feature = "redis"))]
pub(crate) fn certificate_problem_of(error: &std::io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref()?;
    certificate_problem(error)
}

/// Explains what is wrong with a certificate; `None` for any other error.
pub(super) fn certificate_problem(error: &Error) -> Option<String> {
    let Error::InvalidCertificate(error) = error else {
        return None;
    };
    Some(match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has expired; renew it on the server (or is the clock of this machine wrong?)"
                .to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet; is the clock of this machine wrong?".to_owned()
        }
        CertificateError::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
            format!("it is for other names: {}", presented.join(", "))
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is not for this name (only subject alternative names count, not the common name)"
                .to_owned()
        }
        CertificateError::Revoked => "it was revoked".to_owned(),
        CertificateError::Other(OtherError(untrusted)) => untrusted.to_string(),
        other => other.to_string(),
    })
}

fn is_marked_as_authority(error: &CertificateError) -> bool {
    let CertificateError::Other(OtherError(error)) = error else {
        return false;
    };
    let error: &(dyn StdError + 'static) = &**error;
    matches!(error.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

/// Says whether a certificate is its own issuer.
fn signs_itself(certificate: &CertificateDer<'_>) -> bool {
    webpki::EndEntityCert::try_from(certificate)
        .is_ok_and(|certificate| certificate.issuer() == certificate.subject())
}
