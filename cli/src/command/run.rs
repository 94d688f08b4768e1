//! `openai-agents run`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use openai_agents::journal::{FileJournal, RunBeginning};
use openai_agents::model::Delivery;
use openai_agents::session::SessionId;
use openai_agents::usage::Money;
use openai_agents::{ErrorKind, Limits, RunRequest, file};
use serde_json::{Map, Value, json};

use super::decisions::Decisions;
use super::input::Input;
use crate::answer_file::AnswerFile;
use crate::args::{DeliveryFlag, Global};
use crate::durable::{Durable, DurableSettings};
use crate::exit::Exit;
use crate::failure::{Unusable, Usage};
use crate::logging;
use crate::pause::Saved;
use crate::play::{Start, play};
use crate::recorder::LocalStore;
use crate::render::Renderer;
use crate::run_setup::RunSetup;
use crate::signal::Signals;
use crate::state_file::{self, Claim};
use crate::store::Store;

/// The largest schema: 1 MiB. People write them, or types do.
const MAX_SCHEMA_BYTES: u64 = 1024 * 1024;

/// Ask an agent and print its answer
///
/// The answer goes to stdout as it comes; tool calls and notices go to stderr.
///
/// `git diff | openai-agents run "Summarise"` sends the prompt, an empty line, and the text from the pipe. Stdin is always read to its
/// end when it is a pipe or a file. If it belongs to another program, as in a shell loop, add --no-stdin or < /dev/null.
///
/// With --json, stdout has one JSON object per line. Its `type` is one of: run_started, turn_started, text_delta, refusal_delta,
/// reasoning_delta, tool_call_started, tool_call_delta, item_done, tool_called, handoff_requested, model_event, response_done,
/// tool_progress, tool_output, nested, handoff_occurred, approval_required. The last line has the type result, with `ok` and either
/// `final_output` or `error`. It comes even if the command line is wrong or a signal ends the program.
///
/// If tool calls need approval, the run pauses. It is saved in a file that only you can read, and stderr shows the command that continues
/// it: --resume FILE with --approve ID, --reject ID or --approve-all. A saved run can be continued once.
///
/// Exit codes: 0 done; 1 the run failed after the server had answered, or an output could not be written, even if there is an answer;
/// 2 nothing was done: wrong usage, settings or saved run, something is not there, or the server cannot be reached; 3 a guardrail tripped;
/// 4 a limit was reached; 5 tool calls wait for approval; 129, 130 or 143 after SIGHUP, Ctrl-C or SIGTERM. A second Ctrl-C ends at once.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
#[expect(
    clippy::doc_markdown,
    reason = "this is a help text for terminals, where backticks would be noise"
)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    input: Input,
    /// Ask this agent; `openai-agents agents` lists them.
    #[arg(long, value_name = "NAME", default_value = "Assistant")]
    agent: String,
    #[command(flatten)]
    delivery: DeliveryFlag,
    /// Print events and the result as lines of JSON.
    #[arg(long)]
    pub(super) json: bool,
    /// Allow at most this many turns; each is one request to the model.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_turns: Option<u32>,
    /// Ask the model no more once the run has cost this much, such as 0.50, in the currency of `prices`.
    #[arg(long, value_name = "AMOUNT")]
    max_cost: Option<Money>,
    /// End the run after this many seconds. Reading stdin before it may take as long.
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
    /// Require an answer in JSON that fits the JSON Schema in this file.
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Write the answer to this file too, if the run succeeds. Replaces the file.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Continue the conversation with this id, or start it; `openai-agents sessions list` shows all.
    #[arg(
        long,
        value_name = "ID",
        help_heading = "Session",
        conflicts_with = "resume",
        allow_hyphen_values = true
    )]
    session: Option<String>,
    /// Continue the most recent conversation.
    #[arg(long, help_heading = "Session", conflicts_with_all = ["session", "resume"])]
    r#continue: bool,
    /// Continue this branch of the session; `sessions fork` makes one.
    #[arg(long, value_name = "NAME", help_heading = "Session")]
    branch: Option<String>,
    /// If the run pauses, save it in this new file [default: a new file in ~/.local/state/openai-agents/runs].
    #[arg(long, value_name = "FILE", help_heading = "Approval")]
    save_state: Option<PathBuf>,
    /// Save every step, so that `openai-agents resume` can finish the run if this process is killed.
    #[arg(long, conflicts_with_all = ["resume", "save_state"])]
    durable: bool,
    /// Record the run in the local store of traces, for `openai-agents trace`.
    #[arg(long)]
    trace: bool,
    /// Record the run in this new file, for `openai-agents replay`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["resume", "durable"])]
    record: Option<PathBuf>,
    /// Continue the run saved in this file. Without a decision, show which calls wait.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["prompt", "agent", "image", "file"], help_heading = "Approval")]
    resume: Option<PathBuf>,
    #[command(flatten)]
    decisions: Decisions,
}

