//! The HTTP client: one request per call, and nothing that was not asked for.

use std::fmt;
use std::future::poll_fn;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    CONTENT_ENCODING, HOST, HeaderMap, HeaderValue, LOCATION, PROXY_AUTHORIZATION, SERVER,
    TRANSFER_ENCODING,
};
use hyper::{Method, Request, Response, body::Incoming};
#[cfg(feature = "realtime")]
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::addresses::Addresses;
use super::body::{BodyLimits, HttpBody};
use super::connector::{Connector, PlainWay, Shared};
use super::pool::{ConnectionPool, PooledBody, PooledConnection};
use super::proxy::{Proxies, ProxyTable};
use super::timer::{Timeouts, Timers};
use super::tls::Tls;
use super::url::redirect_origin;
use super::{Headers, HttpError, Url};
use crate::secret::Redactor;

/// Sends requests over pooled connections. Clones are cheap and share the pool.
///
/// A call sends one request over HTTP/1.1. It is never repeated, and no redirect is followed. No compression is requested, and
/// reading a compressed body is an error. TLS is set up at the first `https` URL, with the certificates of `SSL_CERT_FILE` and
/// `SSL_CERT_DIR` or, without these, of the operating system. Needs a Tokio runtime with I/O and time.
///
/// ```no_run
/// # async fn f() -> Result<(), openai_agents::http::HttpError> {
/// use openai_agents::http::{BaseUrl, Headers, HttpClient};
///
/// let client = HttpClient::default();
/// let url = BaseUrl::parse("http://127.0.0.1:8000/v1")?.join("models")?;
/// let response = client.get(&url, &Headers::new()).await?;
/// println!("{} {:?}", response.status, response.body.collect().await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct HttpClient {
    inner: Arc<ClientInner>,
}

struct ClientInner {
    pool: ConnectionPool,
    /// For requests that upgrade to another protocol, which need a tunnel through a proxy.
    #[cfg(feature = "realtime")]
    upgrades: ConnectionPool,
    shared: Arc<Shared>,
    timeouts: Timeouts,
    limits: BodyLimits,
}

/// The head of an answer, and the body still to be read.
#[derive(Debug)]
#[non_exhaustive]
pub struct HttpResponse {
    /// The status. 3xx never appears, because it is an error.
    pub status: u16,
    /// The header lines.
    pub headers: Headers,
    /// The body.
    pub body: HttpBody,
    /// When the wait for the answer started.
    pub(crate) awaited_since: Option<Instant>,
}

/// A method that a program may choose for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HttpMethod {
    Get,
    #[cfg(feature = "openapi")]
    Head,
    #[cfg(feature = "openapi")]
    Post,
    #[cfg(feature = "openapi")]
    Put,
    #[cfg(feature = "openapi")]
    Patch,
    #[cfg(feature = "openapi")]
    Delete,
    #[cfg(feature = "openapi")]
    Options,
}

impl From<HttpMethod> for Method {
    fn from(method: HttpMethod) -> Self {
        match method {
            HttpMethod::Get => Self::GET,
            #[cfg(feature = "openapi")]
            HttpMethod::Head => Self::HEAD,
            #[cfg(feature = "openapi")]
            HttpMethod::Post => Self::POST,
            #[cfg(feature = "openapi")]
            HttpMethod::Put => Self::PUT,
            #[cfg(feature = "openapi")]
            HttpMethod::Patch => Self::PATCH,
            #[cfg(feature = "openapi")]
            HttpMethod::Delete => Self::DELETE,
            #[cfg(feature = "openapi")]
            HttpMethod::Options => Self::OPTIONS,
        }
    }
}

/// The answer to a request for another protocol.
#[cfg(feature = "realtime")]
pub(crate) enum UpgradeResponse {
    /// The connection, which has switched to the protocol.
    Switched(Headers, TokioIo<hyper::upgrade::Upgraded>),
    /// Any other answer.
    Refused(Box<HttpResponse>),
}

impl HttpClient {
    /// Starts a client with other settings than the defaults.
    pub fn builder() -> HttpClientBuilder {
        HttpClientBuilder::default()
    }

