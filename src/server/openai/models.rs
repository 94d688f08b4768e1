//! `/v1/models`: each agent is a model.

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::server::AppState;
use crate::server::error::ApiError;

pub(in crate::server) fn list(app: &AppState) -> Value {
    let catalog = app.catalog();
    let models = catalog.agents.iter().map(|agent| describe(app, agent));
    json!({"object": "list", "data": models.collect::<Vec<Value>>()})
}

pub(in crate::server) fn one(app: &AppState, id: &str) -> Result<Value, ApiError> {
    Ok(describe(app, app.catalog().find(id)?))
}

fn describe(app: &AppState, agent: &Agent) -> Value {
    json!({
        "id": agent.name(),
        "object": "model",
        "created": app.started_at,
        "owned_by": "openai-agents",
    })
}
