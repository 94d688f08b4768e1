//! One error for all that a program with agents does.

use std::error::Error as StdError;
use std::fmt;

use super::{RunError, SetupError};
use crate::agent::{AgentError, OutputError, StateError};
use crate::context::MissingState;
use crate::error_chain::error_chain;
use crate::future::BoxError;
#[cfg(feature = "http")]
use crate::http::HttpError;
use crate::item::ItemError;
use crate::journal::JournalError;
use crate::kind::ErrorKind;
use crate::model::ModelError;
use crate::schema::SchemaError;
use crate::session::{SessionError, SessionIdError};
use crate::tools::{
    ToolDefinitionError, ToolError, ToolNameError, ToolOutputError, ToolSourceError,
};

/// Any error of this crate.
///
/// Every other error type of the crate converts into it with `?`.
///
/// Its `Debug`, which a `main` that fails prints, is one readable text: the kind, the message and the causes.
///
/// ```
/// use openai_agents::session::{MemorySession, SessionId};
/// use openai_agents::testing::ScriptedModel;
/// use openai_agents::{Agent, Error, Runner};
///
/// async fn greet(user: &str) -> Result<String, Error> {
///     let agent = Agent::builder("Guide").build()?;
///     let session = MemorySession::new(SessionId::new(user)?);
///     let result = Runner::new(ScriptedModel::text("Hello.")).run(&agent, "Hi").session(&session).await?;
///     Ok(result.into_final_output())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// assert_eq!(greet("alice").await?, "Hello.");
/// let error = greet("").await.unwrap_err();
/// assert_eq!(error.kind().as_str(), "config");
/// # Ok(())
/// # }
/// ```
pub struct Error {
    kind: ErrorKind,
    error: BoxError,
}

impl Error {
    /// Wraps an error of this crate, or one of your own, under a kind.
    pub fn new(kind: ErrorKind, error: impl Into<BoxError>) -> Self {
        let error = error.into();
        Self { kind, error }
    }

    /// Says what went wrong, by a stable name.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the error that was wrapped, if it is of this type.
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        self.error.downcast_ref()
    }

    /// Returns the run's error, if it was a run that failed.
    pub fn run_error(&self) -> Option<&RunError> {
        self.downcast_ref()
    }
}

macro_rules! from {
    ($($error:ty => $kind:expr,)+) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                let kind: fn(&$error) -> ErrorKind = $kind;
                Self::new(kind(&error), error)
            }
        }
    )+};
}

from! {
    RunError => RunError::kind,
    ModelError => ModelError::kind,
    SessionError => |error| error.kind(),
    JournalError => |error| error.kind(),
    StateError => |error| error.kind(),
    ToolError => |error| error.kind(),
    ToolSourceError => |error| error.kind(),
    OutputError => |_| ErrorKind::InvalidOutput,
    ToolOutputError => |_| ErrorKind::ToolFailed,
    ItemError => |_| ErrorKind::InvalidJson,
    AgentError => |_| ErrorKind::Config,
    SetupError => |_| ErrorKind::Config,
    MissingState => |_| ErrorKind::Config,
    SchemaError => |_| ErrorKind::Config,
    SessionIdError => |_| ErrorKind::Config,
    ToolDefinitionError => |_| ErrorKind::Config,
    ToolNameError => |_| ErrorKind::Config,
}

#[cfg(feature = "http")]
from! { HttpError => |error| error.kind(), }

/// Prints what the wrapped error prints.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, error_chain(&*self.error))
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.source()
    }
}
