//! What a run looks like: as text for people, or as lines of JSON for programs.

mod json;
mod text;

use std::io::{self, IsTerminal as _, Write};

use anyhow::{Context as _, Result};
use openai_agents::{RunEvent, RunProgress, RunResult};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::pause::Pause;
use json::Json;
use text::Text;

/// Shows one run, and knows how far it came.
pub(crate) struct Renderer {
    form: Form,
    /// The agent at work; `None` until it is known.
    agent: Option<String>,
    turns: u32,
    session: Option<String>,
}

enum Form {
    Text(Text),
    Json(Json),
}

/// Where a run is shown.
struct Output {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    out_is_terminal: bool,
    err_is_styled: bool,
}

impl Renderer {
    pub(crate) fn new(json: bool, agent: Option<&str>) -> Self {
        let output = Output::of_process();
        Self {
            form: if json {
                Form::Json(Json::new(output.out))
            } else {
                Form::Text(Text::new(output))
            },
            agent: agent.map(str::to_owned),
            turns: 0,
            session: None,
        }
    }

    /// Notes the session of the run.
    pub(crate) fn in_session(&mut self, id: &str) {
        self.session = Some(id.to_owned());
    }

    /// Says under what id the run is kept.
    pub(crate) fn durable(&mut self, id: &str) -> Result<()> {
        let written = match &mut self.form {
            // Where stderr is closed there is nobody to tell.
            Form::Text(_) => {
                let _unheard = writeln!(io::stderr(), "run {id}");
                Ok(())
            }
            Form::Json(json) => json.run_started(id),
        };
        is_read(written).map(drop)
    }

    /// Notes how far a run came.
    pub(crate) fn reached(&mut self, progress: &RunProgress) {
        self.is_at(progress.last_agent.name(), progress.turns);
    }

    /// Notes where a run stands.
    pub(crate) fn is_at(&mut self, agent: &str, turns: u32) {
        self.agent = Some(agent.to_owned());
        self.turns = turns;
    }

    /// Shows an event; gives how the program ends if nobody reads any more.
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

    /// Shows how the run ended well.
    pub(crate) fn done(&mut self, result: &RunResult) -> Result<Exit> {
        is_read(match &mut self.form {
            Form::Text(text) => text.done(result.final_output()),
            Form::Json(json) => json.done(result, self.session.as_deref()),
        })?;
        Ok(Exit::Done)
    }

    /// Shows that it waits for approval, and says so on stderr.
    pub(crate) fn paused(&mut self, pause: &Pause) -> Result<Exit> {
        let written = match &mut self.form {
            Form::Text(text) => text.end_line(),
            Form::Json(json) => json.paused(pause, self.agent.as_deref(), self.turns),
        };
        // Where stderr is closed there is nobody to tell.
        let _unheard = io::stderr().write_all(pause.text().as_bytes());
        is_read(written)?;
        Ok(Exit::Approval)
    }

    /// Shows how it failed, and says so on stderr.
    pub(crate) fn failed(&mut self, failure: &Failure) -> Result<Exit> {
        let written = match &mut self.form {
            Form::Text(text) if failure.exit == Exit::Interrupted => text.interrupted(),
            Form::Text(text) => text.end_line(),
            Form::Json(json) => json.failed(failure, self.agent.as_deref(), self.turns),
        };
        let exit = failure.report();
        is_read(written)?;
        Ok(exit)
    }
}

impl Output {
    fn of_process() -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            out_is_terminal: io::stdout().is_terminal(),
            err_is_styled: io::stderr().is_terminal() && !no_color,
        }
    }
}

/// A closed pipe is an end and not a failure: `openai-agents run ... | head -1` is fine.
fn is_read(written: io::Result<()>) -> Result<bool> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        other => other.map(|()| true).context("cannot write to stdout"),
    }
}
