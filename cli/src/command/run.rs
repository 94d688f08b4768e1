//! `openai-agents run`.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use futures_util::StreamExt as _;
use openai_agents::config::Config;
use openai_agents::journal::{FileJournal, RunBeginning};
use openai_agents::session::{Session, SessionId};
use openai_agents::{
    ErrorKind, Limits, RunError, RunEvent, RunFailure, RunRequest, RunState, RunStream,
};

use super::block_on;
use super::decisions::Decisions;
use super::prompt;
use crate::args::Global;
use crate::durable::{Durable, Place};
use crate::exit::Exit;
use crate::failure::{Failure, Unusable, Usage, is_conflict};
use crate::pause::{Pause, Saved};
use crate::render::Renderer;
use crate::state_file::{self, Claim, StateFiles};
use crate::store::Store;
use crate::{logging, signal};

/// Ask an agent, and print its answer
///
/// The answer goes to stdout as it comes; tool calls and notices go to stderr.
///
/// With --json, stdout has one JSON object per line. Its `type` says what it is: turn_started, text_delta, refusal_delta,
/// reasoning_delta, tool_call_started, tool_call_delta, item_done, tool_called, handoff_requested, model_event, response_done,
/// tool_progress, tool_output, nested, handoff_occurred, approval_required; and in the last line result, with `ok`, and `final_output`
/// or `error`.
///
/// When calls wait for approval, the run is saved in a file that only you can read, and stderr says how to go on: with --resume FILE and
/// --approve ID, --reject ID or --approve-all. A run goes on once from a file.
///
/// Exit codes: 0 done; 1 the run failed; 2 wrong usage, settings or saved run, or no server there; 3 a guardrail tripped; 4 a limit was
/// reached; 5 calls wait for approval; 130 interrupted.
#[derive(Debug, Args)]
#[expect(
    clippy::doc_markdown,
    reason = "this is a help text for terminals, where backticks would be noise"
)]
pub(crate) struct Arguments {
    /// What to ask; - reads it from stdin.
    prompt: Option<String>,
    /// Ask this agent; `openai-agents agents` lists them.
    #[arg(long, value_name = "NAME", default_value = "Assistant")]
    agent: String,
    /// Wait for whole answers from the model.
    #[arg(long)]
    no_stream: bool,
    /// Print events and the result as lines of JSON.
    #[arg(long)]
    json: bool,
    /// Allow this many turns; each is one request to the model.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_turns: Option<u32>,
    /// End the run after this many seconds.
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
    /// Show the model this image (PNG, JPEG, GIF or WebP) too; can be repeated.
    #[arg(long, value_name = "FILE")]
    image: Vec<PathBuf>,
    /// Continue the conversation that is kept under this id, or begin one; `openai-agents sessions` lists them.
    #[arg(
        long,
        value_name = "ID",
        help_heading = "Session",
        conflicts_with = "resume",
        allow_hyphen_values = true
    )]
    session: Option<String>,
    /// Continue this branch of the session, which `sessions fork` made.
    #[arg(long, value_name = "NAME", help_heading = "Session")]
    branch: Option<String>,
    /// Save the run in this file when calls wait for approval, and not in a new one of ~/.local/state/openai-agents/runs.
    #[arg(long, value_name = "FILE", help_heading = "Approval")]
    save_state: Option<PathBuf>,
    /// Keep the run in the file of the sessions, so that `openai-agents resume` goes on with it if this process ends.
    #[arg(long, conflicts_with_all = ["resume", "save_state"])]
    durable: bool,
    /// Write what happens in the run to this new file, for `openai-agents replay`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["resume", "durable"])]
    record: Option<PathBuf>,
    /// Go on with the run that is saved in this file; without a decision, show what it waits for, if it does.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["prompt", "agent", "image"], help_heading = "Approval")]
    resume: Option<PathBuf>,
    #[command(flatten)]
    decisions: Decisions,
}

pub(crate) fn run(global: Global, arguments: &Arguments) -> Result<Exit> {
    // A saved run says itself whose it is.
    let agent = arguments.resume.is_none().then_some(&*arguments.agent);
    let mut renderer = Renderer::new(arguments.json, agent);
    block_on(async {
        let mut interrupt = pin!(signal::asked_to_end());
        let prepared = tokio::select! {
            biased;
            interrupted = &mut interrupt => {
                interrupted.context("cannot listen for Ctrl-C")?;
                return renderer.failed(&Failure::interrupted());
            }
            prepared = prepare(global, arguments) => prepared,
        };
        match prepared {
            Ok((begin, scene)) => begin_scene(begin, &scene, &mut renderer, interrupt).await,
            Err(error) => renderer.failed(&Failure::of(&error)),
        }
    })?
}

