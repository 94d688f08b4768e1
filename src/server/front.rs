//! The server: what it serves, and what its requests share.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::active::Runs;
use super::builder::{ServerBuilder, ToolItems};
use super::names::Names;
use super::openai::responses::Responses;
use super::service::Service;
use super::sessions::OpenSession;
use super::work::Work;
use crate::agent::Agent;
use crate::agent::runner::Runner;
use crate::secret::Secret;

/// Agents behind the OpenAI API, and runs as a service; a cheap handle of what it serves.
///
/// Begun by [`Server::builder`]. [`router`](Self::router) goes into an axum application, [`serve`](Self::serve) is one.
#[derive(Clone)]
pub struct Server(pub(super) Arc<Shared>);

/// What all requests share.
pub(super) struct Shared {
    pub(super) runner: Runner,
    pub(super) agents: Vec<Agent>,
    pub(super) names: Names,
    pub(super) token: Option<Secret>,
    pub(super) sessions: Arc<OpenSession>,
    pub(super) work: Work,
    pub(super) runs: Arc<Runs>,
    pub(super) responses: Responses,
    pub(super) service: Service,
    pub(super) tool_items: ToolItems,
    pub(super) max_body_bytes: usize,
    pub(super) max_connections: usize,
    /// How long runs may take to end when the server closes.
    pub(super) grace: Duration,
    /// When the server was made, in seconds since 1970.
    pub(super) started_at: u64,
    #[cfg(feature = "mcp-server")]
    pub(super) mcp: Option<super::mcp::McpServer>,
}

impl Server {
    /// Begins a server whose agents are run by this runner.
    pub fn builder(runner: Runner) -> ServerBuilder {
        ServerBuilder::new(runner)
    }
}

/// Gives the time, in seconds since 1970.
pub(super) fn now() -> u64 {
    // A clock before 1970 is wrong anyway.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field(
                "agents",
                &self.0.agents.iter().map(Agent::name).collect::<Vec<_>>(),
            )
            .field("names", &self.0.names)
            .field("token", &self.0.token)
            .field("runs", &self.0.runs)
            .finish_non_exhaustive()
    }
}
