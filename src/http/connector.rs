//! From a URI to a connected stream: name, TCP, proxy, TLS, all within the connect time-out.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector, proxy::Tunnel};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tower_service::Service;

use super::HttpError;
use super::error::ConnectTimedOut;
use super::proxy::ProxyTable;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;
type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Opens connections for the pool.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    http: HttpConnector,
    shared: Arc<Shared>,
}

/// What all connections of a client have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) tls: Tls,
    pub(super) proxies: ProxyTable,
    pub(super) limit: Option<Duration>,
}

impl Connector {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let mut http = HttpConnector::new();
        // Whether TLS follows is decided here, not there.
        http.enforce_http(false);
        // A request is written at once; waiting to fill a segment would only delay it.
        http.set_nodelay(true);
        Self { http, shared }
    }

    fn connect(&mut self, target: Uri) -> Result<(Connecting<Stream>, bool), BoxError> {
        let proxy = self.shared.proxies.proxy_for(&target);
        if target.scheme_str() != Some("https") {
            let via_proxy = proxy.is_some();
            let connecting = self
                .http
                .call(proxy.map_or(target, |proxy| proxy.uri().clone()));
            return Ok((
                Box::pin(async move { Ok(MaybeHttpsStream::Http(connecting.await?)) }),
                via_proxy,
            ));
        }
        let tls = self.shared.tls.config()?;
        let Some(proxy) = proxy else {
            return Ok((
                HttpsConnector::from((self.http.clone(), tls)).call(target),
                false,
            ));
        };
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.http.clone());
        if let Some(authorization) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        // Inside the tunnel the connection is as good as a direct one.
        Ok((HttpsConnector::from((tunnel, tls)).call(target), false))
    }
}

impl Service<Uri> for Connector {
    type Response = Wire;
    type Error = BoxError;
    type Future = Connecting<Wire>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.http.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, target: Uri) -> Connecting<Wire> {
        let connecting = self.connect(target);
        let limit = self.shared.limit;
        Box::pin(async move {
            let (connecting, via_proxy) = connecting?;
            let stream = match limit {
                None => connecting.await?,
                Some(limit) => tokio::time::timeout(limit, connecting)
                    .await
                    .map_err(|_| ConnectTimedOut)??,
            };
            Ok(Wire { stream, via_proxy })
        })
    }
}

/// The TLS configuration, made when it is first needed: reading the roots takes milliseconds.
#[derive(Default)]
pub(super) struct Tls(OnceLock<Arc<ClientConfig>>);

impl Tls {
    /// Sets TLS up unless that was done.
    pub(super) fn set_up(&self) -> Result<(), HttpError> {
        if self.0.get().is_none() {
            let config = Arc::new(native_roots_config()?);
            // If another thread was faster, its configuration is as good.
            self.0.get_or_init(|| config);
        }
        Ok(())
    }

    pub(super) fn is_set_up(&self) -> bool {
        self.0.get().is_some()
    }

    fn config(&self) -> Result<Arc<ClientConfig>, HttpError> {
        self.set_up()?;
        self.0.get().map(Arc::clone).ok_or_else(|| HttpError::Tls {
            reason: "its configuration is missing".to_owned(),
        })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls {{ is_set_up: {} }}", self.is_set_up())
    }
}

fn native_roots_config() -> Result<ClientConfig, HttpError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (n_added, n_ignored) = roots.add_parsable_certificates(found.certs);
    if n_added == 0 {
        let mut reason =
            "the operating system has no root certificates that can be used".to_owned();
        if n_ignored > 0 {
            reason = format!("{reason} ({n_ignored} cannot be read)");
        }
        if let Some(error) = found.errors.first() {
            reason = format!("{reason}: {error}");
        }
        return Err(HttpError::Tls { reason });
    }
    // The provider is named, not taken from the process: another library must not change what is used here.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| HttpError::Tls {
            reason: error.to_string(),
        })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// A connection, with the mark that makes the pool write whole URIs for a proxy.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    via_proxy: bool,
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.via_proxy)
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl Write for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }
}
