//! Streamable HTTP over this library's own client: one request per message, nothing repeated, no redirect, bounded answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ClientRequest, ErrorData, RequestId,
    ServerJsonRpcMessage,
};
use rmcp::transport::common::http_header::{
    EVENT_STREAM_MIME_TYPE, HEADER_SESSION_ID, JSON_MIME_TYPE,
};
use rmcp::transport::streamable_http_client::{
    AuthRequiredError, InsufficientScopeError, StreamableHttpClient, StreamableHttpError,
    StreamableHttpPostResponse,
};
use tokio::sync::watch;
use tokio::time::Instant;

use super::deviations::excerpt;
use super::events::{self, Awaited, Events};
use super::frames::Frames;
use super::options::Options;
use super::redaction::ServerSecrets;
use super::resume::Resumption;
use crate::http::{Headers, HttpBody, HttpClient, HttpError, HttpResponse, Url};

/// How large a JSON answer or an event may be.
pub(super) const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// How much of an answer that is not understood is kept for the error.
const MAX_EXCERPT_BYTES: usize = 1024;
/// How long a standing stream that brought nothing is left alone, beside what rmcp waits; twice as long each time, up to half a minute.
const REOPEN_AFTER: Duration = Duration::from_millis(250);
const MAX_DOUBLINGS: u32 = 7;
/// How long the first request of a session waits for the standing stream. What a server asks or tells before that is open is lost, and one
/// that asks while it answers then waits in vain. No longer, since some servers answer for a stream with its first event only.
const OPENING: Duration = Duration::from_secs(1);

/// Sends the messages of one connection.
#[derive(Debug, Clone)]
pub(super) struct Backend {
    http: HttpClient,
    frames: Arc<Frames>,
    /// How long whoever makes a request waits for its answer, at most.
    patience: Duration,
    /// How many standing streams in a row brought nothing.
    n_silent: Arc<AtomicU32>,
    /// How long the first request of a session waits for the standing stream, at most.
    opening: Duration,
    /// Whether the standing stream of a new session has not been answered for.
    is_opening: Arc<watch::Sender<bool>>,
}

impl Backend {
    pub(super) fn new(http: HttpClient, frames: Arc<Frames>, options: &Options) -> Self {
        Self {
            http,
            frames,
            patience: options.connect_timeout.max(options.call_timeout),
            n_silent: Arc::default(),
            // The request that waits needs time for its answer too.
            opening: OPENING.min(options.call_timeout / 2),
            is_opening: Arc::default(),
        }
    }

    pub(super) fn secrets(&self) -> &ServerSecrets {
        self.frames.secrets()
    }

    pub(super) const fn http(&self) -> &HttpClient {
        &self.http
    }
}

/// Why a message has no answer over HTTP. No secret is in it.
#[derive(Debug, thiserror::Error)]
pub(super) enum BackendError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("it answered with HTTP {status}{}{}", after(.retry_after.as_deref()), said(.body))]
    Status {
        status: u16,
        retry_after: Option<String>,
        /// The beginning of what it said.
        body: String,
    },
    #[error("it answered with HTTP {status}{}: is this the address of an MCP server, with its path, such as `/mcp`?", said(.body))]
    NoEndpoint { status: u16, body: String },
    #[error("it answered with {}, where JSON or a stream of events is due: is this the address of an MCP server?", kind.as_deref().map_or("no content type".to_owned(), |kind| format!("`{kind}`")))]
    ContentType { kind: Option<String> },
    #[error("it answered with {0}")]
    Unreadable(String),
    #[error("its session id or token cannot be sent as a header")]
    Header,
    #[error("it did not answer within {0:?}")]
    Silent(Duration),
}

fn after(retry_after: Option<&str>) -> String {
    retry_after.map_or_else(String::new, |after| format!(" (retry after {after})"))
}

fn said(body: &str) -> String {
    match body.trim() {
        "" => String::new(),
        body => format!(": {body}"),
    }
}

pub(super) type Fault = StreamableHttpError<BackendError>;

/// What goes with every request.
struct Line {
    url: Url,
    headers: HeaderMap,
}