pub(crate) async fn run(
    global: Global,
    arguments: &RunArgs,
    signals: &mut Signals,
) -> Result<Exit> {
    // The file of a saved run names its agent.
    let agent = arguments.resume.is_none().then_some(&*arguments.agent);
    let mut renderer = Renderer::new(arguments.json, agent);
    let prepared = Box::pin(prepare(global, arguments));
    play(prepared, &mut renderer, signals).await
}

/// Does everything that can fail before the run begins.
async fn prepare(global: Global, arguments: &RunArgs) -> Result<(Start, RunSetup)> {
    if arguments.resume.is_none() {
        arguments.decisions.refuse("--resume")?;
    }
    let names_session = arguments.session.is_some() || arguments.r#continue;
    if arguments.branch.is_some() && !names_session && arguments.resume.is_none() {
        return Err(Usage("--branch needs --session".to_owned()).into());
    }
    let session = arguments.session.as_ref().map(SessionId::new).transpose()?;
    let names_model = global.names_model();
    let flags = flags(&global, arguments);
    let config = global.load()?;
    logging::start(&config)?;
    let answer_file = arguments.output.as_deref().map(AnswerFile::new);
    let mut setup = RunSetup {
        save_state: arguments.save_state.clone(),
        answer_file: answer_file.transpose()?,
        names_model,
        session,
        local_store: if arguments.trace {
            LocalStore::Always
        } else {
            LocalStore::IfConfigured
        },
        ..RunSetup::new(config, flags)?
    };
    let start = match &arguments.resume {
        None => Start::Run(Box::new(fresh(&mut setup, arguments).await?)),
        Some(file) => resumed(&mut setup, file, arguments).await?,
    };
    Ok((start, setup))
}

async fn fresh(setup: &mut RunSetup, arguments: &RunArgs) -> Result<RunRequest> {
    let schema = arguments.schema.as_deref().map(read_schema).transpose()?;
    setup.demand(&arguments.agent, schema.as_ref())?;
    setup.check_model(&arguments.agent)?;
    let config = &setup.config;
    let described = config.agent_config(&arguments.agent)?;
    // Made only to see the errors of its configuration, before stdin is read: a pipe can take long.
    drop(config.runner_for(&arguments.agent)?);
    let may_pause = config.can_wait(described);
    // Checked now, because the run would be lost if it could not be saved when a call waits.
    match &arguments.save_state {
        Some(path) => check_target(path)?,
        None if may_pause => state_file::default_path().map(drop)?,
        None => {}
    }
    let patience = arguments.timeout.map(Duration::from_secs);
    let message = arguments.input.message(patience).await?;
    let limits = limited(setup.limits(&arguments.agent)?, arguments);
    if arguments.r#continue {
        setup.session = Some(latest_session(setup).await?);
    }
    let session = setup.open_session(arguments.branch.as_deref()).await?;
    let input = vec![message.clone().into()];
    let request = setup.ask(&arguments.agent, input, arguments.delivery.delivery());
    let request = request.await?.limits(limits);
    let request = match session {
        Some(session) => request.session(&session),
        None => request,
    };
    if let Some(path) = &arguments.record {
        let beginning = RunBeginning::new(&arguments.agent, [message.into()]);
        let beginning = beginning.settings(json!({ "schema": schema }));
        let journal = FileJournal::create(path, &beginning).await?;
        setup.recording = Some(journal.clone());
        return Ok(request.journal(Arc::new(journal)));
    }
    if !arguments.durable {
        return Ok(request);
    }
    let place = DurableSettings {
        session: setup.session.as_ref().map(ToString::to_string),
        branch: arguments.branch.clone(),
        limits,
        schema,
    };
    let durable = Durable::start(&setup.config, &arguments.agent, message, &place).await?;
    let request = request.journal(durable.journal());
    setup.durable = Some(durable);
    Ok(request)
}

