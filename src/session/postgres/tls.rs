//! Adapts our TLS to the traits of the Postgres client.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};

use crate::future::BoxFuture;
use crate::session::tls::{StoreTls, StoreTlsError};

/// Starts TLS after Postgres has agreed to it.
#[derive(Clone)]
pub(super) struct PostgresTls(pub(super) StoreTls);

/// The handshake with one host.
pub(super) struct PostgresHandshake {
    tls: StoreTls,
    host: String,
}

pub(super) struct PostgresTlsStream<S>(tokio_rustls::client::TlsStream<S>);

impl<S> MakeTlsConnect<S> for PostgresTls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = PostgresTlsStream<S>;
    type TlsConnect = PostgresHandshake;
    type Error = StoreTlsError;

    fn make_tls_connect(&mut self, host: &str) -> Result<PostgresHandshake, StoreTlsError> {
        Ok(PostgresHandshake {
            tls: self.0.clone(),
            host: host.to_owned(),
        })
    }
}

impl<S> TlsConnect<S> for PostgresHandshake
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = PostgresTlsStream<S>;
    type Error = StoreTlsError;
    type Future = BoxFuture<'static, Result<Self::Stream, StoreTlsError>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let connected = self.tls.connect(&self.host, stream).await?;
            Ok(PostgresTlsStream(connected))
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for PostgresTlsStream<S> {
    /// None. Channel binding protects SCRAM logins from a man in the middle where certificates are
    /// not checked; here they always are.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for PostgresTlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for PostgresTlsStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
