//! The program `openai-agents`.

mod answer_file;
mod args;
mod children;
mod command;
mod data_url;
mod durable;
mod escape;
mod exit;
mod failure;
mod logging;
mod mcp;
mod models;
mod output;
mod pause;
mod play;
mod private_folder;
mod recorder;
mod render;
mod run_lock;
mod run_setup;
mod served;
mod served_sessions;
mod server_limits;
mod signal;
#[cfg(feature = "microphone")]
mod sound;
mod state_file;
mod store;
mod transcript;
mod typed_lines;
mod whole_file;

use std::env;
use std::ffi::OsString;
use std::panic;
use std::process::ExitCode;

use anyhow::Error;
use clap::Parser as _;
use clap::error::ContextValue;
use serde_json::json;

use args::CommandLine;
use escape::Shown;
use exit::Exit;
use failure::Failure;

/// It gives back what a burst of clients took, also while nobody asks; the allocator of glibc keeps it.
#[cfg(all(feature = "jemalloc", target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    panic::set_hook(Box::new(|info| output::note(format_args!("error: {info}"))));
    children::adopt();
    let arguments: Vec<OsString> = env::args_os().collect();
    let exit = match panic::catch_unwind(|| run(&arguments)) {
        Ok(exit) => exit,
        Err(_) => panicked(),
    };
    children::end();
    exit.into()
}

fn run(arguments: &[OsString]) -> Exit {
    let parsed = match CommandLine::try_parse_from(arguments) {
        Ok(parsed) => parsed,
        Err(error) => return refused(arguments, error),
    };
    if parsed
        .command
        .as_ref()
        .is_some_and(command::Command::is_json)
    {
        output::expect_result();
    }
    match command::run(parsed) {
        Ok(exit) => {
            // A list that is there to its end; every other command has said its result.
            let result = json!({"type": "result", "ok": exit == Exit::Done});
            let written = output::is_read(output::result(&result));
            written.map_or_else(|error| failed(&error), |_| exit)
        }
        Err(error) => failed(&error),
    }
}

/// Says what is wrong with the command line, or shows the help that was asked for.
fn refused(arguments: &[OsString], mut error: clap::Error) -> Exit {
    if !error.use_stderr() {
        // Where stdout is closed there is nobody to help.
        error.print().ok();
        return Exit::Done;
    }
    show_typed(&mut error);
    let text = error.render().to_string();
    text.lines().for_each(output::note);
    let words = arguments.iter().take_while(|word| *word != "--");
    if words.into_iter().any(|word| word == "--json") {
        output::expect_result();
        let message = text.lines().next().unwrap_or_default();
        let message = message.strip_prefix("error: ").unwrap_or(message);
        let result = failure::failed_result(openai_agents::ErrorKind::Config, message);
        // Where stdout is closed there is nobody to tell.
        output::result(&result).ok();
    }
    Exit::Usage
}

/// What was typed stands in the error, and may be the name of a file that somebody else has chosen.
fn show_typed(error: &mut clap::Error) {
    let typed = error.context().filter_map(|(kind, value)| match value {
        ContextValue::String(text) if !Shown(text).is_plain() => Some((kind, text.clone())),
        _ => None,
    });
    for (kind, text) in typed.collect::<Vec<_>>() {
        error.insert(kind, ContextValue::String(Shown(&text).to_string()));
    }
}

fn failed(error: &Error) -> Exit {
    let failure = Failure::of(error);
    // Where stdout cannot be written, stderr says so.
    output::result(&failure.to_json(None, 0)).ok();
    failure.report()
}

/// The hook has said where; a program that was asked for JSON says at least that there is no answer.
fn panicked() -> Exit {
    let result = json!({
        "type": "result", "ok": false,
        "error": {"kind": "internal", "message": "the program panicked; stderr says where", "status": null, "retry_after": null},
        "agent": null, "turns": 0,
    });
    // Where stdout is closed there is nobody to tell.
    output::result(&result).ok();
    Exit::Failed
}
