//! The tools that an agent's sources have now.

use std::sync::Arc;

use crate::agent::Agent;
use crate::error::{RunFailure, SetupError};
use crate::tools::{FunctionTool, SEARCH_TOOL, ToolRegistry};

/// An agent's tools with those of its sources.
pub(super) struct SourcedTools {
    pub(super) tools: ToolRegistry,
    lists: Vec<Arc<[FunctionTool]>>,
    /// Whether the sources were asked for the turn that comes or has begun.
    pub(super) is_current: bool,
}

impl SourcedTools {
    /// Puts the tools of sources before the agent's own.
    pub(super) fn new(agent: &Agent, lists: Vec<Arc<[FunctionTool]>>) -> Result<Self, RunFailure> {
        let mut tools = ToolRegistry::new();
        let all = lists
            .iter()
            .flat_map(|list| list.iter())
            .chain(agent.tools());
        for tool in all {
            let name = tool.name();
            let mut handoffs = agent.bound_handoffs().iter();
            let is_taken = handoffs.any(|handoff| handoff.tool_name() == name);
            if is_taken || tools.register(tool.clone()).is_err() {
                return Err(same_tool(agent, name));
            }
        }
        if agent.deferral().searches(&tools) {
            let mut handoffs = agent.bound_handoffs().iter();
            let is_handoff = handoffs.any(|handoff| handoff.tool_name().as_str() == SEARCH_TOOL);
            if is_handoff || tools.get(SEARCH_TOOL).is_some() {
                return Err(same_tool(agent, SEARCH_TOOL));
            }
        }
        Ok(Self {
            tools,
            lists,
            is_current: true,
        })
    }

    /// Whether these are the lists that it was made of.
    pub(super) fn is_of(&self, lists: &[Arc<[FunctionTool]>]) -> bool {
        self.lists.len() == lists.len()
            && self
                .lists
                .iter()
                .zip(lists)
                .all(|(one, other)| Arc::ptr_eq(one, other))
    }
}

fn same_tool(agent: &Agent, tool: &str) -> RunFailure {
    RunFailure::Setup(SetupError::SameTool {
        agent: agent.name().to_owned(),
        tool: tool.to_owned(),
    })
}