impl Line {
    fn new(
        uri: &str,
        session: Option<&str>,
        token: Option<&str>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<Self, Fault> {
        let url = Url::parse(uri).map_err(fault)?;
        let mut all = HeaderMap::new();
        all.extend(headers);
        let accepted = HeaderValue::from_static("application/json, text/event-stream");
        all.insert(ACCEPT, accepted);
        if let Some(session) = session {
            all.insert(HeaderName::from_static("mcp-session-id"), value(session)?);
        }
        if let Some(token) = token {
            let mut bearer = value(&format!("Bearer {token}"))?;
            bearer.set_sensitive(true);
            all.insert(AUTHORIZATION, bearer);
        }
        Ok(Self { url, headers: all })
    }

    fn headers(self) -> (Url, Headers) {
        (self.url, Headers::from_map(self.headers))
    }
}

fn value(text: &str) -> Result<HeaderValue, Fault> {
    HeaderValue::from_str(text).map_err(|_| Fault::Client(BackendError::Header))
}

/// Whether a message says that the client is ready, with which a session begins.
fn is_initialized(message: &ClientJsonRpcMessage) -> bool {
    let ClientJsonRpcMessage::Notification(sent) = message else {
        return false;
    };
    matches!(
        sent.notification,
        ClientNotification::InitializedNotification(_)
    )
}

fn fault(error: HttpError) -> Fault {
    Fault::Client(BackendError::Http(error))
}

impl StreamableHttpClient for Backend {
    type Error = BackendError;

