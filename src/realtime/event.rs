//! What a session tells its application, and how it ends.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::RealtimeItem;
use crate::guardrail::GuardrailResult;
use crate::kind::ErrorKind;
use crate::model::realtime::{ResponseStatus, ServerFault};
use crate::model::{Deviation, ModelError};
use crate::usage::Usage;

/// An event of a session.
#[derive(Debug)]
#[non_exhaustive]
pub enum RealtimeEvent {
    /// The session stands, or its settings changed.
    SessionUpdated {
        /// The settings as the server has them.
        session: Value,
    },
    /// The connection was lost and stands again; the model knows what was heard.
    Reconnected,
    /// Audio to play, in the output format of the session; always whole samples.
    Audio {
        /// The item that it belongs to.
        ///
        /// What was played of it is reported under this id.
        item_id: String,
        /// The audio.
        audio: Bytes,
    },
    /// An item has no more audio.
    AudioDone {
        /// The item.
        item_id: String,
    },
    /// More text, or more of the transcript of the audio.
    TextDelta {
        /// The item.
        item_id: String,
        /// The new piece.
        delta: String,
    },
    /// The whole text, or the whole transcript of the audio.
    TextDone {
        /// The item.
        item_id: String,
        /// The text.
        text: String,
    },
    /// More of what the user said.
    UserTranscriptDelta {
        /// The user's message.
        item_id: String,
        /// The new piece.
        delta: String,
    },
    /// What the user said.
    UserTranscriptDone {
        /// The user's message.
        item_id: String,
        /// All of it.
        transcript: String,
    },
    /// The user's speech could not be transcribed; the model heard it all the same.
    UserTranscriptFailed {
        /// The user's message.
        item_id: String,
        /// Why.
        error: ServerFault,
    },
    /// The user begins to speak.
    SpeechStarted,
    /// The user has finished speaking.
    SpeechStopped,
    /// What was to be played is not to be played any more.
    ///
    /// A player clears what it has.
    Interrupted {
        /// Who interrupted.
        by: InterruptedBy,
        /// The items that were cut, with how much of each was heard.
        cut: Vec<CutItem>,
    },
    /// The model begins an answer.
    ResponseStarted {
        /// The answer.
        response_id: Option<String>,
        /// The agent that answers.
        agent: Arc<str>,
    },
    /// An answer is over.
    ResponseDone {
        /// The answer.
        response_id: Option<String>,
        /// Whether it is whole.
        status: ResponseStatus,
        /// Why it is not.
        reason: Option<String>,
        /// What went wrong, if it failed.
        error: Option<ServerFault>,
        /// What it cost.
        usage: Option<Usage>,
    },
    /// An item stands in the conversation.
    ItemAdded {
        /// The item.
        item: RealtimeItem,
    },
    /// A tool is called.
    ToolCalled {
        /// The agent whose tool it is.
        agent: Arc<str>,
        /// The tool.
        tool: String,
        /// The id of the call.
        call_id: String,
        /// The arguments as the model wrote them.
        arguments: String,
    },
    /// A call is over; this is what the model is told.
    ToolEnded {
        /// The tool.
        tool: String,
        /// The id of the call.
        call_id: String,
        /// What the model is told.
        output: String,
        /// The failure that the output stands for.
        failure: Option<ToolFault>,
    },
    /// A call waits for `approve` or `reject`.
    ApprovalRequired {
        /// The agent whose tool it is.
        agent: Arc<str>,
        /// The tool.
        tool: String,
        /// The id of the call.
        call_id: String,
        /// The arguments.
        arguments: String,
    },
    /// Another agent speaks from here on.
    HandedOff {
        /// The agent that handed off.
        from: Arc<str>,
        /// The agent that speaks now.
        to: Arc<str>,
    },
    /// A guardrail found something in what the agent says; the audio was stopped.
    GuardrailTripped {
        /// The item.
        item_id: String,
        /// The verdict.
        result: GuardrailResult,
    },
    /// The server did not do what it was asked; the session goes on.
    ServerError {
        /// The error.
        error: ServerFault,
    },
    /// The server did something differently from the protocol, which was tolerated.
    Deviation {
        /// What it did.
        deviation: Deviation,
    },
    /// An event of the server as JSON, before what follows from it.
    ///
    /// It comes only where a session is passed on to another client.
    Received {
        /// The event.
        json: String,
    },
    /// Any other event of the server, verbatim.
    Other {
        /// Its type.
        name: String,
        /// Its JSON.
        json: String,
    },
    /// The session is over; nothing comes behind this.
    Ended {
        /// Why.
        end: SessionEnd,
    },
}

/// How much of an item was heard when it was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CutItem {
    /// The item.
    pub item_id: String,
    /// What was heard of it.
    pub heard: Duration,
}

/// Who stopped the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InterruptedBy {
    /// The user spoke.
    Speech,
    /// The application asked for it.
    Application,
    /// A guardrail tripped.
    Guardrail,
    /// The connection was lost.
    Connection,
}

/// Why a tool has no output of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolFault {
    /// The stable kind.
    pub kind: ErrorKind,
    /// The error and its causes, for people; the model may be told less.
    pub message: String,
}

/// Why a session is over.
#[derive(Debug)]
#[non_exhaustive]
pub enum SessionEnd {
    /// The application closed it.
    Closed,
    /// It reached the age that the server allows.
    Expired,
    /// The server closed it.
    ServerClosed {
        /// The code of the close.
        code: Option<u16>,
        /// The server's words.
        reason: String,
    },
    /// The connection was lost.
    Lost(ModelError),
    /// The server sent what cannot be understood, or more than it may.
    Protocol(ModelError),
}

impl SessionEnd {
    /// Returns the stable kind of an end that is a failure.
    ///
    /// It is `None` if the application closed the session.
    pub fn kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Closed => None,
            Self::Expired | Self::ServerClosed { .. } => Some(ErrorKind::Transport),
            Self::Lost(error) | Self::Protocol(error) => Some(error.kind()),
        }
    }
}

impl fmt::Display for SessionEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code =
            |code: &Option<u16>| code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        match self {
            Self::Closed => f.write_str("the application closed the session"),
            Self::Expired => f.write_str("the session reached the age that the server allows"),
            Self::ServerClosed { code: with, reason } if reason.is_empty() => {
                write!(f, "the server closed the session (code {})", code(with))
            }
            Self::ServerClosed { code: with, reason } => {
                write!(
                    f,
                    "the server closed the session (code {}): {reason}",
                    code(with)
                )
            }
            Self::Lost(error) | Self::Protocol(error) => error.fmt(f),
        }
    }
}
