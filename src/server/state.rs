//! `Server`, and the state that all requests share.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::active::Runs;
use super::allowed_hosts::AllowedHosts;
use super::body::Bodies;
use super::builder::{ServerBuildError, ServerBuilder, ToolItems};
use super::catalog::Catalog;
use super::error::ApiError;
use super::in_flight::InFlight;
use super::kept::Keeper;
use super::openai::OpenTurns;
use super::openai::conversations::Conversations;
use super::openai::responses::Responses;
use super::page::PageUse;
use super::reload::Reload;
use super::service::Service;
use super::sessions::{ListSessions, OpenSession};
use crate::agent::Agent;
use crate::agent::runner::Runner;
use crate::model::ModelProvider;
use crate::secret::Secret;
use crate::session::{Session, SessionId};

/// Serves agents behind the OpenAI API, and runs as a service.
///
/// It is a cheap handle of what it serves.
///
/// Begun by [`Server::builder`]. [`router`](Self::router) goes into an axum application, [`serve`](Self::serve) is one.
#[derive(Clone)]
pub struct Server(pub(super) Arc<AppState>);

/// What all requests share.
pub(super) struct AppState {
    pub(super) catalog: RwLock<Arc<Catalog>>,
    pub(super) allowed_hosts: AllowedHosts,
    pub(super) token: Option<Secret>,
    pub(super) sessions: Arc<OpenSession>,
    pub(super) list_sessions: Option<Arc<ListSessions>>,
    pub(super) page: PageUse,
    pub(super) models: Option<Arc<dyn ModelProvider>>,
    pub(super) reload: Option<Reload>,
    pub(super) in_flight: InFlight,
    pub(super) runs: Arc<Runs>,
    pub(super) responses: Responses,
    pub(super) conversations: Conversations,
    pub(super) open_turns: OpenTurns,
    pub(super) service: Service,
    /// What responses, conversations and runs share.
    pub(super) keeper: Keeper,
    pub(super) tool_items: ToolItems,
    pub(super) bodies: Bodies,
    pub(super) max_connections: usize,
    /// How long runs may take to end when the server closes.
    pub(super) grace: Duration,
    /// When the server was made, in seconds since 1970.
    pub(super) started_at: u64,
    /// Where traces are kept, if they are.
    #[cfg(feature = "sqlite")]
    pub(super) traces: Option<crate::trace::TraceStore>,
    #[cfg(feature = "mcp-server")]
    pub(super) mcp: Option<super::mcp::McpServer>,
    #[cfg(feature = "realtime")]
    pub(super) realtime: super::realtime::Realtime,
}

impl Server {
    /// Begins a server whose agents are run by this runner.
    pub fn builder(runner: Runner) -> ServerBuilder {
        ServerBuilder::new(runner)
    }

    /// Serves these agents from now on, in place of those before.
    ///
    /// What has begun goes on with the agents and the runner that it began with; a run that waits for approval goes on with the agent
    /// that has its name then. What an [MCP server](super::mcp::McpServer) beside it serves is its own.
    ///
    /// # Errors
    ///
    /// [`ServerBuildError::AgentClash`] when two agents have one name; nothing changes then.
    pub fn set_agents(
        &self,
        runner: Runner,
        agents: impl IntoIterator<Item = Agent>,
    ) -> Result<(), ServerBuildError> {
        let catalog = Catalog::new(runner, agents.into_iter().collect())?;
        self.0.set_catalog(catalog);
        Ok(())
    }
}

impl AppState {
    /// What can be asked now.
    pub(super) fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set_catalog(&self, catalog: Catalog) {
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(catalog);
    }

    /// Opens a session.
    pub(super) async fn session(&self, id: &SessionId) -> Result<Arc<dyn Session>, ApiError> {
        let session = (self.sessions)(id.clone()).await;
        session.map_err(|error| ApiError::of_session(&error))
    }
}

/// Returns the time, in seconds since 1970.
pub(super) fn now() -> u64 {
    // A clock before 1970 is wrong anyway.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let catalog = self.0.catalog();
        f.debug_struct("Server")
            .field(
                "agents",
                &catalog.agents.iter().map(Agent::name).collect::<Vec<_>>(),
            )
            .field("allowed_hosts", &self.0.allowed_hosts)
            .field("token", &self.0.token)
            .field("runs", &self.0.runs)
            .finish_non_exhaustive()
    }
}
