//! Who may call a tool, and who looks at the calls.

use std::sync::Arc;

use super::deferral::Deferral;
use super::function::Definition;
use super::{ToolContext, ToolError, ToolGuardrail, ToolNamespace};
use crate::context::{RunContext, StateType};
use crate::future::{BoxError, BoxFuture};
use crate::item::BuiltInTool;

/// Who would be offered a tool or a handoff, as a condition is told.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ToolOffer {
    /// The run.
    pub cx: RunContext,
    /// The agent whose model would see it.
    pub agent: Arc<str>,
}

impl ToolOffer {
    /// Says who would be offered it.
    pub fn new(cx: RunContext, agent: impl Into<Arc<str>>) -> Self {
        let agent = agent.into();
        Self { cx, agent }
    }
}

/// What stands around a tool in one agent; the tool itself may be shared by others.
#[derive(Clone, Default)]
pub(super) struct Policy {
    condition: Option<Arc<Condition>>,
    awaited_conditions: Vec<Arc<AwaitedCondition>>,
    /// The state that a run must have been given.
    pub(super) required_state: Vec<StateType>,
    pub(super) approval: Option<Arc<ApprovalCondition>>,
    pub(super) failure_text: Option<Arc<FailureText>>,
    pub(super) input: Vec<ToolGuardrail>,
    pub(super) output: Vec<ToolGuardrail>,
    pub(super) is_composite: bool,
    /// How it answers calls of tools that the Responses API defines.
    pub(super) built_in: Vec<(BuiltInTool, Arc<Definition>)>,
    pub(super) deferral: Deferral,
    pub(super) namespace: Option<Arc<ToolNamespace>>,
    /// The MCP server whose tool it is.
    pub(super) server: Option<Arc<str>>,
}

type Condition = dyn Fn(&RunContext) -> bool + Send + Sync;
type AwaitedCondition =
    dyn Fn(ToolOffer) -> BoxFuture<'static, Result<bool, BoxError>> + Send + Sync;
pub(super) type ApprovalCondition =
    dyn Fn(ToolContext) -> BoxFuture<'static, Result<bool, BoxError>> + Send + Sync;
pub(super) type FailureText = dyn Fn(&ToolContext, &ToolError) -> String + Send + Sync;

impl Policy {
    /// Adds a condition to those before.
    pub(super) fn add_condition(&mut self, condition: Arc<Condition>) {
        self.condition = Some(match self.condition.take() {
            None => condition,
            Some(earlier) => Arc::new(move |cx: &RunContext| earlier(cx) && condition(cx)),
        });
    }

    pub(super) fn is_enabled(&self, cx: &RunContext) -> bool {
        self.condition.as_ref().is_none_or(|holds| holds(cx))
    }

    /// Adds a condition that is awaited to those before.
    pub(super) fn add_awaited_condition(&mut self, condition: Arc<AwaitedCondition>) {
        self.awaited_conditions.push(condition);
    }

    pub(super) fn is_unconditional(&self) -> bool {
        self.condition.is_none() && self.awaited_conditions.is_empty()
    }

    pub(super) fn awaits_conditions(&self) -> bool {
        !self.awaited_conditions.is_empty()
    }

    /// Asks all conditions, the quick ones first; one that does not hold is the last that is asked.
    pub(super) async fn allows(&self, offer: &ToolOffer) -> Result<bool, BoxError> {
        if !self.is_enabled(&offer.cx) {
            return Ok(false);
        }
        for condition in &self.awaited_conditions {
            if !condition(offer.clone()).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
