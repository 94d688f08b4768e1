//! The program `openai-agents`.

mod args;
mod command;
mod durable;
mod exit;
mod failure;
mod image;
mod logging;
mod mcp;
mod models;
mod output;
mod pause;
mod private_folder;
mod render;
mod sanitize;
mod served;
mod served_sessions;
mod signal;
mod state_file;
mod store;
mod transcript;

use std::io::{self, Write as _};
use std::panic;
use std::process::ExitCode;

use clap::Parser as _;

use exit::Exit;
use failure::Failure;
use sanitize::one_line;

/// It gives back what a burst of clients took, also while nobody asks; the allocator of glibc keeps it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    panic::set_hook(Box::new(|info| report_panic(&info.to_string())));
    let ended = panic::catch_unwind(|| match command::run(args::Arguments::parse()) {
        Ok(exit) => exit,
        Err(error) => Failure::of(&error).report(),
    });
    ended.unwrap_or(Exit::Failed).into()
}

/// One line instead of a backtrace; a tool that panics fails, and only this line tells where.
fn report_panic(what: &str) {
    let _unheard = writeln!(io::stderr(), "error: {}", one_line(what));
}
