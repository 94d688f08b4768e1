//! What can go wrong with a journal.

use crate::future::BoxError;
use crate::kind::ErrorKind;
use crate::model::ModelError;
use crate::session::{SessionError, SessionId};
use crate::tools::{ToolError, ToolName};

/// Says why a journal could not keep or give back an outcome.
///
/// `store` names the place, a path. A run whose journal fails ends by the error of the effect that could not pass, whose source this
/// is; [`RunError::journal_error`](crate::RunError::journal_error) finds it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The journal cannot be reached, or was busy for longer than is waited.
    ///
    /// Nothing was changed.
    #[error("the journal {store} cannot be reached")]
    Unavailable {
        /// The journal.
        store: String,
        /// What the system said.
        source: BoxError,
    },
    /// There is no room left; nothing was changed.
    #[error("the journal {store} is full")]
    Full {
        /// The journal.
        store: String,
        /// What the system said.
        source: BoxError,
    },
    /// The journal can be read and not written; nothing was changed.
    #[error("the journal {store} is read-only")]
    ReadOnly {
        /// The journal.
        store: String,
        /// What the system said.
        source: BoxError,
    },
    /// The journal refused; nothing was changed.
    #[error("the journal {store} refused")]
    Refused {
        /// The journal.
        store: String,
        /// What the system said.
        source: BoxError,
    },
    /// What is kept cannot be read.
    #[error("the journal {store}: {place} cannot be read")]
    Corrupt {
        /// The journal.
        store: String,
        /// Where it is.
        place: String,
        /// What is wrong with it.
        source: BoxError,
    },
    /// A newer version of this library wrote the journal.
    #[error("the journal {store} has the format {found}, this version knows up to {known}")]
    Newer {
        /// The journal.
        store: String,
        /// The format of the journal.
        found: u32,
        /// The newest format that is known here.
        known: u32,
    },
    /// The journal was closed while this waited; nothing was changed.
    #[error("the journal {store} is closed")]
    Closed {
        /// The journal.
        store: String,
    },
    /// The journal has no such run.
    #[error("the journal {store} has no run `{run}`")]
    NoRun {
        /// The journal.
        store: String,
        /// The run.
        run: String,
    },
    /// Somebody else continues the run since; nothing more of it happens here.
    #[error("the run `{run}` is continued elsewhere")]
    TakenOver {
        /// The run.
        run: String,
    },
    /// What is asked is not what was asked when the outcome was kept.
    ///
    /// So the outcome is no answer.
    ///
    /// The program, its prompts or its tools are not those that the run began with. It can be begun anew, or continued with them.
    #[error("the remembered outcome of {effect} is for another request: {parts} changed")]
    Changed {
        /// The effect.
        effect: String,
        /// What is not the same, such as `instructions, tools`.
        parts: String,
    },
    /// The recording has no outcome for an effect, and nothing is done beside it.
    #[error("the recording has no outcome of {effect}")]
    NotRecorded {
        /// The effect.
        effect: String,
    },
}

impl JournalError {
    /// Returns the stable kind.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Unavailable { .. }
            | Self::Full { .. }
            | Self::ReadOnly { .. }
            | Self::Refused { .. }
            | Self::Closed { .. } => ErrorKind::Journal,
            Self::Corrupt { .. } | Self::Newer { .. } | Self::NoRun { .. } => {
                ErrorKind::StateInvalid
            }
            Self::TakenOver { .. } => ErrorKind::AlreadyResumed,
            Self::Changed { .. } | Self::NotRecorded { .. } => ErrorKind::Inconsistent,
        }
    }

    pub(super) fn of_tool(self, tool: ToolName) -> ToolError {
        ToolError::NotJournaled {
            tool,
            kind: self.kind(),
            source: Box::new(self),
        }
    }

    pub(super) fn of_session(self, session: SessionId) -> SessionError {
        SessionError::NotJournaled {
            session,
            kind: self.kind(),
            source: Box::new(self),
        }
    }
}

impl From<JournalError> for ModelError {
    fn from(error: JournalError) -> Self {
        Self::new(error.kind(), "the journal could not record the model call").with_source(error)
    }
}
