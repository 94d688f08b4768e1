//! The commands, a file each; the doc comment of a command is its help.

mod agents;
mod check;
mod decisions;
mod resume;
mod run;
mod sessions;
mod tools;

use std::io::{self, Write as _};

use anyhow::{Context as _, Result};
use clap::{CommandFactory as _, Subcommand};

use crate::args::Arguments;
use crate::exit::Exit;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Box<run::Arguments>),
    Resume(resume::Arguments),
    Sessions(sessions::Arguments),
    Agents(agents::Arguments),
    Tools(tools::Arguments),
    Check(check::Arguments),
}

/// Does what the command line asks for.
pub(crate) fn run(arguments: Arguments) -> Result<Exit> {
    match arguments.command {
        Some(Command::Run(command)) => run::run(arguments.global, &command),
        Some(Command::Resume(command)) => resume::run(arguments.global, &command),
        Some(Command::Sessions(command)) => sessions::run(arguments.global, &command),
        Some(Command::Agents(command)) => agents::run(arguments.global, &command),
        Some(Command::Tools(command)) => tools::run(arguments.global, &command),
        Some(Command::Check(_)) => check::run(arguments.global),
        None => explain(),
    }
}

/// No command will mean `serve`; until there is one, it must not look as if something were served.
fn explain() -> Result<Exit> {
    let help = Arguments::command().render_help();
    writeln!(
        io::stderr(),
        "{help}\nerror: a command is needed; `serve`, which no command will mean, is not in this version"
    )?;
    Ok(Exit::Usage)
}

/// Runs a future on this thread; a command that runs one agent needs no second.
fn block_on<T>(future: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    let output = runtime.block_on(future);
    // A blocking tool that has begun cannot be stopped; the end of the process does not wait for it.
    runtime.shutdown_background();
    Ok(output)
}
