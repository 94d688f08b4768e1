//! Failures for people and programs: a message, a hint, an exit code and a JSON form.

use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, io};

use anyhow::Error;
use openai_agents::agent::StateError;
use openai_agents::config::Config;
use openai_agents::error::error_chain;
use openai_agents::journal::JournalError;
use openai_agents::limits::LimitReached;
use openai_agents::mcp::McpError;
use openai_agents::model::{ModelError, Unreachable};
use openai_agents::session::SessionError;
use openai_agents::{ErrorKind, RunError, RunFailure};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::output::{self, StdoutError};
use crate::pause::Saved;
use crate::signal::Signal;

/// What went wrong, in the words of the library, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    pub(crate) status: Option<u16>,
    pub(crate) retry_after: Option<Duration>,
    /// Where the run is saved, if it can be resumed.
    pub(crate) saved: Option<Saved>,
    /// The state of the run as text, if it could not be saved anywhere.
    pub(crate) unsaved: Option<String>,
}

/// The command line asks for something that cannot be done.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

/// The server ended by an error.
#[derive(Debug)]
pub(crate) struct ServingFailed(pub(crate) &'static str);

/// A speech server failed.
#[derive(Debug)]
pub(crate) struct SpeechFailed {
    pub(crate) error: ModelError,
    pub(crate) hint: Option<String>,
}

/// A microphone or speaker that was open has failed.
#[cfg(feature = "microphone")]
#[derive(Debug)]
pub(crate) struct DeviceFailed {
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// The answer is there, but its file cannot be written.
#[derive(Debug)]
pub(crate) struct AnswerFileError {
    pub(crate) file: PathBuf,
    pub(crate) source: io::Error,
}

/// A signal ended the program.
#[derive(Debug)]
pub(crate) struct Ended(pub(crate) Signal);

/// Something is missing or cannot be used: a saved run, a session, a running server.
#[derive(Debug)]
pub(crate) struct Unusable {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// Judges an error before or outside a run.
    ///
    /// Nothing was done yet, so that the exit code is that of wrong usage, with the exceptions
    /// below.
    pub(crate) fn of(error: &Error) -> Self {
        if let Some(Ended(signal)) = error.downcast_ref() {
            return Self::ended(*signal);
        }
        if let Some(failed) = error.downcast_ref::<SpeechFailed>() {
            return Self::of_speech(failed);
        }
        #[cfg(feature = "microphone")]
        if let Some(failed) = error.downcast_ref::<DeviceFailed>() {
            return Self::of_device(failed);
        }
        // `anyhow` keeps the type of an error. Those with a kind keep theirs; every other one
        // counts as `Config`.
        let unusable = error.downcast_ref::<Unusable>();
        let kinds = [
            unusable.map(|unusable| unusable.kind),
            error.downcast_ref().map(StateError::kind),
            error.downcast_ref().map(SessionError::kind),
            error.downcast_ref().map(McpError::kind),
            error.downcast_ref().map(JournalError::kind),
        ];
        let kind = kinds.into_iter().flatten().next();
        Self {
            exit: match kind {
                _ if error.is::<StdoutError>()
                    || error.is::<ServingFailed>()
                    || error.is::<AnswerFileError>() =>
                {
                    Exit::Failed
                }
                Some(ErrorKind::BudgetExceeded) => Exit::Limit,
                _ => Exit::Usage,
            },
            kind: kind.unwrap_or(ErrorKind::Config),
            message: format!("{error:#}"),
            hint: unusable.and_then(|unusable| unusable.hint.clone()),
            status: None,
            retry_after: None,
            saved: None,
            unsaved: None,
        }
    }

    /// Judges an error of a speech server. If it could not be reached, nothing was done.
    pub(crate) fn of_speech(failed: &SpeechFailed) -> Self {
        let SpeechFailed { error, hint } = failed;
        let is_setting = error.is_unreachable() || error.kind() == ErrorKind::Config;
        Self {
            exit: if is_setting {
                Exit::Usage
            } else {
                Exit::Failed
            },
            kind: error.kind(),
            message: error.to_string(),
            hint: hint.clone(),
            status: error.status(),
            retry_after: error.retry_after(),
            saved: None,
            unsaved: None,
        }
    }

    /// Describes a device that failed while it was in use.
    #[cfg(feature = "microphone")]
    fn of_device(failed: &DeviceFailed) -> Self {
        Self {
            exit: Exit::Failed,
            kind: ErrorKind::Transport,
            message: failed.message.clone(),
            hint: Some(failed.hint.clone()),
            status: None,
            retry_after: None,
            saved: None,
            unsaved: None,
        }
    }

    /// Describes a recording without speech.
    pub(crate) fn nothing_heard(text: &str) -> Self {
        Self {
            exit: Exit::Failed,
            kind: ErrorKind::EmptyResponse,
            message: format!(
                "no speech was recognised in the recording (the server wrote {text:?})"
            ),
            hint: None,
            status: None,
            retry_after: None,
            saved: None,
            unsaved: None,
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
            // Nothing was done: the saved run or the agents are not what the run needs.
            ErrorKind::Config
            | ErrorKind::StateInvalid
            | ErrorKind::StateTampered
            | ErrorKind::AlreadyResumed => Exit::Usage,
            // Only before the first answer: a server that has answered and then fails is not a wrong setting.
            _ if unreachable && error.progress().responses.is_empty() => Exit::Usage,
            _ => Exit::Failed,
        };
        Self {
            exit,
            kind: error.kind(),
            message: message(error),
            hint: hint(error, config),
            status: error.status(),
            retry_after: error.retry_after(),
            saved: None,
            unsaved: None,
        }
    }

    /// Describes a run that a signal ended.
    pub(crate) fn ended(signal: Signal) -> Self {
        Self {
            exit: Exit::Ended(signal),
            kind: ErrorKind::Cancelled,
            message: signal.word().to_owned(),
            hint: None,
            status: None,
            retry_after: None,
            saved: None,
            unsaved: None,
        }
    }

    /// Describes an error after the run itself was done, such as a file that cannot be written.
    pub(crate) fn after_run(error: &Error) -> Self {
        Self {
            exit: Exit::Failed,
            ..Self::of(error)
        }
    }

    /// Describes the end of a session that had begun. Settings and usage were right, so that the
    /// exit code is not theirs.
    pub(crate) fn after_session(error: &Error) -> Self {
        let failure = Self::of(error);
        let exit = match failure.kind {
            ErrorKind::GuardrailTripped => Exit::Guardrail,
            _ if matches!(failure.exit, Exit::Ended(_)) => failure.exit,
            _ => Exit::Failed,
        };
        Self { exit, ..failure }
    }

    /// Describes an incomplete recording. The run itself continued.
    pub(crate) fn of_recording(error: &JournalError) -> Self {
        Self {
            exit: Exit::Failed,
            kind: error.kind(),
            message: format!("the recording is not complete: {}", error_chain(error)),
            hint: None,
            status: None,
            retry_after: None,
            saved: None,
            unsaved: None,
        }
    }

    /// Adds where the run is saved.
    pub(crate) fn saved_in(mut self, saved: Saved) -> Self {
        self.saved = Some(saved);
        self
    }

    /// Adds the state of a run that could not be saved anywhere.
    pub(crate) fn with_unsaved(mut self, state: Option<String>) -> Self {
        self.unsaved = state;
        self
    }

    /// Adds a hint.
    pub(crate) fn noting(mut self, note: String) -> Self {
        self.hint = Some(match self.hint {
            Some(hint) => format!("{hint}; {note}"),
            None => note,
        });
        self
    }

    /// Writes the failure to stderr, and gives the exit code.
    pub(crate) fn report(&self) -> Exit {
        match self.exit {
            Exit::Ended(_) => output::note(&self.message),
            _ => output::note(format_args!("error: {}", self.message)),
        }
        if let Some(hint) = &self.hint {
            output::note(format_args!("hint: {hint}"));
        }
        if let Some(state) = &self.unsaved {
            output::note("save the next line in a file to resume the run with --resume FILE:");
            output::note_json(state);
        }
        self.exit
    }

    /// The last line of `--json`.
    pub(crate) fn to_json(&self, agent: Option<&str>, turns: u32) -> Value {
        let mut line = result_line(&self.error_json(), agent, turns);
        if let (Some(saved), Some(line)) = (&self.saved, line.as_object_mut()) {
            line.insert(saved.key().to_owned(), json!(saved.name()));
        }
        if let (Some(state), Some(line)) = (&self.unsaved, line.as_object_mut()) {
            let state = serde_json::from_str(state).unwrap_or_else(|_| json!(state));
            line.insert("run_state".to_owned(), state);
        }
        line
    }

    /// The error in the last line of `--json`.
    pub(crate) fn error_json(&self) -> Value {
        json!({
            "kind": self.kind.as_str(),
            "message": self.message,
            "status": self.status,
            "retry_after": self.retry_after.map(|wait| wait.as_secs_f64()),
        })
    }
}

/// The last line of `--json` of a command that runs no agent.
pub(crate) fn failed_result(kind: ErrorKind, message: &str) -> Value {
    let error =
        json!({"kind": kind.as_str(), "message": message, "status": null, "retry_after": null});
    result_line(&error, None, 0)
}

fn result_line(error: &Value, agent: Option<&str>, turns: u32) -> Value {
    json!({ "type": "result", "ok": false, "error": error, "agent": agent, "turns": turns })
}

/// Returns the message for a run. An error of a model already has the words of the server; of a
/// journal or of the application, the cause matters.
fn message(error: &RunError) -> String {
    match error.failure() {
        RunFailure::Model(_) if error.journal_error().is_none() => error.to_string(),
        _ => error_chain(error),
    }
}

fn hint(error: &RunError, config: &Config) -> Option<String> {
    let file = config.file().display();
    // Errors of proxies and certificates already say what to do.
    let unreachable = error.model_error().and_then(ModelError::unreachable);
    if unreachable == Some(Unreachable::Server) {
        return Some(format!("is the server running? {}", base_url(config)));
    }
    if is_conflict(error) {
        return Some(
            "another run or program wrote to the session at the same time, and nothing of this run was kept in it; ask again"
                .to_owned(),
        );
    }
    match (error.kind(), error.status()) {
        (ErrorKind::MaxTurns, _) => Some(format!(
            "--max-turns, or `limits.max_turns` in {file}, allows more"
        )),
        (ErrorKind::BudgetExceeded, _) => Some(match error.failure() {
            RunFailure::Limit(LimitReached::Cost { .. }) => {
                format!("--max-cost, or `limits.max_cost` in {file}, allows more")
            }
            _ => format!("--timeout, or `limits` in {file}, allows more"),
        }),
        (_, Some(401 | 403)) => Some(key(config)),
        (_, Some(404)) => Some(format!("{}; {}", model(config), ending(config))),
        (ErrorKind::ContentType | ErrorKind::Redirect, _) => Some(ending(config)),
        _ => None,
    }
}

/// Says whether somebody else wrote to the session of a run.
pub(crate) fn is_conflict(error: &RunError) -> bool {
    error.kind() == ErrorKind::SessionConflict
}

/// Says what the base URL is, where it comes from, and where it can be set.
pub(crate) fn base_url(config: &Config) -> String {
    let is = config.setting("base_url").map_or_else(
        || "no base URL is set".to_owned(),
        |set| format!("the base URL is {}, from {}", set.value, set.origin),
    );
    let file = config.file().display();
    format!("{is}; it can be set by OPENAI_BASE_URL, `base_url` in {file}, or --base-url")
}

/// Says whether a key is set, where it comes from, and where it can be set.
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

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Unusable {}

impl fmt::Display for ServingFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Display for SpeechFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for SpeechFailed {}

#[cfg(feature = "microphone")]
impl fmt::Display for DeviceFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(feature = "microphone")]
impl std::error::Error for DeviceFailed {}

impl fmt::Display for AnswerFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write the answer to {}", self.file.display())
    }
}

impl std::error::Error for AnswerFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.word())
    }
}

impl std::error::Error for Ended {}
