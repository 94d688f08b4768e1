//! Hooks that note their order.

use std::sync::{Arc, Mutex, PoisonError};

use openai_agents::agent::{HookFuture, Hooks};
use openai_agents::model::{ModelRequest, ModelResponse};
use openai_agents::{Agent, RunContext, ToolContext};

/// What the hooks were told, in order.
#[derive(Clone, Default)]
pub(crate) struct HookLog(Arc<Mutex<Vec<String>>>);

impl HookLog {
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, line: String) -> HookFuture<'static> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
        Box::pin(std::future::ready(Ok(())))
    }
}

impl Hooks for HookLog {
    fn on_agent_start<'a>(&'a self, _: &'a RunContext, agent: &'a Agent) -> HookFuture<'a> {
        self.note(format!("agent_start {}", agent.name()))
    }

    fn on_agent_end<'a>(
        &'a self,
        _: &'a RunContext,
        agent: &'a Agent,
        _: &'a str,
    ) -> HookFuture<'a> {
        self.note(format!("agent_end {}", agent.name()))
    }

    fn on_model_start<'a>(
        &'a self,
        _: &'a RunContext,
        agent: &'a Agent,
        _: &'a ModelRequest,
    ) -> HookFuture<'a> {
        self.note(format!("llm_start {}", agent.name()))
    }

    fn on_model_end<'a>(
        &'a self,
        _: &'a RunContext,
        agent: &'a Agent,
        _: &'a ModelResponse,
    ) -> HookFuture<'a> {
        self.note(format!("llm_end {}", agent.name()))
    }

    fn on_tool_start<'a>(&'a self, cx: &'a ToolContext) -> HookFuture<'a> {
        self.note(format!("tool_start {}", cx.tool_name()))
    }

    fn on_tool_end<'a>(&'a self, cx: &'a ToolContext, output: &'a str) -> HookFuture<'a> {
        self.note(format!("tool_end {} {output}", cx.tool_name()))
    }

    fn on_handoff<'a>(
        &'a self,
        _: &'a RunContext,
        from: &'a Agent,
        to: &'a Agent,
    ) -> HookFuture<'a> {
        self.note(format!("handoff {} {}", from.name(), to.name()))
    }
}
