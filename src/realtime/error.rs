//! What can be wrong with an agent or a session of the realtime API.

use crate::future::BoxError;
use crate::kind::ErrorKind;
use crate::model::ModelError;
use crate::tools::ToolDefinitionError;

/// Says why a realtime session could not begin, or did not do as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RealtimeError {
    /// A tool cannot be offered to the model.
    #[error("{source}")]
    Tool {
        /// What is wrong with it.
        source: ToolDefinitionError,
    },
    /// A handoff names an agent that is not there.
    #[error("agent `{from}` hands off to `{to}`, which is not among the agents of this session ({})", .known.join(", "))]
    UnknownAgent {
        /// The agent with the handoff.
        from: String,
        /// The name that was not found.
        to: String,
        /// The agents that there are.
        known: Vec<String>,
    },
    /// Two agents that are not the same have one name.
    #[error("two different agents of this session are named `{name}`")]
    SameName {
        /// The name.
        name: String,
    },
    /// The instructions of an agent could not be computed.
    #[error("the instructions of agent `{agent}` could not be computed")]
    Instructions {
        /// The agent.
        agent: String,
        /// Why.
        source: BoxError,
    },
    /// The connection could not be made.
    #[error("{0}")]
    Connect(ModelError),
    /// There is no audio to commit; the server would answer with an error.
    #[error("there is no audio to commit")]
    NoAudio,
    /// The audio of a telephone call comes from the telephone.
    #[error("audio cannot be sent into a telephone call")]
    AudioInCall,
    /// An item is larger than an event may be.
    #[error("an item of {n_bytes} bytes cannot be sent, at most {max_bytes} bytes")]
    TooLarge {
        /// The size of the item.
        n_bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// No call of this id waits for a decision.
    #[error("no call `{call_id}` waits for an approval")]
    NoSuchCall {
        /// The id.
        call_id: String,
    },
    /// The session is over.
    #[error("the session is over")]
    Ended,
}

impl RealtimeError {
    /// Returns the stable kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Tool { .. } | Self::UnknownAgent { .. } | Self::SameName { .. } => {
                ErrorKind::Config
            }
            Self::Instructions { .. } => ErrorKind::CallbackFailed,
            Self::Connect(error) => error.kind(),
            Self::NoAudio | Self::AudioInCall | Self::NoSuchCall { .. } => ErrorKind::Unsupported,
            Self::TooLarge { .. } => ErrorKind::LimitExceeded,
            Self::Ended => ErrorKind::Cancelled,
        }
    }
}

impl From<ToolDefinitionError> for RealtimeError {
    fn from(source: ToolDefinitionError) -> Self {
        Self::Tool { source }
    }
}
