//! Response items into planned work; pure.

use super::UnknownTool;
use super::step::{CallAction, PlannedCall, Resolution};
use crate::agent::Agent;
use crate::context::RunContext;
use crate::error::RunFailure;
use crate::item::{FunctionCall, Item, ItemKind, Message, Role};
use crate::journal::ToolOutcome;

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
    let planned = calls
        .map(|call| plan(agent, cx, call, unknown))
        .collect::<Result<Vec<_>, _>>()?;
    if !planned.is_empty() {
        return Ok(Resolution::Tools(planned));
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
        None if text.is_empty() => Err(RunFailure::EmptyResponse),
        None => Ok(Resolution::Final(text)),
    }
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
