//! How much one answer may hold, in sum over all its parts.

use crate::kind::ErrorKind;
use crate::model::ModelError;

/// What a byte of JSON counts that is kept as a parsed value: `1,` takes two bytes on the wire and up to 32 in memory.
pub(crate) const VALUE_COST: usize = 16;

/// The bounds of one answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnswerLimits {
    /// Bytes of text, reasoning, arguments and everything else that is kept.
    pub(crate) max_bytes: usize,
    /// Tool calls.
    pub(crate) max_tool_calls: usize,
}

impl Default for AnswerLimits {
    fn default() -> Self {
        Self {
            max_bytes: 64 * 1024 * 1024,
            // An answer of a model has a handful; one of a server that loops has no end.
            max_tool_calls: 1024,
        }
    }
}

/// What is left of the bounds.
#[derive(Debug)]
pub(crate) struct Budget {
    limits: AnswerLimits,
    n_bytes: usize,
    n_calls: usize,
}

impl Budget {
    pub(crate) const fn new(limits: AnswerLimits) -> Self {
        Self {
            limits,
            n_bytes: 0,
            n_calls: 0,
        }
    }

    /// Takes bytes that are kept.
    ///
    /// # Errors
    ///
    /// `limit_exceeded` when the answer has more than it may have.
    pub(crate) fn spend(&mut self, n_bytes: usize) -> Result<(), ModelError> {
        self.n_bytes = self.n_bytes.saturating_add(n_bytes);
        if self.n_bytes > self.limits.max_bytes {
            return Err(too_large(self.limits.max_bytes));
        }
        Ok(())
    }

    /// Gives how many bytes were taken.
    pub(crate) const fn spent(&self) -> usize {
        self.n_bytes
    }

    /// Takes a tool call.
    ///
    /// # Errors
    ///
    /// As [`spend`](Self::spend).
    pub(crate) fn spend_call(&mut self) -> Result<(), ModelError> {
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
