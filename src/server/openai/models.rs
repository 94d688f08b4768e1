//! `/v1/models`: each agent is a model.

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::server::Shared;
use crate::server::error::ApiError;

pub(in crate::server) fn list(shared: &Shared) -> Value {
    let models: Vec<Value> = shared
        .agents
        .iter()
        .map(|agent| describe(shared, agent))
        .collect();
    json!({"object": "list", "data": models})
}

pub(in crate::server) fn one(shared: &Shared, id: &str) -> Result<Value, ApiError> {
    Ok(describe(shared, find(shared, id)?))
}

/// Finds the agent of a model.
pub(in crate::server) fn find<'a>(shared: &'a Shared, id: &str) -> Result<&'a Agent, ApiError> {
    let agent = shared.agents.iter().find(|agent| agent.name() == id);
    agent.ok_or_else(|| {
        let message =
            format!("the model `{id}` does not exist; each agent is a model, see /v1/models");
        ApiError::new(404, "model_not_found", message).about("model")
    })
}

fn describe(shared: &Shared, agent: &Agent) -> Value {
    json!({
        "id": agent.name(),
        "object": "model",
        "created": shared.started_at,
        "owned_by": "openai-agents",
    })
}