    /// Sends a GET request and waits for the head of the answer, whatever its status.
    ///
    /// # Errors
    ///
    /// As [`post`](Self::post).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn get(&self, url: &Url, headers: &Headers) -> Result<HttpResponse, HttpError> {
        self.send(Method::GET, url, headers, Bytes::new()).await
    }

    /// Sends a POST request and waits for the head of the answer, whatever its status.
    ///
    /// # Errors
    ///
    /// [`HttpError`] if the head of the answer does not come in time, or is a redirect.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection. The server may have seen the request.
    pub async fn post(
        &self,
        url: &Url,
        headers: &Headers,
        body: Bytes,
    ) -> Result<HttpResponse, HttpError> {
        self.send(Method::POST, url, headers, body).await
    }

    /// Sends a DELETE request and waits for the head of the answer, whatever its status.
    #[cfg(feature = "mcp-client")]
    pub(crate) async fn delete(
        &self,
        url: &Url,
        headers: &Headers,
    ) -> Result<HttpResponse, HttpError> {
        self.send(Method::DELETE, url, headers, Bytes::new()).await
    }

    /// Sends a request with any method, and waits for the head of the answer, whatever its status.
    /// A redirect is an answer too.
    pub(crate) async fn send_by(
        &self,
        method: HttpMethod,
        url: &Url,
        (headers, body): (&Headers, Bytes),
    ) -> Result<HttpResponse, HttpError> {
        let (head, timers) = self.request((method.into(), url, headers, body)).await?;
        Ok(self.answer(url, head, timers))
    }

    /// Starts a client with the same settings, proxies and certificates, but connections of its
    /// own.
    pub fn to_builder(&self) -> HttpClientBuilder {
        let ClientInner {
            shared,
            timeouts,
            limits,
            ..
        } = &*self.inner;
        HttpClientBuilder {
            timeouts: *timeouts,
            limits: *limits,
            proxies: ProxySource::Shared(Arc::clone(&shared.proxies)),
            addresses: shared.addresses.clone(),
            tls: Arc::clone(&shared.tls),
        }
    }

    /// Returns the redactor for the passwords of the proxies.
    pub(crate) fn redactor(&self) -> &Redactor {
        &self.inner.shared.proxies.redactor
    }

    pub(crate) fn timeouts(&self) -> &Timeouts {
        &self.inner.timeouts
    }

    /// Sends a GET request that asks for another protocol, and waits for the head of the answer.
    ///
    /// Proxies, TLS and the time-outs up to the head apply as to any request. After the head there
    /// is no time-out.
    #[cfg(feature = "realtime")]
    pub(crate) async fn upgrade(
        &self,
        url: &Url,
        headers: &Headers,
    ) -> Result<UpgradeResponse, HttpError> {
        let inner = &self.inner;
        let parts = (Method::GET, url, headers, Bytes::new());
        // From its own pool: a connection that has switched to another protocol never comes back,
        // and through a proxy it needs a tunnel.
        let (mut head, connection, timers) = inner.head(&inner.upgrades, parts).await?;
        // Any other status is an ordinary answer, whose body says why the server did not switch.
        if head.status() != hyper::StatusCode::SWITCHING_PROTOCOLS {
            let head = head.map(|incoming| PooledBody::new(incoming, connection));
            return self
                .response(url, head, timers)
                .map(|response| UpgradeResponse::Refused(Box::new(response)));
        }
        let headers = Headers::from_map(std::mem::take(head.headers_mut()));
        let upgraded = hyper::upgrade::on(head).await;
        let upgraded = upgraded.map_err(|error| HttpError::NoResponse {
            target: url.host_port().to_owned(),
            reason: error.to_string(),
            source: Box::new(error),
        })?;
        Ok(UpgradeResponse::Switched(headers, TokioIo::new(upgraded)))
    }

    async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: &Headers,
        body: Bytes,
    ) -> Result<HttpResponse, HttpError> {
        let (head, timers) = self.request((method, url, headers, body)).await?;
        self.response(url, head, timers)
    }

    async fn request(
        &self,
        parts: (Method, &Url, &Headers, Bytes),
    ) -> Result<(Response<PooledBody>, Timers), HttpError> {
        let inner = &self.inner;
        let (head, connection, timers) = inner.head(&inner.pool, parts).await?;
        let head = head.map(|incoming| PooledBody::new(incoming, connection));
        Ok((head, timers))
    }

    fn response(
        &self,
        url: &Url,
        head: Response<PooledBody>,
        timers: Timers,
    ) -> Result<HttpResponse, HttpError> {
        if head.status().is_redirection() {
            return Err(HttpError::Redirect {
                target: url.host_port().to_owned(),
                status: head.status().as_u16(),
                to: redirect_target(head.headers()),
            });
        }
        Ok(self.answer(url, head, timers))
    }

    fn answer(&self, url: &Url, head: Response<PooledBody>, timers: Timers) -> HttpResponse {
        let (head, incoming) = head.into_parts();
        let awaited_since = timers.head.since();
        let encoding = foreign_encoding(&head.headers);
        HttpResponse {
            status: head.status.as_u16(),
            headers: Headers::from_map(head.headers),
            body: HttpBody::new(
                incoming,
                url.shared_host_port(),
                timers,
                encoding,
                self.inner.limits,
            ),
            awaited_since,
        }
    }

    /// Says whether an `https` URL was used.
    #[cfg(test)]
    pub(super) fn tls_is_set_up(&self) -> bool {
        self.inner.shared.tls.is_set_up()
    }
}

