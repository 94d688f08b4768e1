//! An open WebSocket: frames in and out, within bounds and time.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream as _;
use futures_util::Sink as _;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::redaction::DeltaRedactor;
use crate::http::IdleTimer;
use crate::kind::ErrorKind;
use crate::model::ModelError;
use crate::model::realtime::{
    ConnectionEnd, MAX_EVENT_BYTES, Outgoing, RealtimeConnection, ReceivedEvent,
};
use crate::model::wire::realtime::{decode, encode};
use crate::secret::Redactor;

/// The most pings and pongs in a row without an event between them. A server that keeps a connection alive sends one every few seconds;
/// one that sends nothing else would keep a core busy for nothing.
const MAX_CONTROL_FRAMES: u32 = 10_000;

pub(super) struct WebSocket {
    socket: WebSocketStream<TokioIo<Upgraded>>,
    redactor: Redactor,
    deltas: DeltaRedactor,
    /// What was read and not taken yet, and how the connection ended behind it.
    ready: VecDeque<ReceivedEvent>,
    end: Option<ConnectionEnd>,
    /// For any frame of the server.
    silence: IdleTimer,
    /// For the ping that asks a silent server whether it is there: its end of a broken connection may never be heard of otherwise.
    keep_alive: IdleTimer,
    n_control_frames: u32,
    is_over: bool,
    is_closing: bool,
    keeps_json: bool,
}

impl WebSocket {
    pub(super) fn new(
        socket: WebSocketStream<TokioIo<Upgraded>>,
        redactor: Redactor,
        idle: Option<Duration>,
    ) -> Self {
        Self {
            socket,
            deltas: DeltaRedactor::new(redactor.clone()),
            redactor,
            ready: VecDeque::new(),
            end: None,
            silence: IdleTimer::new(idle),
            keep_alive: IdleTimer::new(idle.map(|idle| idle / 2)),
            n_control_frames: 0,
            is_over: false,
            is_closing: false,
            keeps_json: false,
        }
    }

    fn take(&mut self, message: Message) -> Option<Result<ReceivedEvent, ConnectionEnd>> {
        // Whatever comes is a sign of life, pings too.
        self.silence.touch();
        self.keep_alive.touch();
        match message {
            Message::Text(text) => {
                self.n_control_frames = 0;
                let json = self.redactor.redact_json(&text);
                let decoded = decode(&json).map_err(|error| self.protocol(error));
                Some(decoded.map(|received| ReceivedEvent {
                    json: self.keeps_json.then(|| json.into_owned()),
                    ..received
                }))
            }
            Message::Ping(_) | Message::Pong(_) => {
                self.n_control_frames += 1;
                (self.n_control_frames > MAX_CONTROL_FRAMES).then(|| {
                    let message = format!(
                        "the server sent {MAX_CONTROL_FRAMES} pings without an event between them"
                    );
                    Err(self.protocol(ModelError::new(ErrorKind::LimitExceeded, message)))
                })
            }
            Message::Close(frame) => Some(Err(self.closed(frame))),
            Message::Binary(_) | Message::Frame(_) => {
                let message = "the server sent a binary frame where JSON was due";
                Some(Err(
                    self.protocol(ModelError::new(ErrorKind::WrongType, message))
                ))
            }
        }
    }

    fn protocol(&self, error: ModelError) -> ConnectionEnd {
        ConnectionEnd::Protocol(error.redacted(&self.redactor))
    }

    fn closed(&self, frame: Option<CloseFrame>) -> ConnectionEnd {
        let (code, reason) = match frame {
            Some(frame) => (
                Some(u16::from(frame.code)),
                frame.reason.as_str().to_owned(),
            ),
            None => (None, String::new()),
        };
        ConnectionEnd::Closed {
            code,
            reason: self.redactor.redact(&reason).into_owned(),
        }
    }

