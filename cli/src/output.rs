//! The only file that opens stdout and stderr. It escapes every line and writes the last line of
//! `--json` once.
//!
//! Every line passes through [`Shown`], so that no command can forget it.

use std::fmt;
use std::io::{self, IsTerminal as _, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, PoisonError, RwLock};

use anyhow::Result;
use openai_agents::secret::Redactor;
use serde_json::Value;

use crate::escape::{Shown, answer, json_line, json_text};

/// Whether the `result` line of `--json` is still to be written.
static RESULT_IS_DUE: AtomicBool = AtomicBool::new(false);

/// The secrets to take out of all output.
static SECRETS: LazyLock<RwLock<Redactor>> = LazyLock::new(RwLock::default);

/// Keeps the secrets of a configuration out of everything that is written from here on.
pub(crate) fn keep_secret(of_config: &Redactor) {
    let mut secrets = SECRETS.write().unwrap_or_else(PoisonError::into_inner);
    // Added to those of before: after a reload, runs of the old configuration still use its keys.
    *secrets = Redactor::builder()
        .all_of(&secrets)
        .all_of(of_config)
        .build();
}

fn redactor() -> Redactor {
    SECRETS
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

/// Stdout cannot be written, for another reason than a reader that is gone.
#[derive(Debug)]
pub(crate) struct StdoutError(io::Error);

/// Writes a line to stderr. If stderr is closed, nobody sees it.
pub(crate) fn note(line: impl fmt::Display) {
    let line = format!("{}\n", Shown(&redactor().redact(&line.to_string())));
    // In one write, so that lines of other threads do not mix with it.
    let _unheard = io::stderr().write_all(line.as_bytes());
}

/// Writes a line of JSON to stderr; its meaning stays the same.
pub(crate) fn note_json(json: &str) {
    note(json_text(json));
}

/// Writes lines to stdout.
pub(crate) struct Lines {
    out: Box<dyn Write>,
}

impl Lines {
    pub(crate) fn stdout() -> Self {
        Self {
            out: Box::new(io::stdout()),
        }
    }

    /// Writes one line, whatever the text contains.
    pub(crate) fn text(&mut self, line: impl fmt::Display) -> io::Result<()> {
        self.write(&Shown(&redactor().redact(&line.to_string())).to_string())
    }

    /// Writes one line of JSON.
    pub(crate) fn json(&mut self, value: &Value) -> io::Result<()> {
        let line = json_line(value);
        let redactor = redactor();
        // A secret inside JSON may be escaped there. Redacting the value keeps the line valid JSON,
        // and is slower, so only if needed.
        if redactor.is_in(&line) {
            return self.write(&json_line(&redactor.redact_value(value.clone())));
        }
        self.write(&line)
    }

    /// Writes one line that is JSON already, as it is.
    pub(crate) fn stored_json(&mut self, json: &str) -> io::Result<()> {
        self.write(&json_text(&redactor().redact_json(json)))
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        self.out.write_all(format!("{line}\n").as_bytes())
    }
}

/// Makes the last line a `result`, because of `--json`.
pub(crate) fn expect_result() {
    RESULT_IS_DUE.store(true, Ordering::Relaxed);
}

/// Writes the last line of `--json`, unless it was written or nobody asked for it.
///
/// Every way to end the program calls this, and the first call counts: a signal, panic or error
/// after the result does not add a second one.
pub(crate) fn result(value: &Value) -> io::Result<()> {
    if !RESULT_IS_DUE.swap(false, Ordering::Relaxed) {
        return Ok(());
    }
    Lines::stdout().json(value)
}

/// Says whether stdout still has a reader. A closed pipe is not a failure: `openai-agents run ... |
/// head -1` is fine.
pub(crate) fn is_read(written: io::Result<()>) -> Result<bool> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(StdoutError(error).into()),
    }
}

/// The outputs that a run is shown on.
pub(crate) struct Output {
    pub(crate) out: Box<dyn Write>,
    pub(crate) err: Box<dyn Write>,
    pub(crate) out_is_terminal: bool,
    pub(crate) err_is_styled: bool,
}

impl Output {
    pub(crate) fn of_process() -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            out: Box::new(WithoutSecrets(io::stdout())),
            err: Box::new(WithoutSecrets(io::stderr())),
            out_is_terminal: io::stdout().is_terminal(),
            err_is_styled: io::stderr().is_terminal() && !no_color,
        }
    }

    /// Writes a piece of text that appears at once.
    pub(crate) fn words(&mut self, text: &str) -> io::Result<()> {
        let shown = if self.out_is_terminal {
            answer(text)
        } else {
            text.into()
        };
        self.out.write_all(shown.as_bytes())?;
        self.out.flush()
    }
}

/// Writes text without secrets. A secret that is split over two writes was taken out before, where
/// it came from.
struct WithoutSecrets<W>(W);

impl<W: Write> Write for WithoutSecrets<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.0.write_all(redactor().redact(text).as_bytes()),
            Err(_) => self.0.write_all(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl fmt::Display for StdoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot write to stdout")
    }
}

impl std::error::Error for StdoutError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}
