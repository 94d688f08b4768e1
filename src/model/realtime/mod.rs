//! What a realtime model is to this crate: a connection that takes client events and gives server events.

mod audio;
mod client;
mod server;
mod settings;
mod turn_detection;

use std::collections::VecDeque;
use std::fmt;
use std::task::{Context, Poll};

pub use audio::AudioFormat;
pub use client::{ClientEvent, NewContent, NewItem, Outgoing, ResponseOptions};
pub use server::{
    ContentPart, ConversationItem, ItemContent, ReceivedEvent, ResponseEnd, ResponseStatus,
    ServerEvent, ServerFault,
};
pub use settings::{Modality, RealtimeSettings, Transcription};
pub use turn_detection::{Eagerness, SemanticVad, ServerVad, TurnDetection};

use crate::future::BoxFuture;
use crate::model::ModelError;

/// The most bytes of an event, in either direction.
///
/// A second of audio takes 64 KiB as base64, and servers send less than a second at once; an image takes up to a few MiB.
pub const MAX_EVENT_BYTES: usize = 8 * 1024 * 1024;

/// Opens connections to a realtime model.
///
/// The driver of the crate is `OpenAiRealtime`; another transport, or a model in the same process, is a type that implements this trait.
/// One call is one connection: an implementation neither retries nor falls back.
pub trait RealtimeModel: Send + Sync {
    /// Names the model, as events and traces show it.
    fn name(&self) -> &str;

    /// Names the provider, as [`Model::provider_name`](crate::model::Model::provider_name) does.
    fn provider_name(&self) -> &str {
        crate::model::provider_name::OPENAI
    }

    /// Says who plays the audio of the model.
    ///
    /// Whoever does knows how much of it was heard.
    fn playback(&self) -> Playback {
        Playback::Client
    }

    /// Opens a connection; nothing is sent before the future is first polled.
    fn connect(&self) -> BoxFuture<'static, Result<Box<dyn RealtimeConnection>, ModelError>>;
}

/// Who plays the audio of a realtime model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Playback {
    /// The application: audio comes as events, and the application says what was played.
    #[default]
    Client,
    /// The server, into a telephone call.
    ///
    /// It knows what was heard, and audio cannot be sent to it here.
    Server,
    /// Another client, for which this session passes events on.
    ///
    /// It says itself what was heard, by truncating.
    OtherClient,
}

/// An open connection to a realtime model, polled by one session.
///
/// No method may block. Dropping the connection closes it.
pub trait RealtimeConnection: Send {
    /// Waits for the next event of the server.
    ///
    /// `None` is the end of the connection after a regular close.
    fn poll_event(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<ReceivedEvent, ConnectionEnd>>>;

    /// Takes as many events from the front of the queue as can be sent.
    ///
    /// It is ready when the queue is empty and all is sent.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        queue: &mut VecDeque<Outgoing>,
    ) -> Poll<Result<(), ConnectionEnd>>;

    /// Keeps the JSON of each event of the server, for whoever passes it on.
    ///
    /// A transport that has none does nothing.
    fn keep_json(&mut self) {}

    /// Closes the connection regularly; ready when the server knows.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// Why a connection is over.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectionEnd {
    /// The server closed it, with this code and these words.
    Closed {
        /// The code of the close frame; `None` if there was none in it.
        code: Option<u16>,
        /// The server's words.
        reason: String,
    },
    /// The connection broke without a close, or the server was silent for too long.
    Broken(ModelError),
    /// The server sent what cannot be understood, or more than it may.
    Protocol(ModelError),
}

impl fmt::Display for ConnectionEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed {
                code: Some(code),
                reason,
            } if reason.is_empty() => write!(f, "the server closed the session (code {code})"),
            Self::Closed {
                code: Some(code),
                reason,
            } => write!(f, "the server closed the session (code {code}): {reason}"),
            Self::Closed { code: None, .. } => f.write_str("the server closed the session"),
            Self::Broken(error) | Self::Protocol(error) => error.fmt(f),
        }
    }
}
