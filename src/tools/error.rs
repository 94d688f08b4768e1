//! What can go wrong when a tool is defined or called.

use std::time::Duration;

use serde_json::Value;

use super::{ToolName, ToolNameError, ToolSpec};
use crate::context::MissingState;
use crate::future::BoxError;
use crate::kind::ErrorKind;
use crate::schema::SchemaError;

/// Says why a tool call produced no output.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolError {
    /// The arguments that the model wrote do not fit the tool, which was not called.
    #[error("bad arguments for tool `{tool}`: {detail}")]
    BadArguments {
        /// The tool.
        tool: ToolName,
        /// Which field is wrong and how, in words that help a model to correct it.
        detail: String,
    },
    /// The tool returned an error.
    #[error("tool `{tool}` failed")]
    Failed {
        /// The tool.
        tool: ToolName,
        /// The tool's own error.
        source: BoxError,
    },
    /// The tool panicked; the panic was caught and harms nothing else.
    #[error("tool `{tool}` panicked: {message}")]
    Panicked {
        /// The tool.
        tool: ToolName,
        /// The panic's message.
        message: String,
    },
    /// The tool took longer than its time-out.
    #[error("tool `{tool}` timed out after {after:?}")]
    TimedOut {
        /// The tool.
        tool: ToolName,
        /// The time-out.
        after: Duration,
    },
    /// The tool's output is larger than its limit.
    #[error("the output of tool `{tool}` has {n_bytes} bytes, at most {max_bytes} are allowed")]
    OutputTooLarge {
        /// The tool.
        tool: ToolName,
        /// The size of the output.
        n_bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// A guardrail of the tool ends the run.
    #[error("the guardrail `{guardrail}` of tool `{tool}` tripped: {info}")]
    GuardrailTripped {
        /// The tool.
        tool: ToolName,
        /// The guardrail.
        guardrail: String,
        /// Whether it looked at the output, and not at the arguments.
        is_output: bool,
        /// Why.
        info: Value,
    },
    /// The tool needs application state that the run was not given.
    ///
    /// It ends the run, whatever the tool's options say.
    #[error("tool `{tool}` needs the state of type `{}`, which was not given: give it by `.state(..)` of the runner or the run", .missing.type_name())]
    MissingState {
        /// The tool.
        tool: ToolName,
        /// Which state.
        missing: MissingState,
    },
    /// The tool is disabled for the run.
    #[error("tool `{tool}` is disabled")]
    Disabled {
        /// The tool.
        tool: ToolName,
    },
    /// Someone refused to approve the call.
    #[error("the call was not approved")]
    NotApproved {
        /// The tool.
        tool: ToolName,
    },
    /// The call needs an approval that nobody has given, or a run inside it does.
    #[error("the call of tool `{tool}` needs approval")]
    ApprovalRequired {
        /// The tool.
        tool: ToolName,
    },
    /// The call began before a crash, and nobody knows whether it took place.
    ///
    /// The run pauses for someone who decides.
    #[error("it is not known whether the tool `{tool}` was called before the run was interrupted")]
    InDoubt {
        /// The tool.
        tool: ToolName,
    },
    /// A hook or a guardrail around the call failed.
    ///
    /// It ends the run, whatever the tool's options say.
    #[error("{callback} around the tool `{tool}` failed")]
    CallbackFailed {
        /// The tool.
        tool: ToolName,
        /// What failed, such as ``the guardrail `no root` ``.
        callback: String,
        /// Its own error.
        source: BoxError,
    },
    /// The journal of the run did not let the call or its outcome pass.
    ///
    /// It ends the run, whatever the tool's options say.
    #[error("the journal could not record the call of tool `{tool}`")]
    NotJournaled {
        /// The tool.
        tool: ToolName,
        /// The kind of the journal's error.
        kind: ErrorKind,
        /// The journal's error.
        source: BoxError,
    },
}

impl ToolError {
    /// Returns the stable kind.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::BadArguments { .. } => ErrorKind::BadToolArguments,
            Self::Failed { .. } | Self::Panicked { .. } => ErrorKind::ToolFailed,
            Self::TimedOut { .. } => ErrorKind::ToolTimeout,
            Self::OutputTooLarge { .. } => ErrorKind::LimitExceeded,
            Self::GuardrailTripped { .. } => ErrorKind::GuardrailTripped,
            Self::MissingState { .. } => ErrorKind::Config,
            Self::Disabled { .. } => ErrorKind::DisabledTool,
            Self::NotApproved { .. } | Self::ApprovalRequired { .. } | Self::InDoubt { .. } => {
                ErrorKind::ApprovalRequired
            }
            Self::CallbackFailed { .. } => ErrorKind::CallbackFailed,
            Self::NotJournaled { kind, .. } => *kind,
        }
    }

    /// Returns the tool whose call this was.
    pub const fn tool(&self) -> &ToolName {
        match self {
            Self::BadArguments { tool, .. }
            | Self::Failed { tool, .. }
            | Self::Panicked { tool, .. }
            | Self::TimedOut { tool, .. }
            | Self::OutputTooLarge { tool, .. }
            | Self::GuardrailTripped { tool, .. }
            | Self::MissingState { tool, .. }
            | Self::Disabled { tool }
            | Self::NotApproved { tool }
            | Self::ApprovalRequired { tool }
            | Self::InDoubt { tool }
            | Self::CallbackFailed { tool, .. }
            | Self::NotJournaled { tool, .. } => tool,
        }
    }
}

/// Says why a tool cannot be offered to a model.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ToolDefinitionError {
    /// The name is not one that providers accept.
    #[error("the name of the tool is not allowed")]
    Name {
        /// What is wrong with the name.
        #[from]
        source: ToolNameError,
    },
    /// The schema of the arguments has no strict form.
    ///
    /// Change the part that the source names, or turn [`ToolOptions::strict`](super::ToolOptions::strict) off.
    #[error("the schema of tool `{tool}` cannot be strict")]
    Schema {
        /// The tool.
        tool: ToolName,
        /// Which part of the schema, and why.
        source: SchemaError,
    },
    /// The arguments are not an object, which the protocol asks for.
    #[error("the arguments of tool `{tool}` must be an object, not {found}")]
    NotAnObject {
        /// The tool.
        tool: ToolName,
        /// The `type` in the schema.
        found: String,
    },
    /// Another tool has the name.
    #[error("two tools are named `{tool}`: {registered:?} and {refused:?}")]
    Duplicate {
        /// The name of both.
        tool: ToolName,
        /// The description of the tool that is registered.
        registered: String,
        /// The description of the tool that was refused.
        refused: String,
    },
}

impl ToolDefinitionError {
    pub(crate) fn duplicate(registered: &ToolSpec, refused: &ToolSpec) -> Self {
        Self::Duplicate {
            tool: refused.name.clone(),
            registered: registered.description.clone(),
            refused: refused.description.clone(),
        }
    }
}

/// Says that a value which a tool returned has no form in JSON.
#[derive(Debug, thiserror::Error)]
#[error("the output of the tool cannot be written as JSON")]
pub struct ToolOutputError {
    #[source]
    source: BoxError,
}

impl ToolOutputError {
    pub(super) fn new(source: serde_json::Error) -> Self {
        Self {
            source: Box::new(source),
        }
    }
}