/// Plays a run, or shows what it waits for.
pub(super) async fn begin_scene(
    begin: Begin,
    scene: &Scene,
    renderer: &mut Renderer,
    interrupt: Pin<&mut impl Future<Output = io::Result<()>>>,
) -> Result<Exit> {
    if let Some(id) = &scene.session {
        renderer.in_session(id.as_str());
    }
    match begin {
        Begin::Play(request) => {
            if let Some(durable) = &scene.durable {
                renderer.durable(durable.id())?;
            }
            let played = play(request.start(), scene, renderer, interrupt).await;
            scene.config.mcp_servers().close().await;
            played
        }
        Begin::Show(state) => {
            renderer.is_at(state.agent(), state.turns());
            renderer.paused(&scene.pause(&state, scene.saved()?))
        }
    }
}

pub(super) enum Begin {
    Play(Box<RunRequest>),
    /// A run that waits, about which nothing was decided.
    Show(Box<RunState>),
}

/// What is around a run.
pub(super) struct Scene {
    pub(super) config: Config,
    pub(super) files: StateFiles,
    /// Where to save the run if it waits; a new file otherwise.
    pub(super) save_state: Option<PathBuf>,
    /// The file that the run went on from.
    pub(super) claim: Option<Claim>,
    /// The flags with which it can go on.
    pub(super) command: Vec<String>,
    /// The run in the journal, if it is kept there.
    pub(super) durable: Option<Durable>,
    /// Whether the run is played back.
    pub(super) is_replay: bool,
    /// Whether --model is there.
    pub(super) names_model: bool,
    /// The conversation that the run continues.
    pub(super) session: Option<SessionId>,
}

/// Everything that can be wrong before the run begins.
async fn prepare(global: Global, arguments: &Arguments) -> Result<(Begin, Scene)> {
    if arguments.resume.is_none() {
        arguments.decisions.refuse("--resume")?;
    }
    if arguments.branch.is_some() && arguments.session.is_none() && arguments.resume.is_none() {
        return Err(Usage("--branch needs --session".to_owned()).into());
    }
    let session = arguments.session.as_ref().map(SessionId::new).transpose()?;
    let names_model = global.names_model();
    let command = command(&global, arguments);
    let config = global.load()?;
    logging::start(&config)?;
    config.check()?;
    let mut scene = Scene {
        files: StateFiles::new(&config)?,
        config,
        save_state: arguments.save_state.clone(),
        claim: None,
        command,
        durable: None,
        is_replay: false,
        names_model,
        session,
    };
    let begin = match &arguments.resume {
        None => Begin::Play(Box::new(fresh(&mut scene, arguments).await?)),
        Some(file) => resumed(&mut scene, file, arguments).await?,
    };
    Ok((begin, scene))
}

async fn fresh(scene: &mut Scene, arguments: &Arguments) -> Result<RunRequest> {
    let config = &scene.config;
    scene.check_model(&arguments.agent)?;
    let agent = config.agent(&arguments.agent)?;
    let runner = config.runner_for(&arguments.agent)?;
    let message = prompt::message(arguments.prompt.as_deref(), &arguments.image)?;
    let described = config.agent_config(&arguments.agent)?;
    let may_pause = config.can_wait(described);
    // Found only when a call waits, what is wrong here would cost the run.
    match &arguments.save_state {
        Some(path) => check_target(path)?,
        None if may_pause => state_file::default_path().map(drop)?,
        None => {}
    }
    let request = if arguments.no_stream {
        runner.run(&agent, message.clone())
    } else {
        runner.stream(&agent, message.clone())
    };
    config.connect_mcp(described).await?;
    let limits = described
        .limits
        .over(config.limits().over(Limits::default()));
    let limits = limited(limits, arguments);
    let request = match scene.open_session(arguments).await? {
        Some(session) => request.session(&session),
        None => request,
    };
    let request = request.limits(limits);
    if let Some(path) = &arguments.record {
        let beginning = RunBeginning::new(&arguments.agent, [message.into()]);
        let journal = FileJournal::create(path, &beginning).await?;
        return Ok(request.journal(Arc::new(journal)));
    }
    if !arguments.durable {
        return Ok(request);
    }
    let place = Place {
        session: arguments.session.clone(),
        branch: arguments.branch.clone(),
        limits,
    };
    let durable = Durable::start(config, &arguments.agent, message, &place).await?;
    let request = request.journal(durable.journal());
    scene.durable = Some(durable);
    Ok(request)
}

