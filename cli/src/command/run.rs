//! `openai-agents run`.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use futures_util::StreamExt as _;
use openai_agents::config::{ApprovalConfig, Config};
use openai_agents::item::{Message, Part, Role};
use openai_agents::{
    ErrorKind, Limits, RunError, RunEvent, RunFailure, RunRequest, RunState, RunStream,
};

use super::{block_on, resume};
use crate::args::Global;
use crate::exit::Exit;
use crate::failure::{Failure, Unusable, Usage};
use crate::pause::Pause;
use crate::render::Renderer;
use crate::state_file::{self, Claim, StateFiles};
use crate::{image, logging};

/// More would not pass most servers, and a wrong file should not fill the memory.
const MAX_IMAGE_BYTES: u64 = 20 * 1024 * 1024;

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
    /// Save the run in this file when calls wait for approval, and not in a new one of ~/.local/state/openai-agents/runs.
    #[arg(long, value_name = "FILE", help_heading = "Approval")]
    save_state: Option<PathBuf>,
    #[command(flatten)]
    approval: resume::Approval,
}

pub(crate) fn run(global: Global, arguments: &Arguments) -> Result<Exit> {
    let mut renderer = Renderer::new(arguments.json, &arguments.agent);
    match prepare(global, arguments) {
        Ok((Begin::Play(request), scene)) => {
            block_on(play(request.start(), &scene, &mut renderer))?
        }
        Ok((Begin::Show(state), scene)) => {
            let file = arguments.approval.resume.clone().unwrap_or_default();
            renderer.paused(&scene.pause(&state, file))
        }
        Err(error) => renderer.failed(&Failure::of(&error)),
    }
}

enum Begin {
    Play(Box<RunRequest>),
    /// A run that waits, about which nothing was decided.
    Show(Box<RunState>),
}

/// What is around a run.
struct Scene {
    config: Config,
    files: StateFiles,
    /// Where to save the run if it waits; a new file otherwise.
    save_state: Option<PathBuf>,
    /// The file that the run went on from.
    claim: Option<Claim>,
    /// The program and the flags with which it can go on.
    command: Vec<String>,
    /// Whether --model is there.
    names_model: bool,
}

/// Everything that can be wrong before the run begins.
fn prepare(global: Global, arguments: &Arguments) -> Result<(Begin, Scene)> {
    arguments.approval.check()?;
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
        names_model,
    };
    let begin = match &arguments.approval.resume {
        None => Begin::Play(Box::new(fresh(&scene, arguments)?)),
        Some(file) => resumed(&mut scene, file, arguments)?,
    };
    Ok((begin, scene))
}

fn fresh(scene: &Scene, arguments: &Arguments) -> Result<RunRequest> {
    let config = &scene.config;
    scene.check_model(&arguments.agent)?;
    let agent = config.agent(&arguments.agent)?;
    let runner = config.runner_for(&arguments.agent)?;
    let message = message(arguments.prompt.as_deref(), &arguments.image)?;
    let agents = config.agents().iter();
    let mut approvals = agents.map(|agent| &agent.needs_approval);
    let may_pause = approvals.any(|approval| *approval != ApprovalConfig::Never);
    // Found only when a call waits, what is wrong here would cost the run.
    match &arguments.save_state {
        Some(path) => check_target(path)?,
        None if may_pause => state_file::default_path().map(drop)?,
        None => {}
    }
    let request = if arguments.no_stream {
        runner.run(&agent, message)
    } else {
        runner.stream(&agent, message)
    };
    let of_agent = &config.agent_config(&arguments.agent)?.limits;
    let limits = of_agent.over(config.limits().over(Limits::default()));
    Ok(request.limits(limited(limits, arguments)))
}

