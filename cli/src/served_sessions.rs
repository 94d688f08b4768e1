//! Opens the configured sessions for the servers of `serve`.

use std::future::{Ready, ready};
use std::sync::Arc;

use anyhow::Result;
use openai_agents::config::Config;
use openai_agents::server::ServerBuilder;
use openai_agents::server::mcp::McpServerBuilder;
use openai_agents::session::{Session, SessionError, SessionId};

use crate::store::Store;

/// How many sessions are listed at most, the latest written to first.
const MAX_LISTED: usize = 1_000;

/// The store; none without a place for it, such as a home: then each server keeps its conversations in memory.
pub(crate) struct ServedSessions(Option<Arc<Store>>);

impl ServedSessions {
    /// Opens the store, so that what is wrong with it is found before anything is served.
    pub(crate) async fn open(config: &Config) -> Result<Self> {
        if config.sessions().store.is_none() {
            return Ok(Self(None));
        }
        let store = Store::open(config).await?;
        Ok(Self(Some(Arc::new(store))))
    }

    /// Serves them by the OpenAI API.
    pub(crate) fn behind(&self, server: ServerBuilder) -> ServerBuilder {
        let Some(store) = self.0.clone() else {
            return server;
        };
        server
            .sessions(opens(&store))
            .list_sessions(move || latest(Arc::clone(&store)))
    }

    /// Serves them by MCP.
    pub(crate) fn behind_mcp(&self, server: McpServerBuilder) -> McpServerBuilder {
        let Some(store) = self.0.clone() else {
            return server;
        };
        server
            .sessions(opens(&store))
            .list_sessions(move || latest(Arc::clone(&store)))
    }
}

type OpenedSession = Ready<Result<Arc<dyn Session>, SessionError>>;

fn opens(store: &Arc<Store>) -> impl Fn(SessionId) -> OpenedSession + Send + Sync + 'static {
    let store = Arc::clone(store);
    move |id| ready(Ok(store.main(&id)))
}

async fn latest(store: Arc<Store>) -> Result<Vec<SessionId>, SessionError> {
    store.latest(MAX_LISTED).await
}