/// Goes on with a saved run, or shows it if it waits and nothing was decided.
async fn resumed(scene: &mut Scene, file: &Path, arguments: &Arguments) -> Result<Begin> {
    let (text, mut state) = scene.files.read(file)?;
    let start = state.start_agent().to_owned();
    let config = &scene.config;
    if config.agent_config(&start).is_err() {
        let file = file.display();
        return Err(Unusable {
            kind: ErrorKind::StateInvalid,
            message: format!(
                "cannot go on from {file}: it needs the agent `{start}`, which is not there"
            ),
            hint: None,
        }
        .into());
    }
    scene.check_model(&start)?;
    arguments.decisions.decide(&mut state)?;
    if !arguments.decisions.decides() && !state.interruptions().is_empty() {
        scene.save_state = Some(file.to_owned());
        return Ok(Begin::Show(Box::new(state)));
    }
    let agent = config.agent(&start)?;
    let runner = config.runner_for(&start)?;
    let limits = limited(state.limits(), arguments);
    if let Some(path) = arguments.save_state.as_deref().filter(|path| *path != file) {
        check_target(path)?;
    }
    let id = state.session_id().map(SessionId::new).transpose();
    scene.session = id.context("the session of the saved run")?;
    if arguments.branch.is_some() && scene.session.is_none() {
        return Err(Usage("--branch: the saved run has no session".to_owned()).into());
    }
    scene
        .config
        .connect_mcp(scene.config.agent_config(&start)?)
        .await?;
    let session = scene.open_session(arguments).await?;
    scene.claim = Some(Claim::take(file, &text)?);
    scene.save_state.get_or_insert(file.to_owned());
    let request = if arguments.no_stream {
        runner.resume(&agent, state)
    } else {
        runner.resume_stream(&agent, state)
    };
    let request = match session {
        Some(session) => request.session(&session),
        None => request,
    };
    Ok(Begin::Play(Box::new(request.limits(limits))))
}

fn limited(mut limits: Limits, arguments: &Arguments) -> Limits {
    limits.max_turns = arguments.max_turns.or(limits.max_turns);
    limits.max_duration = arguments
        .timeout
        .map(Duration::from_secs)
        .or(limits.max_duration);
    limits
}

