//! The gate that every side effect of a run passes.
//!
//! A model call and a tool call each go through a [`Journal`] under a key that is the same in every execution of the same run.
//! The default lets them pass. One that keeps outcomes can make a run survive its process, or play it back without a server.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::future::{BoxFuture, BoxStream};
use crate::guardrail::GuardrailResult;
use crate::item::OutputContent;
use crate::model::{ModelError, ModelEvent};
use crate::tools::ToolError;

/// Stands between a run and its side effects.
///
/// The runner hands over each effect before it happens; nothing of it happens until the returned future or stream is polled.
/// An implementation that knows the outcome of a key returns that and drops the effect; one that does not polls the effect,
/// keeps its outcome and passes it on. It must not call an effect twice, must not block, and may be called by many runs at once.
pub trait Journal: Send + Sync {
    /// Passes a model call.
    fn model_call(&self, key: EffectKey, call: ModelEffect) -> ModelEffect;

    /// Passes a tool call.
    fn tool_call(&self, key: EffectKey, call: ToolEffect) -> ToolEffect;
}

/// A model call that has not begun.
pub type ModelEffect = BoxStream<'static, Result<ModelEvent, ModelError>>;

/// A tool call that has not begun; an error ends the run.
pub type ToolEffect = BoxFuture<'static, Result<ToolOutcome, ToolError>>;

/// Names a side effect within its run: the turn, and the call's id for a tool.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct EffectKey {
    /// The calls of agents as tools that lead to the effect, the outermost first, each as `turn/call id`.
    pub path: Vec<Arc<str>>,
    /// The turn, from 1.
    pub turn: u32,
    /// The id of the tool call; `None` for the turn's model call.
    pub call_id: Option<String>,
}

/// What a tool call gave to the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolOutcome {
    /// The output.
    pub output: OutputContent,
    /// The failure that the output stands for, if the tool failed.
    pub failure: Option<String>,
    /// The verdicts of the tool's guardrails.
    #[serde(default)]
    pub guardrails: Vec<GuardrailResult>,
}

/// Lets every effect pass and remembers nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoJournal;

impl Journal for NoJournal {
    fn model_call(&self, _key: EffectKey, call: ModelEffect) -> ModelEffect {
        call
    }

    fn tool_call(&self, _key: EffectKey, call: ToolEffect) -> ToolEffect {
        call
    }
}

impl ToolOutcome {
    /// Makes an outcome, as a journal does that kept one.
    pub fn new(output: OutputContent, failure: Option<String>) -> Self {
        Self {
            output,
            failure,
            guardrails: Vec::new(),
        }
    }
}

impl EffectKey {
    /// The key of a turn's model call.
    pub fn model_call(turn: u32) -> Self {
        Self {
            path: Vec::new(),
            turn,
            call_id: None,
        }
    }

    /// The key of a tool call.
    pub fn tool_call(turn: u32, call_id: impl Into<String>) -> Self {
        Self {
            path: Vec::new(),
            turn,
            call_id: Some(call_id.into()),
        }
    }

    /// The key inside these calls.
    pub(crate) fn within(mut self, path: &[Arc<str>]) -> Self {
        self.path = path.to_vec();
        self
    }
}
