//! A run for programs: one JSON object per line on stdout, the last of them the result.

use std::io::{self, Write};

use openai_agents::model::{Deviation, ResponseEnd};
use openai_agents::{ErrorKind, RunEvent, RunResult, Usage};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::pause::{Pause, Saved};
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
        match line_of(event) {
            Some(line) => self.line(&line),
            None => Ok(()),
        }
    }

    pub(super) fn done(&mut self, result: &RunResult, session: Option<&str>) -> io::Result<()> {
        self.line(&json!({
            "type": "result",
            "ok": true,
            "final_output": result.final_output(),
            "agent": result.last_agent().name(),
            "turns": result.turns(),
            "usage": usage(result.usage()),
            "deviations": result.deviations().map(deviation).collect::<Vec<_>>(),
            "session": session,
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

    pub(super) fn run_started(&mut self, id: &str) -> io::Result<()> {
        self.line(&json!({ "type": "run_started", "run": id }))
    }

    pub(super) fn paused(&mut self, pause: &Pause, agent: &str, turns: u32) -> io::Result<()> {
        self.line(&json!({
            "type": "result",
            "ok": false,
            "error": {
                "kind": ErrorKind::ApprovalRequired.as_str(),
                "message": pause.message(),
                "status": null,
                "retry_after": null,
            },
            "interruptions": pause.calls,
            "state": match &pause.saved {
                Saved::File(file) => Some(file.display().to_string()),
                Saved::Run(_) => None,
            },
            "run": match &pause.saved {
                Saved::Run(id) => Some(id),
                Saved::File(_) => None,
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

/// The line of an event; none for one that is told elsewhere, or that is newer than this program.
fn line_of(event: &RunEvent) -> Option<Value> {
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
        RunEvent::ResponseDone { end } => response(end),
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
        RunEvent::Nested { .. } => {
            let (path, inner) = event.unnested();
            let agent = innermost_agent(event);
            json!({"type": "nested", "path": path, "agent": agent, "event": line_of(inner)?})
        }
        // Its line is that of `done`.
        RunEvent::RunDone { .. } => return None,
        _ => return None,
    })
}

/// The agent that was called last on the way to an event.
fn innermost_agent(mut event: &RunEvent) -> Option<&str> {
    let mut innermost = None;
    while let RunEvent::Nested {
        agent,
        event: inner,
        ..
    } = event
    {
        innermost = Some(&**agent);
        event = inner;
    }
    innermost
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
