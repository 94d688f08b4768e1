//! The commands, a file each; the doc comment of a command is its help.

mod check;

use std::io::{self, Write as _};

use anyhow::Result;
use clap::{CommandFactory as _, Subcommand};

use crate::args::Arguments;
use crate::exit::Exit;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Check(check::Arguments),
}

/// Does what the command line asks for.
pub(crate) fn run(arguments: Arguments) -> Result<Exit> {
    match arguments.command {
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
