//! The exit codes of the program.

use std::process::ExitCode;

use crate::signal::Signal;

/// The exit codes, the same for every command. docs/exit-codes.md lists what leads to which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    /// The run failed after the server answered, or an output cannot be written.
    Failed,
    /// Nothing was done: the usage or settings are wrong, or something that is needed is missing, such as the server.
    Usage,
    /// A guardrail tripped.
    Guardrail,
    /// A limit was reached.
    Limit,
    /// Calls wait for approval; the run is saved.
    Approval,
    /// A signal ended the program.
    Ended(Signal),
}

impl Exit {
    /// Returns the exit code. After a signal it is 128 and its number, as shells report it.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Guardrail => 3,
            Self::Limit => 4,
            Self::Approval => 5,
            Self::Ended(Signal::Hangup) => 129,
            Self::Ended(Signal::Interrupt) => 130,
            Self::Ended(Signal::Terminate) => 143,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
