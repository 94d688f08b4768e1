//! `openai-agents serve`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use openai_agents::Limits;
use openai_agents::config::{Config, ServerConfig};
use openai_agents::model::{ModelError, ModelProvider};
use openai_agents::realtime::RealtimeSession;
use openai_agents::server::mcp::McpServer;
use openai_agents::server::{Server, ServerBuilder};
use openai_agents::{ErrorKind, Model};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::args::Global;
use crate::exit::Exit;
use crate::failure::{Ended, ServingFailed, Usage};
use crate::output;
use crate::recorder::Recorder;
use crate::served::{self, Catalog, Served};
use crate::served_sessions::ServedSessions;
use crate::server_limits;
use crate::signal::Signals;

/// How long work under way may take at the end. With `FOR_CHILDREN` and the rest, the program ends
/// within the ten seconds that its help promises.
const GRACE: Duration = Duration::from_millis(8_500);
/// How long the MCP servers may take to end.
const FOR_CHILDREN: Duration = Duration::from_millis(500);

/// Serve the agents and tools to other programs; the default command
///
/// At http://127.0.0.1:8080/v1 any client of the OpenAI API can use the agents; each agent is a model. At /mcp they are an MCP server over
/// streamable HTTP, with a tool ask_<agent> for each agent, and with each tool. POST /run starts a run that continues after its client is
/// gone. A browser shows a page at / on which a person can talk with the agents. With `realtime.model`, any client of the Realtime API can
/// talk with `RealtimeAgent` at /v1/realtime. /openapi.json describes all routes, /healthz says whether new work is accepted, /metrics counts
/// requests and runs.
///
/// Only programs on this machine can connect. To listen at another address, set `server.token`; clients send it as a bearer token.
///
/// Ctrl-C, SIGTERM or SIGHUP stops the server: it accepts no new work, gives the work under way ten seconds, stops the MCP servers that it
/// started, and exits with 0. A second signal ends it at once, with 130, 143 or 129.
#[derive(Debug, Default, Args)]
#[expect(
    clippy::doc_markdown,
    reason = "this is a help text for terminals, where backticks would be noise"
)]
pub(crate) struct ServeArgs {
    /// Listen at this address [default: `server.bind`].
    #[arg(long, value_name = "ADDRESS:PORT")]
    bind: Option<String>,
    /// Serve one MCP client over stdin and stdout, until stdin ends.
    #[arg(long, conflicts_with = "bind")]
    stdio: bool,
}

pub(crate) async fn run(
    global: Global,
    arguments: &ServeArgs,
    signals: &mut Signals,
) -> Result<Exit> {
    let served = Served::load(global, arguments.bind.clone())?;
    signals.unless(served.open_recorder()).await?;
    let catalog = Catalog::of(&served.now(), served.recorder())?;
    let ready = async {
        let config = served.now();
        let sessions = ServedSessions::open(&config).await?;
        let mcp = mcp_server(&catalog, &sessions)?;
        served::connect(&config).await?;
        Ok((sessions, mcp))
    };
    let (sessions, mcp) = signals.unless(ready).await?;
    let ended = if arguments.stdio {
        over_stdio(&mcp, signals).await
    } else {
        over_http(&served, &sessions, (catalog, mcp), signals).await
    };
    if let Some(recorder) = served.recorder() {
        tokio::select! {
            biased;
            _ = signals.second() => {}
            () = recorder.close() => {}
        }
    }
    let config = served.now();
    let children = timeout(FOR_CHILDREN, config.mcp_servers().close());
    tokio::select! {
        biased;
        // Dropping the servers ends them without waiting.
        _ = signals.second() => {}
        _ = children => {}
    }
    ended.map(|()| Exit::Done)
}

/// Makes an MCP server of all agents and tools.
fn mcp_server(catalog: &Catalog, sessions: &ServedSessions) -> Result<McpServer> {
    let mut builder = McpServer::builder(catalog.runner.clone())
        .identity(env!("CARGO_BIN_NAME"), env!("CARGO_PKG_VERSION"));
    for tool in &catalog.tools {
        builder = builder.tool(tool.clone());
    }
    for agent in &catalog.agents {
        builder = builder.agent(agent.clone());
    }
    Ok(sessions.behind_mcp(builder).build()?)
}

