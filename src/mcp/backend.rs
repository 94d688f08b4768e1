//! Streamable HTTP over this library's own client: one request per message, nothing repeated, no redirect, bounded answers.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use hyper::StatusCode;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, ErrorData, ServerJsonRpcMessage};
use rmcp::transport::common::http_header::{
    EVENT_STREAM_MIME_TYPE, HEADER_SESSION_ID, JSON_MIME_TYPE,
};
use rmcp::transport::streamable_http_client::{
    AuthRequiredError, HttpStatusError, InsufficientScopeError, SseError, StreamableHttpClient,
    StreamableHttpError, StreamableHttpPostResponse,
};
use sse_stream::{Sse, SseStream};

use crate::http::{Headers, HttpBody, HttpClient, HttpError, HttpResponse, Url};

/// How large a JSON answer or an event may be.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// How much of an answer that is not understood is kept for the error.
const MAX_EXCERPT_BYTES: usize = 1024;

/// Sends the messages of one connection.
#[derive(Debug, Clone)]
pub(super) struct Backend(pub(super) HttpClient);

type Fault = StreamableHttpError<HttpError>;
type Events = BoxStream<'static, Result<Sse, SseError>>;

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
        let url = Url::parse(uri).map_err(Fault::Client)?;
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
    HeaderValue::from_str(text).map_err(|_| {
        Fault::UnexpectedServerResponse("a session id or token that is no header value".into())
    })
}

impl StreamableHttpClient for Backend {
    type Error = HttpError;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Fault> {
        let body = Bytes::from(serde_json::to_vec(&message)?);
        let session = session_id.as_deref();
        let mut line = Line::new(&uri, session, auth_header.as_deref(), custom_headers)?;
        let json = HeaderValue::from_static(JSON_MIME_TYPE);
        line.headers.insert(CONTENT_TYPE, json);
        let (url, headers) = line.headers();
        let sent = self.0.post(&url, &headers, body).await;
        let response = sent.map_err(Fault::Client)?;
        refuse_challenge(&response)?;
        let answer = Answer {
            message: &message,
            has_session: session.is_some(),
            response,
        };
        answer.read().await
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
        let response = self.0.delete(&url, &headers).await.map_err(Fault::Client)?;
        // A server may have no way to end a session.
        if is_success(response.status) || response.status == StatusCode::METHOD_NOT_ALLOWED {
            return Ok(());
        }
        Err(unexpected(response).await)
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
        let (url, headers) = line.headers();
        let response = self.0.get(&url, &headers).await.map_err(Fault::Client)?;
        refuse_challenge(&response)?;
        if response.status == StatusCode::METHOD_NOT_ALLOWED {
            return Err(Fault::ServerDoesNotSupportSse);
        }
        if !is_success(response.status) {
            return Err(unexpected(response).await);
        }
        match media_type(&response) {
            Some(kind) if kind == EVENT_STREAM_MIME_TYPE => Ok(events(response.body)),
            kind => Err(Fault::UnexpectedContentType(kind)),
        }
    }
}

/// An answer to a message, with what it is read by.
struct Answer<'a> {
    message: &'a ClientJsonRpcMessage,
    has_session: bool,
    response: HttpResponse,
}

impl Answer<'_> {
    async fn read(self) -> Result<StreamableHttpPostResponse, Fault> {
        let status = self.response.status;
        if status == StatusCode::ACCEPTED || status == StatusCode::NO_CONTENT {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        if status == StatusCode::NOT_FOUND && self.has_session {
            return Err(Fault::SessionExpired);
        }
        let kind = media_type(&self.response);
        if !is_success(status) {
            return self.read_failure(kind.as_deref()).await;
        }
        let is_request = matches!(self.message, ClientJsonRpcMessage::Request(_));
        let session = self.response.headers.get(HEADER_SESSION_ID);
        let session = session.map(str::to_owned);
        match kind.as_deref() {
            // Nothing is due; whatever a server writes all the same is not looked at.
            _ if !is_request => Ok(StreamableHttpPostResponse::Accepted),
            Some(EVENT_STREAM_MIME_TYPE) => {
                let events = events(self.response.body);
                Ok(StreamableHttpPostResponse::Sse(events, session))
            }
            Some(JSON_MIME_TYPE) => {
                let body = whole(self.response.body).await?;
                let message = serde_json::from_slice(&body).map_err(|error| {
                    let excerpt = excerpt(&body);
                    Fault::UnexpectedServerResponse(
                        format!("what is no message ({error}): {excerpt}").into(),
                    )
                })?;
                Ok(StreamableHttpPostResponse::Json(message, session))
            }
            _ => Err(Fault::UnexpectedContentType(kind)),
        }
    }

    /// An error of the protocol comes with an error status too; a server that does not know a question says so in many ways.
    async fn read_failure(self, kind: Option<&str>) -> Result<StreamableHttpPostResponse, Fault> {
        let status = self.response.status;
        let refuses = matches!(status, 401 | 403);
        if status == StatusCode::TOO_MANY_REQUESTS || kind != Some(JSON_MIME_TYPE) && status >= 500
        {
            return Err(status_error(&self.response));
        }
        let failed = status_error(&self.response);
        let body = whole(self.response.body).await?;
        let error = match serde_json::from_slice(&body) {
            Ok(ServerJsonRpcMessage::Error(error)) if !refuses => Some(error),
            _ => None,
        };
        if let ClientJsonRpcMessage::Request(request) = self.message
            && matches!(request.request, ClientRequest::DiscoverRequest(_))
            && (400..500).contains(&status)
            && !refuses
            && !self.has_session
        {
            // Whoever cannot read the question cannot repeat its id.
            let error = error.map_or_else(
                || ErrorData::invalid_request(said(status, &body), None),
                |error| error.error,
            );
            let answer = ServerJsonRpcMessage::error(error, Some(request.id.clone()));
            return Ok(StreamableHttpPostResponse::Json(answer, None));
        }
        match error {
            Some(error) => {
                let answer = ServerJsonRpcMessage::Error(error);
                Ok(StreamableHttpPostResponse::Json(answer, None))
            }
            None if status >= 500 => Err(failed),
            None => Err(Fault::UnexpectedServerResponse(said(status, &body).into())),
        }
    }
}

