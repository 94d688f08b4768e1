//! Calls of function tools and their outputs.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::message::Part;

/// The model asks for a function tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "function_call")]
#[non_exhaustive]
pub struct FunctionCall {
    /// The id by which the output refers to the call.
    pub call_id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments, JSON as the model wrote it; an empty text stands for no arguments.
    #[serde(default)]
    pub arguments: String,
    /// Every other field of the item, such as `id` and `status`.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl FunctionCall {
    /// Makes a call.
    pub fn new(
        call_id: impl Into<String>,
        name: impl Into<String>,
        arguments: impl Into<String>,
    ) -> Self {
        Self {
            call_id: call_id.into(),
            name: name.into(),
            arguments: arguments.into(),
            extra: Map::new(),
        }
    }
}

/// What a function tool gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "function_call_output")]
#[non_exhaustive]
pub struct FunctionCallOutput {
    /// The id of the call.
    pub call_id: String,
    /// The output.
    pub output: OutputContent,
    /// Every other field of the item, such as `id` and `status`.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The output of a tool: a text, or parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum OutputContent {
    /// A plain text.
    Text(String),
    /// Text, images and files in order.
    Parts(Vec<Part>),
}

impl FunctionCallOutput {
    /// Makes an output.
    pub fn new(call_id: impl Into<String>, output: OutputContent) -> Self {
        Self {
            call_id: call_id.into(),
            output,
            extra: Map::new(),
        }
    }
}

impl OutputContent {
    /// Returns the text; images and files are left out.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Parts(parts) => parts
                .iter()
                .filter_map(Part::as_text)
                .collect::<Vec<_>>()
                .join("\n"),
        }
    }
}

impl From<String> for OutputContent {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for OutputContent {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
