//! `openai-agents check`.

use std::io;

use anyhow::Result;
use clap::Args;
use openai_agents::config::{Config, ConfigError};

use crate::args::Global;
use crate::escape::{Shown, excerpt};
use crate::exit::Exit;
use crate::failure;
use crate::logging;
use crate::mcp;
use crate::models::{self, ModelListing};
use crate::output::{Lines, is_read};
use crate::store::Store;

/// Show every setting and its origin, what is missing, and whether the server answers
///
/// Secrets are never shown, only their length. The model's server is asked for its list of models and nothing else. Some servers show that
/// list without a key, so a wrong key may show only in a run. The session store is opened, and the MCP servers are started and asked for
/// their tools.
///
/// Exit codes: 0 a run could start; 1 the model's server or an MCP server answers with an error; 2 something is missing or wrong: a
/// setting, the session store, a server that cannot be reached.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {}

/// The findings, a line each.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn note(&mut self, what: &str, text: &str) {
        self.0.push(format!("{what}: {text}"));
    }
}

pub(crate) async fn run(global: Global) -> Result<Exit> {
    let config = global.load()?;
    logging::start(&config)?;
    config.check()?;
    let mut out = Lines::stdout();
    is_read(write_settings(&mut out, &config))?;
    let missing: Vec<ConfigError> = [config.base_url().err(), config.model().err()]
        .into_iter()
        .flatten()
        .collect();
    let mut findings = Findings::default();
    for error in &missing {
        findings.note("missing", &error.to_string());
    }
    let exit = judge_parts(&config, &mut findings).await?;
    is_read(findings.0.iter().try_for_each(|line| out.text(line)))?;
    Ok(if missing.is_empty() {
        exit
    } else {
        Exit::Usage
    })
}

fn write_settings(out: &mut Lines, config: &Config) -> io::Result<()> {
    let file = config.file().display();
    let state = if config.file_exists() {
        "read"
    } else {
        "not there"
    };
    out.text(format_args!("configuration file: {file} ({state})"))?;
    out.text("")?;
    let rows: Vec<[String; 3]> = config
        .origins()
        .iter()
        .map(|setting| {
            let origin = setting.origin.to_string();
            [&setting.key, &setting.value, &origin].map(|cell| Shown(cell).to_string())
        })
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let (keys, values) = (width(0), width(1));
    for [key, value, origin] in &rows {
        out.text(format_args!("{key:keys$}  {value:values$}  {origin}"))?;
    }
    out.text("")
}

/// Asks everything that a run may need, and gives the exit code of the first part that fails.
async fn judge_parts(config: &Config, findings: &mut Findings) -> Result<Exit> {
    let mut exit = Exit::Done;
    if config.base_url().is_ok() {
        exit = judge(config, &models::list(config).await?, findings);
    }
    let sessions = judge_sessions(config, findings).await;
    let servers = judge_mcp(config, findings).await;
    let exits = [exit, sessions, servers].into_iter();
    let mut failed = exits.filter(|exit| *exit != Exit::Done);
    Ok(failed.next().unwrap_or(Exit::Done))
}

async fn judge_mcp(config: &Config, findings: &mut Findings) -> Exit {
    let mut exit = Exit::Done;
    for server in mcp::look(config).await {
        let text = format!("{}: {}", server.name, server.state());
        findings.note("mcp server", &text);
        if exit == Exit::Done {
            exit = server.exit();
        }
    }
    exit
}

async fn judge_sessions(config: &Config, findings: &mut Findings) -> Exit {
    let Some(store) = &config.sessions().store else {
        findings.note("sessions", "cannot be kept: HOME is not set");
        return Exit::Done;
    };
    let is_read = match Store::open_to_read(config).await {
        Ok(Some(opened)) => opened.latest(1).await.map(|_| true).map_err(Into::into),
        Ok(None) => Ok(false),
        Err(error) => Err(error),
    };
    match is_read {
        Ok(true) => findings.note("sessions", &format!("{store} can be read")),
        Ok(false) => findings.note("sessions", &format!("{store} will be created")),
        Err(error) => {
            findings.note("sessions", &format!("{error:#}"));
            return Exit::Usage;
        }
    }
    Exit::Done
}

/// Explains the answer of the server.
fn judge(config: &Config, listing: &ModelListing, findings: &mut Findings) -> Exit {
    match listing {
        ModelListing::Models(names) => {
            findings.note("server", "answers");
            judge_models(config, names, findings);
            Exit::Done
        }
        ModelListing::NotAList => {
            let text =
                "answers, but not with a list of models; a run will show whether it has the model";
            findings.note("server", text);
            Exit::Done
        }
        ModelListing::Refused { status, words } => {
            let text = format!("answers with the error {status}: {}", excerpt(words));
            findings.note("server", &text);
            let hint = match status {
                401 | 403 => failure::key(config),
                _ => failure::base_url(config),
            };
            findings.note("hint", &hint);
            Exit::Failed
        }
        ModelListing::Unreachable {
            reason,
            may_be_down,
        } => {
            findings.note("server", reason);
            if *may_be_down {
                let hint = format!("is the server running? {}", failure::base_url(config));
                findings.note("hint", &hint);
            }
            Exit::Usage
        }
    }
}

fn judge_models(config: &Config, listed: &[String], findings: &mut Findings) {
    let of_agents = config
        .agents()
        .iter()
        .filter_map(|agent| agent.model.as_deref());
    let mut wanted: Vec<&str> = config.model().into_iter().chain(of_agents).collect();
    wanted.sort_unstable();
    wanted.dedup();
    for name in &wanted {
        let is_listed = listed.iter().any(|model| model == name);
        let text = if is_listed {
            "is listed by the server"
        } else {
            "is not listed by the server, which may know it all the same"
        };
        findings.note("model", &format!("{name} {text}"));
    }
    if wanted.is_empty()
        || wanted
            .iter()
            .any(|name| !listed.iter().any(|model| model == name))
    {
        let some: Vec<&str> = listed.iter().map(String::as_str).take(10).collect();
        let more = listed.len().saturating_sub(some.len());
        let more = if more == 0 {
            String::new()
        } else {
            format!(" and {more} more")
        };
        findings.note("listed", &format!("{}{more}", some.join(", ")));
    }
}
