//! One client and one session: what passes between them until one of them ends.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{self, Either};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::events::{ClientAction, client_action, error_event, shown};
use crate::model::realtime::NewItem;
use crate::realtime::{RealtimeError, RealtimeEvent, RealtimeHandle, RealtimeSession, SessionEnd};

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// How often a client to which nothing is said is asked whether it is there.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long a client may be silent that was asked: its end of a broken connection may never be heard of otherwise.
const CLIENT_SILENCE: Duration = Duration::from_secs(90);
/// How long a client may take nothing of what is sent to it.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the close of a connection may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What is told to a model whose call needs an approval that nobody here can give.
const NOBODY_ASKED: &str = "This call needs an approval, and nobody can be asked for it here.";

pub(super) struct Relay {
    session: RealtimeSession,
    agent: String,
}

/// How a session ended, as the client is told.
struct End {
    code: CloseCode,
    reason: String,
}

impl Relay {
    pub(super) const fn new(session: RealtimeSession, agent: String) -> Self {
        Self { session, agent }
    }

    /// Passes events on until the client, the session or the server ends.
    pub(super) async fn run(self, socket: Socket, closing: impl Future<Output = ()>) {
        let Self { mut session, agent } = self;
        let handle = session.handle();
        let (mut to_client, from_client) = socket.split();
        // Refusals are few; a client that sends more than are taken waits for them.
        let (refuse, mut refusals) = mpsc::channel(16);
        let end = {
            let sending = pin!(send(&mut session, &agent, &mut to_client, &mut refusals));
            let receiving = pin!(receive(&handle, from_client, &refuse));
            // Both directions in one task, so that the end of one ends the other and nothing has to
            // be joined.
            let passing = pin!(future::select(sending, receiving));
            match future::select(passing, pin!(closing)).await {
                Either::Left((Either::Left((end, _)) | Either::Right((end, _)), _)) => end,
                Either::Right(((), _)) => Some(End {
                    code: CloseCode::Away,
                    reason: "the server is shutting down".to_owned(),
                }),
            }
        };
        if let Some(End { code, mut reason }) = end {
            // A close frame has room for so much.
            let mut length = reason.len().min(120);
            while !reason.is_char_boundary(length) {
                length -= 1;
            }
            reason.truncate(length);
            let frame = CloseFrame {
                code,
                reason: reason.into(),
            };
            let closed = to_client.send(Message::Close(Some(frame)));
            // A client that is gone is closed as well.
            timeout(CLOSE_TIMEOUT, closed).await.ok();
        }
        session.close().await;
    }
}

/// What there is to send.
enum Next {
    Refusal(Option<String>),
    Event(Option<Box<RealtimeEvent>>),
    /// Nothing for a while.
    Nothing,
}

/// Sends what the session says; gives the end of the session, or nothing if the client takes nothing any more.
async fn send(
    session: &mut RealtimeSession,
    agent: &str,
    to_client: &mut SplitSink<Socket, Message>,
    refusals: &mut mpsc::Receiver<String>,
) -> Option<End> {
    let handle = session.handle();
    loop {
        // Both futures are made anew in each round. That loses nothing: `recv` and `next` can be
        // dropped while they wait.
        let next = {
            let refusal = pin!(refusals.recv());
            let event = pin!(session.next());
            match timeout(PING_INTERVAL, future::select(refusal, event)).await {
                Err(_) => Next::Nothing,
                Ok(Either::Left((refusal, _))) => Next::Refusal(refusal),
                Ok(Either::Right((event, _))) => Next::Event(event.map(Box::new)),
            }
        };
        let message = match next {
            Next::Nothing => Some(Message::Ping(Vec::new().into())),
            Next::Refusal(refusal) => refusal.map(Message::text),
            Next::Event(None) => return Some(ended(&SessionEnd::Closed)),
            Next::Event(Some(event)) => match *event {
                RealtimeEvent::Received { json } => shown(json, agent).map(Message::text),
                RealtimeEvent::GuardrailTripped { item_id, .. } => {
                    // What the client has still to play is not to be heard; the correction follows.
                    let event = json!({ "type": "output_audio_buffer.cleared", "event_id": "event_guardrail", "item_id": item_id });
                    Some(Message::text(event.to_string()))
                }
                RealtimeEvent::ApprovalRequired { call_id, .. } => {
                    // A session that is over needs no answer.
                    handle
                        .reject(call_id, Some(NOBODY_ASKED.to_owned()))
                        .await
                        .ok();
                    None
                }
                RealtimeEvent::Ended { end } => {
                    let said = error_event(
                        "server_error",
                        "session_ended",
                        &end.to_string(),
                        (None, None),
                    );
                    let told = to_client.send(Message::text(said));
                    timeout(CLOSE_TIMEOUT, told).await.ok();
                    return Some(ended(&end));
                }
                _ => None,
            },
        };
        if let Some(message) = message {
            match timeout(SEND_TIMEOUT, to_client.send(message)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return None,
            }
        }
    }
}

