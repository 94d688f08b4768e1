//! The gate that every side effect of a run passes.
//!
//! A model call, a tool call, and each reading and writing of a session go through a [`Journal`] under a key that is the same in every
//! execution of the same run.
//! The default lets them pass. One that keeps outcomes can make a run survive its process, or play it back without a server.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::future::{BoxFuture, BoxStream};
use crate::guardrail::GuardrailResult;
use crate::item::OutputContent;
use crate::model::{ModelError, ModelEvent, ModelRequest};
use crate::session::{SessionError, SessionItems, SessionVersion};
use crate::tools::{ToolError, ToolName};

/// Stands between a run and its side effects.
///
/// The runner hands over each effect before it happens; nothing of it happens until the returned future or stream is polled.
/// An implementation that knows the outcome of a key returns that and drops the effect; one that does not polls the effect,
/// keeps its outcome and passes it on. It must not call an effect twice, must not block, and may be called by many runs at once.
pub trait Journal: Send + Sync {
    /// Passes a model call; the request is what it asks.
    fn model_call(&self, key: EffectKey, request: &ModelRequest, call: ModelEffect) -> ModelEffect;

    /// Passes a tool call.
    fn tool_call(&self, call: ToolCallEffect) -> ToolEffect;

    /// Passes the reading of a session.
    fn session_read(&self, key: EffectKey, read: SessionRead) -> SessionRead {
        drop(key);
        read
    }

    /// Passes a change of a session.
    fn session_write(&self, key: EffectKey, write: SessionWrite) -> SessionWrite {
        drop(key);
        write
    }
}

/// A model call that has not begun.
pub type ModelEffect = BoxStream<'static, Result<ModelEvent, ModelError>>;

/// A tool call that has not begun; an error ends the run.
pub type ToolEffect = BoxFuture<'static, Result<ToolOutcome, ToolError>>;

/// The reading of a session that has not begun.
pub type SessionRead = BoxFuture<'static, Result<SessionItems, SessionError>>;

/// A change of a session that has not begun.
pub type SessionWrite = BoxFuture<'static, Result<SessionVersion, SessionError>>;

/// A tool call before it happens.
#[non_exhaustive]
pub struct ToolCallEffect {
    /// The key of the call.
    pub key: EffectKey,
    /// The tool.
    pub tool: ToolName,
    /// The arguments, JSON as the model wrote it.
    pub arguments: String,
    /// What to do if the call began in an earlier execution and nobody knows whether it took place.
    pub repeat: Repeat,
    /// The call itself.
    pub effect: ToolEffect,
}

/// What to do with a tool call that may have taken place already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repeat {
    /// Give [`ToolError::InDoubt`], so that someone decides.
    #[default]
    Ask,
    /// Make it, because the tool is idempotent or someone decided so.
    Again,
}

/// Names a side effect within its run.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct EffectKey {
    /// The calls of agents as tools that lead to the effect, the outermost first, each as `turn/call id`.
    pub path: Vec<Arc<str>>,
    /// The turn, from 1; 0 before the first.
    pub turn: u32,
    /// Which of the turn's effects.
    pub effect: Effect,
}

/// Names a side effect within its turn.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Effect {
    /// The model call.
    ModelCall,
    /// The tool call of this id.
    ToolCall(String),
    /// The reading of the session.
    SessionRead,
    /// The writing of the turn, or of the input, to the session.
    SessionWrite,
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
    fn model_call(&self, _: EffectKey, _: &ModelRequest, call: ModelEffect) -> ModelEffect {
        call
    }

    fn tool_call(&self, call: ToolCallEffect) -> ToolEffect {
        call.effect
    }
}

impl std::fmt::Debug for ToolCallEffect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ToolCallEffect")
            .field("key", &self.key)
            .field("tool", &self.tool)
            .field("repeat", &self.repeat)
            .finish_non_exhaustive()
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
    /// Names an effect of a turn.
    pub const fn new(turn: u32, effect: Effect) -> Self {
        Self {
            path: Vec::new(),
            turn,
            effect,
        }
    }

    /// The key of a turn's model call.
    pub const fn model_call(turn: u32) -> Self {
        Self::new(turn, Effect::ModelCall)
    }

    /// The key of a tool call.
    pub fn tool_call(turn: u32, call_id: impl Into<String>) -> Self {
        Self::new(turn, Effect::ToolCall(call_id.into()))
    }

    /// The key inside these calls.
    pub(crate) fn within(mut self, path: &[Arc<str>]) -> Self {
        self.path = path.to_vec();
        self
    }
}
