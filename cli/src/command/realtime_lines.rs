//! The lines of `realtime --json`.

use openai_agents::realtime::RealtimeEvent;
use serde_json::{Value, json};

/// Returns the line for an event, if it has one.
pub(super) fn event_line(event: &RealtimeEvent) -> Option<Value> {
    Some(match event {
        RealtimeEvent::TextDelta { delta, .. } => json!({ "type": "text_delta", "delta": delta }),
        RealtimeEvent::UserTranscriptDone { transcript, .. } => {
            json!({ "type": "user_transcript", "text": transcript })
        }
        RealtimeEvent::ToolCalled {
            agent,
            tool,
            call_id,
            arguments,
        } => {
            json!({ "type": "tool_called", "agent": agent, "name": tool, "call_id": call_id, "arguments": arguments })
        }
        RealtimeEvent::ToolEnded {
            tool,
            call_id,
            output,
            failure,
        } => json!({
            "type": "tool_output", "name": tool, "call_id": call_id, "output": output,
            "failure": failure.as_ref().map(|failure| failure.message.as_str()),
        }),
        RealtimeEvent::HandedOff { from, to } => {
            json!({ "type": "handoff_occurred", "from": from, "to": to })
        }
        RealtimeEvent::GuardrailTripped { result, .. } => {
            json!({ "type": "guardrail_tripped", "guardrail": result.guardrail, "info": result.info })
        }
        RealtimeEvent::Interrupted { by, .. } => {
            json!({ "type": "interrupted", "by": by.as_str() })
        }
        RealtimeEvent::ResponseDone {
            status,
            reason,
            usage,
            ..
        } => {
            json!({ "type": "response_done", "status": status.as_str(), "reason": reason, "usage": usage })
        }
        RealtimeEvent::ServerError { error } => {
            json!({ "type": "server_error", "message": error.message, "code": error.code })
        }
        RealtimeEvent::Deviation { deviation } => {
            json!({ "type": "deviation", "code": deviation.code, "detail": deviation.detail })
        }
        RealtimeEvent::Other { name, .. } => json!({ "type": "model_event", "name": name }),
        _ => return None,
    })
}
