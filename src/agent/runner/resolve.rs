//! Response items into planned work; pure.

use serde_json::{Map, Value};

use super::UnknownTool;
use super::step::{CallAction, PlannedCall, Resolution};
use crate::agent::Agent;
use crate::context::RunContext;
use crate::error::RunFailure;
use crate::item::{FunctionCall, Item, ItemKind, Message, Role};
use crate::journal::ToolOutcome;
use crate::tools::McpApprovalRequest;

/// Calls that someone on this side would have to answer, and that no tool of this crate does.
const NEED_OUTPUT: [&str; 5] = [
    "custom_tool_call",
    "computer_call",
    "local_shell_call",
    "shell_call",
    "apply_patch_call",
];

/// Says what a response asks for.
///
/// Text beside a tool call never ends a run; otherwise the last message does.
pub(super) fn resolve(
    agent: &Agent,
    cx: &RunContext,
    items: &[Item],
    unknown: UnknownTool,
) -> Result<Resolution, RunFailure> {
    let calls = items.iter().filter_map(|item| match item.kind() {
        ItemKind::FunctionCall(call) => Some(call),
        _ => None,
    });
    let calls = calls
        .map(|call| plan(agent, cx, call, unknown))
        .collect::<Result<Vec<_>, _>>()?;
    let others = items.iter().filter_map(|item| match item.kind() {
        ItemKind::Unknown { type_name } => Some((type_name.as_str(), item)),
        _ => None,
    });
    let mut answers = Vec::new();
    for (type_name, item) in others.clone() {
        if type_name == "mcp_approval_request" {
            answers.push(approval(agent, item)?);
        } else if NEED_OUTPUT.contains(&type_name) && !has_output(items, type_name, item) {
            return Err(not_offered(agent, type_name, item));
        }
    }
    if !calls.is_empty() || !answers.is_empty() {
        return Ok(Resolution::Work { calls, answers });
    }
    let message = items.iter().rev().find_map(|item| match item.kind() {
        ItemKind::Message(message) if message.role == Role::Assistant => Some(message),
        _ => None,
    });
    let text = message.map(|message| message.text("")).unwrap_or_default();
    match message.and_then(Message::refusal) {
        Some(refusal) => Err(RunFailure::Refusal {
            refusal: refusal.to_owned(),
        }),
        // Tools of the provider were at work, and the model has not spoken yet.
        None if text.is_empty() && others.count() > 0 => Ok(Resolution::Work { calls, answers }),
        None if text.is_empty() => Err(RunFailure::EmptyResponse),
        None => final_output(agent, text),
    }
}

/// Takes a text as the final output if it is of the agent's output type.
fn final_output(agent: &Agent, text: String) -> Result<Resolution, RunFailure> {
    match agent
        .output_type()
        .map_or(Ok(()), |output| output.check(&text))
    {
        Ok(()) => Ok(Resolution::Final(text)),
        Err(error) => Err(RunFailure::InvalidOutput {
            agent: agent.name().to_owned(),
            error,
            text,
        }),
    }
}

/// Answers the provider's question whether a hosted MCP server may be called.
fn approval(agent: &Agent, item: &Item) -> Result<Item, RunFailure> {
    let request = McpApprovalRequest::from_item(item.to_json());
    let decided = request.as_ref().and_then(|request| {
        agent
            .hosted_tools()
            .iter()
            .find_map(|tool| tool.decide(request))
    });
    let (Some(request), Some(approve)) = (&request, decided) else {
        let tool = request.map_or_else(
            || "mcp".to_owned(),
            |request| format!("{}/{}", request.server_label, request.name),
        );
        return Err(RunFailure::ApprovalRequired {
            tool,
            agent: agent.name().to_owned(),
        });
    };
    let fields = Map::from_iter([
        (
            "approval_request_id".to_owned(),
            Value::from(request.id.as_str()),
        ),
        ("approve".to_owned(), Value::from(approve)),
    ]);
    Ok(Item::other("mcp_approval_response", fields))
}

/// Says whether the provider answered a call itself.
fn has_output(items: &[Item], type_name: &str, call: &Item) -> bool {
    let call_id = |item: &Item| field(item, "call_id");
    let answer = format!("{type_name}_output");
    items.iter().any(|item| {
        matches!(item.kind(), ItemKind::Unknown { type_name } if *type_name == answer)
            && call_id(item) == call_id(call)
    })
}

fn not_offered(agent: &Agent, type_name: &str, item: &Item) -> RunFailure {
    let known = agent
        .tools()
        .iter()
        .map(|tool| tool.name().as_str().to_owned())
        .collect();
    let tool = field(item, "name").map_or_else(
        || type_name.to_owned(),
        |name| format!("{name} ({type_name})"),
    );
    RunFailure::UnknownTool {
        tool,
        agent: agent.name().to_owned(),
        known,
    }
}

fn field(item: &Item, key: &str) -> Option<String> {
    let value: Value = serde_json::from_str(item.to_json()).ok()?;
    value.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn plan(
    agent: &Agent,
    cx: &RunContext,
    call: &FunctionCall,
    unknown: UnknownTool,
) -> Result<PlannedCall, RunFailure> {
    let tool = agent.tools().get(&call.name);
    let action = match (tool, unknown) {
        (Some(tool), _) if tool.is_enabled(cx) => CallAction::Invoke(tool.clone()),
        (_, UnknownTool::TellModel) => CallAction::Answer(not_found(agent, cx, call)),
        (Some(_), UnknownTool::Fail) => {
            return Err(RunFailure::DisabledTool {
                tool: call.name.clone(),
                agent: agent.name().to_owned(),
            });
        }
        (None, UnknownTool::Fail) => {
            let known = agent
                .tools()
                .iter()
                .map(|tool| tool.name().as_str().to_owned())
                .collect();
            return Err(RunFailure::UnknownTool {
                tool: call.name.clone(),
                agent: agent.name().to_owned(),
                known,
            });
        }
    };
    Ok(PlannedCall {
        call: call.clone(),
        action,
    })
}

fn not_found(agent: &Agent, cx: &RunContext, call: &FunctionCall) -> ToolOutcome {
    let known: Vec<&str> = agent
        .tools()
        .iter()
        .filter(|tool| tool.is_enabled(cx))
        .map(|tool| tool.name().as_str())
        .collect();
    let there_is = if known.is_empty() {
        "There are no tools.".to_owned()
    } else {
        format!("The tools are: {}.", known.join(", "))
    };
    let says = format!("Tool '{}' not found. {there_is}", call.name);
    ToolOutcome {
        output: says.as_str().into(),
        failure: Some(says),
    }
}