/// Resumes a saved run, or shows it if no decision was given.
async fn resumed(setup: &mut RunSetup, file: &Path, arguments: &RunArgs) -> Result<Start> {
    let (text, mut state) = setup.files.read(file)?;
    let agent = state.start_agent().to_owned();
    if setup.config.agent_config(&agent).is_err() {
        let file = file.display();
        return Err(Unusable {
            kind: ErrorKind::StateInvalid,
            message: format!("cannot resume {file}: its agent `{agent}` is not in the settings"),
            hint: None,
        }
        .into());
    }
    let schema = arguments.schema.as_deref().map(read_schema).transpose()?;
    setup.demand(&agent, schema.as_ref())?;
    setup.check_model(&agent)?;
    arguments.decisions.decide(&mut state)?;
    if !arguments.decisions.decides() && !state.interruptions().is_empty() {
        return Ok(Start::Show(Box::new(state), Saved::File(file.to_owned())));
    }
    let limits = limited(state.limits(), arguments);
    if let Some(path) = arguments.save_state.as_deref().filter(|path| *path != file) {
        check_target(path)?;
    }
    let id = state.session_id().map(SessionId::new).transpose();
    setup.session = id.context("the session of the saved run")?;
    if arguments.branch.is_some() && setup.session.is_none() {
        return Err(Usage("--branch: the saved run has no session".to_owned()).into());
    }
    let session = setup.open_session(arguments.branch.as_deref()).await?;
    let delivery = arguments.delivery.delivery();
    let request = setup.resume(&agent, state, delivery).await?;
    // The last step that can fail. It renames the file, so that no other process can resume the run
    // as well.
    setup.claim = Some(Claim::take(file, &text)?);
    setup.save_state.get_or_insert(file.to_owned());
    let request = match session {
        Some(session) => request.session(&session),
        None => request,
    };
    Ok(Start::Run(Box::new(request.limits(limits))))
}

fn limited(mut limits: Limits, arguments: &RunArgs) -> Limits {
    limits.max_turns = arguments.max_turns.or(limits.max_turns);
    limits.max_cost = arguments.max_cost.or(limits.max_cost);
    limits.max_duration = arguments
        .timeout
        .map(Duration::from_secs)
        .or(limits.max_duration);
    limits
}

pub(super) async fn latest_session(setup: &RunSetup) -> Result<SessionId> {
    let store = Store::open_to_read(&setup.config).await?;
    let mut listed = match &store {
        Some(store) => store.latest(1).await?,
        None => Vec::new(),
    };
    let latest = listed.pop();
    Ok(latest.ok_or_else(|| Unusable {
        kind: ErrorKind::Session,
        message: "there is no conversation to continue".to_owned(),
        hint: Some("start one with --session ID".to_owned()),
    })?)
}

fn read_schema(path: &Path) -> Result<Map<String, Value>> {
    let wrong = |reason: &dyn std::fmt::Display| {
        let path = path.display();
        Usage(format!("cannot use the schema {path}: {reason}"))
    };
    let text = file::read_text(path, MAX_SCHEMA_BYTES).map_err(|error| wrong(&error))?;
    match serde_json::from_str(&text) {
        Ok(Value::Object(schema)) => Ok(schema),
        Ok(_) => Err(wrong(&"it is not a JSON object").into()),
        Err(error) => Err(wrong(&error).into()),
    }
}

/// Checks that the run can be saved, before it costs anything.
fn check_target(path: &Path) -> Result<()> {
    let problem = if path.exists() {
        "the file exists already, and would be overwritten"
    } else if path
        .parent()
        .is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())
    {
        "its folder does not exist"
    } else {
        return Ok(());
    };
    let path = path.display();
    Err(Usage(format!("--save-state {path}: {problem}")).into())
}

/// Returns the flags that continue the run with the same output and settings.
fn flags(global: &Global, arguments: &RunArgs) -> Vec<String> {
    let mut flags = form(global, arguments.json, arguments.delivery.delivery());
    // A durable run has its schema and branch in the journal.
    let schema = arguments.schema.as_deref().filter(|_| !arguments.durable);
    for (flag, file) in [
        ("--schema", schema),
        ("--output", arguments.output.as_deref()),
    ] {
        if let (Some(file), false) = (file, arguments.durable) {
            flags.extend([flag.to_owned(), file.display().to_string()]);
        }
    }
    if let (Some(branch), false) = (&arguments.branch, arguments.durable) {
        flags.extend(["--branch".to_owned(), branch.clone()]);
    }
    flags
}

/// Returns the flags for settings and output.
pub(super) fn form(global: &Global, json: bool, delivery: Delivery) -> Vec<String> {
    let mut flags = global.to_flags();
    let switches = [
        ("--json", json),
        ("--no-stream", delivery == Delivery::Whole),
    ];
    let given = switches.into_iter().filter(|(_, is_given)| *is_given);
    flags.extend(given.map(|(switch, _)| switch.to_owned()));
    flags
}
