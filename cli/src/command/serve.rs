//! `openai-agents serve`.

use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use openai_agents::config::{Config, ServerConfig};
use openai_agents::mcp::McpError;
use openai_agents::server::mcp::McpServer;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use super::block_on_threads;
use crate::args::Global;
use crate::exit::Exit;
use crate::failure::Usage;
use crate::web::{self, Work};
use crate::{logging, signal};

/// How long the end may take from the moment that it is asked for.
const PATIENCE: Duration = Duration::from_secs(10);
/// What of it is kept for closing connections and ending children.
const FOR_CLOSING: Duration = Duration::from_secs(1);

/// Serve the agents and tools to other programs; what no command means too
///
/// At http://127.0.0.1:8080/mcp they are an MCP server over streamable HTTP: each agent a tool named ask_<agent>, and each tool itself.
/// /healthz says whether new work is taken.
///
/// Only programs on this machine can connect. Another address needs a token (`server.token`), which requests bring as a bearer token.
///
/// Ctrl-C or SIGTERM: no new work; what is under way has ten seconds to end. A second one ends it at once.
#[derive(Debug, Default, Args)]
#[expect(
    clippy::doc_markdown,
    reason = "this is a help text for terminals, where backticks would be noise"
)]
pub(crate) struct Arguments {
    /// Listen at this address, and not at `server.bind`.
    #[arg(long, value_name = "ADDRESS:PORT")]
    bind: Option<String>,
    /// Serve one MCP client over stdin and stdout, until stdin ends.
    #[arg(long, conflicts_with = "bind")]
    stdio: bool,
}

pub(crate) fn run(global: Global, arguments: &Arguments) -> Result<Exit> {
    let config = match &arguments.bind {
        Some(bind) => global.load_with("--bind", "server.bind", bind)?,
        None => global.load()?,
    };
    logging::start(&config)?;
    let mcp = mcp_server(&config)?;
    block_on_threads(async {
        tokio::select! {
            connected = connect(&config) => connected?,
            asked = signal::asked_to_end() => return asked.context("cannot listen for signals"),
        }
        let served = if arguments.stdio {
            over_stdio(&mcp).await
        } else {
            over_http(&config, &mcp).await
        };
        timeout(FOR_CLOSING, config.mcp_servers().close())
            .await
            .ok();
        served
    })??;
    Ok(Exit::Done)
}

/// All agents and tools as an MCP server.
fn mcp_server(config: &Config) -> Result<McpServer> {
    let mut builder = McpServer::builder(config.runner()?)
        .identity(env!("CARGO_BIN_NAME"), env!("CARGO_PKG_VERSION"));
    for tool in &config.tools() {
        builder = builder.tool(tool.clone());
    }
    for agent in config.agents() {
        builder = builder.agent(config.agent(&agent.name)?);
    }
    for host in web::hosts(config.server()) {
        for scheme in ["http", "https"] {
            builder = builder.allow_origin(format!("{scheme}://{host}:*"));
        }
        builder = builder.allow_host(host);
    }
    Ok(builder.build()?)
}

/// Connects the MCP servers of all agents, so that what is wrong is found now.
async fn connect(config: &Config) -> Result<(), McpError> {
    for agent in config.agents() {
        config.connect_mcp(agent).await?;
    }
    Ok(())
}

async fn over_stdio(mcp: &McpServer) -> Result<()> {
    tokio::select! {
        served = mcp.serve_stdio() => served.context("the client does not speak MCP"),
        asked = signal::asked_to_end() => asked.context("cannot listen for signals"),
    }
}

async fn over_http(config: &Config, mcp: &McpServer) -> Result<()> {
    let listener = listen(config).await?;
    let address = listener.local_addr().context("cannot listen")?;
    let work = Work::new();
    let app = web::router(config.server(), mcp, &work);
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = axum::serve(listener, app).with_graceful_shutdown(async {
        // Dropped or sent, either means the end.
        stopped.await.ok();
    });
    let mut serving = std::pin::pin!(serving.into_future());
    tell(&format!("serving on http://{address}: MCP at /mcp"));
    tokio::select! {
        served = &mut serving => return served.context("cannot serve"),
        asked = signal::asked_to_end() => asked.context("cannot listen for signals")?,
    }
    let deadline = Instant::now() + PATIENCE;
    work.end();
    match work.n_under_way() {
        0 => {}
        n_requests => tell(&format!("ending: {n_requests} under way")),
    }
    // The connections go on being served meanwhile.
    tokio::select! {
        served = &mut serving => return served.context("cannot serve"),
        _ = timeout_at(deadline - FOR_CLOSING, work.finished()) => {}
        asked = signal::asked_to_end() => asked.context("cannot listen for signals")?,
    }
    mcp.close();
    drop(stop);
    timeout(FOR_CLOSING / 2, serving).await.ok();
    Ok(())
}

async fn listen(config: &Config) -> Result<TcpListener> {
    let ServerConfig { bind, .. } = config.server();
    TcpListener::bind(bind).await.map_err(|error| {
        let from = config.setting("server.bind").map_or_else(
            || "the default".to_owned(),
            |setting| format!("from {}", setting.origin),
        );
        let file = config.file().display();
        let message = format!(
            "cannot listen at {bind} ({from}): {error}; --bind, or `server.bind` in {file}, names another address"
        );
        Usage(message).into()
    })
}

/// Where stderr is closed there is nobody to tell.
fn tell(what: &str) {
    let _unheard = writeln!(io::stderr(), "{what}");
}
