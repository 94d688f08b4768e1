//! Events and results as JSON, for programs that read a run.

use serde_json::{Value, json};

use super::result::{RunEvent, RunResult};
use crate::guardrail::GuardrailResult;
use crate::model::ResponseMeta;

impl RunEvent {
    #[doc = include_str!("../../docs/events.md")]
    pub fn to_json(&self) -> Option<Value> {
        Some(match self {
            Self::TurnStarted { turn, agent } => {
                json!({"type": "turn_started", "turn": turn, "agent": &**agent})
            }
            Self::TextDelta { delta } => json!({"type": "text_delta", "delta": delta}),
            Self::RefusalDelta { delta } => json!({"type": "refusal_delta", "delta": delta}),
            Self::ReasoningDelta { delta } => json!({"type": "reasoning_delta", "delta": delta}),
            Self::ToolCallStarted {
                index,
                call_id,
                name,
            } => {
                json!({"type": "tool_call_started", "index": index, "call_id": call_id, "name": name})
            }
            Self::ToolCallDelta {
                index,
                call_id,
                delta,
            } => {
                json!({"type": "tool_call_delta", "index": index, "call_id": call_id, "delta": delta})
            }
            Self::GuardrailDone { result } => guardrail_done(result),
            Self::ItemDone { item } => json!({"type": "item_done", "item": item}),
            Self::ToolCalled {
                call_id,
                name,
                arguments,
            } => {
                json!({"type": "tool_called", "call_id": call_id, "name": name, "arguments": arguments})
            }
            Self::HandoffRequested { call_id, to } => {
                json!({"type": "handoff_requested", "call_id": call_id, "to": &**to})
            }
            Self::ModelEvent { name, json } => {
                let event: Option<Value> = serde_json::from_str(json).ok();
                json!({"type": "model_event", "name": name, "event": event})
            }
            Self::ResponseDone { meta } => response_done(meta),
            Self::ToolProgress {
                call_id,
                name,
                message,
            } => {
                json!({"type": "tool_progress", "call_id": call_id, "name": name, "message": message})
            }
            Self::ToolOutputDone {
                call_id,
                name,
                output,
                failure,
            } => json!({
                "type": "tool_output", "call_id": call_id, "name": name, "output": output, "failure": failure,
            }),
            Self::HandoffOccurred { from, to } => {
                json!({"type": "handoff_occurred", "from": &**from, "to": &**to})
            }
            Self::ApprovalRequired { interruption } => {
                json!({"type": "approval_required", "interruption": interruption})
            }
            Self::Nested { .. } => self.nested()?,
            Self::RunDone { result } => result.to_json(),
        })
    }

    fn nested(&self) -> Option<Value> {
        let (path, event) = self.unnested();
        if matches!(event, Self::ApprovalRequired { .. }) {
            return None;
        }
        let (agent, event) = (self.innermost_agent(), event.to_json()?);
        Some(json!({"type": "nested", "path": path, "agent": agent, "event": event}))
    }

    /// The agent that was called last on the way to the event.
    fn innermost_agent(&self) -> Option<&str> {
        let Self::Nested { agent, event, .. } = self else {
            return None;
        };
        Some(event.innermost_agent().unwrap_or(agent))
    }
}

impl RunResult {
    /// Returns the result as JSON.
    ///
    /// It is the last line of the program's `--json`, and the last event of the server's `/events`.
    ///
    /// It has `type` (`result`), `ok` (`true`), `final_output`, `agent` (that answered), `turns`, `usage` and `deviations`. The program adds
    /// the `session`.
    pub fn to_json(&self) -> Value {
        json!({
            "type": "result",
            "ok": true,
            "final_output": self.final_output(),
            "agent": self.last_agent().name(),
            "turns": self.turns(),
            "usage": self.usage(),
            "deviations": self.deviations().collect::<Vec<_>>(),
        })
    }
}

fn guardrail_done(result: &GuardrailResult) -> Value {
    json!({
        "type": "guardrail_done",
        "guardrail": result.guardrail,
        "stage": result.stage,
        "agent": result.agent,
        "is_tripped": result.is_tripped,
        "info": result.info,
    })
}

fn response_done(meta: &ResponseMeta) -> Value {
    json!({
        "type": "response_done",
        "response_id": meta.response_id,
        "request_id": meta.request_id,
        "model": meta.model,
        "finish_reason": meta.finish_reason,
        "usage": meta.usage,
        "deviations": meta.deviations,
    })
}
