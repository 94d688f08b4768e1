//! What an agent is told before the conversation, and what the model sees of the conversation.

use std::fmt;
use std::sync::Arc;

use crate::agent::Agent;
use crate::context::RunContext;
use crate::future::{BoxError, BoxFuture, IntoOutcome};
use crate::item::History;

/// The instructions of an agent: a text, or what computes one before each model call.
#[derive(Clone)]
pub(crate) enum Instructions {
    Fixed(Arc<str>),
    Computed(Arc<Compute>),
}

pub(crate) type Compute =
    dyn Fn(RunContext, Agent) -> BoxFuture<'static, Result<String, BoxError>> + Send + Sync;

/// Changes what a model is asked, before each call; put on a run by [`RunRequest::model_input_filter`](crate::RunRequest::model_input_filter).
///
/// The run keeps its conversation as it is; only this one request is changed. A conversation that a filter changes is encoded anew for
/// each request, and a server's prompt cache may not hold for it.
#[derive(Clone)]
pub struct ModelInputFilter(Arc<FilterFn>);

type FilterFn =
    dyn Fn(ModelInput) -> BoxFuture<'static, Result<ModelInput, BoxError>> + Send + Sync;

/// What a model is about to be asked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ModelInput {
    /// The run.
    pub cx: RunContext,
    /// The agent at work.
    pub agent: Agent,
    /// The turn, from 1.
    pub turn: u32,
    /// The instructions.
    pub instructions: Option<Arc<str>>,
    /// The conversation, oldest first.
    ///
    /// With a conversation that the server keeps, it is what is new in it.
    pub items: History,
}

impl Instructions {
    pub(crate) fn fixed(&self) -> Option<&Arc<str>> {
        match self {
            Self::Fixed(text) => Some(text),
            Self::Computed(_) => None,
        }
    }
}

impl ModelInputFilter {
    /// Makes a filter of an asynchronous function.
    ///
    /// Its error ends the run with the error `callback_failed`.
    pub fn new<F, R>(filter: F) -> Self
    where
        F: Fn(ModelInput) -> R + Send + Sync + 'static,
        R: Future<Output: IntoOutcome<ModelInput>> + Send + 'static,
    {
        Self(Arc::new(move |input| {
            let changed = filter(input);
            Box::pin(async move { changed.await.into_outcome() })
        }))
    }

    pub(crate) fn apply(
        &self,
        input: ModelInput,
    ) -> BoxFuture<'static, Result<ModelInput, BoxError>> {
        (self.0)(input)
    }
}

impl fmt::Debug for ModelInputFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ModelInputFilter(..)")
    }
}
