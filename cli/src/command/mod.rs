//! The commands, a file each; the doc comment of a command is its help.

mod agents;
mod check;
mod decisions;
mod prompt;
mod reload;
mod replay;
mod resume;
mod run;
mod serve;
mod sessions;
mod tools;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use tokio::runtime::Builder;

use crate::args::Arguments;
use crate::exit::Exit;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(serve::Arguments),
    Reload(reload::Arguments),
    Run(Box<run::Arguments>),
    Resume(resume::Arguments),
    Replay(replay::Arguments),
    Sessions(sessions::Arguments),
    Agents(agents::Arguments),
    Tools(tools::Arguments),
    Check(check::Arguments),
}

/// Does what the command line asks for.
pub(crate) fn run(arguments: Arguments) -> Result<Exit> {
    match arguments.command {
        Some(Command::Run(command)) => run::run(arguments.global, &command),
        Some(Command::Replay(command)) => replay::run(arguments.global, &command),
        Some(Command::Resume(command)) => resume::run(arguments.global, &command),
        Some(Command::Sessions(command)) => sessions::run(arguments.global, &command),
        Some(Command::Agents(command)) => agents::run(arguments.global, &command),
        Some(Command::Tools(command)) => tools::run(arguments.global, &command),
        Some(Command::Check(_)) => check::run(arguments.global),
        Some(Command::Reload(command)) => reload::run(arguments.global, &command),
        Some(Command::Serve(command)) => serve::run(arguments.global, &command),
        None => serve::run(arguments.global, &serve::Arguments::default()),
    }
}

/// Runs a future on this thread; a command that runs one agent needs no second.
fn block_on<T>(future: impl Future<Output = T>) -> Result<T> {
    block_on_runtime(Builder::new_current_thread(), future)
}

/// Runs a future, and what it spawns on all processors.
fn block_on_threads<T>(future: impl Future<Output = T>) -> Result<T> {
    block_on_runtime(Builder::new_multi_thread(), future)
}

fn block_on_runtime<T>(mut builder: Builder, future: impl Future<Output = T>) -> Result<T> {
    let runtime = builder.enable_all().build().context("cannot start")?;
    let output = runtime.block_on(future);
    // A blocking tool that has begun cannot be stopped; the end of the process does not wait for it.
    runtime.shutdown_background();
    Ok(output)
}
