//! Shows a run: as text for people, or as lines of JSON for programs.

mod json;
mod text;
pub(crate) mod tree;
pub(crate) mod usage;

use anyhow::Result;
use openai_agents::error::RunProgress;
use openai_agents::{RunEvent, RunResult};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{self, Output, is_read};
use crate::pause::Pause;
use json::JsonRenderer;
use text::TextRenderer;

/// Shows one run, and knows how far it got.
pub(crate) struct Renderer {
    form: Form,
    /// The current agent; `None` until it is known.
    agent: Option<String>,
    turns: u32,
    session: Option<String>,
}

enum Form {
    Text(TextRenderer),
    Json(JsonRenderer),
}

impl Renderer {
    pub(crate) fn new(json: bool, agent: Option<&str>) -> Self {
        Self {
            form: if json {
                Form::Json(JsonRenderer::new())
            } else {
                Form::Text(TextRenderer::new(Output::of_process()))
            },
            agent: agent.map(str::to_owned),
            turns: 0,
            session: None,
        }
    }

    /// Sets the session of the run, for the result.
    pub(crate) fn in_session(&mut self, id: &str) {
        self.session = Some(id.to_owned());
    }

    /// Shows the id under which the run is kept.
    pub(crate) fn durable(&mut self, id: &str) -> Result<()> {
        let written = match &mut self.form {
            Form::Text(_) => {
                output::note(format_args!("run {id}"));
                Ok(())
            }
            Form::Json(json) => json.run_started(id),
        };
        is_read(written).map(drop)
    }

    /// Sets how far a run got.
    pub(crate) fn reached(&mut self, progress: &RunProgress) {
        self.is_at(progress.last_agent.name(), progress.turns);
    }

    /// Sets the current agent and turn.
    pub(crate) fn is_at(&mut self, agent: &str, turns: u32) {
        self.agent = Some(agent.to_owned());
        self.turns = turns;
    }

    /// Shows an event. Gives the exit code if the reader of stdout is gone.
    pub(crate) fn event(&mut self, event: &RunEvent) -> Result<Option<Exit>> {
        if let RunEvent::TurnStarted { turn, agent } = event {
            self.is_at(agent, *turn);
        }
        let written = match &mut self.form {
            Form::Text(text) => text.event(event),
            Form::Json(json) => json.event(event),
        };
        is_read(written).map(|is_read| if is_read { None } else { Some(Exit::Done) })
    }

    /// Shows the answer, and reports what failed beside it.
    pub(crate) fn done(&mut self, result: &RunResult, failure: Option<&Failure>) -> Result<Exit> {
        let written = match &mut self.form {
            Form::Text(text) => text.done(result.final_output()),
            Form::Json(_) => JsonRenderer::done(result, self.session.as_deref(), failure),
        };
        // Reported before an error of stdout is returned, which would hide it.
        let exit = failure.map_or(Exit::Done, Failure::report);
        is_read(written)?;
        Ok(exit)
    }

    /// Shows that the run waits for approval.
    pub(crate) fn paused(&mut self, pause: &Pause) -> Result<Exit> {
        let written = match &mut self.form {
            Form::Text(text) => text.end_line(),
            Form::Json(_) => JsonRenderer::paused(pause, self.agent.as_deref(), self.turns),
        };
        pause.lines().iter().for_each(output::note);
        is_read(written)?;
        Ok(Exit::Approval)
    }

    /// Ends an open line on stdout.
    pub(crate) fn end_line(&mut self) -> Result<()> {
        let written = match &mut self.form {
            Form::Text(text) => text.end_line(),
            Form::Json(_) => Ok(()),
        };
        is_read(written).map(drop)
    }

    /// Shows that the user stopped the answer.
    pub(crate) fn stopped(&mut self) {
        if let Form::Text(text) = &mut self.form {
            // If stdout cannot be written, the next answer reports it.
            drop(text.interrupted());
        }
        output::note("stopped");
    }

    /// Shows a failure, and gives the exit code.
    pub(crate) fn failed(&mut self, failure: &Failure) -> Exit {
        let written = match &mut self.form {
            Form::Text(text) if matches!(failure.exit, Exit::Ended(_)) => text.interrupted(),
            Form::Text(text) => text.end_line(),
            Form::Json(_) => JsonRenderer::failed(failure, self.agent.as_deref(), self.turns),
        };
        // The exit code is that of the failure, even if stdout cannot be written either.
        drop(written);
        failure.report()
    }
}
