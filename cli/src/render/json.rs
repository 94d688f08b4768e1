//! Shows a run to programs: one JSON object per line on stdout, the last one the result.

use std::io;

use openai_agents::{ErrorKind, RunEvent, RunResult};
use serde_json::json;

use crate::failure::Failure;
use crate::output::{self, Lines};
use crate::pause::{Pause, Saved};

/// Shows a run as lines of JSON.
pub(super) struct JsonRenderer {
    out: Lines,
}

impl JsonRenderer {
    pub(super) fn new() -> Self {
        Self {
            out: Lines::stdout(),
        }
    }

    pub(super) fn event(&mut self, event: &RunEvent) -> io::Result<()> {
        event.to_json().map_or(Ok(()), |line| self.out.json(&line))
    }

    /// Writes the answer. A failure beside it makes the result not `ok`, and the answer stays in
    /// it.
    pub(super) fn done(
        result: &RunResult,
        session: Option<&str>,
        failure: Option<&Failure>,
    ) -> io::Result<()> {
        let mut line = result.to_json();
        if let Some(line) = line.as_object_mut() {
            line.insert("session".to_owned(), json!(session));
            if let Some(failure) = failure {
                line.insert("ok".to_owned(), json!(false));
                line.insert("error".to_owned(), failure.error_json());
            }
        }
        output::result(&line)
    }

    pub(super) fn failed(failure: &Failure, agent: Option<&str>, turns: u32) -> io::Result<()> {
        output::result(&failure.to_json(agent, turns))
    }

    pub(super) fn run_started(&mut self, id: &str) -> io::Result<()> {
        self.out.json(&json!({ "type": "run_started", "run": id }))
    }

    pub(super) fn paused(pause: &Pause, agent: Option<&str>, turns: u32) -> io::Result<()> {
        output::result(&json!({
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
}
