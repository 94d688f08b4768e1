//! What is served over HTTP, and what stands before it.

mod guard;
mod work;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::get;
use openai_agents::config::ServerConfig;
use openai_agents::server::mcp::McpServer;

use guard::Guard;
pub(crate) use guard::hosts;
pub(crate) use work::Work;

/// Puts everything together that is served; all of it is behind the guard.
pub(crate) fn router(config: &ServerConfig, mcp: &McpServer, work: &Work) -> Router {
    let guard = Guard::new(config, work.clone());
    Router::new()
        .route("/healthz", get(health))
        .with_state(work.clone())
        .merge(mcp.router())
        .layer(middleware::from_fn_with_state(guard, guard::pass))
}

/// Says whether new work is taken; it needs no token, and tells nothing else.
async fn health(State(work): State<Work>) -> (StatusCode, &'static str) {
    if work.is_ending() {
        (StatusCode::SERVICE_UNAVAILABLE, "ending\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}
