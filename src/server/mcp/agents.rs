//! An agent as a tool: a run that tells how far it has come.

use std::sync::Arc;

use futures_util::StreamExt;
use rmcp::model::{CallToolResult, ContentBlock, JsonObject, Tool};
use serde_json::{Map, Value, json};

use super::{McpBuildError, McpCall};
use crate::agent::Agent;
use crate::agent::runner::{RunEvent, RunResult, Runner};
use crate::error::RunError;
use crate::mcp::{McpProgress, with_causes};
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
            "properties": {"input": {"type": "string", "description": "What to ask."}},
            "required": ["input"],
            "additionalProperties": false,
        }));
        tool.output_schema = Some(schema(json!({
            "type": "object",
            "properties": {
                "final_output": {"type": "string"},
                "agent": {"type": "string"},
                "turns": {"type": "integer"},
                "usage": {"type": "object", "properties": {
                    "requests": {"type": "integer"},
                    "input_tokens": {"type": "integer"},
                    "output_tokens": {"type": "integer"},
                    "total_tokens": {"type": "integer"},
                }},
            },
            "required": ["final_output", "agent", "turns", "usage"],
        })));
        tool
    }

    /// Runs the agent; the run ends when this future is dropped.
    pub(super) async fn ask(
        &self,
        runner: &Runner,
        call: &McpCall,
        arguments: &Map<String, Value>,
    ) -> CallToolResult {
        let Some(input) = arguments.get("input").and_then(Value::as_str) else {
            return refusal("the argument `input` must be a text");
        };
        if let Some(unknown) = arguments.keys().find(|name| *name != "input") {
            return refusal(&format!("there is no argument `{unknown}`"));
        }
        let mut run = runner
            .stream(&self.agent, input)
            .state(call.clone())
            .start();
        let mut n_steps = 0_u32;
        while let Some(event) = run.next().await {
            match event {
                Ok(RunEvent::RunDone { result }) => return answer(&result),
                Ok(event) => {
                    if let Some(message) = step(&event) {
                        n_steps += 1;
                        let progress = McpProgress::new(f64::from(n_steps)).message(message);
                        call.progress(progress).await;
                    }
                }
                Err(error) => return failure(&error),
            }
        }
        refusal("the run ended without a result")
    }
}

/// Says what an event means to whoever waits.
fn step(event: &RunEvent) -> Option<String> {
    match event {
        RunEvent::TurnStarted { turn, agent } => Some(format!("{agent}: turn {turn}")),
        RunEvent::TextDelta { delta } => Some(delta.clone()),
        RunEvent::ToolCalled { name, .. } => Some(format!("calls {name}")),
        RunEvent::ToolOutputDone { name, failure, .. } => Some(match failure {
            None => format!("{name} is done"),
            Some(_) => format!("{name} failed"),
        }),
        _ => None,
    }
}

fn answer(result: &RunResult) -> CallToolResult {
    let usage = result.usage();
    let mut answer = CallToolResult::success(vec![ContentBlock::text(result.final_output())]);
    answer.structured_content = Some(json!({
        "final_output": result.final_output(),
        "agent": result.last_agent().name(),
        "turns": result.turns(),
        "usage": {
            "requests": usage.requests,
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "total_tokens": usage.total_tokens,
        },
    }));
    answer
}

fn failure(error: &RunError) -> CallToolResult {
    let text = format!("{}: {}", error.kind(), with_causes(error));
    refusal(&text)
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
