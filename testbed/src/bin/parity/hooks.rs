//! Hooks that note their order.

use std::sync::{Arc, Mutex, PoisonError};

use openai_agents::agent::{HookResult, Hooks};
use openai_agents::model::{ModelRequest, ModelResponse};
use openai_agents::{Agent, RunContext, ToolContext};

/// What the hooks were told, in order.
#[derive(Clone, Default)]
pub(crate) struct HookLog(Arc<Mutex<Vec<String>>>);

impl HookLog {
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, line: String) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }
}

impl Hooks for HookLog {
    async fn on_agent_start(&self, _: &RunContext, agent: &Agent) -> HookResult {
        self.note(format!("agent_start {}", agent.name()));
        Ok(())
    }

    async fn on_agent_end(&self, _: &RunContext, agent: &Agent, _: &str) -> HookResult {
        self.note(format!("agent_end {}", agent.name()));
        Ok(())
    }

    async fn on_model_start(&self, _: &RunContext, agent: &Agent, _: &ModelRequest) -> HookResult {
        self.note(format!("llm_start {}", agent.name()));
        Ok(())
    }

    async fn on_model_end(&self, _: &RunContext, agent: &Agent, _: &ModelResponse) -> HookResult {
        self.note(format!("llm_end {}", agent.name()));
        Ok(())
    }

    async fn on_tool_start(&self, cx: &ToolContext) -> HookResult {
        self.note(format!("tool_start {}", cx.tool_name()));
        Ok(())
    }

    async fn on_tool_end(&self, cx: &ToolContext, output: &str) -> HookResult {
        self.note(format!("tool_end {} {output}", cx.tool_name()));
        Ok(())
    }

    async fn on_handoff(&self, _: &RunContext, from: &Agent, to: &Agent) -> HookResult {
        self.note(format!("handoff {} {}", from.name(), to.name()));
        Ok(())
    }
}
