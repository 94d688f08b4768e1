//! `openai-agents reload`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use openai_agents::ErrorKind;
use openai_agents::config::{Config, ServerConfig};
use openai_agents::http::{BaseUrl, Headers, HttpClient, HttpResponse};
use serde_json::Value;

use crate::args::Global;
use crate::exit::Exit;
use crate::failure::{Unusable, Usage};
use crate::logging;
use crate::output::{self, Lines, is_read};

/// The longest wait for an answer. A reload starts the MCP servers again, which takes time.
const PATIENCE: Duration = Duration::from_secs(120);

/// Reload the configuration of a running server
///
/// The server at `server.bind` reads its configuration file, .env and environment again, and serves the new agents and tools. Requests
/// that are under way finish with the old ones. If the new configuration is wrong, nothing changes, and the error is printed here.
///
/// The sections `server`, `sessions` and `log_level` need a restart.
#[derive(Debug, Args)]
pub(crate) struct ReloadArgs {
    /// The address of the server [default: `server.bind`].
    #[arg(long, value_name = "ADDRESS:PORT")]
    bind: Option<String>,
}

pub(crate) async fn run(global: Global, arguments: &ReloadArgs) -> Result<Exit> {
    let config = match &arguments.bind {
        Some(_) => global.load_with(&[("--bind", "server.bind", arguments.bind.as_deref())])?,
        None => global.load()?,
    };
    logging::start(&config)?;
    let (status, answer) = ask(&config).await?;
    if status != 200 {
        return Err(refusal(status, &answer).into());
    }
    let listed = |name| answer.get(name).and_then(Value::as_array);
    let agents = listed("agents")
        .context("the answer is not one of openai-agents: is another program listening there?")?;
    let agents: Vec<&str> = agents.iter().filter_map(Value::as_str).collect();
    let line = format!("serves {}", agents.join(", "));
    is_read(Lines::stdout().text(line))?;
    for note in listed("notes").into_iter().flatten() {
        let note = note.as_str().unwrap_or_default();
        output::note(format_args!("note: {note}"));
    }
    Ok(Exit::Done)
}

async fn ask(config: &Config) -> Result<(u16, Value)> {
    let ServerConfig { bind, token, .. } = config.server();
    let mut address = *bind;
    match address.ip() {
        // `0.0.0.0` means every address for a listener, and none for a client.
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    let url = BaseUrl::parse(&format!("http://{address}"))?.join("reload")?;
    let mut headers = Headers::new();
    if let Some(token) = token {
        headers.insert_bearer(token)?;
    }
    let client = HttpClient::builder().idle_timeout(PATIENCE).build()?;
    let nobody = |error| {
        let message = format!(
            "no server answers at {address}: {error}; start one with `openai-agents serve`, or name its address with --bind"
        );
        Usage(message)
    };
    let response = client.post(&url, &headers, [].as_slice().into()).await;
    read(response.map_err(nobody)?).await
}

async fn read(response: HttpResponse) -> Result<(u16, Value)> {
    let status = response.status;
    let body = response.body.collect().await?;
    Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
}

/// Says why nothing was reloaded.
fn refusal(status: u16, answer: &Value) -> Unusable {
    let message = answer.pointer("/error/message").and_then(Value::as_str);
    let message = message.map_or_else(
        || format!("status {status} with an answer that is not one of openai-agents: is another program listening there?"),
        str::to_owned,
    );
    let hint = match status {
        401 => "set `server.token` to the token of the running server",
        500 => "the server continues with its old configuration",
        _ => return unusable(message, None),
    };
    unusable(message, Some(hint.to_owned()))
}

fn unusable(message: String, hint: Option<String>) -> Unusable {
    Unusable {
        kind: ErrorKind::Config,
        message,
        hint,
    }
}
