//! Opens the configured sessions for the servers of `serve`.

use std::future::{Ready, ready};
use std::sync::Arc;

use anyhow::Result;
use openai_agents::config::Config;
use openai_agents::server::ServerBuilder;
use openai_agents::server::mcp::McpServerBuilder;
use openai_agents::session::{Session, SessionError, SessionId};

use crate::store::Store;

/// The most sessions that are listed, those written to last.
const MAX_LISTED: usize = 1_000;

/// The session store. Without one, for example without a home directory, each server keeps
/// conversations in memory.
pub(crate) struct ServedSessions(Option<Arc<Store>>);

impl ServedSessions {
    /// Opens the store, so that errors appear before anything is served.
    pub(crate) async fn open(config: &Config) -> Result<Self> {
        if config.sessions().store.is_none() {
            return Ok(Self(None));
        }
        let store = Store::open(config).await?;
        Ok(Self(Some(Arc::new(store))))
    }

    /// Serves the sessions through the OpenAI API.
    pub(crate) fn behind(&self, server: ServerBuilder) -> ServerBuilder {
        let Some(store) = self.0.clone() else {
            return server;
        };
        server
            .sessions(opens(&store))
            .list_sessions(move || latest(Arc::clone(&store)))
    }

    /// Serves the sessions through MCP.
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
