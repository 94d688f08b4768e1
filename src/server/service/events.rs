//! The events of a run as JSON, under the names that the program's `--json` has.

use serde_json::{Value, json};

use crate::agent::runner::{RunEvent, RunResult};
use crate::error::RunError;
use crate::server::error::ApiError;
use crate::usage::Usage;

/// Gives an event; none for the last, which is the result.
pub(super) fn to_json(event: &RunEvent) -> Option<Value> {
    Some(match event {
        RunEvent::TurnStarted { turn, agent } => {
            json!({"type": "turn_started", "turn": turn, "agent": &**agent})
        }
        RunEvent::TextDelta { delta } => json!({"type": "text_delta", "delta": delta}),
        RunEvent::RefusalDelta { delta } => json!({"type": "refusal_delta", "delta": delta}),
        RunEvent::ReasoningDelta { delta } => json!({"type": "reasoning_delta", "delta": delta}),
        RunEvent::ToolCallStarted { index, name } => {
            json!({"type": "tool_call_started", "index": index, "name": name})
        }
        RunEvent::ToolCallDelta { index, delta } => {
            json!({"type": "tool_call_delta", "index": index, "delta": delta})
        }
        RunEvent::ItemDone { item } => json!({"type": "item_done", "item": item}),
        RunEvent::ToolCalled {
            call_id,
            name,
            arguments,
        } => {
            json!({"type": "tool_called", "call_id": call_id, "name": name, "arguments": arguments})
        }
        RunEvent::HandoffRequested { call_id, to } => {
            json!({"type": "handoff_requested", "call_id": call_id, "to": &**to})
        }
        RunEvent::ModelEvent { name, json } => {
            let event: Option<Value> = serde_json::from_str(json).ok();
            json!({"type": "model_event", "name": name, "event": event})
        }
        RunEvent::ResponseDone { end } => json!({
            "type": "response_done", "model": end.model, "finish_reason": end.finish_reason,
            "usage": end.usage.as_ref().map(usage),
        }),
        RunEvent::ToolProgress {
            call_id,
            name,
            message,
        } => {
            json!({"type": "tool_progress", "call_id": call_id, "name": name, "message": message})
        }
        RunEvent::ToolOutputDone {
            call_id,
            name,
            output,
            failure,
        } => json!({
            "type": "tool_output", "call_id": call_id, "name": name, "output": output, "failure": failure,
        }),
        RunEvent::HandoffOccurred { from, to } => {
            json!({"type": "handoff_occurred", "from": &**from, "to": &**to})
        }
        RunEvent::ApprovalRequired { interruption } => {
            json!({"type": "approval_required", "interruption": interruption})
        }
        RunEvent::Nested {
            call_id,
            agent,
            event,
        } => {
            json!({"type": "nested", "call_id": call_id, "agent": &**agent, "event": to_json(event)?})
        }
        RunEvent::RunDone { .. } => return None,
    })
}

pub(super) fn done(result: &RunResult) -> Value {
    json!({
        "type": "result", "ok": true, "final_output": result.final_output(),
        "agent": result.last_agent().name(), "turns": result.turns(), "usage": usage(&result.usage()),
    })
}

pub(super) fn failed(error: &RunError) -> Value {
    let progress = error.progress();
    json!({
        "type": "result", "ok": false, "error": failure(error), "agent": progress.last_agent.name(),
        "turns": progress.turns, "usage": usage(&progress.usage),
    })
}

pub(super) fn failure(error: &RunError) -> Value {
    let told = ApiError::of_run(error);
    json!({"kind": told.code, "message": told.message, "status": error.status()})
}

pub(super) fn usage(usage: &Usage) -> Value {
    serde_json::to_value(usage).unwrap_or_default()
}
