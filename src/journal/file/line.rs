//! The lines of a recording: one JSON object each.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::item::Item;
use crate::journal::stored::{StoredItems, StoredResponse};
use crate::journal::{Effect, EffectKey, ToolOutcome};
use crate::model::{ModelRequest, ModelSettings};

/// The version of the format that is written, and the newest that is read.
pub(super) const VERSION: u32 = 1;

/// A line as it is read and written; what it says is in the body, whose items keep their bytes.
#[derive(Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) r#type: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) path: Vec<String>,
    #[serde(default)]
    pub(super) turn: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) call_id: Option<String>,
    pub(super) body: Box<RawValue>,
}

/// The first line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) version: u32,
    pub(super) library: String,
    pub(super) agent: String,
    pub(super) input: Vec<Item>,
    pub(super) settings: Value,
}

/// What a header must have to be refused by its version.
#[derive(Deserialize)]
pub(super) struct Version {
    pub(super) version: u32,
}

/// What happened.
#[derive(Debug, Clone)]
pub(super) enum LineBody {
    Request(Box<Asked>),
    Response(Box<StoredResponse>),
    ToolCall(RecordedCall),
    ToolOutcome(ToolOutcome),
    SessionRead(StoredItems),
    SessionWrite(StoredItems),
}

/// What a model is asked. Neither headers nor free fields of the body are here, as they may hold keys.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Asked {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) instructions: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) prompt: Option<Value>,
    /// How many items of the request before, of the same run, this one begins with.
    #[serde(default)]
    pub(super) n_same: usize,
    /// The items; in a file those behind the ones that are the same.
    pub(super) items: Vec<Item>,
    #[serde(default)]
    pub(super) tools: Vec<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) output: Option<Value>,
    #[serde(default)]
    pub(super) settings: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RecordedCall {
    pub(super) tool: String,
    pub(super) arguments: String,
}

impl Line {
    pub(super) fn new(
        r#type: &str,
        key: Option<&EffectKey>,
        body: &impl Serialize,
    ) -> serde_json::Result<Self> {
        Ok(Self {
            r#type: r#type.to_owned(),
            path: key.map(path).unwrap_or_default(),
            turn: key.map_or(0, |key| key.turn),
            call_id: key.and_then(|key| match &key.effect {
                Effect::ToolCall(id) => Some(id.clone()),
                _ => None,
            }),
            body: serde_json::value::to_raw_value(body)?,
        })
    }

    /// Understands the body.
    pub(super) fn body(&self) -> Result<LineBody, String> {
        let json = self.body.get();
        let body = match &*self.r#type {
            "request" => serde_json::from_str(json).map(LineBody::Request),
            "response" => serde_json::from_str(json).map(LineBody::Response),
            "tool_call" => serde_json::from_str(json).map(LineBody::ToolCall),
            "tool_outcome" => serde_json::from_str(json).map(LineBody::ToolOutcome),
            "session_read" => serde_json::from_str(json).map(LineBody::SessionRead),
            "session_write" => serde_json::from_str(json).map(LineBody::SessionWrite),
            other => return Err(format!("the type {other:?} is not known")),
        };
        body.map_err(|error| error.to_string())
    }
}

impl Asked {
    /// The whole request.
    pub(super) fn of(request: &ModelRequest) -> Self {
        let specs = request.tools.specs().iter().map(to_value);
        let hosted = request.tools.hosted().iter();
        let hosted = hosted.map(|tool| Value::Object(tool.to_json().clone()));
        Self {
            instructions: request.instructions.as_deref().map(ToOwned::to_owned),
            prompt: request.prompt.as_deref().map(to_value),
            n_same: 0,
            items: request.items.to_vec(),
            tools: specs.chain(hosted).collect(),
            output: request
                .output
                .as_deref()
                .map(|output| serde_json::json!({ "name": output.name, "schema": output.schema })),
            settings: settings(&request.settings),
        }
    }

    /// Names the parts of the question that are not the same; how to answer is no part of it.
    pub(super) fn changed_from(&self, earlier: &Self) -> String {
        let parts = [
            (
                "instructions",
                self.instructions == earlier.instructions && self.prompt == earlier.prompt,
            ),
            ("items", self.items == earlier.items),
            ("tools", self.tools == earlier.tools),
            ("output type", self.output == earlier.output),
        ];
        let changed = parts.into_iter().filter(|(_, is_same)| !is_same);
        let names: Vec<&str> = changed.map(|(name, _)| name).collect();
        names.join(", ")
    }
}

fn path(key: &EffectKey) -> Vec<String> {
    key.path.iter().map(ToString::to_string).collect()
}

fn to_value(value: &impl Serialize) -> Value {
    // Plain data always has a value.
    serde_json::to_value(value).unwrap_or_default()
}

/// What may explain an answer, by name.
fn settings(settings: &ModelSettings) -> Map<String, Value> {
    let all = [
        ("temperature", settings.temperature.map(Value::from)),
        ("top_p", settings.top_p.map(Value::from)),
        ("max_tokens", settings.max_tokens.map(Value::from)),
        ("seed", settings.seed.map(Value::from)),
        (
            "reasoning_effort",
            settings.reasoning_effort.clone().map(Value::from),
        ),
    ];
    let set = all.into_iter();
    set.filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}
