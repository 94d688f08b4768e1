//! Takes up a stream that broke before the answer: the server is asked for what comes after the last event that arrived.

use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use rmcp::transport::common::http_header::EVENT_STREAM_MIME_TYPE;
use sse_stream::Sse;

use super::backend::media_type;
use crate::error::error_chain;
use crate::http::{Headers, HttpBody, HttpClient, HttpResponse, Url};

/// How often in a row a stream is opened again that brings no event.
///
/// A server may end a stream and have the client come back, as often as it likes: each time it says so with an event. One that answers
/// with an empty stream has lost the answer, and rmcp (3.11) would go on asking it for ever.
const MAX_REOPENINGS: u32 = 4;
/// How long the first wait is, where the server names no other time; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// What is needed to take up the stream of one answer.
#[derive(Debug)]
pub(super) struct Resumption {
    http: HttpClient,
    url: Url,
    headers: HeaderMap,
    last_event_id: Option<String>,
    retry: Option<Duration>,
    /// How often it was opened since the last event.
    n_reopenings: u32,
}

impl Resumption {
    /// Takes the headers of the request, of which all but those that describe its body go with the next ones too.
    pub(super) fn new(http: HttpClient, url: Url, mut headers: HeaderMap) -> Self {
        headers.remove(CONTENT_TYPE);
        let of_body: Vec<HeaderName> = headers
            .keys()
            .filter(|name| {
                let name = name.as_str();
                matches!(name, "mcp-method" | "mcp-name") || name.starts_with("mcp-param-")
            })
            .cloned()
            .collect();
        for name in of_body {
            headers.remove(name);
        }
        Self {
            http,
            url,
            headers,
            last_event_id: None,
            retry: None,
            n_reopenings: 0,
        }
    }

    /// Takes over the session that the answer begins.
    pub(super) fn in_session(&mut self, session: &str) {
        if let Ok(session) = HeaderValue::from_str(session) {
            let name = HeaderName::from_static("mcp-session-id");
            self.headers.insert(name, session);
        }
    }

    /// Takes out of an event where the server goes on and when; the protocol library would act on it too.
    pub(super) fn hear(&mut self, event: &mut Sse) {
        self.n_reopenings = 0;
        if let Some(id) = event.id.take() {
            self.last_event_id = Some(id).filter(|id| !id.is_empty());
        }
        if let Some(retry) = event.retry.take() {
            self.retry = Some(Duration::from_millis(retry));
        }
    }

    /// Opens the stream again after it broke for this reason; gives the reason back if that is not possible.
    pub(super) async fn reopen(&mut self, mut reason: String) -> Result<HttpBody, String> {
        // Without the id of an event the server cannot know where to go on, and the request is not
        // sent again.
        let Some(id) = &self.last_event_id else {
            return Err(reason);
        };
        let Ok(id) = HeaderValue::from_str(id) else {
            return Err(reason);
        };
        let mut headers = self.headers.clone();
        headers.insert(HeaderName::from_static("last-event-id"), id);
        let headers = Headers::from_map(headers);
        while self.n_reopenings < MAX_REOPENINGS {
            tokio::time::sleep(self.wait()).await;
            self.n_reopenings += 1;
            match self.http.get(&self.url, &headers).await {
                Ok(response) if is_stream(&response) => return Ok(response.body),
                Ok(response) if is_final(response.status) => {
                    return Err(format!("{reason}; {}", refusal(&response)));
                }
                Ok(response) => reason = format!("nothing: {}", refusal(&response)),
                Err(error) => reason = format!("nothing, {}", error_chain(&error)),
            }
        }
        let times = format!("when it was opened again, {MAX_REOPENINGS} times in a row");
        Err(format!("{reason}; nothing came {times}"))
    }

    fn wait(&self) -> Duration {
        let longer = FIRST_WAIT.saturating_mul(1 << self.n_reopenings);
        match self.retry {
            // The first time as soon as the server asks for. Then ever later, to leave a server in
            // trouble alone.
            Some(retry) if self.n_reopenings == 0 => retry,
            Some(retry) => retry.max(longer),
            None => longer,
        }
    }
}

fn is_stream(response: &HttpResponse) -> bool {
    response.status == StatusCode::OK
        && media_type(response).as_deref() == Some(EVENT_STREAM_MIME_TYPE)
}

/// Whether asking again cannot help: no session, no permission, no such stream.
fn is_final(status: u16) -> bool {
    (400..500).contains(&status) && !matches!(status, 408 | 429)
}

fn refusal(response: &HttpResponse) -> String {
    format!(
        "the stream could not be opened again (HTTP {})",
        response.status
    )
}
