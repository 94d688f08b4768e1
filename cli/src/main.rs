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

/// Returns memory to the system after a burst of clients, also while the server is idle. The
/// allocator of glibc keeps it.
#[cfg(all(feature = "jemalloc", target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // Before everything else, so that a panic at any point is one escaped line without secrets, as
    // every other output.
    panic::set_hook(Box::new(|info| output::note(format_args!("error: {info}"))));
    children::adopt();
    let arguments: Vec<OsString> = env::args_os().collect();
    // Caught, so that `--json` still has its last line and no child process is left.
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
            // Written for lists only: every other command has written its result, and only the first one counts.
            let result = json!({"type": "result", "ok": exit == Exit::Done});
            let written = output::is_read(output::result(&result));
            written.map_or_else(|error| failed(&error), |_| exit)
        }
        Err(error) => failed(&error),
    }
}

/// Reports a wrong command line, or shows the help that was asked for.
fn refused(arguments: &[OsString], mut error: clap::Error) -> Exit {
    if !error.use_stderr() {
        // If stdout is closed, nobody sees it.
        error.print().ok();
        return Exit::Done;
    }
    show_typed(&mut error);
    let text = error.render().to_string();
    text.lines().for_each(output::note);
    // The arguments could not be parsed, so that the flag is searched for in the words. Behind `--`
    // it would be part of a prompt.
    let words = arguments.iter().take_while(|word| *word != "--");
    if words.into_iter().any(|word| word == "--json") {
        output::expect_result();
        let message = text.lines().next().unwrap_or_default();
        let message = message.strip_prefix("error: ").unwrap_or(message);
        let result = failure::failed_result(openai_agents::ErrorKind::Config, message);
        // If stdout is closed, nobody sees it.
        output::result(&result).ok();
    }
    Exit::Usage
}

/// Escapes what was typed: it may be the name of a file that somebody else chose.
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
    // If stdout cannot be written, stderr has the error as well.
    output::result(&failure.to_json(None, 0)).ok();
    failure.report()
}

/// Ends the program after a panic. The hook has written where it was; `--json` gets a result that
/// says so.
fn panicked() -> Exit {
    let result = json!({
        "type": "result", "ok": false,
        "error": {"kind": "internal", "message": "the program panicked; stderr says where", "status": null, "retry_after": null},
        "agent": null, "turns": 0,
    });
    // If stdout is closed, nobody sees it.
    output::result(&result).ok();
    Exit::Failed
}
