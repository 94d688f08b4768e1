//! Snapshot of the served agents. A reload replaces it; a request keeps the one that it began with.

use crate::agent::Agent;
use crate::agent::runner::Runner;
use crate::server::ServerBuildError;
use crate::server::error::ApiError;

/// The served agents, and the runner that runs them.
pub(super) struct Catalog {
    pub(super) runner: Runner,
    pub(super) agents: Vec<Agent>,
}

impl Catalog {
    /// Checks that each name is that of one agent.
    pub(super) fn new(runner: Runner, agents: Vec<Agent>) -> Result<Self, ServerBuildError> {
        for (n, agent) in agents.iter().enumerate() {
            let mut before = agents.iter().take(n);
            if before.any(|other| other.name() == agent.name()) {
                let agent = agent.name().to_owned();
                return Err(ServerBuildError::AgentClash { agent });
            }
        }
        Ok(Self { runner, agents })
    }

    /// Finds the agent of a model.
    pub(super) fn find(&self, model: &str) -> Result<&Agent, ApiError> {
        let agent = self.agents.iter().find(|agent| agent.name() == model);
        agent.ok_or_else(|| {
            let message = format!(
                "the model `{model}` does not exist; each agent is a model, see /v1/models"
            );
            ApiError::new(404, "model_not_found", message).about("model")
        })
    }
}
