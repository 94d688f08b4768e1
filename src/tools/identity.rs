//! What a tool was when someone decided about a call of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::FunctionTool;

/// A tool as it is shown, by which a decision about its calls is bound to it.
///
/// It is kept word for word and not as a hash, so that it can be said what changed. The name is not part of it: tools are found by
/// their names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToolIdentity {
    description: String,
    parameters: Value,
    /// The MCP server that it is of.
    server: Option<String>,
}

impl ToolIdentity {
    /// Says what of a tool is other than it was; nothing if it is the same.
    pub(crate) fn changes(&self, tool: &FunctionTool) -> Option<String> {
        let spec = tool.spec();
        let parts = [
            ("server", self.server.as_deref() != tool.server()),
            ("description", self.description != spec.description),
            ("schema", self.parameters != spec.parameters),
        ];
        let changed = parts.iter().filter(|(_, is_changed)| *is_changed);
        let names: Vec<_> = changed.map(|(name, _)| *name).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }
}

impl From<&FunctionTool> for ToolIdentity {
    fn from(tool: &FunctionTool) -> Self {
        let spec = tool.spec();
        Self {
            description: spec.description.clone(),
            parameters: spec.parameters.clone(),
            server: tool.server().map(str::to_owned),
        }
    }
}
