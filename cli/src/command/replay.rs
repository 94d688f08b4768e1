//! `openai-agents replay`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use openai_agents::journal::{Difference, Recording};
use openai_agents::{ErrorKind, Limits, Runner};
use serde_json::json;

use super::run::form;
use crate::args::{DeliveryFlag, Global};
use crate::durable::schema_of;
use crate::exit::Exit;
use crate::failure::{Usage, failed_result};
use crate::logging;
use crate::output::{self, Lines, is_read};
use crate::play::{Start, play};
use crate::render::Renderer;
use crate::run_setup::RunSetup;
use crate::signal::Signals;

/// Replay a run that `run --record` recorded, without a model
///
/// Every answer of the model and every output of a tool comes from the file. No request is sent and
/// no tool is called. Use the same settings and the same agent as when the run was recorded.
///
/// With --fork-at N, the turns before N come from the file. From turn N on, the model and the tools
/// are called. Use it to try the same beginning with another model (--model) or with changed tools.
///
/// With --diff OTHER, nothing is replayed. The differences between the two recordings are listed,
/// and the exit code is 1 if there are any.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The recording.
    file: PathBuf,
    /// Call the model and the tools again from this turn on.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    fork_at: Option<u32>,
    /// List the differences between FILE and this recording.
    #[arg(long, value_name = "OTHER", conflicts_with = "fork_at")]
    diff: Option<PathBuf>,
    #[command(flatten)]
    delivery: DeliveryFlag,
    /// Print events and the result, or the differences, as lines of JSON.
    #[arg(long)]
    pub(super) json: bool,
}

pub(crate) async fn run(
    global: Global,
    arguments: &ReplayArgs,
    signals: &mut Signals,
) -> Result<Exit> {
    if let Some(other) = &arguments.diff {
        let differences = signals.unless(differences(&arguments.file, other)).await?;
        return list(&differences, arguments.json);
    }
    let mut renderer = Renderer::new(arguments.json, None);
    let prepared = Box::pin(prepare(global, arguments));
    play(prepared, &mut renderer, signals).await
}

async fn open(path: &Path) -> Result<Recording> {
    let recording = Recording::open(path).await?;
    if recording.is_cut() {
        let path = path.display();
        output::note(format_args!(
            "the last line of {path} is incomplete and was left out"
        ));
    }
    Ok(recording)
}

async fn differences(one: &Path, other: &Path) -> Result<Vec<Difference>> {
    Ok(open(one).await?.diff(&open(other).await?))
}

async fn prepare(global: Global, arguments: &ReplayArgs) -> Result<(Start, RunSetup)> {
    let delivery = arguments.delivery.delivery();
    let flags = form(&global, arguments.json, delivery);
    if arguments.fork_at.is_none() && global.names_model() {
        let message = "--model needs --fork-at: without it, every answer comes from the recording";
        return Err(Usage(message.to_owned()).into());
    }
    let config = global.load()?;
    logging::start(&config)?;
    let recording = open(&arguments.file).await?;
    let beginning = recording.beginning();
    let mut setup = RunSetup {
        is_replay: true,
        ..RunSetup::new(config, flags)?
    };
    setup.demand(&beginning.agent, schema_of(&beginning.settings).as_ref())?;
    let config = &setup.config;
    let described = config.agent_config(&beginning.agent)?;
    let agent = config.agent(&beginning.agent)?;
    config.connect_mcp(described).await?;
    let limits = described
        .limits
        .over(config.limits().over(Limits::default()));
    let (runner, journal) = match arguments.fork_at {
        None => (Runner::new(recording.model()), recording.journal()),
        Some(turn) => (
            config.runner_for(&beginning.agent)?,
            recording.fork_at(turn),
        ),
    };
    let input = recording.first_items().to_vec();
    let request = runner.run(&agent, input).delivery(delivery);
    let request = request.journal(Arc::new(journal)).limits(limits);
    Ok((Start::Run(Box::new(request)), setup))
}

/// Lists the differences. As for `diff`, they are an exit code and not an error.
fn list(differences: &[Difference], json: bool) -> Result<Exit> {
    let mut out = Lines::stdout();
    for difference in differences {
        if !is_read(write(&mut out, difference, json))? {
            break;
        }
    }
    if differences.is_empty() {
        return Ok(Exit::Done);
    }
    let message = match differences.len() {
        1 => "the recordings differ in 1 place".to_owned(),
        n => format!("the recordings differ in {n} places"),
    };
    let result = failed_result(ErrorKind::Inconsistent, &message);
    is_read(output::result(&result))?;
    Ok(Exit::Failed)
}

fn write(out: &mut Lines, difference: &Difference, json: bool) -> io::Result<()> {
    if !json {
        return out.text(difference);
    }
    let Difference {
        turn,
        path,
        kind,
        before,
        after,
        ..
    } = difference;
    out.json(&json!({ "type": "difference", "turn": turn, "path": path, "kind": kind.name(), "before": before, "after": after }))
}