/// Gives a server's challenge as the error that the authorization understands.
fn refuse_challenge(response: &HttpResponse) -> Result<(), Fault> {
    let Some(challenge) = response.headers.get(WWW_AUTHENTICATE.as_str()) else {
        return Ok(());
    };
    let challenge = challenge.to_owned();
    match response.status {
        401 => Err(Fault::AuthRequired(AuthRequiredError::new(challenge))),
        403 => Err(Fault::InsufficientScope(InsufficientScopeError::new(
            challenge, None,
        ))),
        _ => Ok(()),
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

fn status_error(response: &HttpResponse) -> Fault {
    let retry_after = response.headers.get(RETRY_AFTER.as_str());
    HttpStatusError::new(response.status, retry_after.map(str::to_owned)).into()
}

async fn unexpected(response: HttpResponse) -> Fault {
    let status = response.status;
    match whole(response.body).await {
        Ok(body) => Fault::UnexpectedServerResponse(said(status, &body).into()),
        Err(error) => error,
    }
}

fn said(status: u16, body: &[u8]) -> String {
    format!("HTTP {status}: {}", excerpt(body))
}

fn excerpt(body: &[u8]) -> String {
    let kept = body.get(..MAX_EXCERPT_BYTES).unwrap_or(body);
    String::from_utf8_lossy(kept).into_owned()
}

async fn whole(body: HttpBody) -> Result<Bytes, Fault> {
    body.collect_up_to(MAX_ANSWER_BYTES)
        .await
        .map_err(Fault::Client)
}

/// Gives the media type without its parameters, in lower case.
fn media_type(response: &HttpResponse) -> Option<String> {
    let value = response.headers.get(CONTENT_TYPE.as_str())?;
    let kind = value.split(';').next().unwrap_or_default();
    Some(kind.trim().to_ascii_lowercase())
}

/// Reads events, each within the bound.
fn events(body: HttpBody) -> Events {
    let bounded = stream::unfold((body, 0), |(mut body, n_open)| async move {
        let chunk = match body.next_chunk().await? {
            Ok(chunk) => chunk,
            Err(error) => return Some((Err(EventsError::Http(error)), (body, n_open))),
        };
        let n_open = open_bytes(n_open, &chunk);
        let chunk = if n_open > MAX_ANSWER_BYTES {
            Err(EventsError::TooLarge)
        } else {
            Ok(chunk)
        };
        Some((chunk, (body, n_open)))
    });
    Box::pin(SseStream::from_bytes_stream(bounded))
}

/// Why no more events come.
#[derive(Debug, thiserror::Error)]
enum EventsError {
    #[error("{0}")]
    Http(HttpError),
    #[error("an event has more than {MAX_ANSWER_BYTES} bytes")]
    TooLarge,
}

/// Counts the bytes since the last empty line, which ends an event.
fn open_bytes(n_open: usize, chunk: &[u8]) -> usize {
    let ends = |end: &[u8]| memchr::memmem::rfind(chunk, end).map(|at| at + end.len());
    match ends(b"\n\n").max(ends(b"\n\r\n")).max(ends(b"\r\r")) {
        Some(end) => chunk.len() - end,
        None => n_open + chunk.len(),
    }
}
