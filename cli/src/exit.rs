//! How the program ends.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Error;
use openai_agents::config::ConfigError;

use crate::sanitize::sanitize;

/// The exit codes, the same for every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    Failed,
    /// Wrong usage or configuration.
    Usage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
        })
    }
}

/// Says on stderr what went wrong, with its causes, and how the program ends for it.
pub(crate) fn report(error: &Error) -> Exit {
    // Where stderr is closed there is nobody to tell.
    let _unheard = writeln!(io::stderr(), "error: {}", sanitize(&format!("{error:#}")));
    if error.downcast_ref::<ConfigError>().is_some() {
        Exit::Usage
    } else {
        Exit::Failed
    }
}
