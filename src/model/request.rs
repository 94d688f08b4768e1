//! What a model is asked.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::item::History;
use crate::memo::Memo;
use crate::model::ModelSettings;
use crate::tools::{HostedTool, ToolSpec};

/// One request to a model.
///
/// It is cheap to make: what does not change from turn to turn is shared, and items carry their encoded bytes with them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ModelRequest {
    /// The agent's instructions.
    pub instructions: Option<Arc<str>>,
    /// A prompt that the provider stores (Responses API).
    pub prompt: Option<Arc<Prompt>>,
    /// The conversation, oldest first.
    pub items: History,
    /// The tools that the model may call.
    pub tools: Arc<ToolSet>,
    /// The form that the final text must have.
    pub output: Option<Arc<OutputFormat>>,
    /// How to answer.
    pub settings: Arc<ModelSettings>,
    /// Whether to answer in pieces.
    pub delivery: Delivery,
    /// What the server knows already, so that `items` are only what is new.
    pub continuation: Continuation,
    /// The turn of the run, from 1.
    ///
    /// Ids that have to be made up are made from it.
    pub turn: u32,
}

/// Whether the answer comes in pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// As one body.
    Whole,
    /// As a stream of events.
    Stream,
}

/// What of the conversation the server keeps (Responses API).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Continuation {
    /// Nothing: the whole conversation is sent.
    #[default]
    Replay,
    /// Nothing yet: the whole conversation is sent.
    ///
    /// The next request is to continue the response.
    Begin,
    /// Everything up to a response, given by its id (`previous_response_id`).
    Response(String),
    /// Everything in a stored conversation, given by its id (`conversation`).
    Conversation(String),
}

/// A prompt that the provider stores, by its id (Responses API).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Prompt {
    /// The id.
    pub id: String,
    /// The version; the provider's current one if it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What is put into the prompt's places: texts, or input parts.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub variables: Map<String, Value>,
}

/// The tools of a request, in order; encoded once and shared by all turns.
#[derive(Default)]
pub struct ToolSet {
    specs: Vec<ToolSpec>,
    hosted: Vec<HostedTool>,
    memo: Memo,
}

/// The form that a final text must have.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct OutputFormat {
    /// The name of the format.
    pub name: String,
    /// JSON Schema of the text.
    pub schema: Value,
    /// Whether the server is to enforce the schema.
    pub strict: bool,
    /// What the model is told of it, beside the schema.
    pub description: Option<String>,
    /// The format as a client gave it, which goes out unchanged.
    pub(crate) verbatim: Option<VerbatimFormat>,
}

/// A format in the words of one of the APIs.
#[cfg_attr(
    not(feature = "server"),
    expect(dead_code, reason = "only the server speaks for clients")
)]
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum VerbatimFormat {
    /// The chat API's `response_format`.
    Chat(Value),
    /// The Responses API's `text.format`.
    Responses(Value),
}

impl ModelRequest {
    /// Makes a request for a conversation: no instructions, no tools, answered whole.
    pub fn new(items: impl Into<History>) -> Self {
        Self {
            instructions: None,
            prompt: None,
            items: items.into(),
            tools: Arc::default(),
            output: None,
            settings: Arc::default(),
            delivery: Delivery::Whole,
            continuation: Continuation::Replay,
            turn: 1,
        }
    }
}

impl Prompt {
    /// Names a prompt.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            version: None,
            variables: Map::new(),
        }
    }

    /// Asks for a version.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Puts a value into a place of the prompt.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }
}

impl ToolSet {
    /// Makes a set of tools.
    pub fn new(specs: Vec<ToolSpec>) -> Self {
        Self {
            specs,
            hosted: Vec::new(),
            memo: Memo::default(),
        }
    }

    /// Adds tools that the provider runs.
    #[must_use]
    pub fn with_hosted(mut self, hosted: Vec<HostedTool>) -> Self {
        self.hosted = hosted;
        self
    }

    /// Returns the tools that the provider runs, in order.
    pub fn hosted(&self) -> &[HostedTool] {
        &self.hosted
    }

    /// Returns the tools in order.
    pub fn specs(&self) -> &[ToolSpec] {
        &self.specs
    }

    pub(crate) fn memo(&self) -> &Memo {
        &self.memo
    }
}

impl std::fmt::Debug for ToolSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.specs.iter().map(|spec| &spec.name))
            .finish()
    }
}

impl OutputFormat {
    /// Makes a format that the server is to enforce.
    pub fn strict(name: impl Into<String>, schema: Value) -> Self {
        Self {
            name: name.into(),
            schema,
            strict: true,
            description: None,
            verbatim: None,
        }
    }

    /// Makes a format that the server is told, and that nobody enforces there.
    pub fn non_strict(name: impl Into<String>, schema: Value) -> Self {
        Self {
            strict: false,
            ..Self::strict(name, schema)
        }
    }

    /// The value of the chat API's `response_format`.
    pub(crate) fn to_chat(&self) -> Value {
        match &self.verbatim {
            Some(VerbatimFormat::Chat(format)) => format.clone(),
            Some(VerbatimFormat::Responses(format)) if is_schema(format) => {
                let inner = format.as_object().into_iter().flatten();
                let inner = inner.filter(|(key, _)| *key != "type");
                let inner: Map<String, Value> = inner
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect();
                json!({ "type": "json_schema", "json_schema": inner })
            }
            Some(VerbatimFormat::Responses(format)) => format.clone(),
            None => json!({ "type": "json_schema", "json_schema": self.named() }),
        }
    }

    /// The value of the Responses API's `text.format`.
    pub(crate) fn to_responses(&self) -> Value {
        let mut flat = Map::from_iter([("type".to_owned(), json!("json_schema"))]);
        match &self.verbatim {
            Some(VerbatimFormat::Responses(format)) => return format.clone(),
            Some(VerbatimFormat::Chat(format)) => match format.get("json_schema") {
                Some(Value::Object(inner)) => flat.extend(inner.clone()),
                _ => return format.clone(),
            },
            None => flat.extend(self.named()),
        }
        Value::Object(flat)
    }

    /// What both APIs say of a schema.
    fn named(&self) -> Map<String, Value> {
        let mut named = Map::from_iter([("name".to_owned(), json!(self.name))]);
        if let Some(description) = &self.description {
            named.insert("description".to_owned(), json!(description));
        }
        named.insert("strict".to_owned(), json!(self.strict));
        named.insert("schema".to_owned(), self.schema.clone());
        named
    }
}

fn is_schema(format: &Value) -> bool {
    format.get("type").and_then(Value::as_str) == Some("json_schema")
}
