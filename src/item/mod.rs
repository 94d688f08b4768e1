//! What passes between user, model and tools: items in the shape of the Responses API.
//!
//! An [`Item`] is immutable and cheap to clone. It is understood as far as this crate acts on it ([`ItemKind`]) and keeps its
//! JSON verbatim beside that, so that unknown types and fields go back to the server unchanged.

mod message;
mod call;
mod built_in;
mod call_item;
mod reasoning;
mod annotation;
mod history;

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

pub use annotation::{Annotation, AnnotationSource};
pub(crate) use built_in::{BuiltInTool, answered_call_id, with_other_text};
pub use call::{FunctionCall, FunctionCallOutput, OutputContent};
pub(crate) use call_item::CallItem;
pub use history::History;
pub use message::{Content, Message, Part, Role};
pub use reasoning::{Reasoning, ReasoningPart};

use crate::memo::Memo;

/// One step of a conversation.
///
/// It is a message, a tool call, its output, reasoning, or what this crate does not know.
///
/// ```
/// use openai_agents::{Item, item::ItemKind};
///
/// let json = r#"{"type":"message","role":"user","content":"hi","x_new":1}"#;
/// let item = Item::from_json(json)?;
/// assert!(matches!(item.kind(), ItemKind::Message(_)));
/// assert_eq!(item.to_json(), json);
/// # Ok::<(), openai_agents::item::ItemError>(())
/// ```
#[derive(Clone)]
pub struct Item(Arc<ItemInner>);

struct ItemInner {
    kind: ItemKind,
    json: OnceLock<Box<RawValue>>,
    memo: Memo,
}

/// What an item is, as far as this crate acts on it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ItemKind {
    /// A message of a user, the model, or the instructions' author.
    Message(Message),
    /// The model asks for a function tool.
    FunctionCall(FunctionCall),
    /// What a function tool gave.
    FunctionCallOutput(FunctionCallOutput),
    /// What the model thought.
    Reasoning(Reasoning),
    /// An item that this crate does not act on.
    ///
    /// It is kept, and sent back as it came.
    Unknown {
        /// The value of the field `type`.
        type_name: String,
    },
}

/// Says why a JSON text is not an item.
#[derive(Debug, thiserror::Error)]
#[error("not an item: {detail}")]
pub struct ItemError {
    detail: String,
}

impl Item {
    /// Makes a user message from a text.
    pub fn user(text: impl Into<String>) -> Self {
        Self::from(Message::new(Role::User, text))
    }

    /// Says whether both are handles of one item.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Makes an assistant message from a text, as it stands in a history.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::from(Message::new(Role::Assistant, text))
    }

    /// Reads an item from its JSON, which is kept verbatim.
    ///
    /// # Errors
    ///
    /// When the text is not JSON, or a known type lacks a field that it must have.
    pub fn from_json(json: &str) -> Result<Self, ItemError> {
        let raw: Box<RawValue> = serde_json::from_str(json).map_err(ItemError::new)?;
        let kind = ItemKind::parse(raw.get())?;
        Ok(Self(Arc::new(ItemInner {
            kind,
            json: OnceLock::from(raw),
            memo: Memo::default(),
        })))
    }

    /// Says what the item is.
    pub fn kind(&self) -> &ItemKind {
        &self.0.kind
    }

    /// Returns the item's JSON.
    ///
    /// It is as it was received, or written once for an item that was built here.
    pub fn to_json(&self) -> &str {
        self.0.json.get_or_init(|| to_raw(&self.0.kind)).get()
    }

    /// Whether the JSON is there: as it came, with what the kind has no place for, or because somebody asked for it.
    #[cfg(feature = "http")]
    pub(crate) fn has_json(&self) -> bool {
        self.0.json.get().is_some()
    }

    /// Returns the text of an assistant message, its text parts joined.
    ///
    /// It is `None` for any other item.
    pub fn assistant_text(&self) -> Option<String> {
        match self.kind() {
            ItemKind::Message(message) if message.role == Role::Assistant => Some(message.text("")),
            _ => None,
        }
    }

    /// Returns the text of a user message, its text parts joined.
    ///
    /// It is `None` for any other item.
    pub fn user_text(&self) -> Option<String> {
        match self.kind() {
            ItemKind::Message(message) if message.role == Role::User => Some(message.text("")),
            _ => None,
        }
    }

    pub(crate) fn memo(&self) -> &Memo {
        &self.0.memo
    }
}

