//! `/v1/models`: each agent is a model.

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::server::Shared;
use crate::server::error::ApiError;

pub(in crate::server) fn list(shared: &Shared) -> Value {
    let offer = shared.offer();
    let models = offer.agents.iter().map(|agent| describe(shared, agent));
    json!({"object": "list", "data": models.collect::<Vec<Value>>()})
}

pub(in crate::server) fn one(shared: &Shared, id: &str) -> Result<Value, ApiError> {
    Ok(describe(shared, shared.offer().find(id)?))
}

fn describe(shared: &Shared, agent: &Agent) -> Value {
    json!({
        "id": agent.name(),
        "object": "model",
        "created": shared.started_at,
        "owned_by": "openai-agents",
    })
}
