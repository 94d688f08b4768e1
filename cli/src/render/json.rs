//! A run for programs: one JSON object per line on stdout, the last of them the result.

use std::io::{self, Write};

use openai_agents::model::{Deviation, ResponseEnd};
use openai_agents::{RunEvent, RunResult, Usage};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::sanitize::json_line;

/// Shows a run as lines of JSON.
pub(super) struct Json {
    out: Box<dyn Write>,
}

impl Json {
    pub(super) fn new(out: Box<dyn Write>) -> Self {
        Self { out }
    }

    pub(super) fn event(&mut self, event: &RunEvent) -> io::Result<()> {
        let line = match event {
            RunEvent::TurnStarted { turn, agent } => {
                json!({"type": "turn_started", "turn": turn, "agent": &**agent})
            }
            RunEvent::TextDelta { delta } => json!({"type": "text_delta", "delta": delta}),
            RunEvent::RefusalDelta { delta } => json!({"type": "refusal_delta", "delta": delta}),
            RunEvent::ReasoningDelta { delta } => {
                json!({"type": "reasoning_delta", "delta": delta})
            }
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
            RunEvent::ModelEvent { name, json } => {
                let event: Option<Value> = serde_json::from_str(json).ok();
                json!({"type": "model_event", "name": name, "event": event})
            }
            RunEvent::ResponseDone { end } => response(end),
            RunEvent::ToolOutputDone {
                call_id,
                name,
                output,
                failure,
            } => json!({
                "type": "tool_output", "call_id": call_id, "name": name, "output": output, "failure": failure,
            }),
            // Its line is that of `done`.
            RunEvent::RunDone { .. } => return Ok(()),
            // An event that is newer than this program.
            _ => return Ok(()),
        };
        self.line(&line)
    }

    pub(super) fn done(&mut self, result: &RunResult) -> io::Result<()> {
        self.line(&json!({
            "type": "result",
            "ok": true,
            "final_output": result.final_output(),
            "agent": result.last_agent().name(),
            "turns": result.turns(),
            "usage": usage(result.usage()),
            "deviations": result.deviations().map(deviation).collect::<Vec<_>>(),
            "session": null,
        }))
    }

    pub(super) fn failed(&mut self, failure: &Failure, agent: &str, turns: u32) -> io::Result<()> {
        self.line(&json!({
            "type": "result",
            "ok": false,
            "error": {
                "kind": failure.kind.as_str(),
                "message": failure.message,
                "status": failure.status,
                "retry_after": failure.retry_after.map(|wait| wait.as_secs_f64()),
            },
            "agent": agent,
            "turns": turns,
        }))
    }

    fn line(&mut self, value: &Value) -> io::Result<()> {
        writeln!(self.out, "{}", json_line(value))?;
        self.out.flush()
    }
}

fn response(end: &ResponseEnd) -> Value {
    json!({
        "type": "response_done",
        "response_id": end.response_id,
        "request_id": end.request_id,
        "model": end.model,
        "finish_reason": end.finish_reason,
        "usage": end.usage.map(usage),
        "deviations": end.deviations.iter().map(deviation).collect::<Vec<_>>(),
    })
}

fn usage(usage: Usage) -> Value {
    json!(usage)
}

fn deviation(deviation: &Deviation) -> Value {
    json!({"code": deviation.code, "detail": deviation.detail})
}