impl ClientInner {
    /// Checks what can be wrong before a connection is opened. Gives the value of `host`, unless
    /// the caller set one.
    fn check(&self, url: &Url, headers: &Headers) -> Result<Option<HeaderValue>, HttpError> {
        if url.is_https() {
            self.shared.tls.set_up()?;
        }
        if headers.as_map().contains_key(HOST) {
            return Ok(None);
        }
        let host = HeaderValue::from_str(url.host_header());
        host.map(Some).map_err(|_| HttpError::Url {
            url: url.to_string(),
            reason: "its host cannot be sent",
        })
    }

    fn new_request(
        &self,
        (method, url, headers, body): (Method, &Url, &Headers, Bytes),
        host: Option<HeaderValue>,
        connection: &PooledConnection,
    ) -> Result<Request<Full<Bytes>>, HttpError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = connection.request_target(url);
        headers.as_map().clone_into(request.headers_mut());
        // Only `host` is added, and only if the caller set none.
        if let Some(host) = host {
            request.headers_mut().insert(HOST, host);
        }
        if connection.is_seen_by_proxy() {
            // A proxy that only opens a tunnel got its password when the tunnel was made. One that
            // is sent the whole request needs it in each.
            let proxy = self.shared.proxies.proxy_for(url.uri())?;
            if let Some(value) = proxy.and_then(|proxy| proxy.authorization_for(url.uri())) {
                request.headers_mut().insert(PROXY_AUTHORIZATION, value);
            }
        }
        Ok(request)
    }

    /// Waits for the head of the answer within the time-outs. Without a connection in the result it
    /// must not be used again.
    async fn head(
        &self,
        pool: &ConnectionPool,
        parts: (Method, &Url, &Headers, Bytes),
    ) -> Result<(Response<Incoming>, Option<PooledConnection>, Timers), HttpError> {
        let url = parts.1;
        let host = self.check(url, parts.2)?;
        let mut timers = Timers::start(&self.timeouts);
        // The way of a request: take an idle connection or open one, write the request for whoever
        // is at the other end, then wait for the head within the time-outs. The body is read later,
        // by the caller.
        let mut connection = match pool.take(url) {
            Some(idle) => idle,
            // Boxed, so that the future of every request does not reserve space for a handshake.
            None => Box::pin(self.open(url, pool, &mut timers)).await?,
        };
        timers.head.use_alarm(connection.take_alarm());
        // The total time-out first, because it holds whatever else happens. The one for the head
        // last: it is only for when nothing has come.
        let response = {
            // Made only now. It is large, and would take space in the future during the wait for a connection.
            let request = self.new_request(parts, host, &connection)?;
            let mut sent = pin!(connection.send(request));
            poll_fn(|cx| {
                let target = || url.host_port().to_owned();
                if let Poll::Ready(limit) = timers.poll_total(cx) {
                    let target = target();
                    return Poll::Ready(Err(HttpError::TotalTimeout { target, limit }));
                }
                if let Poll::Ready(result) = sent.as_mut().poll(cx) {
                    let failed = |error| HttpError::from_request(target(), error);
                    return Poll::Ready(result.map_err(failed));
                }
                let limit = ready!(timers.head.poll_elapsed(cx));
                let target = target();
                Poll::Ready(Err(HttpError::FirstEventTimeout { target, limit }))
            })
            .await?
        };
        let is_reusable = !closes_unannounced(response.headers());
        connection.keep_alarm(timers.head.take_alarm());
        Ok((response, is_reusable.then_some(connection), timers))
    }

    /// Opens a connection within the time-outs.
    async fn open(
        &self,
        url: &Url,
        pool: &ConnectionPool,
        timers: &mut Timers,
    ) -> Result<PooledConnection, HttpError> {
        let mut opened = pin!(pool.open(url));
        poll_fn(|cx| {
            let target = || url.host_port().to_owned();
            // Only the total is checked here. The connect time-out runs inside of `pool.open`.
            if let Poll::Ready(limit) = timers.poll_total(cx) {
                let target = target();
                return Poll::Ready(Err(HttpError::TotalTimeout { target, limit }));
            }
            let opened = ready!(opened.as_mut().poll(cx));
            let limit = self.timeouts.connect;
            Poll::Ready(opened.map_err(|error| HttpError::from_connect(target(), limit, error)))
        })
        .await
    }
}

