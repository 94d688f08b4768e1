//! How much one answer may hold, in sum over all its parts.

use crate::kind::ErrorKind;
use crate::model::ModelError;

/// What a byte of JSON counts that is kept as a parsed value: `1,` takes two bytes on the wire and up to 32 in memory.
pub(crate) const VALUE_COST: usize = 16;

/// The bounds of one response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResponseLimits {
    /// Bytes of text, reasoning, arguments and everything else that is kept; 64 MiB by default.
    pub max_bytes: usize,
    /// Tool calls; 1024 by default.
    pub max_tool_calls: usize,
}

impl Default for ResponseLimits {
    fn default() -> Self {
        Self {
            max_bytes: 64 * 1024 * 1024,
            // An answer of a model has a handful; one of a server that loops has no end.
            max_tool_calls: 1024,
        }
    }
}

/// Counts what a decoder keeps of one response, in sum over all its parts.
///
/// A decoder that bounds each part would still be filled by a server that sends parts without end.
#[derive(Debug, Default)]
pub struct ResponseBudget {
    limits: ResponseLimits,
    n_bytes: usize,
    n_calls: usize,
}

impl ResponseBudget {
    /// Begins with nothing spent.
    pub const fn new(limits: ResponseLimits) -> Self {
        Self {
            limits,
            n_bytes: 0,
            n_calls: 0,
        }
    }

    /// Counts bytes that are kept.
    ///
    /// # Errors
    ///
    /// `limit_exceeded` when the answer has more than it may have.
    pub fn spend(&mut self, n_bytes: usize) -> Result<(), ModelError> {
        // Counted before it is checked, so that an answer which was refused stays refused.
        self.n_bytes = self.n_bytes.saturating_add(n_bytes);
        if self.n_bytes > self.limits.max_bytes {
            return Err(too_large(self.limits.max_bytes));
        }
        Ok(())
    }

    /// Returns how many bytes were counted.
    pub const fn n_bytes(&self) -> usize {
        self.n_bytes
    }

    /// Counts a tool call.
    ///
    /// # Errors
    ///
    /// As [`spend`](Self::spend).
    pub fn spend_call(&mut self) -> Result<(), ModelError> {
        self.n_calls += 1;
        self.check_calls(self.n_calls)
    }

    /// Checks a number of tool calls that is counted elsewhere.
    ///
    /// # Errors
    ///
    /// As [`spend`](Self::spend).
    pub(crate) fn check_calls(&self, n_calls: usize) -> Result<(), ModelError> {
        let limit = self.limits.max_tool_calls;
        if n_calls > limit {
            let message = format!(
                "the answer holds more than {limit} tool calls (the limit is `limits.max_answer_tool_calls`)"
            );
            return Err(ModelError::new(ErrorKind::LimitExceeded, message));
        }
        Ok(())
    }
}

/// A text above this grows in large steps.
const LARGE_BYTES: usize = 1024 * 1024;

/// Adds to a text that may become as large as an answer may be.
///
/// A `String` grows twofold, and what it grew out of stays the process's for some seconds with most allocators: 64 MiB of text took 128.
/// Here a large text grows eightfold. What it does not use of that is never touched, so that it is address space and no memory.
pub(crate) fn append(text: &mut String, more: &str) {
    let n_bytes = text.len().saturating_add(more.len());
    if n_bytes > text.capacity() && n_bytes > LARGE_BYTES {
        text.reserve_exact(more.len().saturating_add(text.len().saturating_mul(7)));
    }
    text.push_str(more);
}

/// The error of an answer that is larger than it may be.
pub(crate) fn too_large(max_bytes: usize) -> ModelError {
    let message = format!(
        "the answer is larger than {max_bytes} bytes (the limit is `limits.max_answer_bytes`)"
    );
    ModelError::new(ErrorKind::LimitExceeded, message)
}