/// Finds what would make saving fail, before it would cost the run.
fn check_target(path: &Path) -> Result<()> {
    let problem = if path.exists() {
        "it exists"
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

/// The flags with which a run goes on in the same form and under the same settings.
fn command(global: &Global, arguments: &Arguments) -> Vec<String> {
    let mut flags = form(global, arguments.json, arguments.no_stream);
    if let (Some(branch), false) = (&arguments.branch, arguments.durable) {
        flags.extend(["--branch".to_owned(), branch.clone()]);
    }
    flags
}

/// The flags of settings and form.
pub(super) fn form(global: &Global, json: bool, no_stream: bool) -> Vec<String> {
    let mut flags = global.again();
    let switches = [("--json", json), ("--no-stream", no_stream)];
    let given = switches.into_iter().filter(|(_, is_given)| *is_given);
    flags.extend(given.map(|(switch, _)| switch.to_owned()));
    flags
}

/// Shows the run's events until it ends, fails, waits, is interrupted, or nobody reads them any more.
async fn play(
    mut stream: RunStream,
    scene: &Scene,
    renderer: &mut Renderer,
    mut interrupt: Pin<&mut impl Future<Output = io::Result<()>>>,
) -> Result<Exit> {
    loop {
        let next = tokio::select! {
            biased;
            interrupted = &mut interrupt => {
                interrupted.context("cannot listen for Ctrl-C")?;
                // Closes the connection before anything is said.
                drop(stream);
                return renderer.failed(&scene.unfinished(Failure::interrupted()));
            }
            next = stream.next() => next,
        };
        match next {
            Some(Ok(RunEvent::RunDone { result })) => {
                scene.spend()?;
                if let Some(durable) = &scene.durable {
                    durable.ended(Ok(result.final_output())).await?;
                }
                return renderer.done(&result);
            }
            Some(Ok(event)) => {
                if let Some(exit) = renderer.event(&event)? {
                    return Ok(exit);
                }
            }
            Some(Err(error)) => {
                renderer.reached(error.progress());
                return match &scene.durable {
                    Some(durable) => {
                        durable.ended(Err(&error)).await?;
                        scene.end_durable(durable, &error, renderer)
                    }
                    None => scene.end(error, renderer),
                };
            }
            None => return Ok(Exit::Failed),
        }
    }
}

impl Scene {
    /// What is around a run that is played back, and is not saved wherever it ends.
    pub(super) fn of_replay(config: Config, command: Vec<String>) -> Result<Self> {
        Ok(Self {
            files: StateFiles::new(&config)?,
            config,
            save_state: None,
            claim: None,
            command,
            durable: None,
            is_replay: true,
            names_model: false,
            session: None,
        })
    }

    pub(super) fn check_model(&self, agent: &str) -> Result<()> {
        let described = self.config.agent_config(agent)?;
        if self.names_model && described.model.is_some() {
            let (name, origin) = (&described.name, &described.origin);
            let message = format!(
                "agent `{name}` ({origin}) names a model of its own, which --model does not replace"
            );
            return Err(Usage(message).into());
        }
        Ok(())
    }

    async fn open_session(&self, arguments: &Arguments) -> Result<Option<Arc<dyn Session>>> {
        let Some(id) = &self.session else {
            return Ok(None);
        };
        let store = Store::open(&self.config).await?;
        Ok(Some(store.session(id, arguments.branch.as_deref()).await?))
    }

    fn end(&self, error: RunError, renderer: &mut Renderer) -> Result<Exit> {
        if self.is_replay {
            return renderer.failed(&Failure::of_run(&error, &self.config));
        }
        if error.kind() == ErrorKind::Session {
            return renderer.failed(&self.session_failed(error));
        }
        match error.into_state() {
            Ok(state) => match self.save(&state) {
                Ok(pause) => renderer.paused(&pause),
                Err(error) => renderer.failed(&self.unfinished(Failure::of(&error))),
            },
            Err(error) => {
                let failure = Failure::of_run(&error, &self.config);
                let has_begun =
                    !matches!(error.failure(), RunFailure::State(_) | RunFailure::Setup(_));
                if has_begun {
                    return renderer.failed(&self.unfinished(failure));
                }
                if let Some(claim) = &self.claim {
                    claim.give_back()?;
                }
                renderer.failed(&failure)
            }
        }
    }

    /// What is kept in the journal needs no file.
    fn end_durable(
        &self,
        durable: &Durable,
        error: &RunError,
        renderer: &mut Renderer,
    ) -> Result<Exit> {
        if error.kind() == ErrorKind::ApprovalRequired {
            let calls = error.interruptions();
            return renderer.paused(&Pause {
                calls,
                saved: self.saved()?,
                command: self.command.clone(),
            });
        }
        let failure = Failure::of_run(error, &self.config);
        renderer.failed(&failure.noting(durable.note(&self.command)))
    }

    /// What a turn did is not lost with the store: the run is saved, unless it did nothing or is too late anyway.
    fn session_failed(&self, error: RunError) -> Failure {
        let failure = Failure::of_run(&error, &self.config);
        let did_nothing = error.progress().turns == 0 && self.claim.is_none();
        if did_nothing || is_conflict(&error) {
            return self.unfinished(failure);
        }
        let saved = error.into_state().map(|state| self.save(&state));
        match saved {
            Ok(Ok(pause)) => failure.noting(format!(
                "what the run did is not lost; to go on once the session can be written: {}",
                pause.go_on()
            )),
            Ok(Err(error)) => failure.noting(format!("{error:#}")),
            Err(_) => self.unfinished(failure),
        }
    }

    /// Saves a run that waits.
    fn save(&self, state: &RunState) -> Result<Pause> {
        let file = match &self.save_state {
            Some(path) => path.clone(),
            None => state_file::default_path()?,
        };
        self.files.write(&file, state)?;
        self.spend()?;
        Ok(self.pause(state, Saved::File(file)))
    }

    /// Where the run lies.
    fn saved(&self) -> Result<Saved> {
        Ok(match (&self.durable, &self.save_state) {
            (Some(durable), _) => Saved::Run(durable.id().to_owned()),
            (None, Some(file)) => Saved::File(file.clone()),
            (None, None) => Saved::File(state_file::default_path()?),
        })
    }

    fn pause(&self, state: &RunState, saved: Saved) -> Pause {
        Pause {
            calls: state.interruptions(),
            saved,
            command: self.command.clone(),
        }
    }

    /// The run went on as it should: nothing of the file is needed any more.
    fn spend(&self) -> Result<()> {
        self.claim.as_ref().map_or(Ok(()), Claim::spend)
    }

    fn unfinished(&self, failure: Failure) -> Failure {
        match (&self.claim, &self.durable) {
            (Some(claim), _) => failure.noting(claim.note()),
            (None, Some(durable)) => failure.noting(durable.note(&self.command)),
            (None, None) => failure,
        }
    }
}
