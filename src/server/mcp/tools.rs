//! A call of a registered tool: asks for approval, runs the tool, converts its result.

use rmcp::model::{CallToolResult, Tool};
use serde_json::{Map, Value};

use super::agents::refusal;
use super::approvals;
use super::{McpCall, McpCallError, output};
use crate::agent::Interruption;
use crate::context::{RunContext, States};
use crate::error::error_chain;
use crate::kind::ErrorKind;
use crate::tools::{
    Approval, FunctionTool, ToolCall, ToolCallResult, ToolContext, ToolError, Unobserved,
};

/// Whose call it is, for tools that ask.
const CALLER: &str = "mcp";
/// The key of the question whether the call may be made; the questions of tools have keys of their own.
pub(super) const APPROVAL_KEY: &str = "openai-agents/approval";

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

/// Calls a tool once, if the client's user approves it where it needs approval.
///
/// The error is the result that says so, so that a caller can tell a failure from an answer.
pub(super) async fn call(
    tool: &FunctionTool,
    states: &States,
    client: &McpCall,
    id: &str,
    arguments: Map<String, Value>,
) -> Result<CallToolResult, CallToolResult> {
    let arguments = Value::Object(arguments).to_string();
    let mut states = states.clone();
    states.insert(client.clone());
    let run = RunContext::new(states);
    let cx = ToolContext::new(run, CALLER, tool.name().clone(), id, arguments);
    let result = match tool.invoke(cx.clone()).await {
        ToolCallResult::ApprovalRequired { guardrails, .. } => {
            let decision = approve(client, &cx).await?;
            let call = ToolCall::new(tool, cx);
            match decision {
                Ok(()) => {
                    let approved = Approval::GivenAfter(guardrails);
                    call.make(approved, Unobserved).await
                }
                Err(message) => {
                    let tool = tool.name().clone();
                    let refused = ToolError::NotApproved { tool };
                    call.refuse(message, refused, guardrails).await
                }
            }
        }
        result => result,
    };
    let told = told(result);
    if told.is_error == Some(true) {
        Err(told)
    } else {
        Ok(told)
    }
}

/// Has the client's user decide; gives what the caller is told of a call that is refused.
async fn approve(client: &McpCall, cx: &ToolContext) -> Result<Result<(), String>, CallToolResult> {
    let call = Interruption {
        id: cx.call_id().to_owned(),
        agent: cx.agent().to_owned(),
        tool: cx.tool_name().to_string(),
        call_id: cx.call_id().to_owned(),
        arguments: cx.arguments().to_owned(),
        path: Vec::new(),
        may_have_run: false,
        changed: None,
    };
    let undecided = |why: &str| {
        let calls = approvals::describe(std::slice::from_ref(&call));
        let kind = ErrorKind::ApprovalRequired;
        refusal(&format!("{kind}: {calls} ({why})"))
    };
    if !client.can_show_forms() {
        return Err(undecided("the client cannot ask its user"));
    }
    match approvals::ask(client, APPROVAL_KEY, &call).await {
        Ok(verdict) => Ok(verdict.into_decision(&call)),
        // The call ends with the question, and is made again with the answer.
        Err(error @ McpCallError::Asked { .. }) => Err(refusal(&error_chain(&error))),
        Err(error) => Err(undecided(&error_chain(&error))),
    }
}

/// Says what the caller is told.
fn told(result: ToolCallResult) -> CallToolResult {
    match result {
        ToolCallResult::Output { output, .. } => CallToolResult::success(output::content(&output)),
        // The words of a guardrail are the answer of the tool; a failure is none.
        ToolCallResult::Refused {
            message,
            failure: None,
            ..
        } => CallToolResult::success(output::content(&message.into())),
        ToolCallResult::Refused { message, .. } => refusal(&message),
        other => match other.into_output() {
            Ok(output) => CallToolResult::success(output::content(&output)),
            Err(error) => refusal(&format!("{}: {}", error.kind(), error_chain(&error))),
        },
    }
}
