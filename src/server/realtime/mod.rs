//! Realtime sessions for other programs' clients: `/v1/realtime`.
//!
//! A client of the Realtime API has a session of its own with the realtime model. Its events are passed on as they are, but for those that
//! are decided here: answers are asked for one at a time, tools and handoffs are the agent's and run here, and the client sees neither.

mod events;
mod relay;

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::AppState;
use super::error::ApiError;
use super::in_flight::InFlightGuard;
use super::router::response_or_error;
use crate::model::realtime::MAX_EVENT_BYTES;
use crate::realtime::{RealtimeSession, RealtimeSessionBuilder};
use relay::Relay;

/// The realtime sessions of a server.
pub(super) struct Realtime {
    kinds: Vec<RealtimeSessionBuilder>,
    places: Arc<Semaphore>,
    /// The sessions under way; they end with the server, or when it closes.
    sessions: Mutex<JoinSet<()>>,
}

impl Realtime {
    pub(super) fn new(kinds: Vec<RealtimeSessionBuilder>, max_sessions: usize) -> Self {
        Self {
            kinds,
            places: Arc::new(Semaphore::new(max_sessions.min(Semaphore::MAX_PERMITS))),
            sessions: Mutex::default(),
        }
    }

    /// The names by which its agents are asked for.
    pub(super) fn names(&self) -> Vec<&str> {
        self.kinds
            .iter()
            .map(RealtimeSessionBuilder::agent_name)
            .collect()
    }

    /// Finds the sessions of a model; without a name, the first.
    fn find(&self, model: Option<&str>) -> Result<&RealtimeSessionBuilder, ApiError> {
        let Some(first) = self.kinds.first() else {
            let message = "no realtime agent is served here (`realtime.model` is not set)";
            return Err(ApiError::new(404, "not_found", message));
        };
        let Some(model) = model else {
            return Ok(first);
        };
        let found = self.kinds.iter().find(|kind| kind.agent_name() == model);
        found.ok_or_else(|| {
            let message = format!(
                "the model `{model}` does not exist; the realtime models here are: {}",
                self.names().join(", ")
            );
            ApiError::new(404, "model_not_found", message).about("model")
        })
    }
}

/// A session that stands, with its place among those of the server.
struct AdmittedSession {
    session: RealtimeSession,
    agent: String,
    _permit: OwnedSemaphorePermit,
    /// The end of the server waits for it.
    _in_flight: InFlightGuard,
}

/// Answers a client that asks for a WebSocket.
///
/// The realtime model is connected first, so that a client whose session cannot stand is told why by a status.
pub(super) async fn connect(State(app): State<Arc<AppState>>, request: Request) -> Response<Body> {
    response_or_error(open(&app, request).await)
}

async fn open(app: &Arc<AppState>, mut request: Request) -> Result<Response<Body>, ApiError> {
    let key = websocket_key(request.headers())?.to_owned();
    let model = model_of(request.uri().query().unwrap_or_default())?;
    let kind = app.realtime.find(model.as_deref())?;
    if app.runs.is_closing() {
        return Err(ApiError::closing());
    }
    // A GET, which the guard does not count. A session is work all the same, and the end of the
    // server waits for it.
    let in_flight = app.in_flight.begin().ok_or_else(ApiError::busy)?;
    let permit = Arc::clone(&app.realtime.places).try_acquire_owned();
    let permit = permit.map_err(|_| {
        let message = "as many realtime sessions as are allowed are under way";
        ApiError::new(503, "server_busy", message)
    })?;
    let agent = kind.agent_name().to_owned();
    let session = kind.clone().for_other_client().connect().await;
    let session = session.map_err(|error| {
        tracing::warn!(target: "openai_agents::server", %error, "a realtime session could not be opened");
        ApiError::new(502, error.kind().as_str(), format!("the realtime model: {error}"))
    })?;
    let place = AdmittedSession {
        session,
        agent,
        _permit: permit,
        _in_flight: in_flight,
    };
    let response = switching(request.headers(), &key)?;
    let upgrade = hyper::upgrade::on(&mut request);
    let runs = Arc::clone(&app.runs);
    let serving = async move {
        let stream = match upgrade.await {
            Ok(stream) => TokioIo::new(stream),
            Err(error) => {
                // The client went away before it had its answer.
                tracing::debug!(target: "openai_agents::server", %error, "no WebSocket");
                return;
            }
        };
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_EVENT_BYTES))
            .max_frame_size(Some(MAX_EVENT_BYTES))
            .read_buffer_size(8 * 1024)
            .write_buffer_size(0);
        let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
        let AdmittedSession {
            session,
            agent,
            _permit,
            _in_flight,
        } = place;
        Relay::new(session, agent).run(socket, runs.closing()).await;
    };
    let mut sessions = app
        .realtime
        .sessions
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    while sessions.try_join_next().is_some() {}
    sessions.spawn(serving);
    Ok(response)
}

/// Returns the key of a request for a WebSocket (RFC 6455, 4.2.1).
fn websocket_key(headers: &HeaderMap) -> Result<&str, ApiError> {
    let has = |name, word: &str| {
        let values = headers.get_all(name).iter();
        let mut words = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        words.any(|found| found.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    };
    let key = headers
        .get(SEC_WEBSOCKET_KEY)
        .and_then(|key| key.to_str().ok());
    match key {
        Some(key) if has(UPGRADE, "websocket") && has(SEC_WEBSOCKET_VERSION, "13") => Ok(key),
        _ => {
            let message = "a realtime session needs a WebSocket (version 13): `Upgrade: websocket`";
            Err(ApiError::new(426, "upgrade_required", message))
        }
    }
}

fn switching(headers: &HeaderMap, key: &str) -> Result<Response<Body>, ApiError> {
    let internal = |_| ApiError::new(500, "internal", "the key of the WebSocket has no answer");
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(internal)?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let answer = response.headers_mut();
    answer.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    answer.insert(UPGRADE, HeaderValue::from_static("websocket"));
    answer.insert(SEC_WEBSOCKET_ACCEPT, accept);
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let mut offered = offered.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    // A browser closes a connection that takes none of the protocols that it offers.
    if offered.any(|protocol| protocol.trim_ascii() == b"realtime") {
        answer.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("realtime"));
    }
    Ok(response)
}

/// Reads which model a client asks for.
fn model_of(query: &str) -> Result<Option<String>, ApiError> {
    let mut model = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "model" => model = Some(unescaped(value)),
            "call_id" => {
                let message = "a telephone call cannot be joined through this server";
                return Err(ApiError::unsupported("call_id", message));
            }
            "intent" if value != "conversation" => {
                let message = "only conversations are served here";
                return Err(ApiError::unsupported("intent", message));
            }
            // What changes nothing here.
            _ => {}
        }
    }
    Ok(model)
}

/// Undoes the escapes of a query; what is none stays.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let escape = behind
            .get(..2)
            .and_then(|hex| std::str::from_utf8(hex).ok());
        let escape = escape.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (first, escape) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = behind;
            }
            (byte, _) => {
                bytes.push(*byte);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl std::fmt::Debug for Realtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Realtime").field(&self.names()).finish()
    }
}
