//! Opens connections: name lookup, TCP, proxy and TLS, within the connect time-out.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::Uri;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::addresses::{Addresses, Resolver};
use super::error::{ConnectTimedOut, ViaProxy};
use super::proxy::{Protocol, Proxy, ProxyTable};
use super::tls::Tls;
use crate::future::BoxError;

pub(super) type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;
type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Opens connections for the pool.
pub(super) struct Connector {
    http: HttpConnector<Resolver>,
    shared: Arc<Shared>,
    plain_way: PlainWay,
}

/// How plain `http` passes through an HTTP proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlainWay {
    /// Each request is sent to the proxy with its full URL.
    Requests,
    /// The proxy opens a tunnel, because it would not pass on a change of the protocol (RFC 6455, section 4.1).
    #[cfg(feature = "realtime")]
    Tunnel,
}

/// What all connections of a client share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) tls: Arc<Tls>,
    pub(super) proxies: Arc<ProxyTable>,
    pub(super) limit: Option<Duration>,
    pub(super) addresses: Addresses,
}

impl Connector {
    pub(super) fn new(shared: Arc<Shared>, plain_way: PlainWay) -> Self {
        let mut http = HttpConnector::new_with_resolver(Resolver::new(shared.addresses.clone()));
        // `enforce_http` would refuse `https` URLs. TLS is added below.
        http.enforce_http(false);
        // A request is written in one go. Nagle's algorithm would only delay its last segment.
        http.set_nodelay(true);
        Self {
            http,
            shared,
            plain_way,
        }
    }

    /// Opens a connection to the host of a URI.
    pub(super) async fn connect(&self, target: Uri) -> Result<PooledStream, BoxError> {
        let (connecting, via_proxy) = self.begin(target)?;
        let stream = match self.shared.limit {
            None => connecting.await?,
            Some(limit) => tokio::time::timeout(limit, connecting)
                .await
                .map_err(|_| ConnectTimedOut)??,
        };
        Ok(PooledStream { stream, via_proxy })
    }

    fn begin(&self, target: Uri) -> Result<(Connecting<Stream>, bool), BoxError> {
        let is_https = target.scheme_str() == Some("https");
        let proxies = Arc::clone(&self.shared.proxies);
        let Some(proxy) = proxies.proxy_for(&target)? else {
            self.shared.addresses.check_literal(&target)?;
            let connecting = if is_https {
                self.over_tls(self.http.clone(), target)?
            } else {
                plain(self.http.clone().call(target))
            };
            return Ok((connecting, false));
        };
        let is_seen_whole =
            proxy.protocol == Protocol::Http && !is_https && self.plain_way == PlainWay::Requests;
        let connecting = match (proxy.protocol, is_https) {
            (Protocol::Http, false) if is_seen_whole => {
                plain(self.http.clone().call(proxy.address()))
            }
            (Protocol::Http, false) => plain(self.tunnel(proxy).call(with_port(&target, 80))),
            (Protocol::Http, true) => self.over_tls(self.tunnel(proxy), target)?,
            (Protocol::Socks5, false) => plain(self.socks(proxy).call(with_port(&target, 80))),
            (Protocol::Socks5, true) => self.over_tls(self.socks(proxy), target)?,
        };
        let (setting, address) = (proxy.setting, proxy.host_port());
        let connecting = Box::pin(async move {
            let connected = connecting.await;
            connected.map_err(|source| {
                ViaProxy {
                    setting,
                    address,
                    source,
                }
                .into()
            })
        });
        // Through a tunnel, requests look as on a direct connection.
        Ok((connecting, is_seen_whole))
    }

    fn tunnel(&self, proxy: &Proxy) -> Tunnel<HttpConnector<Resolver>> {
        let tunnel = Tunnel::new(proxy.address(), self.http.clone());
        match proxy.basic_auth() {
            Some(authorization) => tunnel.with_auth(authorization.clone()),
            None => tunnel,
        }
    }

    /// Connects through SOCKS. The proxy looks the name up: a lookup here would block, and tell a
    /// resolver where the request goes.
    fn socks(&self, proxy: &Proxy) -> SocksV5<HttpConnector<Resolver>> {
        let socks = SocksV5::new(proxy.address(), self.http.clone());
        match proxy.user() {
            Some((user, password)) => socks.with_auth(user.to_owned(), password.to_owned()),
            None => socks,
        }
    }

    fn over_tls<C>(&self, connector: C, target: Uri) -> Result<Connecting<Stream>, BoxError>
    where
        C: Service<Uri, Response = TokioIo<TcpStream>> + Send + 'static,
        C::Future: Send + 'static,
        C::Error: Into<BoxError>,
    {
        let tls = self.shared.tls.config()?;
        Ok(HttpsConnector::from((connector, tls)).call(target))
    }
}

fn plain<E: Into<BoxError> + Send + 'static>(
    connecting: impl Future<Output = Result<TokioIo<TcpStream>, E>> + Send + 'static,
) -> Connecting<Stream> {
    Box::pin(async move {
        let stream = connecting.await.map_err(Into::into)?;
        Ok(MaybeHttpsStream::Http(stream))
    })
}

/// Adds the port, which a tunnel needs and a URL may leave out.
fn with_port(target: &Uri, default_port: u16) -> Uri {
    let host = target.host().unwrap_or_default();
    let port = target.port_u16().unwrap_or(default_port);
    format!("http://{host}:{port}/")
        .parse()
        .unwrap_or_else(|_| target.clone())
}

/// A connection, and whether a proxy at its other end needs full URLs.
pub(super) struct PooledStream {
    stream: Stream,
    via_proxy: bool,
}

impl PooledStream {
    pub(super) const fn via_proxy(&self) -> bool {
        self.via_proxy
    }
}

/// The most bytes of one read: hyper doubles its buffer, up to 400 KB that the connection then keeps, behind a read that filled the
/// first 8 KiB. A stream whose client is busy with a thousand others would have it filled each time.
const MAX_READ: usize = 8 * 1024 - 1;

impl Read for PooledStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() <= MAX_READ {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let mut space = [MaybeUninit::uninit(); MAX_READ];
        let mut part = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(cx, part.unfilled()))?;
        buf.put_slice(part.filled());
        Poll::Ready(Ok(()))
    }
}

impl Write for PooledStream {
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
