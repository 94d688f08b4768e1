//! `openai-agents replay`.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Args;
use openai_agents::journal::{Difference, Recording};
use openai_agents::{Limits, Runner};
use serde_json::json;

use super::block_on;
use super::run::{Begin, Scene, begin_scene, form};
use crate::args::Global;
use crate::exit::Exit;
use crate::failure::{Failure, Usage};
use crate::logging;
use crate::output::quiet_on_broken_pipe;
use crate::render::Renderer;
use crate::sanitize::sanitize;

/// Play back a run that `run --record` wrote, without its server
///
/// Every answer of the model and every output of a tool is from the file; nothing is asked and no tool is called. The settings and the
/// agent have to be those with which the run was recorded.
///
/// With --fork-at N the turns before N are from the file, and from turn N on model and tools are really called, so that the same beginning
/// can be tried with another model (--model) or with changed tools. With --diff OTHER nothing is played: what differs between the two
/// recordings is listed, and the exit code is 1 if something does.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The recording.
    file: PathBuf,
    /// Let the run go its own way from this turn on.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    fork_at: Option<u32>,
    /// List how this recording differs.
    #[arg(long, value_name = "OTHER", conflicts_with = "fork_at")]
    diff: Option<PathBuf>,
    /// Wait for whole answers from the model.
    #[arg(long)]
    no_stream: bool,
    /// Print events and the result, or the differences, as lines of JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(global: Global, arguments: &Arguments) -> Result<Exit> {
    if let Some(other) = &arguments.diff {
        let differences = block_on(differences(&arguments.file, other))??;
        return list(&differences, arguments.json);
    }
    let mut renderer = Renderer::new(arguments.json, None);
    block_on(async {
        let interrupt = pin!(tokio::signal::ctrl_c());
        match prepare(global, arguments).await {
            Ok((begin, scene)) => begin_scene(begin, &scene, &mut renderer, interrupt).await,
            Err(error) => renderer.failed(&Failure::of(&error)),
        }
    })?
}

async fn open(path: &Path) -> Result<Recording> {
    let recording = Recording::open(path).await?;
    if recording.is_cut() {
        // Where stderr is closed there is nobody to tell.
        let path = path.display().to_string();
        let _unheard = writeln!(
            io::stderr(),
            "the last line of {} is cut, and left out",
            sanitize(&path)
        );
    }
    Ok(recording)
}

async fn differences(one: &Path, other: &Path) -> Result<Vec<Difference>> {
    Ok(open(one).await?.diff(&open(other).await?))
}

async fn prepare(global: Global, arguments: &Arguments) -> Result<(Begin, Scene)> {
    let flags = form(&global, arguments.json, arguments.no_stream);
    if arguments.fork_at.is_none() && global.names_model() {
        let message = "--model needs --fork-at: what is played back was said by another model";
        return Err(Usage(message.to_owned()).into());
    }
    let config = global.load()?;
    logging::start(&config)?;
    let recording = open(&arguments.file).await?;
    let name = recording.beginning().agent.clone();
    let described = config.agent_config(&name)?;
    let agent = config.agent(&name)?;
    config.connect_mcp(described).await?;
    let limits = described
        .limits
        .over(config.limits().over(Limits::default()));
    let (runner, journal) = match arguments.fork_at {
        None => (Runner::new(recording.model()), recording.journal()),
        Some(turn) => (config.runner_for(&name)?, recording.fork_at(turn)),
    };
    let input = recording.first_items().to_vec();
    let request = if arguments.no_stream {
        runner.run(&agent, input)
    } else {
        runner.stream(&agent, input)
    };
    let request = request.journal(Arc::new(journal)).limits(limits);
    let scene = Scene::of_replay(config, flags).context("cannot play back")?;
    Ok((Begin::Play(Box::new(request)), scene))
}

fn list(differences: &[Difference], json: bool) -> Result<Exit> {
    let line = |difference: &Difference| {
        if json {
            let Difference {
                turn,
                path,
                kind,
                before,
                after,
                ..
            } = difference;
            let line = json!({ "turn": turn, "path": path, "kind": kind.name(), "before": before, "after": after });
            return format!("{line}\n");
        }
        format!("{}\n", sanitize(&difference.to_string()))
    };
    let text: Vec<String> = differences.iter().map(line).collect();
    quiet_on_broken_pipe(io::stdout().lock().write_all(text.concat().as_bytes()))?;
    Ok(if differences.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    })
}