impl Default for HttpClient {
    fn default() -> Self {
        HttpClientBuilder::default().with_proxies(Arc::default())
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient")
            .field("timeouts", &self.inner.timeouts)
            .finish_non_exhaustive()
    }
}

/// Sets up an [`HttpClient`].
///
/// ```
/// use std::time::Duration;
/// use openai_agents::http::{HttpClient, Proxies};
///
/// let client = HttpClient::builder()
///     .idle_timeout(Duration::from_secs(120))
///     .total_timeout(None)
///     .proxies(Proxies::FromEnvironment)
///     .build()?;
/// # Ok::<(), openai_agents::http::HttpError>(())
/// ```
#[derive(Debug, Clone)]
pub struct HttpClientBuilder {
    timeouts: Timeouts,
    limits: BodyLimits,
    proxies: ProxySource,
    addresses: Addresses,
    tls: Arc<Tls>,
}

#[derive(Debug, Clone)]
enum ProxySource {
    New(Proxies),
    /// Those of another client, which were checked already.
    Shared(Arc<ProxyTable>),
}

impl HttpClientBuilder {
    /// Sets the limit for a connection, with name lookup, TCP, proxy and TLS.
    ///
    /// The default is 5 s.
    #[must_use]
    pub fn connect_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.timeouts.connect = limit.into();
        self
    }

    /// Sets the limit for the first event of a stream, or another answer's head.
    ///
    /// It is 600 s by default.
    ///
    /// It starts when the connection is open, so that it includes sending the request. Comments,
    /// which some servers send to keep a stream alive, do not count as events.
    #[must_use]
    pub fn first_event_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.timeouts.first_event = limit.into();
        self
    }

    /// Sets how long a server may be silent within an answer; 300 s by default.
    ///
    /// It applies between two events of a stream, and between two pieces of another body.
    #[must_use]
    pub fn idle_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.timeouts.idle = limit.into();
        self
    }

    /// Sets the limit for a request up to the last byte of its answer.
    ///
    /// There is none by default.
    #[must_use]
    pub fn total_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.timeouts.total = limit.into();
        self
    }

    /// Sets the most bytes that [`HttpBody::collect`] reads; 64 MiB by default.
    #[must_use]
    pub const fn max_body_bytes(mut self, max_bytes: usize) -> Self {
        self.limits.whole = max_bytes;
        self
    }

    /// Sets the most bytes of a body that is read by chunks.
    ///
    /// There is no limit by default.
    #[must_use]
    pub fn max_stream_bytes(mut self, max_bytes: impl Into<Option<u64>>) -> Self {
        self.limits.stream = max_bytes.into();
        self
    }

    /// Sets the proxies; none by default.
    #[must_use]
    pub fn proxies(mut self, proxies: Proxies) -> Self {
        self.proxies = ProxySource::New(proxies);
        self
    }

    /// Limits connections to public addresses, except for these hosts; no limit by default.
    ///
    /// A name is looked up once for each connection, and the addresses that were found are checked
    /// and used. Refused are addresses of this machine, of private and local networks, and reserved
    /// ones. Behind a proxy, the proxy looks names up.
    #[must_use]
    pub fn public_addresses<S: Into<String>>(
        mut self,
        except: impl IntoIterator<Item = S>,
    ) -> Self {
        let except = except.into_iter().map(Into::into).collect();
        self.addresses = Addresses::Public { except };
        self
    }

    /// Trusts the certificates of this PEM file.
    ///
    /// They take the place of those of `SSL_CERT_FILE`, `SSL_CERT_DIR` or the system.
    ///
    /// The file is read at the first `https` URL. A server may also present one of these
    /// certificates itself, such as a self-signed one.
    #[must_use]
    pub fn trust_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.tls = Arc::new(Tls::trusting(path.into()));
        self
    }

    /// Builds the client. No connection is opened.
    ///
    /// # Errors
    ///
    /// [`HttpError::Proxy`] if the proxy of [`Proxies::Through`] cannot be used. A proxy of the
    /// environment is checked by the first request that needs it.
    pub fn build(self) -> Result<HttpClient, HttpError> {
        let proxies = match &self.proxies {
            ProxySource::New(proxies) => {
                Arc::new(ProxyTable::new(proxies, |name| std::env::var(name).ok())?)
            }
            ProxySource::Shared(proxies) => Arc::clone(proxies),
        };
        Ok(self.with_proxies(proxies))
    }

    fn with_proxies(self, proxies: Arc<ProxyTable>) -> HttpClient {
        let shared = Arc::new(Shared {
            tls: self.tls,
            proxies,
            limit: self.timeouts.connect,
            addresses: self.addresses,
        });
        let pool = |plain_way| ConnectionPool::new(Connector::new(Arc::clone(&shared), plain_way));
        HttpClient {
            inner: Arc::new(ClientInner {
                pool: pool(PlainWay::Requests),
                #[cfg(feature = "realtime")]
                upgrades: pool(PlainWay::Tunnel),
                shared,
                timeouts: self.timeouts,
                limits: self.limits,
            }),
        }
    }
}

