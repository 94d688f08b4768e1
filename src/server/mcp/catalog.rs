//! Snapshot of what the MCP server offers. A reload replaces it; a call keeps the one that it began with.

use super::McpBuildError;
use super::agents::AgentTool;
use super::builder::first_twice;
use super::prompts::{self, Prompts};
use crate::agent::Agent;
use crate::agent::runner::Runner;
use crate::tools::{FunctionTool, ToolDefinitionError, ToolRegistry};

/// The tools and agents, with the prompts that come of these, and what runs the agents.
pub(super) struct McpCatalog {
    pub(super) runner: Runner,
    pub(super) tools: ToolRegistry,
    pub(super) agents: Vec<AgentTool>,
    pub(super) prompts: Prompts,
}

impl McpCatalog {
    /// Checks that each name is that of one tool or agent, and adds the agents' prompts to those that are there anyway.
    pub(super) fn new(
        runner: Runner,
        tools: impl IntoIterator<Item = Result<FunctionTool, ToolDefinitionError>>,
        agents: impl IntoIterator<Item = Agent>,
        mut prompts: Prompts,
    ) -> Result<Self, McpBuildError> {
        let mut registry = ToolRegistry::new();
        for tool in tools {
            registry.register(tool?)?;
        }
        let mut served: Vec<AgentTool> = Vec::new();
        for agent in agents {
            let agent = AgentTool::new(agent)?;
            let is_taken = registry.get(&agent.name).is_some()
                || served.iter().any(|other| other.name == agent.name);
            if is_taken {
                return Err(McpBuildError::AgentClash {
                    agent: agent.agent.name().to_owned(),
                    tool: agent.name,
                });
            }
            prompts::add_instructions(&mut prompts, &agent.agent);
            served.push(agent);
        }
        if let Some(prompt) = first_twice(prompts.names()) {
            return Err(McpBuildError::PromptClash { prompt });
        }
        Ok(Self {
            runner,
            tools: registry,
            agents: served,
            prompts,
        })
    }

    /// Whether there are resources that come and go.
    pub(super) const fn has_dynamic(&self) -> bool {
        !self.agents.is_empty()
    }
}