/// Goes on with a saved run, or shows it if nothing was decided.
fn resumed(scene: &mut Scene, file: &Path, arguments: &Arguments) -> Result<Begin> {
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
    arguments.approval.decide(&mut state)?;
    if !arguments.approval.decides() {
        return Ok(Begin::Show(Box::new(state)));
    }
    let agent = config.agent(&start)?;
    let runner = config.runner_for(&start)?;
    let limits = limited(state.limits(), arguments);
    if let Some(path) = arguments.save_state.as_deref().filter(|path| *path != file) {
        check_target(path)?;
    }
    scene.claim = Some(Claim::take(file, &text)?);
    scene.save_state.get_or_insert(file.to_owned());
    let request = if arguments.no_stream {
        runner.resume(&agent, state)
    } else {
        runner.resume_stream(&agent, state)
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

/// The program and the flags with which a run goes on in the same form and under the same settings.
fn command(global: &Global, arguments: &Arguments) -> Vec<String> {
    let program = std::env::args().next();
    let mut command = vec![program.unwrap_or_else(|| "openai-agents".to_owned())];
    command.push("run".to_owned());
    command.extend(global.again());
    let switches = [
        ("--json", arguments.json),
        ("--no-stream", arguments.no_stream),
    ];
    let given = switches.into_iter().filter(|(_, is_given)| *is_given);
    command.extend(given.map(|(switch, _)| switch.to_owned()));
    command
}

/// Shows the run's events until it ends, fails, waits, is interrupted, or nobody reads them any more.
async fn play(mut stream: RunStream, scene: &Scene, renderer: &mut Renderer) -> Result<Exit> {
    let mut interrupt = pin!(tokio::signal::ctrl_c());
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
                return renderer.done(&result);
            }
            Some(Ok(event)) => {
                if let Some(exit) = renderer.event(&event)? {
                    return Ok(exit);
                }
            }
            Some(Err(error)) => {
                renderer.reached(error.progress());
                return scene.end(error, renderer);
            }
            None => return Ok(Exit::Failed),
        }
    }
}

impl Scene {
    fn check_model(&self, agent: &str) -> Result<()> {
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

    fn end(&self, error: RunError, renderer: &mut Renderer) -> Result<Exit> {
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

    /// Saves a run that waits.
    fn save(&self, state: &RunState) -> Result<Pause> {
        let file = match &self.save_state {
            Some(path) => path.clone(),
            None => state_file::default_path()?,
        };
        self.files.write(&file, state)?;
        self.spend()?;
        Ok(self.pause(state, file))
    }

    fn pause(&self, state: &RunState, file: PathBuf) -> Pause {
        Pause {
            calls: state.interruptions(),
            file,
            command: self.command.clone(),
        }
    }

    /// The run went on as it should: nothing of the file is needed any more.
    fn spend(&self) -> Result<()> {
        self.claim.as_ref().map_or(Ok(()), Claim::spend)
    }

    fn unfinished(&self, failure: Failure) -> Failure {
        match &self.claim {
            Some(claim) => failure.noting(claim.note()),
            None => failure,
        }
    }
}

fn message(prompt: Option<&str>, images: &[PathBuf]) -> Result<Message> {
    let text = match prompt {
        None => {
            let message = "no prompt: give it as an argument, or - to read it from stdin";
            return Err(Usage(message.to_owned()).into());
        }
        Some("-") => read_stdin()?,
        Some(text) => text.to_owned(),
    };
    if text.trim().is_empty() && images.is_empty() {
        return Err(Usage("the prompt is empty".to_owned()).into());
    }
    if images.is_empty() {
        return Ok(Message::new(Role::User, text));
    }
    let mut parts = vec![Part::text(text)];
    for path in images {
        parts.push(Part::image(read_image(path)?));
    }
    Ok(Message::from_parts(Role::User, parts))
}

fn read_stdin() -> Result<String> {
    let mut text = String::new();
    io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Usage(format!("cannot read the prompt from stdin: {error}")))?;
    // The line end is the shell's, not the prompt's.
    let n_bytes = text.trim_end_matches(['\n', '\r']).len();
    text.truncate(n_bytes);
    Ok(text)
}

fn read_image(path: &Path) -> Result<String> {
    let cannot = |reason: &str| {
        Usage(format!(
            "cannot send the image {}: {reason}",
            path.display()
        ))
    };
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(MAX_IMAGE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| cannot(&error.to_string()))?;
    if bytes.len() as u64 > MAX_IMAGE_BYTES {
        return Err(cannot("it has more than 20 MiB").into());
    }
    let url = image::data_url(&bytes);
    Ok(url.ok_or_else(|| cannot("it is neither PNG, JPEG, GIF nor WebP"))?)
}
