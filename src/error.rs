//! Why a run failed, and how far it came.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::agent::{Agent, OutputError};
use crate::item::{Item, ItemKind};
use crate::kind::ErrorKind;
use crate::limits::LimitReached;
use crate::model::{Deviation, ModelError, ResponseEnd};
use crate::tools::ToolError;
use crate::usage::Usage;

/// A run that failed, with everything that was done before.
///
/// `Display` says what failed; the reason of the reason is its `source`.
pub struct RunError(Box<(RunFailure, RunProgress)>);

/// What made a run fail.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunFailure {
    /// The model call failed.
    #[error("{0}")]
    Model(ModelError),
    /// A limit was reached.
    #[error("{0}")]
    Limit(LimitReached),
    /// The model called a tool that the agent does not have.
    #[error("the model called the tool `{tool}`, which agent `{agent}` does not have (it has: {})", list(.known))]
    UnknownTool {
        /// The tool that was called.
        tool: String,
        /// The agent.
        agent: String,
        /// The tools that it has.
        known: Vec<String>,
    },
    /// The model called a tool that is disabled.
    #[error("the model called the tool `{tool}` of agent `{agent}`, which is disabled")]
    DisabledTool {
        /// The tool that was called.
        tool: String,
        /// The agent.
        agent: String,
    },
    /// A tool call waits for an approval that nobody here gives.
    #[error(
        "the call of `{tool}` by agent `{agent}` needs an approval, and nobody is set to give it"
    )]
    ApprovalRequired {
        /// The tool.
        tool: String,
        /// The agent.
        agent: String,
    },
    /// A tool failed in a way that ends the run.
    #[error("{0}")]
    Tool(ToolError),
    /// The model refused.
    #[error("the model refused: {refusal}")]
    Refusal {
        /// Its words.
        refusal: String,
    },
    /// The final output is not of the agent's output type.
    #[error("agent `{agent}`: {error}")]
    InvalidOutput {
        /// The agent.
        agent: String,
        /// What is wrong with it.
        error: OutputError,
        /// The text as the model wrote it.
        text: String,
    },
    /// The model's answer has neither text nor anything to do.
    #[error("the model's answer holds neither text nor a tool call")]
    EmptyResponse,
}

/// What a run has done.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunProgress {
    /// The input.
    pub input: Vec<Item>,
    /// The items that the run added, in order; every tool call among them has its output.
    pub items: Vec<Item>,
    /// What the servers said beside the items, one for each model response.
    pub responses: Vec<ResponseEnd>,
    /// What the model calls cost.
    pub usage: Usage,
    /// The turns begun.
    pub turns: u32,
    /// The agent that was last at work.
    pub last_agent: Agent,
}

impl RunError {
    pub(crate) fn new(failure: RunFailure, mut progress: RunProgress) -> Self {
        progress.drop_open_calls();
        Self(Box::new((failure, progress)))
    }

    /// Says what went wrong, by a stable name.
    pub fn kind(&self) -> ErrorKind {
        self.0.0.kind()
    }

    /// Gives the failure with its data.
    pub fn failure(&self) -> &RunFailure {
        &self.0.0
    }

    /// Gives what was done before.
    pub fn progress(&self) -> &RunProgress {
        &self.0.1
    }

    /// Gives the model's error, if a model call failed.
    pub fn model_error(&self) -> Option<&ModelError> {
        match self.failure() {
            RunFailure::Model(error) => Some(error),
            _ => None,
        }
    }

    /// Gives the status of the HTTP response, if an error status was the reason.
    pub fn status(&self) -> Option<u16> {
        self.model_error().and_then(ModelError::status)
    }

    /// Says how long the server asks to wait before another try.
    pub fn retry_after(&self) -> Option<Duration> {
        self.model_error().and_then(ModelError::retry_after)
    }
}

impl RunFailure {
    /// Says what went wrong, by a stable name.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Model(error) => error.kind(),
            Self::Limit(LimitReached::Turns { .. }) => ErrorKind::MaxTurns,
            Self::Limit(_) => ErrorKind::BudgetExceeded,
            Self::UnknownTool { .. } => ErrorKind::UnknownTool,
            Self::DisabledTool { .. } => ErrorKind::DisabledTool,
            Self::ApprovalRequired { .. } => ErrorKind::ApprovalRequired,
            Self::Tool(error) => error.kind(),
            Self::Refusal { .. } => ErrorKind::Refusal,
            Self::InvalidOutput { .. } => ErrorKind::InvalidOutput,
            Self::EmptyResponse => ErrorKind::EmptyResponse,
        }
    }
}

impl RunProgress {
    /// Gives what servers did differently from the protocol and was tolerated.
    pub fn deviations(&self) -> impl Iterator<Item = &Deviation> {
        self.responses
            .iter()
            .flat_map(|response| &response.deviations)
    }

    /// Leaves out calls that have no output.
    pub(crate) fn drop_open_calls(&mut self) {
        // By place, not by id alone: a server may give the id of an earlier call again.
        let mut waiting: HashMap<&str, usize> = HashMap::new();
        let mut open: HashSet<usize> = HashSet::new();
        for (n, item) in self.items.iter().enumerate() {
            match item.kind() {
                ItemKind::FunctionCall(call) => open.extend(waiting.insert(&call.call_id, n)),
                ItemKind::FunctionCallOutput(output) => drop(waiting.remove(&*output.call_id)),
                _ => {}
            }
        }
        open.extend(waiting.into_values());
        let mut n_seen = 0..;
        self.items
            .retain(|_| n_seen.next().is_none_or(|n| !open.contains(&n)));
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.0.fmt(f)
    }
}

impl fmt::Debug for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunError")
            .field("failure", &self.0.0)
            .field("progress", &self.0.1)
            .finish()
    }
}

impl Error for RunError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self.failure() {
            RunFailure::Model(error) => error.source(),
            RunFailure::Tool(error) => error.source(),
            _ => None,
        }
    }
}