fn ended(end: &SessionEnd) -> End {
    let code = match end {
        SessionEnd::Closed => CloseCode::Normal,
        SessionEnd::Expired | SessionEnd::ServerClosed { .. } => CloseCode::Away,
        SessionEnd::Lost(_) | SessionEnd::Protocol(_) => CloseCode::Error,
    };
    End {
        code,
        reason: end.to_string(),
    }
}

/// Takes what the client says; gives how it is closed, or nothing if it has closed by itself.
async fn receive(
    handle: &RealtimeHandle,
    mut from_client: SplitStream<Socket>,
    refuse: &mpsc::Sender<String>,
) -> Option<End> {
    let mut instructions = None;
    loop {
        let Ok(message) = timeout(CLIENT_SILENCE, from_client.next()).await else {
            let reason = format!("the client was silent for {CLIENT_SILENCE:?}");
            return Some(End {
                code: CloseCode::Policy,
                reason,
            });
        };
        let text = match message? {
            Ok(Message::Text(text)) => text,
            Ok(Message::Ping(_) | Message::Pong(_)) => continue,
            Ok(Message::Close(_)) => return None,
            Ok(Message::Binary(_) | Message::Frame(_)) => {
                return Some(End {
                    code: CloseCode::Unsupported,
                    reason: "events are JSON in text frames".to_owned(),
                });
            }
            Err(tokio_tungstenite::tungstenite::Error::Capacity(error)) => {
                return Some(End {
                    code: CloseCode::Size,
                    reason: error.to_string(),
                });
            }
            // What is no WebSocket any more.
            Err(_) => return None,
        };
        let done = match serde_json::from_str::<Value>(&text) {
            Ok(event) => {
                let action = client_action(&event);
                act(handle, action, (text.as_str(), &event), &mut instructions).await
            }
            Err(error) => Err(error_event(
                "invalid_request_error",
                "invalid_json",
                &format!("the event is no JSON: {error}"),
                (None, None),
            )),
        };
        if let Err(refusal) = done
            && refuse.send(refusal).await.is_err()
        {
            return None;
        }
    }
}

/// Does what a client asks for; the error is the event that says why not.
async fn act(
    handle: &RealtimeHandle,
    action: ClientAction,
    (text, event): (&str, &Value),
    instructions: &mut Option<String>,
) -> Result<(), String> {
    let failed = |error: RealtimeError| {
        let kind = error.kind();
        error_event(
            "invalid_request_error",
            kind.as_str(),
            &error.to_string(),
            (None, event.get("event_id")),
        )
    };
    match action {
        ClientAction::PassOn => handle.pass_on(text.to_owned()).await.map_err(failed),
        ClientAction::Respond(options) => handle.respond_behind(*options).await.map_err(failed),
        ClientAction::Update {
            fields,
            instructions: told,
        } => {
            handle.update(fields).await.map_err(failed)?;
            // Beside the agent's own, which stay: as a message, it holds behind a handoff too. Clients repeat them with each update.
            if let Some(told) = told
                && instructions.as_ref() != Some(&told)
            {
                let message = NewItem::message("system", told.clone());
                handle.add_item(message).await.map_err(failed)?;
                *instructions = Some(told);
            }
            Ok(())
        }
        ClientAction::Refuse {
            code,
            message,
            param,
        } => Err(error_event(
            "invalid_request_error",
            code,
            &message,
            (param, event.get("event_id")),
        )),
    }
}
