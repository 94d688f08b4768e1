//! The events that a client sends.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::RealtimeSettings;

/// An event with the id by which the server's error refers to it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Outgoing {
    /// The id of the event.
    pub event_id: String,
    /// The event.
    pub event: ClientEvent,
}

/// An event of the client.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// Sets the session up, or changes it.
    UpdateSession(Box<RealtimeSettings>),
    /// Sets a session up that only writes the user's speech down.
    ///
    /// Of the settings it takes what is about the user's audio.
    UpdateTranscription(Box<RealtimeSettings>),
    /// Adds audio of the user.
    AppendAudio(Bytes),
    /// Makes the audio so far a message of the user.
    CommitAudio,
    /// Throws the audio so far away.
    ClearAudio,
    /// Adds an item behind the last.
    CreateItem(NewItem),
    /// Has the model forget what was not heard of an item.
    TruncateItem {
        /// The item.
        item_id: String,
        /// The part of it that is audio.
        content_index: u32,
        /// How much of it was heard.
        audio_end_ms: u64,
    },
    /// Removes an item.
    DeleteItem {
        /// The item.
        item_id: String,
    },
    /// Asks for an answer.
    CreateResponse(Box<ResponseOptions>),
    /// Ends the answer under way.
    CancelResponse {
        /// Which; `None` is the one under way.
        response_id: Option<String>,
    },
    /// Throws away what the server has still to play.
    ClearOutputAudio,
    /// An event of another client, as JSON, which is passed on as it is.
    Verbatim(String),
}

/// What differs in one answer from the settings of the session.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ResponseOptions {
    /// Instructions for this answer only.
    pub instructions: Option<String>,
    /// Further fields of the response, as the protocol names them.
    pub extra: Map<String, Value>,
}

/// An item that a client adds.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum NewItem {
    /// A message.
    Message {
        /// `user`, `assistant` or `system`.
        role: String,
        /// What it says.
        content: Vec<NewContent>,
    },
    /// A call of the model in an earlier session.
    FunctionCall {
        /// The id by which the output refers to it.
        call_id: String,
        /// The tool.
        name: String,
        /// The arguments as JSON.
        arguments: String,
    },
    /// What a tool gave.
    FunctionCallOutput {
        /// The id of the call.
        call_id: String,
        /// The output.
        output: String,
    },
}

/// A part of a message that a client adds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NewContent {
    /// Text.
    Text(String),
    /// An image, by a URL or a `data:` URL.
    Image(String),
}

impl NewItem {
    /// Makes a message of the user.
    pub fn user(text: impl Into<String>) -> Self {
        Self::message("user", text)
    }

    /// Makes a message of text.
    pub fn message(role: impl Into<String>, text: impl Into<String>) -> Self {
        Self::Message {
            role: role.into(),
            content: vec![NewContent::Text(text.into())],
        }
    }
}
