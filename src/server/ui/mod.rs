//! Streams for user interfaces: AG-UI (`CopilotKit` and others) and the UI message stream of the Vercel AI SDK (`useChat`).
//!
//! Both are other words for the events of a run. A thread or chat is the session of its id: what was said before is in the session, and of the
//! messages that a client sends only the new ones of the user are taken. A client that goes away cancels its run.

mod ag_ui;
mod ag_ui_input;
mod content;
mod vercel;
mod vercel_input;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderName, HeaderValue, Response};
use axum::routing::post;
use futures_util::{Stream, StreamExt, stream};
use serde_json::Value;

use super::body::BodyShare;
use super::router::{Whole, response_or_error};
use super::service::{self, UiAsk};
use super::{AppState, reply};

/// By this header the client knows the protocol.
const VERCEL_HEADER: HeaderName = HeaderName::from_static("x-vercel-ai-ui-message-stream");

/// Writes the events of a run in the words of a protocol.
trait UiProtocol: Send + 'static {
    /// What comes before all events.
    fn begin(&mut self) -> Vec<Value>;

    /// What an event of the run becomes.
    fn event(&mut self, event: &Value) -> Vec<Value>;

    /// The line behind the last event, if there is one.
    fn end(&self) -> Option<&'static str>;
}

pub(super) fn routes() -> Router<Arc<AppState>> {
    Router::new()
        .route("/agui/{agent}", post(run_ag_ui))
        .route("/ui/{agent}", post(run_vercel))
}

async fn run_ag_ui(
    State(app): State<Arc<AppState>>,
    Path(agent): Path<String>,
    Extension(share): Extension<BodyShare>,
    Whole(body): Whole,
) -> Response<Body> {
    let answer = async {
        let input = ag_ui_input::RunInput::parse(&body)?;
        // It can have pictures, and the run can take long.
        drop(body);
        let protocol = ag_ui::AgUi::new(&input);
        let ask = UiAsk {
            agent: &agent,
            session: input.session,
            input: input.input,
        };
        let events = service::ui_events(&app, ask, share).await?;
        Ok(reply::events(translate(protocol, events)))
    };
    response_or_error(answer.await)
}

async fn run_vercel(
    State(app): State<Arc<AppState>>,
    Path(agent): Path<String>,
    Extension(share): Extension<BodyShare>,
    Whole(body): Whole,
) -> Response<Body> {
    let answer = async {
        let input = vercel_input::ChatInput::parse(&body)?;
        drop(body);
        let protocol = vercel::Vercel::new(&input);
        let ask = UiAsk {
            agent: &agent,
            session: input.session,
            input: input.input,
        };
        let events = service::ui_events(&app, ask, share).await?;
        let mut response = reply::events(translate(protocol, events));
        let headers = response.headers_mut();
        headers.insert(VERCEL_HEADER, HeaderValue::from_static("v1"));
        Ok(response)
    };
    response_or_error(answer.await)
}

/// Returns the lines of a protocol for the events of a run.
fn translate(
    mut protocol: impl UiProtocol,
    events: impl Stream<Item = Value> + Send + 'static,
) -> impl Stream<Item = Bytes> + Send + 'static {
    let first = lines(&protocol.begin());
    let end = protocol
        .end()
        .map(|line| Bytes::from(format!("data: {line}\n\n")));
    let middle = events.map(move |event| lines(&protocol.event(&event)));
    stream::iter([first])
        .chain(middle)
        .filter(|bytes| std::future::ready(!bytes.is_empty()))
        .chain(stream::iter(end))
}

/// The kind of the error of a result, and what it says.
fn failure(result: &Value) -> (Option<&str>, &str) {
    let text = |path| result.pointer(path).and_then(Value::as_str);
    (
        text("/error/kind"),
        text("/error/message").unwrap_or_default(),
    )
}

fn lines(values: &[Value]) -> Bytes {
    let lines = values.iter().map(|value| format!("data: {value}\n\n"));
    Bytes::from(lines.collect::<String>())
}
