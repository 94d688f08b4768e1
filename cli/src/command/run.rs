//! `openai-agents run`.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use futures_util::StreamExt as _;
use openai_agents::config::Config;
use openai_agents::item::{Message, Part, Role};
use openai_agents::{Limits, RunEvent, RunRequest, RunStream, Runner};

use super::block_on;
use crate::args::Global;
use crate::exit::Exit;
use crate::failure::{Failure, Usage};
use crate::render::Renderer;
use crate::{image, logging};

/// More would not pass most servers, and a wrong file should not fill the memory.
const MAX_IMAGE_BYTES: u64 = 20 * 1024 * 1024;

/// Ask an agent, and print its answer
///
/// The answer goes to stdout as it comes; tool calls and notices go to stderr.
///
/// With --json, stdout has one JSON object per line. Its `type` says what it is: turn_started, text_delta, refusal_delta,
/// reasoning_delta, tool_call_started, tool_call_delta, item_done, tool_called, model_event, response_done, tool_output; and in the last
/// line result, with `ok`, and `final_output` or `error`.
///
/// Exit codes: 0 done; 1 the run failed; 2 wrong usage or settings, or no server there; 4 a limit was reached; 130
/// interrupted.
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
}

pub(crate) fn run(global: Global, arguments: &Arguments) -> Result<Exit> {
    let mut renderer = Renderer::new(arguments.json, &arguments.agent);
    match prepare(global, arguments) {
        Ok((config, request)) => block_on(play(request.start(), &config, &mut renderer))?,
        Err(error) => renderer.failed(&Failure::of(&error)),
    }
}

/// Everything that can be wrong before the run begins.
fn prepare(global: Global, arguments: &Arguments) -> Result<(Config, RunRequest)> {
    let names_model = global.names_model();
    let config = global.load()?;
    logging::start(&config)?;
    config.check()?;
    let described = config.agent_config(&arguments.agent)?;
    if names_model && described.model.is_some() {
        let (name, origin) = (&described.name, &described.origin);
        return Err(Usage(format!(
            "agent `{name}` ({origin}) names a model of its own, which --model does not replace"
        ))
        .into());
    }
    let mut limits = described
        .limits
        .over(config.limits().over(Limits::default()));
    limits.max_turns = arguments.max_turns.or(limits.max_turns);
    limits.max_duration = arguments
        .timeout
        .map(Duration::from_secs)
        .or(limits.max_duration);
    let agent = config.agent(&arguments.agent)?;
    let runner = match agent.model() {
        Some(model) => Runner::shared(Arc::clone(model)),
        None => config.runner()?,
    };
    let message = message(arguments.prompt.as_deref(), &arguments.image)?;
    let request = if arguments.no_stream {
        runner.run(&agent, message)
    } else {
        runner.stream(&agent, message)
    };
    Ok((config, request.limits(limits)))
}

/// Shows the run's events until it ends, fails, is interrupted, or nobody reads them any more.
async fn play(mut stream: RunStream, config: &Config, renderer: &mut Renderer) -> Result<Exit> {
    let mut interrupt = pin!(tokio::signal::ctrl_c());
    loop {
        let next = tokio::select! {
            biased;
            interrupted = &mut interrupt => {
                interrupted.context("cannot listen for Ctrl-C")?;
                // Closes the connection before anything is said.
                drop(stream);
                return renderer.failed(&Failure::interrupted());
            }
            next = stream.next() => next,
        };
        match next {
            Some(Ok(RunEvent::RunDone { result })) => return renderer.done(&result),
            Some(Ok(event)) => {
                if let Some(exit) = renderer.event(&event)? {
                    return Ok(exit);
                }
            }
            Some(Err(error)) => {
                renderer.reached(error.progress());
                return renderer.failed(&Failure::of_run(&error, config));
            }
            None => return Ok(Exit::Failed),
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