impl Default for HttpClientBuilder {
    fn default() -> Self {
        Self {
            timeouts: Timeouts::default(),
            limits: BodyLimits {
                whole: 64 * 1024 * 1024,
                stream: None,
            },
            proxies: ProxySource::New(Proxies::None),
            addresses: Addresses::Any,
            tls: Arc::default(),
        }
    }
}

/// Says whether the server will close the connection after this answer without announcing it.
///
/// llama.cpp (b8156, November 2026, and long before) does so after every chunked answer. The close
/// is visible only after the next request was sent. That request would be lost, and nothing here
/// sends it again.
fn closes_unannounced(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING)
        && headers
            .get(SERVER)
            .is_some_and(|server| server.as_bytes().starts_with(b"llama.cpp"))
}

fn redirect_target(headers: &HeaderMap) -> Option<String> {
    let location = headers.get(LOCATION)?.to_str().ok()?;
    Some(redirect_origin(location))
}

/// Returns the content encodings, if any of them changes the bytes.
fn foreign_encoding(headers: &HeaderMap) -> Option<String> {
    let mut encodings = headers
        .get_all(CONTENT_ENCODING)
        .into_iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .filter(|value| {
            !value
                .split(',')
                .map(str::trim)
                .all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case("identity"))
        });
    encodings.next()
}
