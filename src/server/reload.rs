//! `POST /reload`: replaces the served agents.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::catalog::Catalog;
use super::error::ApiError;
use super::state::AppState;
use crate::agent::Agent;
use crate::agent::runner::Runner;
use crate::future::{BoxError, BoxFuture};

type Load = dyn Fn() -> BoxFuture<'static, Result<Reloaded, BoxError>> + Send + Sync;

/// What gives the agents when they are to be loaded again; one at a time.
pub(super) struct Reload {
    load: Arc<Load>,
    turn: Mutex<()>,
}

/// The agents that are to be served from now on; see [`ServerBuilder::on_reload`](super::ServerBuilder::on_reload).
#[derive(Debug)]
pub struct Reloaded {
    runner: Runner,
    agents: Vec<Agent>,
    notes: Vec<String>,
}

impl Reloaded {
    /// Begins with the agents, and what runs them.
    pub fn new(runner: Runner, agents: impl IntoIterator<Item = Agent>) -> Self {
        Self {
            runner,
            agents: agents.into_iter().collect(),
            notes: Vec::new(),
        }
    }

    /// Adds something that whoever asked for it should know.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

impl Reload {
    pub(super) fn new<F, R, E>(load: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<Reloaded, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Self {
            load: Arc::new(move || {
                let loaded = load();
                Box::pin(async move { loaded.await.map_err(Into::into) })
            }),
            turn: Mutex::new(()),
        }
    }
}

/// Loads the agents and serves them; where that fails, those before go on being served.
pub(super) async fn reload(app: &AppState) -> Result<Value, ApiError> {
    let Some(reload) = &app.reload else {
        let message = "this server has nothing to load its agents from";
        return Err(ApiError::new(404, "not_found", message));
    };
    // Two reloads at once would race, and the older configuration could win.
    let _turn = reload.turn.lock().await;
    let failed = |message: String| ApiError::new(500, "reload_failed", message);
    let loaded = (reload.load)().await;
    let loaded = loaded.map_err(|error| failed(error.to_string()))?;
    let catalog = Catalog::new(loaded.runner, loaded.agents);
    let catalog = catalog.map_err(|error| failed(error.to_string()))?;
    let names: Vec<String> = catalog
        .agents
        .iter()
        .map(|agent| agent.name().to_owned())
        .collect();
    app.set_catalog(catalog);
    Ok(json!({"agents": names, "notes": loaded.notes}))
}
