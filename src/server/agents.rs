//! `/agents`: what is served, for people who choose: instructions, model, tools and handoffs of each agent.

use serde_json::{Value, json};

use super::AppState;
use crate::agent::Agent;

/// Lists the agents in the order in which they were given.
pub(super) async fn list(app: &AppState) -> Value {
    let catalog = app.catalog();
    let mut agents = Vec::new();
    for agent in &catalog.agents {
        agents.push(describe(agent).await);
    }
    json!({"agents": agents, "keeps_traces": keeps_traces(app), "realtime": realtime(app)})
}

/// The agents that can be talked with at `/v1/realtime`.
#[cfg(feature = "realtime")]
fn realtime(app: &AppState) -> Vec<&str> {
    app.realtime.names()
}

#[cfg(not(feature = "realtime"))]
const fn realtime(_: &AppState) -> Vec<&str> {
    Vec::new()
}

/// Whether there is a store, so that `/traces` can be asked.
#[cfg(feature = "sqlite")]
const fn keeps_traces(app: &AppState) -> bool {
    app.traces.is_some()
}

#[cfg(not(feature = "sqlite"))]
const fn keeps_traces(_: &AppState) -> bool {
    false
}

async fn describe(agent: &Agent) -> Value {
    let mut tools: Vec<Value> = agent
        .tools()
        .specs()
        .map(|tool| json!({"name": tool.name.as_str(), "description": tool.description, "from": null, "error": null}))
        .collect();
    for source in agent.tool_sources() {
        let from = source.name();
        match source.tools().await {
            Ok(found) => tools.extend(found.iter().map(|tool| {
                let spec = tool.spec();
                json!({"name": spec.name.as_str(), "description": spec.description, "from": from, "error": null})
            })),
            // What cannot be reached now is part of what is there.
            Err(error) => tools.push(json!({
                "name": from, "description": null, "from": from, "error": error.to_string(),
            })),
        }
    }
    json!({
        "name": agent.name(),
        "description": agent.handoff_description(),
        "instructions": agent.instructions(),
        "model": agent.model().map_or_else(|| agent.model_name().map(str::to_owned), |model| Some(model.name().to_owned())),
        "tools": tools,
        "handoffs": agent.handoffs().collect::<Vec<_>>(),
    })
}
