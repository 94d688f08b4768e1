//! `openai-agents resume`.

use std::io::{self, Write as _};
use std::pin::{Pin, pin};

use anyhow::{Context as _, Result};
use clap::Args;
use openai_agents::config::Config;
use openai_agents::journal::{RunStatus, RunSummary};
use openai_agents::session::SessionId;
use serde_json::json;

use super::block_on;
use super::decisions::Decisions;
use super::run::{Begin, Scene, begin_scene, form};
use crate::args::Global;
use crate::durable::{self, Durable};
use crate::exit::Exit;
use crate::failure::{Failure, Usage};
use crate::logging;
use crate::output::quiet_on_broken_pipe;
use crate::render::Renderer;
use crate::sanitize::exact_line;
use crate::state_file::StateFiles;
use crate::store::Store;

/// Go on with a run that was begun with `run --durable`
///
/// Whatever the run had done is used and not done again: answers of the model, outputs of tools, what was read from and written to its
/// session. A tool call that had begun when the process ended may have been made; unless the tool is idempotent, it waits for a decision
/// like one that needs approval. A run that is over gives its answer again.
///
/// Without a run, lists those that are kept. The settings and the agent have to be those with which the run was begun.
///
/// Exit codes are those of `run`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The run, as `run --durable` named it.
    run: Option<String>,
    /// Wait for whole answers from the model.
    #[arg(long)]
    no_stream: bool,
    /// Print events and the result, or the list, as lines of JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    decisions: Decisions,
}

pub(crate) fn run(global: Global, arguments: &Arguments) -> Result<Exit> {
    let Some(id) = &arguments.run else {
        arguments.decisions.refuse("a run")?;
        let config = load(global)?;
        return list(&block_on(durable::list(&config))??, arguments.json);
    };
    let mut renderer = Renderer::new(arguments.json, None);
    block_on(async {
        let mut interrupt = pin!(tokio::signal::ctrl_c());
        let prepared = tokio::select! {
            biased;
            interrupted = &mut interrupt => {
                interrupted.context("cannot listen for Ctrl-C")?;
                return renderer.failed(&Failure::interrupted());
            }
            prepared = prepare(global, id, arguments) => prepared,
        };
        go_on(prepared, &mut renderer, interrupt).await
    })?
}

async fn go_on(
    prepared: Result<(Begin, Scene)>,
    renderer: &mut Renderer,
    interrupt: Pin<&mut impl Future<Output = io::Result<()>>>,
) -> Result<Exit> {
    match prepared {
        Ok((begin, scene)) => begin_scene(begin, &scene, renderer, interrupt).await,
        Err(error) => renderer.failed(&Failure::of(&error)),
    }
}

fn load(global: Global) -> Result<Config> {
    let config = global.load()?;
    logging::start(&config)?;
    config.check()?;
    Ok(config)
}

async fn prepare(global: Global, id: &str, arguments: &Arguments) -> Result<(Begin, Scene)> {
    let flags = form(&global, arguments.json, arguments.no_stream);
    let names_model = global.names_model();
    let config = load(global)?;
    let durable = Durable::proceed(&config, id).await?;
    let mut scene = Scene::of_durable(config, durable, flags, names_model)?;
    let begin = scene
        .proceed(&arguments.decisions, arguments.no_stream)
        .await?;
    Ok((begin, scene))
}

impl Scene {
    /// What is around a run that is kept in the journal.
    pub(super) fn of_durable(
        config: Config,
        durable: Durable,
        command: Vec<String>,
        names_model: bool,
    ) -> Result<Self> {
        let session = durable.place()?.session;
        Ok(Self {
            files: StateFiles::new(&config)?,
            config,
            save_state: None,
            claim: None,
            command,
            durable: Some(durable),
            is_replay: false,
            names_model,
            session: session.map(SessionId::new).transpose()?,
        })
    }

    /// Goes on with the run that is kept, or shows it if it waits and nothing was decided.
    pub(super) async fn proceed(
        &mut self,
        decisions: &Decisions,
        no_stream: bool,
    ) -> Result<Begin> {
        let Some(durable) = &self.durable else {
            return Err(Usage("no run is kept".to_owned()).into());
        };
        let (place, beginning) = (durable.place()?, durable.beginning().clone());
        self.check_model(&beginning.agent)?;
        let agent = self.config.agent(&beginning.agent)?;
        let runner = self.config.runner_for(&beginning.agent)?;
        let described = self.config.agent_config(&beginning.agent)?;
        let request = if let Some(mut state) = beginning.state {
            decisions.decide(&mut state)?;
            if !decisions.decides() && !state.interruptions().is_empty() {
                return Ok(Begin::Show(Box::new(state)));
            }
            self.config.connect_mcp(described).await?;
            durable.decided(&state).await?;
            if no_stream {
                runner.resume(&agent, state)
            } else {
                runner.resume_stream(&agent, state)
            }
        } else {
            decisions.refuse("a run that waits")?;
            self.config.connect_mcp(described).await?;
            if no_stream {
                runner.run(&agent, beginning.input)
            } else {
                runner.stream(&agent, beginning.input)
            }
        };
        let request = request.journal(durable.journal()).limits(place.limits);
        Ok(Begin::Play(Box::new(match &self.session {
            None => request,
            Some(id) => {
                let store = Store::open(&self.config).await?;
                request.session(&store.session(id, place.branch.as_deref()).await?)
            }
        })))
    }
}

fn list(runs: &[RunSummary], json: bool) -> Result<Exit> {
    let mut out = io::stdout().lock();
    let lines: Vec<String> = runs.iter().map(|run| line(run, json)).collect();
    let text = lines.concat();
    quiet_on_broken_pipe(out.write_all(text.as_bytes()))?;
    Ok(Exit::Done)
}

fn line(run: &RunSummary, json: bool) -> String {
    let (id, status) = (run.id.as_str(), run.status.name());
    if json {
        let line = json!({
            "run": id, "agent": run.agent, "status": status, "turns": run.turns,
            "created_at": run.created_at, "updated_at": run.updated_at,
        });
        return format!("{line}\n");
    }
    let why = match &run.status {
        RunStatus::Failed { kind, .. } => format!(" ({kind})"),
        _ => String::new(),
    };
    let (agent, turns, updated) = (exact_line(&run.agent), run.turns, &run.updated_at);
    format!("{id}  {status}{why}  {agent}  turn {turns}  {updated}\n")
}
