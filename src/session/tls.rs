//! TLS to the servers of session stores, which trusts the certificates that HTTP trusts.

use std::io;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::http::{HttpError, certificate_problem_of, tls_config};

/// Begins TLS on connections to one server.
#[derive(Clone)]
pub(super) struct StoreTls(TlsConnector);

/// Says why there is no TLS with the server of a session store.
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
    /// Reads the certificates that are trusted. The protocols are those that the server is told of (ALPN).
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
