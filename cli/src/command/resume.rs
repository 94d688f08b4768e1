//! `openai-agents resume`.

use std::io;

use anyhow::Result;
use clap::Args;
use openai_agents::config::Config;
use openai_agents::journal::{RunStatus, RunSummary};
use openai_agents::session::SessionId;
use serde_json::json;

use super::decisions::Decisions;
use super::run::form;
use crate::args::{DeliveryFlag, Global};
use crate::durable::{self, KeptRun};
use crate::exit::Exit;
use crate::logging;
use crate::output::{Lines, is_read};
use crate::pause::Saved;
use crate::play::{Start, play};
use crate::render::Renderer;
use crate::run_setup::RunSetup;
use crate::signal::Signals;

/// Continue a run that was started with `run --durable`
///
/// Use it when the process of the run was killed, or when the run waits for approval. Everything that the run had finished is reused: no
/// answer of the model is asked for again, and no finished tool call is made again. If a tool call was under way when the process ended,
/// nobody knows whether it took effect. Such a call waits for your decision, like one that needs approval, unless its tool is idempotent.
/// A finished run prints its answer again.
///
/// A run that another process is executing is left alone, and the exit code is 2.
///
/// Without RUN, lists the runs that are kept. Use the same settings and the same agent as when the run was started.
///
/// Exit codes are those of `run`.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The id of the run, which `run --durable` printed.
    run: Option<String>,
    #[command(flatten)]
    delivery: DeliveryFlag,
    /// Print events and the result, or the list, as lines of JSON.
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    decisions: Decisions,
}

pub(crate) async fn run(
    global: Global,
    arguments: &ResumeArgs,
    signals: &mut Signals,
) -> Result<Exit> {
    let Some(id) = &arguments.run else {
        return signals.unless(list(global, arguments)).await;
    };
    let mut renderer = Renderer::new(arguments.json, None);
    let prepared = Box::pin(prepare(global, id, arguments));
    play(prepared, &mut renderer, signals).await
}

fn load(global: Global) -> Result<Config> {
    let config = global.load()?;
    logging::start(&config)?;
    config.check()?;
    Ok(config)
}

/// Checks everything before the run is resumed, so that a refusal has changed nothing.
async fn prepare(global: Global, id: &str, arguments: &ResumeArgs) -> Result<(Start, RunSetup)> {
    let delivery = arguments.delivery.delivery();
    let flags = form(&global, arguments.json, delivery);
    let names_model = global.names_model();
    let config = load(global)?;
    let kept = KeptRun::find(&config, id).await?;
    let (place, beginning) = (kept.place()?, kept.beginning.clone());
    let mut setup = RunSetup {
        names_model,
        session: place.session.as_ref().map(SessionId::new).transpose()?,
        ..RunSetup::new(config, flags)?
    };
    setup.demand(&beginning.agent, place.schema.as_ref())?;
    setup.check_model(&beginning.agent)?;
    let decisions = &arguments.decisions;
    let mut state = beginning.state;
    if let Some(state) = &mut state {
        decisions.decide(state)?;
        if !decisions.decides() && !state.interruptions().is_empty() {
            let saved = Saved::Run(kept.id().to_owned());
            return Ok((Start::Show(Box::new(state.clone()), saved), setup));
        }
    } else {
        decisions.refuse("a run that waits for approval")?;
    }
    let session = setup.open_session(place.branch.as_deref()).await?;
    let agent = &beginning.agent;
    let request = match &state {
        Some(state) => setup.resume(agent, state.clone(), delivery).await?,
        None => setup.ask(agent, beginning.input, delivery).await?,
    };
    // From here on the run counts as executed once more, so it comes last.
    let durable = kept.resume().await?;
    if let Some(state) = &state {
        // Saved before the run continues: a call that was approved once must not run twice if this
        // process ends as well.
        durable.decided(state).await?;
    }
    let request = request.journal(durable.journal()).limits(place.limits);
    setup.durable = Some(durable);
    let request = match session {
        Some(session) => request.session(&session),
        None => request,
    };
    Ok((Start::Run(Box::new(request)), setup))
}

async fn list(global: Global, arguments: &ResumeArgs) -> Result<Exit> {
    arguments.decisions.refuse("a run")?;
    let config = load(global)?;
    let mut out = Lines::stdout();
    for run in durable::list(&config).await? {
        if !is_read(line(&mut out, &run, arguments.json))? {
            break;
        }
    }
    Ok(Exit::Done)
}

fn line(out: &mut Lines, run: &RunSummary, json: bool) -> io::Result<()> {
    let (id, status) = (run.id.as_str(), run.status.name());
    if json {
        return out.json(&json!({
            "type": "run", "run": id, "agent": run.agent, "status": status, "turns": run.turns,
            "created_at": run.created_at, "updated_at": run.updated_at,
        }));
    }
    let why = match &run.status {
        RunStatus::Failed { kind, .. } => format!(" ({kind})"),
        _ => String::new(),
    };
    let (agent, turns, updated) = (&run.agent, run.turns, &run.updated_at);
    out.text(format_args!(
        "{id}  {status}{why}  {agent}  turn {turns}  {updated}"
    ))
}