    /// Says what an error of the socket means; `None` is the end behind a regular close.
    fn end_of(&self, error: Error) -> Option<ConnectionEnd> {
        let broken = |message: String| {
            let error = ModelError::new(ErrorKind::Transport, message);
            Some(ConnectionEnd::Broken(error.redacted(&self.redactor)))
        };
        let protocol = |kind, message: String| Some(self.protocol(ModelError::new(kind, message)));
        match error {
            Error::ConnectionClosed | Error::AlreadyClosed => None,
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                broken("the connection ended without a close".to_owned())
            }
            Error::Io(error) => broken(format!("the connection broke: {error}")),
            Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => protocol(
                ErrorKind::LimitExceeded,
                format!("an event of the server has {size} bytes, at most {max_size} are taken"),
            ),
            Error::Utf8(_) => protocol(
                ErrorKind::InvalidUtf8,
                "the server sent an event that is not UTF-8".to_owned(),
            ),
            error => protocol(
                ErrorKind::Transport,
                format!("the server broke the WebSocket protocol: {error}"),
            ),
        }
    }

    /// Waits for the time-out of a server that says nothing; half-way there it is asked.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionEnd> {
        if self.keep_alive.poll_elapsed(cx).is_ready() {
            self.keep_alive.touch();
            let mut socket = Pin::new(&mut self.socket);
            if let Poll::Ready(Ok(())) = socket.as_mut().poll_ready(cx) {
                // What is wrong with the connection is found by the next read.
                drop(socket.as_mut().start_send(Message::Ping(Vec::new().into())));
                drop(socket.poll_flush(cx));
            }
        }
        let limit = ready!(self.silence.poll_elapsed(cx));
        let message = format!("the server was silent for {limit:?} (`timeouts.idle_secs`)");
        let error = ModelError::new(ErrorKind::TimeoutIdle, message);
        Poll::Ready(ConnectionEnd::Broken(error))
    }
}

impl RealtimeConnection for WebSocket {
    fn poll_event(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<ReceivedEvent, ConnectionEnd>>> {
        loop {
            if let Some(received) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(received)));
            }
            if self.is_over {
                return Poll::Ready(self.end.take().map(Err));
            }
            let event = match Pin::new(&mut self.socket).poll_next(cx) {
                Poll::Ready(Some(Ok(message))) => self.take(message),
                Poll::Ready(Some(Err(error))) => {
                    let end = self.end_of(error);
                    self.is_over = true;
                    end.map(Err)
                }
                Poll::Ready(None) => {
                    self.is_over = true;
                    None
                }
                Poll::Pending => Some(Err(ready!(self.poll_silence(cx)))),
            };
            match event {
                Some(Ok(received)) => self.deltas.pass(received, &mut self.ready),
                Some(Err(end)) => {
                    self.is_over = true;
                    self.end = Some(end);
                }
                None => {}
            }
            if self.is_over {
                self.deltas.finish(&mut self.ready);
            }
        }
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        queue: &mut VecDeque<Outgoing>,
    ) -> Poll<Result<(), ConnectionEnd>> {
        let mut socket = Pin::new(&mut self.socket);
        let sent = loop {
            let Some(outgoing) = queue.front() else {
                break ready!(socket.poll_flush(cx));
            };
            if let Err(error) = ready!(socket.as_mut().poll_ready(cx)) {
                break Err(error);
            }
            let json = encode(outgoing);
            // Taken off before it is sent: what the socket has taken belongs to it, and must not be
            // sent twice.
            queue.pop_front();
            if json.len() > MAX_EVENT_BYTES {
                let message = format!(
                    "an event of {} bytes cannot be sent, at most {MAX_EVENT_BYTES}",
                    json.len()
                );
                let error = ModelError::new(ErrorKind::LimitExceeded, message);
                return Poll::Ready(Err(ConnectionEnd::Protocol(error)));
            }
            if let Err(error) = socket.as_mut().start_send(Message::text(json)) {
                break Err(error);
            }
        };
        Poll::Ready(match sent {
            Ok(()) => Ok(()),
            // The close of the server is still to be read: it says why.
            Err(Error::ConnectionClosed | Error::AlreadyClosed) => Ok(()),
            Err(Error::Protocol(ProtocolError::SendAfterClosing)) => Ok(()),
            Err(error) => match self.end_of(error) {
                Some(end) => Err(end),
                None => Ok(()),
            },
        })
    }

    fn keep_json(&mut self) {
        self.keeps_json = true;
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut socket = Pin::new(&mut self.socket);
        if !self.is_closing {
            if socket.as_mut().poll_ready(cx).is_pending() {
                return Poll::Pending;
            }
            self.is_closing = true;
            let frame = CloseFrame {
                code: CloseCode::Normal,
                reason: "".into(),
            };
            if socket
                .as_mut()
                .start_send(Message::Close(Some(frame)))
                .is_err()
            {
                return Poll::Ready(());
            }
        }
        // A connection that broke meanwhile is closed as well.
        socket.poll_flush(cx).map(drop)
    }
}
