//! A failure as the program tells it: a message, a hint where one helps, and an exit code.

use std::fmt;
use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::Error;
use openai_agents::agent::StateError;
use openai_agents::config::{Config, ConfigError};
use openai_agents::journal::JournalError;
use openai_agents::mcp::McpError;
use openai_agents::session::{SessionError, SessionIdError};
use openai_agents::{ErrorKind, RunError, RunFailure};

use crate::exit::Exit;
use crate::sanitize::{one_line, sanitize};

/// What went wrong, in the words of the library, and what could be done about it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    pub(crate) status: Option<u16>,
    pub(crate) retry_after: Option<Duration>,
}

/// The command line asks for something that cannot be done.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

/// What was asked for is not there.
#[derive(Debug)]
pub(crate) struct Gone {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
}

/// The saved run cannot go on.
#[derive(Debug)]
pub(crate) struct Unusable {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// Judges an error that came before or outside a run.
    pub(crate) fn of(error: &Error) -> Self {
        let unusable = error.downcast_ref::<Unusable>();
        let state = error.downcast_ref::<StateError>();
        let kind = unusable
            .map(|unusable| unusable.kind)
            .or(state.map(StateError::kind));
        let is_usage = error.is::<ConfigError>()
            || error.is::<Usage>()
            || error.is::<SessionIdError>()
            || kind.is_some();
        let of_others = [
            error.downcast_ref().map(SessionError::kind),
            error.downcast_ref().map(McpError::kind),
            error.downcast_ref().map(JournalError::kind),
            error.downcast_ref().map(|gone: &Gone| gone.kind),
        ];
        let of_others = of_others.into_iter().flatten().next();
        Self {
            exit: if is_usage { Exit::Usage } else { Exit::Failed },
            kind: kind.or(of_others).unwrap_or(ErrorKind::Config),
            message: format!("{error:#}"),
            hint: unusable.and_then(|unusable| unusable.hint.clone()),
            status: None,
            retry_after: None,
        }
    }

    /// Judges the error of a run.
    pub(crate) fn of_run(error: &RunError, config: &Config) -> Self {
        let unreachable = error
            .model_error()
            .is_some_and(openai_agents::model::ModelError::is_unreachable);
        let exit = match error.kind() {
            ErrorKind::MaxTurns | ErrorKind::BudgetExceeded => Exit::Limit,
            ErrorKind::GuardrailTripped => Exit::Guardrail,
            // Nothing was done: the saved run, or the agents, are not such as are needed.
            ErrorKind::Config
            | ErrorKind::StateInvalid
            | ErrorKind::StateTampered
            | ErrorKind::AlreadyResumed => Exit::Usage,
            _ if unreachable => Exit::Usage,
            _ => Exit::Failed,
        };
        Self {
            exit,
            kind: error.kind(),
            message: message(error),
            hint: hint(error, unreachable, config),
            status: error.status(),
            retry_after: error.retry_after(),
        }
    }

    /// A run that was stopped by Ctrl-C.
    pub(crate) fn interrupted() -> Self {
        Self {
            exit: Exit::Interrupted,
            kind: ErrorKind::Cancelled,
            message: "interrupted".to_owned(),
            hint: None,
            status: None,
            retry_after: None,
        }
    }

    /// Adds something to know.
    pub(crate) fn noting(mut self, note: String) -> Self {
        self.hint = Some(match self.hint {
            Some(hint) => format!("{hint}; {note}"),
            None => note,
        });
        self
    }

    /// Says on stderr what went wrong, and how the program ends for it.
    pub(crate) fn report(&self) -> Exit {
        let label = if self.exit == Exit::Interrupted {
            ""
        } else {
            "error: "
        };
        let hint = self.hint.as_ref();
        let hint = hint.map_or_else(String::new, |hint| format!("hint: {}\n", one_line(hint)));
        let text = format!("{label}{}\n{hint}", sanitize(&self.message));
        // Where stderr is closed there is nobody to tell.
        let _unheard = io::stderr().write_all(text.as_bytes());
        self.exit
    }
}

/// A model error says all by itself; of what the application brought, the cause is what matters.
fn message(error: &RunError) -> String {
    let mut message = error.to_string();
    let mut cause = match error.failure() {
        RunFailure::Model(_) => None,
        _ => std::error::Error::source(error),
    };
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    message
}

fn hint(error: &RunError, unreachable: bool, config: &Config) -> Option<String> {
    let file = config.file().display();
    if unreachable {
        return Some(format!("is the server running? {}", base_url(config)));
    }
    if is_conflict(error) {
        return Some(
            "another run or program wrote to the session meanwhile, and what this run did since is not in it; ask again"
                .to_owned(),
        );
    }
    match (error.kind(), error.status()) {
        (ErrorKind::MaxTurns, _) => Some(format!(
            "--max-turns, or `limits.max_turns` in {file}, allows more"
        )),
        (ErrorKind::BudgetExceeded, _) => {
            Some(format!("--timeout, or `limits` in {file}, allows more"))
        }
        (_, Some(401 | 403)) => Some(key(config)),
        (_, Some(404)) => Some(format!("{}; {}", model(config), ending(config))),
        (ErrorKind::ContentType | ErrorKind::Redirect, _) => Some(ending(config)),
        _ => None,
    }
}

/// Whether someone else wrote to the session of a run.
pub(crate) fn is_conflict(error: &RunError) -> bool {
    matches!(
        error.failure(),
        RunFailure::Session {
            error: SessionError::Conflict { .. },
            ..
        }
    )
}

/// What the base URL is, who says so, and what else could.
pub(crate) fn base_url(config: &Config) -> String {
    let is = config.setting("base_url").map_or_else(
        || "no base URL is set".to_owned(),
        |set| format!("the base URL is {}, from {}", set.value, set.origin),
    );
    let file = config.file().display();
    format!("{is}; it can be set by OPENAI_BASE_URL, `base_url` in {file}, or --base-url")
}

/// Whether there is a key, who says so, and what else could.
pub(crate) fn key(config: &Config) -> String {
    let file = config.file().display();
    match config.setting("api_key") {
        Some(set) => format!(
            "the key is from {}; it can be set by OPENAI_API_KEY, or `api_key` in {file}",
            set.origin
        ),
        None => format!("no key is set: set OPENAI_API_KEY, or `api_key` in {file}"),
    }
}

fn ending(config: &Config) -> String {
    format!("{} (it usually ends in /v1)", base_url(config))
}

fn model(config: &Config) -> String {
    config.setting("model").map_or_else(
        || "no model is set".to_owned(),
        |set| format!("the model is {}, from {}", set.value, set.origin),
    )
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Gone {}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Unusable {}