/// Makes the HTTP server of all agents.
fn http_server(config: &Config, sessions: &ServedSessions, catalog: Catalog) -> ServerBuilder {
    let mut builder = Server::builder(catalog.runner)
        .grace(GRACE)
        .memory_limit(config.memory_limit().clone())
        .page();
    for agent in catalog.agents {
        builder = builder.agent(agent);
    }
    let ServerConfig {
        bind,
        token,
        allowed_hosts,
        allowed_origins,
        limits,
        ..
    } = config.server();
    if let Some(token) = token {
        builder = builder.token(token.clone());
    }
    // The server answers only to host names that it knows. The address that it listens on is one;
    // 0.0.0.0 and [::] stand for all addresses and name none.
    let own = (!bind.ip().is_unspecified()).then(|| name_of(bind.ip()));
    for host in own.iter().chain(allowed_hosts) {
        builder = builder.allow_host(host);
    }
    for origin in allowed_origins {
        builder = builder.allow_origin(origin);
    }
    sessions.behind(server_limits::set(builder, limits))
}

/// Finds models of the current configuration by name, for requests that name one.
struct NamedModels(Arc<Served>);

impl ModelProvider for NamedModels {
    fn model(&self, name: &str) -> Result<Arc<dyn Model>, ModelError> {
        let driver = self.0.now().driver(name);
        driver.map_err(|error| ModelError::new(ErrorKind::Config, error.to_string()))
    }
}

/// Adds the realtime agent at `/v1/realtime`, if a realtime model is set.
fn with_realtime(
    builder: ServerBuilder,
    config: &Config,
    recorder: Option<&Recorder>,
) -> Result<ServerBuilder> {
    if config.realtime().model.is_none() {
        return Ok(builder);
    }
    let agents = config.realtime_agents()?;
    let Some(first) = agents.first() else {
        return Ok(builder);
    };
    let mut sessions = RealtimeSession::builder(first, config.realtime_model()?)
        .limits(config.limits().over(Limits::default()));
    for agent in agents.iter().skip(1) {
        sessions = sessions.register_agent(agent);
    }
    if let Some(voice) = &config.realtime().voice {
        sessions = sessions.voice(voice);
    }
    if let Some(recorder) = recorder {
        sessions = sessions.tracer(&recorder.tracer);
    }
    Ok(builder.realtime(sessions))
}

/// Formats an address as in a URL.
fn name_of(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

async fn over_stdio(mcp: &McpServer, signals: &mut Signals) -> Result<()> {
    tokio::select! {
        served = mcp.serve_stdio() => served.context(ServingFailed("the client does not speak MCP")),
        _ = signals.first() => Ok(()),
    }
}

async fn over_http(
    served: &Arc<Served>,
    sessions: &ServedSessions,
    (catalog, mcp): (Catalog, McpServer),
    signals: &mut Signals,
) -> Result<()> {
    let config = served.now();
    let builder = http_server(&config, sessions, catalog);
    let (again, beside) = (Arc::clone(served), mcp.clone());
    let builder = builder.on_reload(move || {
        let (served, mcp) = (Arc::clone(&again), beside.clone());
        async move {
            let loaded = served.load_again(&mcp).await;
            loaded.map_err(|error| format!("{error:#}"))
        }
    });
    let store = served
        .recorder()
        .and_then(|recorder| recorder.store.clone());
    let builder = match store {
        Some(store) => builder.traces(store),
        None => builder,
    };
    let builder = builder.models(NamedModels(Arc::clone(served)));
    let builder = with_realtime(builder, &config, served.recorder())?;
    let server = builder.mcp(mcp).build()?;
    let listener = listen(&config).await?;
    // `config` would keep the first configuration and its MCP servers alive after a reload.
    drop(config);
    let address = listener.local_addr().context("cannot listen")?;
    let (count, counted) = oneshot::channel();
    let (mut hears, counting) = (signals.clone(), server.clone());
    let shutdown = async move {
        hears.first().await;
        // The receiver is gone if the program ends at once.
        count.send(counting.n_in_flight()).ok();
    };
    let serving = server.serve(listener, shutdown);
    output::note(format_args!(
        "serving on http://{address}: a page for browsers at /, the OpenAI API at /v1, MCP at /mcp"
    ));
    let asked_twice = async {
        if let Ok(n @ 1..) = counted.await {
            output::note(format_args!(
                "ending: waiting for {n} under way; another signal ends at once"
            ));
        }
        signals.second().await
    };
    tokio::select! {
        // The server first, so that it accepts nothing new once the note about the end is written.
        biased;
        served = serving => served.context(ServingFailed("cannot serve")),
        signal = asked_twice => Err(Ended(signal).into()),
    }
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
            "cannot listen on {bind} ({from}): {error}; choose another address with --bind, or `server.bind` in {file}"
        );
        Usage(message).into()
    })
}