    async fn post_message(
        &self,
        uri: Arc<str>,
        mut message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Fault> {
        let session = session_id.as_deref();
        let mut line = Line::new(&uri, session, auth_header.as_deref(), custom_headers)?;
        // Takes the number out of `_meta` again, where `call_headers` put it, and sets the headers
        // that it stands for.
        for (name, value) in self.secrets().of_calls.of(&mut message).iter().flatten() {
            line.headers.insert(name, value.clone());
        }
        let json = HeaderValue::from_static(JSON_MIME_TYPE);
        line.headers.insert(CONTENT_TYPE, json);
        // rmcp (3.11) does not stop a request when the connection that is being made is given up.
        let deadline = Instant::now() + self.patience;
        let begins_session = session.is_some() && is_initialized(&message);
        let posted = self.post(message, line, session.is_some(), deadline);
        let posted = tokio::time::timeout_at(deadline, posted)
            .await
            .unwrap_or(Err(Fault::Client(BackendError::Silent(self.patience))))?;
        // rmcp opens the standing stream behind it, beside the first requests.
        if begins_session {
            self.is_opening.send_replace(true);
        }
        Ok(posted)
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Fault> {
        let line = Line::new(
            &uri,
            Some(&session_id),
            auth_header.as_deref(),
            custom_headers,
        )?;
        let (url, headers) = line.headers();
        let response = self.http.delete(&url, &headers).await.map_err(fault)?;
        // A server may have no way to end a session.
        if is_success(response.status) || response.status == StatusCode::METHOD_NOT_ALLOWED {
            return Ok(());
        }
        Err(self.unexpected(response).await)
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<Events, Fault> {
        let session = session_id.as_deref();
        let mut line = Line::new(&uri, session, auth_header.as_deref(), custom_headers)?;
        if let Some(id) = last_event_id {
            let name = HeaderName::from_static("last-event-id");
            line.headers.insert(name, value(&id)?);
        }
        let opened = self.open_standing(line).await;
        self.is_opening.send_replace(false);
        opened
    }
}

impl Backend {
    /// Opens a standing stream.
    async fn open_standing(&self, line: Line) -> Result<Events, Fault> {
        let n_silent = self.n_silent.load(Ordering::Relaxed);
        // A server that ends each standing stream at once must not be asked without a pause.
        if n_silent > 0 {
            let wait = REOPEN_AFTER.saturating_mul(1 << n_silent.min(MAX_DOUBLINGS));
            tokio::time::sleep(wait).await;
        }
        let (url, headers) = line.headers();
        let response = self.http.get(&url, &headers).await.map_err(fault)?;
        self.refuse_challenge(&response)?;
        if response.status == StatusCode::METHOD_NOT_ALLOWED {
            return Err(Fault::ServerDoesNotSupportSse);
        }
        if !is_success(response.status) {
            return Err(self.unexpected(response).await);
        }
        match media_type(&response) {
            Some(kind) if kind == EVENT_STREAM_MIME_TYPE => {
                let n_silent = Arc::clone(&self.n_silent);
                Ok(events::standing(&self.frames, response.body, n_silent))
            }
            kind => Err(Fault::Client(BackendError::ContentType { kind })),
        }
    }

    /// Waits until the standing stream of a new session is open, or will not be.
    async fn standing_opened(&self) {
        let mut is_opening = self.is_opening.subscribe();
        let opened = is_opening.wait_for(|is_opening| !is_opening);
        if tokio::time::timeout(self.opening, opened).await.is_err() {
            // Once is enough: the requests behind it need not wait as long again.
            self.is_opening.send_replace(false);
        }
    }

    async fn post(
        &self,
        message: ClientJsonRpcMessage,
        line: Line,
        has_session: bool,
        deadline: Instant,
    ) -> Result<StreamableHttpPostResponse, Fault> {
        let body = Bytes::from(serde_json::to_vec(&message)?);
        if matches!(message, ClientJsonRpcMessage::Request(_)) {
            self.standing_opened().await;
        }
        // Noted before it is sent, or an answer could come that belongs to nothing.
        self.frames.sent(&message);
        let resumption = Resumption::new(self.http.clone(), line.url.clone(), line.headers.clone());
        let (url, headers) = line.headers();
        let response = self.http.post(&url, &headers, body).await.map_err(fault)?;
        self.refuse_challenge(&response)?;
        let answer = ServerAnswer {
            frames: &self.frames,
            message: &message,
            has_session,
            response,
            resumption,
            deadline,
        };
        answer.read().await
    }

    /// Returns a server's challenge as the error that the authorization understands.
    fn refuse_challenge(&self, response: &HttpResponse) -> Result<(), Fault> {
        let Some(challenge) = response.headers.get(WWW_AUTHENTICATE.as_str()) else {
            return Ok(());
        };
        // The protocol library writes it into its log.
        let challenge = self.frames.redactor().redact(challenge).into_owned();
        match response.status {
            401 => Err(Fault::AuthRequired(AuthRequiredError::new(challenge))),
            403 => Err(Fault::InsufficientScope(InsufficientScopeError::new(
                challenge, None,
            ))),
            _ => Ok(()),
        }
    }

    async fn unexpected(&self, response: HttpResponse) -> Fault {
        let failed = Failed::new(&response);
        match whole(response.body).await {
            Ok(body) => failed.into_fault(&self.frames, &body),
            Err(error) => error,
        }
    }
}

/// An answer to a message, with what it is read by.
struct ServerAnswer<'a> {
    frames: &'a Arc<Frames>,
    message: &'a ClientJsonRpcMessage,
    has_session: bool,
    response: HttpResponse,
    resumption: Resumption,
    deadline: Instant,
}

impl ServerAnswer<'_> {
    async fn read(mut self) -> Result<StreamableHttpPostResponse, Fault> {
        let status = self.response.status;
        let request = match self.message {
            ClientJsonRpcMessage::Request(request) => Some(request.id.clone()),
            _ => None,
        };
        if status == StatusCode::ACCEPTED || status == StatusCode::NO_CONTENT {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        // This is how a server says that it does not know the session any more.
        if status == StatusCode::NOT_FOUND && self.has_session {
            return Err(Fault::SessionExpired);
        }
        if !is_success(status) {
            return self.read_failure(request).await;
        }
        let session = self.response.headers.get(HEADER_SESSION_ID);
        let session = session.map(str::to_owned);
        // Where nothing is due, whatever a server writes all the same is not looked at.
        let Some(id) = request else {
            return Ok(StreamableHttpPostResponse::Accepted);
        };
        let kind = media_type(&self.response);
        match kind.as_deref() {
            Some(EVENT_STREAM_MIME_TYPE) => {
                if let Some(session) = &session {
                    self.resumption.in_session(session);
                }
                let awaited = Awaited {
                    id,
                    deadline: is_answered_once(self.message).then_some(self.deadline),
                    resumption: self.resumption,
                };
                let events = events::answering(self.frames, self.response.body, awaited);
                Ok(StreamableHttpPostResponse::Sse(events, session))
            }
            Some(JSON_MIME_TYPE) => {
                let body = whole(self.response.body).await?;
                let mut messages = self
                    .frames
                    .read(&body)
                    .map_err(|broken| Fault::Client(BackendError::Unreadable(broken.reason)))?;
                // If the answer is not among the messages, whoever waits for it is told now and
                // does not wait for a time-out.
                let other = "no answer to the request, but something else".to_owned();
                messages.extend(self.frames.fail_one(&id, other));
                Ok(one_or_more(messages, session))
            }
            _ => Err(Fault::Client(BackendError::ContentType { kind })),
        }
    }

    /// An error of the protocol comes with an error status too; a server that does not know a question says so in many ways.
    async fn read_failure(
        self,
        request: Option<RequestId>,
    ) -> Result<StreamableHttpPostResponse, Fault> {
        let status = self.response.status;
        let refuses = matches!(status, 401 | 403);
        let failed = Failed::new(&self.response);
        let body = whole(self.response.body).await?;
        // The status itself says what to do, whatever the body says.
        if status == StatusCode::TOO_MANY_REQUESTS || refuses {
            return Err(failed.into_fault(self.frames, &body));
        }
        let answered = |answer| Ok(StreamableHttpPostResponse::Json(answer, None));
        if let Some(id) = &request
            && let Some(answer) = self.frames.failure(&body, id)
        {
            return answered(answer);
        }
        if let ClientJsonRpcMessage::Request(request) = self.message
            // A server that does not know `server/discover` may refuse it with any 4xx and no JSON.
            // As an error of the protocol it makes rmcp fall back to `initialize`.
            && matches!(request.request, ClientRequest::DiscoverRequest(_))
            && (400..500).contains(&status)
            && !self.has_session
        {
            let error =
                ErrorData::invalid_request(failed.into_error(self.frames, &body).to_string(), None);
            return answered(ServerJsonRpcMessage::error(error, Some(request.id.clone())));
        }
        Err(failed.into_fault(self.frames, &body))
    }
}

/// Whether the stream of an answer ends with it; a subscription goes on as long as the connection.
fn is_answered_once(message: &ClientJsonRpcMessage) -> bool {
    let ClientJsonRpcMessage::Request(request) = message else {
        return true;
    };
    !matches!(
        request.request,
        ClientRequest::SubscriptionsListenRequest(_)
    )
}

/// An answer of several messages passes as a stream.
fn one_or_more(
    mut messages: Vec<ServerJsonRpcMessage>,
    session: Option<String>,
) -> StreamableHttpPostResponse {
    match (messages.pop(), messages.is_empty()) {
        (Some(message), true) => StreamableHttpPostResponse::Json(message, session),
        (last, _) => {
            messages.extend(last);
            StreamableHttpPostResponse::Sse(events::of(messages), session)
        }
    }
}

/// An answer whose status is not of success.
struct Failed {
    status: u16,
    retry_after: Option<String>,
}

impl Failed {
    fn new(response: &HttpResponse) -> Self {
        let retry_after = response.headers.get(RETRY_AFTER.as_str());
        Self {
            status: response.status,
            retry_after: retry_after.map(str::to_owned),
        }
    }

    fn into_error(self, frames: &Frames, body: &[u8]) -> BackendError {
        let body = String::from_utf8_lossy(body);
        let body = frames.redactor().redact(&body);
        let body = excerpt(body.trim(), MAX_EXCERPT_BYTES);
        let Self {
            status,
            retry_after,
        } = self;
        match status {
            404 | 405 => BackendError::NoEndpoint { status, body },
            _ => BackendError::Status {
                status,
                retry_after: retry_after.map(|after| frames.redactor().redact(&after).into_owned()),
                body,
            },
        }
    }

    fn into_fault(self, frames: &Frames, body: &[u8]) -> Fault {
        Fault::Client(self.into_error(frames, body))
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

async fn whole(body: HttpBody) -> Result<Bytes, Fault> {
    body.collect_up_to(MAX_ANSWER_BYTES).await.map_err(fault)
}

/// Returns the media type without its parameters, in lower case.
pub(super) fn media_type(response: &HttpResponse) -> Option<String> {
    let value = response.headers.get(CONTENT_TYPE.as_str())?;
    let kind = value.split(';').next().unwrap_or_default();
    Some(kind.trim().to_ascii_lowercase())
}
