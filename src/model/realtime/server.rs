//! The events that a server sends.

use bytes::Bytes;
use serde_json::Value;

use crate::model::Deviation;
use crate::usage::Usage;

/// An event of the server, and what was tolerated in it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ReceivedEvent {
    /// The event.
    pub event: ServerEvent,
    /// What the server did differently from the protocol.
    pub deviations: Vec<Deviation>,
    /// How large the event was on the wire.
    pub n_bytes: usize,
    /// Its JSON, without secrets, on a connection that was told to [keep it](super::RealtimeConnection::keep_json).
    pub json: Option<String>,
}

/// An event of the server, by the names of the GA protocol.
///
/// Those of the beta are read as well.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// The session stands, or its settings were taken.
    Session {
        /// Whether the settings were changed; otherwise the session is new.
        is_update: bool,
        /// The settings as the server has them.
        session: Value,
    },
    /// An item stands in the conversation; it may still grow.
    ItemAdded {
        /// The item before it.
        previous_item_id: Option<String>,
        /// The item.
        item: ConversationItem,
    },
    /// An item of the conversation is complete.
    ItemDone {
        /// The item before it.
        previous_item_id: Option<String>,
        /// The item.
        item: ConversationItem,
    },
    /// An item was shortened to what was heard.
    ItemTruncated {
        /// The item.
        item_id: String,
        /// How much of it is left.
        audio_end_ms: Option<u64>,
    },
    /// An item is gone.
    ItemDeleted {
        /// The item.
        item_id: String,
    },
    /// More of what the user said.
    InputTranscriptDelta {
        /// The message of the user.
        item_id: String,
        /// The new piece.
        delta: String,
    },
    /// What the user said.
    InputTranscriptDone {
        /// The message of the user.
        item_id: String,
        /// All of it.
        transcript: String,
        /// What it cost, as the server counts it.
        usage: Option<Value>,
    },
    /// The user's speech could not be transcribed.
    InputTranscriptFailed {
        /// The message of the user.
        item_id: String,
        /// Why.
        error: ServerFault,
    },
    /// Audio became a message of the user.
    AudioCommitted {
        /// The message.
        item_id: String,
        /// The item before it.
        previous_item_id: Option<String>,
    },
    /// The audio that was not committed is gone.
    AudioCleared,
    /// The user begins to speak.
    SpeechStarted {
        /// The message that it becomes.
        item_id: Option<String>,
    },
    /// The user has finished speaking.
    SpeechStopped {
        /// The message that it becomes.
        item_id: Option<String>,
    },
    /// An answer begins.
    ResponseCreated {
        /// Its id; `None` if the server gives none.
        response_id: Option<String>,
    },
    /// An answer is over, in whatever way.
    ResponseDone(Box<ResponseEnd>),
    /// An answer has a new item.
    OutputItemAdded {
        /// The answer.
        response_id: Option<String>,
        /// The item.
        item: ConversationItem,
    },
    /// An item of an answer is over.
    OutputItemDone {
        /// The answer.
        response_id: Option<String>,
        /// The item.
        item: ConversationItem,
    },
    /// More text, or more of the transcript of audio.
    TextDelta(ItemContent<String>),
    /// The whole text, or the whole transcript of audio.
    TextDone(ItemContent<String>),
    /// More audio.
    AudioDelta(ItemContent<Bytes>),
    /// An item has no more audio.
    AudioDone(ItemContent<()>),
    /// The server did not do what it was asked, or something went wrong there.
    Error(ServerFault),
    /// Any other event, verbatim.
    Other {
        /// Its type.
        name: String,
        /// Its JSON.
        json: String,
    },
}

/// Content of an item of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ItemContent<T> {
    /// The answer.
    pub response_id: Option<String>,
    /// The item.
    pub item_id: String,
    /// The part of the item.
    pub content_index: u32,
    /// Whether it is the transcript of audio.
    pub is_transcript: bool,
    /// The content.
    pub content: T,
}

/// An item of the conversation.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ConversationItem {
    /// A message.
    Message {
        /// Its id.
        id: String,
        /// Who wrote or said it.
        role: String,
        /// What it says.
        content: Vec<ContentPart>,
    },
    /// The model calls a tool.
    FunctionCall {
        /// The id of the item.
        id: String,
        /// The id by which the output refers to the call.
        call_id: String,
        /// The tool.
        name: String,
        /// The arguments, as far as they came.
        arguments: String,
        /// `completed`, `in_progress` or `incomplete`.
        status: Option<String>,
    },
    /// What a tool gave.
    FunctionCallOutput {
        /// The id of the item.
        id: String,
        /// The id of the call.
        call_id: String,
        /// The output.
        output: String,
    },
    /// An item that this crate does not act on.
    Other {
        /// Its id.
        id: String,
        /// Its type.
        type_name: String,
        /// Its JSON, verbatim.
        json: String,
    },
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContentPart {
    /// Text.
    Text(String),
    /// Audio; the bytes are not repeated.
    Audio {
        /// What is said in it, if that is known.
        transcript: Option<String>,
    },
    /// An image.
    Image {
        /// Its URL, if the server repeats it.
        url: Option<String>,
    },
    /// A part that this crate does not act on, verbatim.
    Other(String),
}

/// How an answer ended.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ResponseEnd {
    /// The answer.
    pub response_id: Option<String>,
    /// Whether it is whole.
    pub status: ResponseStatus,
    /// Why it is not: `turn_detected`, `client_cancelled`, `max_output_tokens`, `content_filter` or another word of the server.
    pub reason: Option<String>,
    /// What went wrong, if it failed.
    pub error: Option<ServerFault>,
    /// Its items.
    pub output: Vec<ConversationItem>,
    /// What it cost; `None` if the server does not say.
    pub usage: Option<Usage>,
    /// The server's own usage object.
    pub usage_json: Option<Value>,
}

/// Whether an answer is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseStatus {
    /// It is whole.
    Completed,
    /// It was ended by the user's speech or by the client.
    Cancelled,
    /// The server failed.
    Failed,
    /// It was cut by a limit or a filter.
    Incomplete,
    /// A word that is not known to mean any of these.
    Other(String),
}

/// An error as the server reports it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerFault {
    /// The server's name for it; from `code`, or from `type` where there is no code.
    pub code: Option<String>,
    /// The server's words.
    pub message: String,
    /// The field that it is about.
    pub param: Option<String>,
    /// The client's event that it answers.
    pub event_id: Option<String>,
}

impl ConversationItem {
    /// Returns the id.
    pub fn id(&self) -> &str {
        match self {
            Self::Message { id, .. }
            | Self::FunctionCall { id, .. }
            | Self::FunctionCallOutput { id, .. }
            | Self::Other { id, .. } => id,
        }
    }
}
