//! How the program ends.

use std::process::ExitCode;

/// The exit codes, the same for every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    /// The run failed after the server answered, or something else went wrong.
    Failed,
    /// Wrong usage or configuration, or a server that cannot be reached under it.
    Usage,
    /// A guardrail tripped.
    Guardrail,
    /// A limit was reached.
    Limit,
    /// Calls wait for approval; the run is saved.
    Approval,
    /// Ctrl-C.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Guardrail => 3,
            Exit::Limit => 4,
            Exit::Approval => 5,
            Exit::Interrupted => 130,
        })
    }
}
