//! An agent as an MCP tool: its name and description.

use std::sync::Arc;

use rmcp::model::{CallToolResult, ContentBlock, JsonObject, Tool};
use serde_json::{Value, json};

use super::McpBuildError;
use crate::agent::Agent;
use crate::tools::ToolName;

/// An agent under the name of a tool.
pub(super) struct AgentTool {
    pub(super) name: ToolName,
    pub(super) agent: Agent,
}

impl AgentTool {
    pub(super) fn new(agent: Agent) -> Result<Self, McpBuildError> {
        let cleaned = |c: char| match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() => c,
            _ => '_',
        };
        let name: String = agent.name().chars().map(cleaned).collect();
        let name =
            ToolName::new(format!("ask_{name}")).map_err(|source| McpBuildError::AgentName {
                agent: agent.name().to_owned(),
                source,
            })?;
        Ok(Self { name, agent })
    }

    /// Describes the tool.
    pub(super) fn describe(&self) -> Tool {
        let description = format!("Asks the agent {} and gives its answer.", self.agent.name());
        let mut tool = Tool::default();
        tool.name = self.name.as_str().to_owned().into();
        tool.title = Some(self.agent.name().to_owned());
        tool.description = Some(description.into());
        tool.input_schema = schema(json!({
            "type": "object",
            "properties": {
                "input": {"type": "string", "description": "What to ask."},
                "session": {
                    "type": "string",
                    "description": "The id of a conversation to go on with, or to begin: any text. \
                        Without it the agent remembers nothing.",
                },
            },
            "required": ["input"],
            "additionalProperties": false,
        }));
        tool.output_schema = Some(schema(json!({
            "type": "object",
            "properties": {
                "final_output": {"type": "string"},
                "agent": {"type": "string"},
                "turns": {"type": "integer"},
                "run": {"type": "string"},
                "session": {"type": "string"},
                "usage": {"type": "object", "properties": {
                    "requests": {"type": "integer"},
                    "input_tokens": {"type": "integer"},
                    "output_tokens": {"type": "integer"},
                    "total_tokens": {"type": "integer"},
                    "requests_without_usage": {"type": "integer"},
                    "cached_tokens": {"type": "integer"},
                    "cache_write_tokens": {"type": "integer"},
                    "reasoning_tokens": {"type": "integer"},
                    "cost": {
                        "type": "string",
                        "description": "What the priced requests cost, as a decimal text.",
                    },
                    "priced_requests": {"type": "integer"},
                }},
            },
            "required": ["run", "final_output", "agent", "turns", "usage"],
        })));
        tool
    }
}

/// Says that there is no answer, and why.
pub(super) fn refusal(reason: &str) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(reason)])
}

/// Shares a schema, which is always an object.
fn schema(schema: Value) -> Arc<JsonObject> {
    match schema {
        Value::Object(object) => Arc::new(object),
        _ => Arc::default(),
    }
}
