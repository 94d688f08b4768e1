//! Guardrails around the calls of one tool.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::{ToolContext, ToolOutput};
use crate::future::{BoxError, BoxFuture, IntoOutcome};

/// Checks the calls of a tool, or their outputs.
///
/// It is put on a tool by [`FunctionTool::input_guardrail`](super::FunctionTool::input_guardrail) and
/// [`output_guardrail`](super::FunctionTool::output_guardrail).
///
/// ```
/// use openai_agents::tools::{ToolGuardrail, ToolVerdict};
///
/// let no_root = ToolGuardrail::new("no root", async |call| {
///     let is_root = call.cx.arguments().contains("/root");
///     Ok::<_, String>(if is_root { ToolVerdict::reject("not there") } else { ToolVerdict::Allow })
/// });
/// # let _ = no_root;
/// ```
#[derive(Clone)]
pub struct ToolGuardrail {
    name: Arc<str>,
    check: Arc<ToolCheckFn>,
}

type ToolCheckFn =
    dyn Fn(GuardedCall) -> BoxFuture<'static, Result<ToolVerdict, BoxError>> + Send + Sync;

/// What a tool's guardrail is shown.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GuardedCall {
    /// The call: its tool, its arguments, its agent, its run.
    pub cx: ToolContext,
    /// What the model is to be given, for a guardrail of outputs.
    pub output: Option<ToolOutput>,
    /// Why there is no output, in full.
    ///
    /// It is set where the model is to be told of a failure in place of the output.
    pub failure: Option<Arc<str>>,
}

/// What a tool's guardrail found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ToolVerdict {
    /// The call, or its output, goes on.
    Allow,
    /// The model is told this text instead; a call is not made.
    Reject {
        /// What the model is told.
        message: String,
    },
    /// The run ends with the error `guardrail_tripped`.
    Trip {
        /// Why.
        info: Value,
    },
}

impl ToolGuardrail {
    /// Makes a guardrail of a name and an asynchronous check.
    ///
    /// An error of the check ends the run with the error `callback_failed`.
    pub fn new<F, R>(name: impl Into<Arc<str>>, check: F) -> Self
    where
        F: Fn(GuardedCall) -> R + Send + Sync + 'static,
        R: Future<Output: IntoOutcome<ToolVerdict>> + Send + 'static,
    {
        Self {
            name: name.into(),
            check: Arc::new(move |call| {
                let verdict = check(call);
                Box::pin(async move { verdict.await.into_outcome() })
            }),
        }
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn check(
        &self,
        cx: ToolContext,
        output: Option<ToolOutput>,
        failure: Option<Arc<str>>,
    ) -> BoxFuture<'static, Result<ToolVerdict, BoxError>> {
        let call = GuardedCall {
            cx,
            output,
            failure,
        };
        (self.check)(call)
    }
}

impl ToolVerdict {
    /// Rejects, with this text for the model.
    pub fn reject(message: impl Into<String>) -> Self {
        Self::Reject {
            message: message.into(),
        }
    }

    /// Ends the run, for this reason.
    pub fn trip(info: impl Into<Value>) -> Self {
        Self::Trip { info: info.into() }
    }
}

impl fmt::Debug for ToolGuardrail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ToolGuardrail").field(&self.name).finish()
    }
}
