//! The client: one request per call, and nothing that was not asked for.

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

/// Sends requests over pooled connections; cheap to clone, to be shared by everything in a program.
///
/// A call sends one request over HTTP/1.1. It is never repeated and no redirect is followed. No compression is asked for,
/// and a compressed body is an error when it is read. TLS (with the certificates of `SSL_CERT_FILE` and `SSL_CERT_DIR`, or else of the operating system) is set up at the first
/// `https` URL. Needs a Tokio runtime with I/O and time.
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
    /// For requests that ask for another protocol: through a proxy they go by a tunnel.
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
    /// The status; never 3xx, which is an error.
    pub status: u16,
    /// The header lines.
    pub headers: Headers,
    /// The body.
    pub body: HttpBody,
    /// When the answer began to be waited for.
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

/// What a server says to a request for another protocol.
#[cfg(feature = "realtime")]
pub(crate) enum UpgradeResponse {
    /// The connection, which speaks that protocol now.
    Switched(Headers, TokioIo<hyper::upgrade::Upgraded>),
    /// Any other answer.
    Refused(Box<HttpResponse>),
}

impl HttpClient {
    /// Begins a client with other than the default settings.
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
    /// [`HttpError`] if there is no head of an answer in time, or it is a redirect.
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

    /// Sends a request by any method and waits for the head of the answer, whatever its status; a redirect is an answer, too.
    pub(crate) async fn send_by(
        &self,
        method: HttpMethod,
        url: &Url,
        (headers, body): (&Headers, Bytes),
    ) -> Result<HttpResponse, HttpError> {
        let (head, timers) = self.request((method.into(), url, headers, body)).await?;
        Ok(self.answer(url, head, timers))
    }

    /// Begins a client of the same settings, proxies and certificates, to be changed; it has connections of its own.
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

    /// Takes out what the proxies are trusted with.
    pub(crate) fn redactor(&self) -> &Redactor {
        &self.inner.shared.proxies.redactor
    }

    pub(crate) fn timeouts(&self) -> &Timeouts {
        &self.inner.timeouts
    }

    /// Sends a GET request that asks for another protocol on its connection, and waits for the head of the answer.
    ///
    /// Everything that belongs to a request holds for it: proxies, TLS, the time-outs up to the head. Behind it there is none.
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

    /// Tells whether an `https` URL has been seen.
    #[cfg(test)]
    pub(super) fn tls_is_set_up(&self) -> bool {
        self.inner.shared.tls.is_set_up()
    }
}

impl ClientInner {
    /// Checks what can be wrong before a connection is asked for; gives the host, unless the headers have it.
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
        // Nothing is added but `host`, and that only where the caller set none.
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

    /// Waits for the head of the answer within the time-outs; gives no connection with it if that is not to be used again.
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
            // In a box, or every request would have room for a handshake.
            None => Box::pin(self.open(url, pool, &mut timers)).await?,
        };
        timers.head.use_alarm(connection.take_alarm());
        // The total time-out first, because it holds whatever else happens. The one for the head
        // last: it is only for when nothing has come.
        let response = {
            // Made only now: it is large, and what is kept across a wait is moved and takes room as long as that.
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
    /// Those of another client, which are judged already.
    Shared(Arc<ProxyTable>),
}

impl HttpClientBuilder {
    /// Sets how long name, TCP, proxy and TLS may take together; 5 s by default.
    #[must_use]
    pub fn connect_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.timeouts.connect = limit.into();
        self
    }

    /// Sets how long the first event of a stream, or the head of any other answer, may take; 600 s by default.
    ///
    /// It counts from the moment when the connection stands, so that a large request that takes long to send needs more. Comments,
    /// by which a server keeps a stream alive, are no events.
    #[must_use]
    pub fn first_event_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.timeouts.first_event = limit.into();
        self
    }

    /// Sets how long a server may be silent between two events of a stream, or in the middle of any other body; 300 s by default.
    #[must_use]
    pub fn idle_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.timeouts.idle = limit.into();
        self
    }

    /// Sets how long a request may take to the last byte of its answer; without limit by default.
    #[must_use]
    pub fn total_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.timeouts.total = limit.into();
        self
    }

    /// Sets how many bytes [`HttpBody::collect`] reads at most; 64 MiB by default.
    #[must_use]
    pub const fn max_body_bytes(mut self, max_bytes: usize) -> Self {
        self.limits.whole = max_bytes;
        self
    }

    /// Sets how many bytes a body may have that is read chunk by chunk; without limit by default.
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

    /// Connects to public addresses only, but for these hosts; to any address by default.
    ///
    /// A name is looked up once for each connection, and the addresses that were found are checked and connected to: none that
    /// belongs to this machine, to a private or local network, or to no one. Behind a proxy, the proxy looks names up.
    #[must_use]
    pub fn public_addresses<S: Into<String>>(
        mut self,
        except: impl IntoIterator<Item = S>,
    ) -> Self {
        let except = except.into_iter().map(Into::into).collect();
        self.addresses = Addresses::Public { except };
        self
    }

    /// Trusts the certificates of this PEM file, in place of those of `SSL_CERT_FILE`, `SSL_CERT_DIR` or the operating system.
    ///
    /// It is read at the first `https` URL. A server may present one of these certificates itself: one that it signed itself, say.
    #[must_use]
    pub fn trust_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.tls = Arc::new(Tls::trusting(path.into()));
        self
    }

    /// Builds the client; no connection is made.
    ///
    /// # Errors
    ///
    /// [`HttpError::Proxy`] if the one of [`Proxies::Through`] cannot be used. One of the environment is judged by the first request that
    /// needs it.
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

/// Tells whether the server will close the connection after this answer although it says that it will not.
///
/// llama.cpp (b8156, November 2026, and long before) does so after every chunked answer. The end of the connection can be seen
/// only after the next request was sent on it; that request would be lost, and nothing here sends it again.
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

/// Gives the content encodings if any of them changes the bytes.
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
