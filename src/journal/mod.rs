//! The gate that every side effect of a run passes.
//!
//! A model call, a tool call, and each reading and writing of a session go through a [`Journal`] under a key that is the same in every
//! execution of the same run.
//! The default lets them pass. `SqliteJournal` (feature `sqlite`) keeps outcomes so that a run survives its process, [`FileJournal`]
//! records them so that it can be played back without a server.

mod error;
mod stored;
mod beginning;
mod file;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::future::{BoxFuture, BoxStream};
use crate::guardrail::GuardrailResult;
use crate::item::OutputContent;
use crate::model::{ModelError, ModelEvent, ModelRequest};
use crate::session::{Session, SessionError, SessionItems, SessionTurn, SessionVersion};
use crate::tools::{ToolError, ToolName};

pub use beginning::RunBeginning;
pub use error::JournalError;
pub use file::{Difference, DifferenceKind, FileJournal, RecordedModel, Recording, ReplayJournal};
#[cfg(feature = "sqlite")]
pub use sqlite::{DurableRun, RunId, RunIdError, RunStatus, RunSummary, SqliteJournal};

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
    fn session_read(&self, read: SessionReadEffect) -> SessionRead {
        read.effect
    }

    /// Passes a change of a session.
    fn session_write(&self, write: SessionWriteEffect) -> SessionWrite {
        write.make()
    }

    /// Says whether a run that fails may be continued with this journal.
    ///
    /// The journal then still has the outcomes of the run's last turn.
    ///
    /// The half of a turn that a run had done when it failed is not written to its session then, so that the turn can be written whole.
    fn continues(&self) -> bool {
        false
    }

    /// Names the run that it keeps.
    ///
    /// Each of the run's executions has this name. It is `None` for a journal that keeps no run.
    fn run_name(&self) -> Option<&str> {
        None
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

/// The reading of a session before it happens.
#[non_exhaustive]
pub struct SessionReadEffect {
    /// The key of the reading.
    pub key: EffectKey,
    /// The session.
    pub session: Arc<dyn Session>,
    /// The reading itself.
    pub effect: SessionRead,
}

/// A change of a session before it happens.
///
/// It is given as what is to be done, so that a journal whose process ended in the middle of it can find out whether it has happened.
#[derive(Clone)]
#[non_exhaustive]
pub struct SessionWriteEffect {
    /// The key of the change.
    pub key: EffectKey,
    /// The session.
    pub session: Arc<dyn Session>,
    /// The items, and the version that they come after.
    pub turn: SessionTurn,
    /// What is done with the items.
    pub change: SessionChange,
}

/// What is done with the items of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionChange {
    /// They are added at the end.
    Append,
    /// They take the place of all that is there.
    Replace,
}

/// A tool call before it happens.
#[non_exhaustive]
pub struct ToolCallEffect {
    /// The key of the call.
    pub key: EffectKey,
    /// The tool.
    pub tool: ToolName,
    /// The arguments, JSON as the model wrote it.
    pub arguments: String,
    /// What to do if nobody knows whether the call took place.
    ///
    /// That can be so if the call began in an earlier execution.
    pub on_uncertain: OnUncertain,
    /// The call itself.
    pub effect: ToolEffect,
}

/// What to do with a tool call that may have taken place already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnUncertain {
    /// Give [`ToolError::InDoubt`], so that someone decides.
    #[default]
    Ask,
    /// Make it, because the tool is idempotent.
    Again,
    /// Make it once, because someone who was asked decided so.
    Once,
}

/// Names a side effect within its run.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct EffectKey {
    /// The calls of agents as tools that lead to the effect.
    ///
    /// The outermost comes first. Each is written `turn/call id`.
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
    /// The reading of the session at this version by a saved run that goes on.
    ClaimRead(SessionVersion),
    /// The change of the session at this version by which a saved run claims it.
    ///
    /// It keeps others from going on with the run as well.
    ClaimWrite(SessionVersion),
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
    /// Who gave the output.
    #[serde(default, skip_serializing_if = "OutcomeSource::is_tool")]
    pub source: OutcomeSource,
}

/// Who answered a tool call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OutcomeSource {
    /// The tool, its guardrails, or whoever refused to approve the call.
    #[default]
    Tool,
    /// The runner, because the call names no tool that could answer.
    ///
    /// Such an answer never ends a run.
    Runner,
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

impl SessionWriteEffect {
    /// Makes the change.
    pub fn make(self) -> SessionWrite {
        let Self {
            session,
            turn,
            change,
            ..
        } = self;
        Box::pin(async move {
            crate::trace::note_effect();
            // Only these two: a session has no other change that a run makes, so a journal can find
            // out for both whether it happened.
            match change {
                SessionChange::Append => session.append(turn).await,
                SessionChange::Replace => session.replace(turn).await,
            }
        })
    }
}

impl fmt::Debug for SessionReadEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionReadEffect")
            .field("key", &self.key)
            .field("session", self.session.id())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SessionWriteEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionWriteEffect")
            .field("key", &self.key)
            .field("session", self.session.id())
            .field("turn", &self.turn)
            .field("change", &self.change)
            .finish()
    }
}

impl fmt::Debug for ToolCallEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolCallEffect")
            .field("key", &self.key)
            .field("tool", &self.tool)
            .field("on_uncertain", &self.on_uncertain)
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
            source: OutcomeSource::Tool,
        }
    }

    /// Makes the runner's answer to a call that no tool answers.
    pub(crate) fn by_runner(text: &str) -> Self {
        Self {
            source: OutcomeSource::Runner,
            ..Self::new(text.into(), Some(text.to_owned()))
        }
    }
}

impl OutcomeSource {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    fn is_tool(&self) -> bool {
        *self == Self::Tool
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

impl fmt::Display for EffectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.effect {
            Effect::ModelCall => f.write_str("the model call")?,
            Effect::ToolCall(id) => write!(f, "the tool call `{id}`")?,
            Effect::SessionRead => f.write_str("the reading of the session")?,
            Effect::SessionWrite => f.write_str("the writing to the session")?,
            Effect::ClaimRead(_) | Effect::ClaimWrite(_) => {
                f.write_str("the claim of the session")?;
            }
        }
        write!(f, " of turn {}", self.turn)?;
        match &*self.path {
            [] => Ok(()),
            path => write!(f, " in the call {}", path.join(" / ")),
        }
    }
}
