//! TLS to the servers of session stores, with the same trusted certificates as for HTTP.

use std::io;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::http::{HttpError, certificate_problem_of, tls_config};

/// Opens TLS on connections to one server.
#[derive(Clone)]
pub(super) struct StoreTls(TlsConnector);

/// Why TLS with the server of a session store failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreTlsError {
    #[error(transparent)]
    SetUp(#[from] HttpError),
    #[error("a certificate cannot be for the host name `{host}`")]
    HostName { host: String },
    #[error("the certificate of {host} cannot be trusted: {problem}")]
    Certificate { host: String, problem: String },
    #[error("the TLS handshake with {host} failed")]
    Handshake { host: String, source: io::Error },
}

impl StoreTls {
    /// Loads the trusted certificates. `protocols` are offered to the server by ALPN.
    pub(super) fn new(protocols: &[&[u8]]) -> Result<Self, StoreTlsError> {
        let config = tls_config(protocols)?;
        Ok(Self(TlsConnector::from(config)))
    }

    pub(super) async fn connect<S>(
        &self,
        host: &str,
        stream: S,
    ) -> Result<TlsStream<S>, StoreTlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let host = host.to_owned();
        let Ok(name) = ServerName::try_from(host.clone()) else {
            return Err(StoreTlsError::HostName { host });
        };
        let connected = self.0.connect(name, stream).await;
        connected.map_err(|source| match certificate_problem_of(&source) {
            Some(problem) => StoreTlsError::Certificate { host, problem },
            None => StoreTlsError::Handshake { host, source },
        })
    }
}
