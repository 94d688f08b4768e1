//! What a model is told about a tool.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ToolName, ToolNamespace};

/// Describes a tool to a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolSpec {
    /// The name by which the model calls the tool.
    pub name: ToolName,
    /// What the tool does and when to use it, in words for the model.
    pub description: String,
    /// The JSON Schema of the arguments, always that of an object.
    pub parameters: Value,
    /// Whether the model is held to the schema exactly.
    pub strict: bool,
    /// Whether the provider shows the tool only once the model has looked for it.
    ///
    /// It is for the Responses API.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub defer_loading: bool,
    /// The group in which the provider looks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<ToolNamespace>,
    /// The function as a client described it, which goes out unchanged.
    #[serde(skip)]
    pub(crate) verbatim: Option<Map<String, Value>>,
}

impl ToolSpec {
    /// Describes a tool whose schema is in its strict form; clear [`strict`](Self::strict) for another.
    pub fn new(name: ToolName, description: impl Into<String>, parameters: Value) -> Self {
        Self {
            name,
            description: description.into(),
            parameters,
            strict: true,
            defer_loading: false,
            namespace: None,
            verbatim: None,
        }
    }
}
