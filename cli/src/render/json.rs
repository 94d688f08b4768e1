//! A run for programs: one JSON object per line on stdout, the last of them the result.

use std::io::{self, Write};

use openai_agents::{ErrorKind, RunEvent, RunResult};
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
        event.to_json().map_or(Ok(()), |line| self.line(&line))
    }

    pub(super) fn done(&mut self, result: &RunResult, session: Option<&str>) -> io::Result<()> {
        let mut line = result.to_json();
        if let Some(line) = line.as_object_mut() {
            line.insert("session".to_owned(), json!(session));
        }
        self.line(&line)
    }

    pub(super) fn failed(
        &mut self,
        failure: &Failure,
        agent: Option<&str>,
        turns: u32,
    ) -> io::Result<()> {
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

    pub(super) fn paused(
        &mut self,
        pause: &Pause,
        agent: Option<&str>,
        turns: u32,
    ) -> io::Result<()> {
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
