//! A call of a registered tool: its limits, and what its failure says.

use rmcp::model::{CallToolResult, Tool};
use serde_json::{Map, Value};

use super::agents::refusal;
use super::{McpCall, output};
use crate::context::{RunContext, States};
use crate::mcp::with_causes;
use crate::tools::{FunctionTool, ToolContext, ToolError, ToolFailure, ToolOutput};

/// What the caller is told of a failure whose details the tool keeps to itself; the words of runs.
const FAILURE_TEXT: &str = "An error occurred while running the tool. Please try again.";
/// Whose call it is, for tools that ask.
const CALLER: &str = "mcp";

/// Describes a tool.
pub(super) fn describe(tool: &FunctionTool) -> Tool {
    let spec = tool.spec();
    let mut described = Tool::default();
    described.name = spec.name.as_str().to_owned().into();
    described.description = Some(spec.description.clone().into());
    if let Value::Object(schema) = &spec.parameters {
        described.input_schema = schema.clone().into();
    }
    described
}

/// Calls a tool once, within its limits.
///
/// The error is the result that says so, so that a caller can tell a failure from an answer.
pub(super) async fn call(
    tool: &FunctionTool,
    states: &States,
    call: &McpCall,
    id: &str,
    arguments: Map<String, Value>,
) -> Result<CallToolResult, CallToolResult> {
    let arguments = Value::Object(arguments).to_string();
    let mut states = states.clone();
    states.insert(call.clone());
    let run = RunContext::new(states);
    if !tool.is_enabled(&run) {
        return Err(refusal("the tool is disabled"));
    }
    let cx = ToolContext::new(run, CALLER, tool.name().clone(), id, &*arguments);
    match within_limits(tool, cx, &arguments).await {
        Ok(output) => Ok(CallToolResult::success(output::content(&output))),
        Err(error) => Err(refusal(&told(tool, &error))),
    }
}

async fn within_limits(
    tool: &FunctionTool,
    cx: ToolContext,
    arguments: &str,
) -> Result<ToolOutput, ToolError> {
    let options = tool.options();
    let call = tool.invoke(cx, arguments);
    let output = match options.timeout {
        None => call.await?,
        Some(after) => {
            let timed_out = |_| ToolError::TimedOut {
                tool: tool.name().clone(),
                after,
            };
            tokio::time::timeout(after, call)
                .await
                .map_err(timed_out)??
        }
    };
    let (n_bytes, max_bytes) = (output.n_bytes(), options.max_output_bytes);
    if n_bytes > max_bytes {
        return Err(ToolError::OutputTooLarge {
            tool: tool.name().clone(),
            n_bytes,
            max_bytes,
        });
    }
    Ok(output)
}

/// Says what the caller is told: of a bad argument all, of another failure what the tool lets be told.
fn told(tool: &FunctionTool, error: &ToolError) -> String {
    let policy = match error {
        ToolError::BadArguments { .. } | ToolError::AmbiguousArguments { .. } => {
            ToolFailure::TellModelDetail
        }
        ToolError::TimedOut { .. } => tool.options().timeout_failure,
        _ => tool.options().failure,
    };
    match (policy, error) {
        (ToolFailure::TellModel, ToolError::TimedOut { tool, after }) => {
            format!(
                "Tool '{tool}' timed out after {} seconds.",
                after.as_secs_f64()
            )
        }
        (ToolFailure::TellModel, _) => FAILURE_TEXT.to_owned(),
        _ => with_causes(error),
    }
}
