//! How a tool is offered to the model and what its failures mean.

use std::time::Duration;

/// Sets how a tool is offered, how long it may take, and what failures mean.
///
/// ```
/// use std::time::Duration;
/// use openai_agents::tools::{ToolFailure, ToolOptions};
///
/// let options = ToolOptions::default()
///     .timeout(Duration::from_secs(5))
///     .failure(ToolFailure::Raise);
/// assert!(options.strict);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolOptions {
    /// Whether the model is held to the schema exactly; `true` by default.
    pub strict: bool,
    /// How long one call may take; without a limit by default.
    pub timeout: Option<Duration>,
    /// What happens when a call fails; the model is told by default.
    pub failure: ToolFailure,
    /// What happens when a call times out; the model is told by default.
    pub timeout_failure: ToolFailure,
    /// How large the output may be, in bytes; 1 MiB by default.
    pub max_output_bytes: usize,
    /// Whether a call may be made again; `false` by default.
    ///
    /// It is for a call of which it is not known whether it took place.
    ///
    /// It matters only to a [journal](crate::journal) that continues a run after a crash.
    pub is_idempotent: bool,
}

impl ToolOptions {
    /// Sets whether the model is held to the schema exactly.
    #[must_use]
    pub const fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// Limits how long one call may take.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets what happens when a call fails.
    #[must_use]
    pub const fn failure(mut self, failure: ToolFailure) -> Self {
        self.failure = failure;
        self
    }

    /// Sets what happens when a call times out.
    #[must_use]
    pub const fn timeout_failure(mut self, timeout_failure: ToolFailure) -> Self {
        self.timeout_failure = timeout_failure;
        self
    }

    /// Limits how large the output may be.
    #[must_use]
    pub const fn max_output_bytes(mut self, max_output_bytes: usize) -> Self {
        self.max_output_bytes = max_output_bytes;
        self
    }

    /// Lets a call be made again when it is not known whether it took place.
    #[must_use]
    pub const fn idempotent(mut self) -> Self {
        self.is_idempotent = true;
        self
    }
}

impl Default for ToolOptions {
    fn default() -> Self {
        Self {
            strict: true,
            timeout: None,
            failure: ToolFailure::default(),
            timeout_failure: ToolFailure::default(),
            max_output_bytes: 1024 * 1024,
            is_idempotent: false,
        }
    }
}

/// What happens when a tool call fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ToolFailure {
    /// The model is told that the tool failed, and the run goes on.
    ///
    /// It is not told the error's text.
    ///
    /// For a time-out the text is ``Tool 'X' timed out after N seconds.``
    #[default]
    TellModel,
    /// The model is told the text of the error and of its causes.
    ///
    /// The run goes on.
    TellModelDetail,
    /// The run ends with the error.
    Raise,
}
