//! The program `openai-agents`.

mod args;
mod command;
mod exit;
mod logging;
mod output;
mod sanitize;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let arguments = args::Arguments::parse();
    match command::run(arguments) {
        Ok(exit) => exit.into(),
        Err(error) => exit::report(&error).into(),
    }
}