impl ItemKind {
    /// Returns the value of the field `type`.
    pub fn type_name(&self) -> &str {
        match self {
            Self::Message(_) => "message",
            Self::FunctionCall(_) => "function_call",
            Self::FunctionCallOutput(_) => "function_call_output",
            Self::Reasoning(_) => "reasoning",
            Self::Unknown { type_name } => type_name,
        }
    }

    fn parse(json: &str) -> Result<Self, ItemError> {
        #[derive(Deserialize)]
        struct Head {
            r#type: Option<String>,
            role: Option<serde::de::IgnoredAny>,
        }

        if !json.trim_start().starts_with('{') {
            return Err(ItemError {
                detail: "not a JSON object".to_owned(),
            });
        }
        let head: Head = serde_json::from_str(json).map_err(ItemError::new)?;
        match (head.r#type.as_deref(), head.role.is_some()) {
            (Some("message"), _) | (None, true) => read(json).map(Self::Message),
            (Some("function_call"), _) => read(json).map(Self::FunctionCall),
            (Some("function_call_output"), _) => read(json).map(Self::FunctionCallOutput),
            (Some("reasoning"), _) => read(json).map(Self::Reasoning),
            (Some(other), _) => Ok(Self::Unknown {
                type_name: other.to_owned(),
            }),
            (None, false) => Err(ItemError {
                detail: "neither `type` nor `role` is there".to_owned(),
            }),
        }
    }
}

fn read<'de, T: Deserialize<'de>>(json: &'de str) -> Result<T, ItemError> {
    serde_json::from_str(json).map_err(ItemError::new)
}

/// Serialises a kind that was built here; an unknown kind always comes with its JSON.
fn to_raw(kind: &ItemKind) -> Box<RawValue> {
    let raw = match kind {
        ItemKind::Message(message) => serde_json::value::to_raw_value(message),
        ItemKind::FunctionCall(call) => serde_json::value::to_raw_value(call),
        ItemKind::FunctionCallOutput(output) => serde_json::value::to_raw_value(output),
        ItemKind::Reasoning(reasoning) => serde_json::value::to_raw_value(reasoning),
        ItemKind::Unknown { type_name } => {
            serde_json::value::to_raw_value(&serde_json::json!({ "type": type_name }))
        }
    };
    // The derived impls have string keys and no fallible parts, so that this cannot fail.
    #[expect(
        clippy::expect_used,
        reason = "serialising plain data with string keys to memory cannot fail"
    )]
    raw.expect("plain data serialises")
}

impl ItemError {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "it is passed to map_err by name"
    )]
    fn new(error: serde_json::Error) -> Self {
        Self {
            detail: error.to_string(),
        }
    }
}

impl Item {
    /// Makes an item of a type that is not acted on, from its fields.
    pub fn other(type_name: impl Into<String>, fields: Map<String, Value>) -> Self {
        let type_name = type_name.into();
        let mut json = Map::from_iter([("type".to_owned(), Value::String(type_name.clone()))]);
        json.extend(fields);
        let inner = ItemInner {
            kind: ItemKind::Unknown { type_name },
            json: OnceLock::new(),
            memo: Memo::default(),
        };
        // A map of JSON values always serialises; a kind that is unknown comes with its JSON.
        if let Ok(raw) = serde_json::value::to_raw_value(&json) {
            drop(inner.json.set(raw));
        }
        Self(Arc::new(inner))
    }
}

impl From<ItemKind> for Item {
    fn from(kind: ItemKind) -> Self {
        Self(Arc::new(ItemInner {
            kind,
            json: OnceLock::new(),
            memo: Memo::default(),
        }))
    }
}

impl From<Message> for Item {
    fn from(message: Message) -> Self {
        ItemKind::Message(message).into()
    }
}

impl From<FunctionCall> for Item {
    fn from(call: FunctionCall) -> Self {
        ItemKind::FunctionCall(call).into()
    }
}

impl From<FunctionCallOutput> for Item {
    fn from(output: FunctionCallOutput) -> Self {
        ItemKind::FunctionCallOutput(output).into()
    }
}

impl From<Reasoning> for Item {
    fn from(reasoning: Reasoning) -> Self {
        ItemKind::Reasoning(reasoning).into()
    }
}

/// Two items are equal when their JSON values are.
impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        if self.is_same(other) {
            return true;
        }
        let value = |item: &Self| serde_json::from_str::<serde_json::Value>(item.to_json()).ok();
        value(self) == value(other)
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_json())
    }
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0
            .json
            .get_or_init(|| to_raw(&self.0.kind))
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::from_json(raw.get()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
