//! The commands, one file each. The doc comment of a command is its help text.

mod agents;
mod chat;
mod check;
mod decisions;
mod devices;
mod graph;
mod input;
mod listen;
#[cfg_attr(not(feature = "microphone"), path = "no_microphone.rs")]
mod microphone;
mod realtime;
mod realtime_lines;
mod reload;
mod replay;
mod resume;
mod run;
mod serve;
mod sessions;
mod speak;
mod talk;
#[cfg(unix)]
mod plugins;
#[cfg(unix)]
mod skills;
mod tools;
mod trace;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use tokio::runtime::Builder;

use crate::args::{CommandLine, Global};
use crate::exit::Exit;
use crate::signal::Signals;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(serve::ServeArgs),
    Reload(reload::ReloadArgs),
    Run(Box<run::RunArgs>),
    Chat(chat::ChatArgs),
    Resume(resume::ResumeArgs),
    Replay(replay::ReplayArgs),
    Speak(speak::SpeakArgs),
    Listen(listen::ListenArgs),
    Talk(talk::TalkArgs),
    Realtime(realtime::RealtimeArgs),
    Devices(devices::DevicesArgs),
    Sessions(sessions::SessionsArgs),
    Trace(trace::TraceArgs),
    Agents(agents::AgentsArgs),
    Graph(graph::GraphArgs),
    Tools(tools::ToolsArgs),
    #[cfg(unix)]
    Skills(skills::SkillsArgs),
    #[cfg(unix)]
    Plugins(plugins::PluginsArgs),
    Check(check::CheckArgs),
}

impl Command {
    /// Says whether --json was given, so that the last line must be a result.
    pub(crate) fn is_json(&self) -> bool {
        match self {
            Self::Run(command) => command.json,
            Self::Resume(command) => command.json,
            Self::Replay(command) => command.json,
            Self::Speak(command) => command.json,
            Self::Listen(command) => command.json,
            Self::Talk(command) => command.json,
            Self::Realtime(command) => command.json,
            Self::Devices(command) => command.json,
            Self::Sessions(command) => command.is_json(),
            Self::Trace(command) => command.is_json(),
            Self::Agents(command) => command.json,
            Self::Tools(command) => command.json,
            #[cfg(unix)]
            Self::Skills(command) => command.is_json(),
            #[cfg(unix)]
            Self::Plugins(command) => command.is_json(),
            Self::Serve(_) | Self::Chat(_) | Self::Reload(_) | Self::Check(_) | Self::Graph(_) => {
                false
            }
        }
    }
}

/// Runs the command.
pub(crate) fn run(arguments: CommandLine) -> Result<Exit> {
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let command = arguments.command.unwrap_or_default();
    let mut builder = match command {
        Command::Serve(_) => Builder::new_multi_thread(),
        // One thread is enough to run one agent.
        _ => Builder::new_current_thread(),
    };
    let runtime = builder.enable_all().build().context("cannot start")?;
    let exit = runtime.block_on(act(arguments.global, command, &mut signals));
    // Returns without waiting for blocking tools that have begun: they cannot be stopped, and the process ends anyway.
    runtime.shutdown_background();
    exit
}

async fn act(global: Global, command: Command, signals: &mut Signals) -> Result<Exit> {
    match command {
        Command::Run(command) => run::run(global, &command, signals).await,
        Command::Chat(command) => chat::run(global, &command, signals).await,
        Command::Resume(command) => resume::run(global, &command, signals).await,
        Command::Replay(command) => replay::run(global, &command, signals).await,
        Command::Serve(command) => serve::run(global, &command, signals).await,
        Command::Speak(command) => signals.unless(speak::run(global, &command)).await,
        Command::Listen(command) => {
            let interrupts = signals.clone();
            let listened = listen::run(global, &command, &interrupts);
            signals.unless(listened).await
        }
        Command::Talk(command) => talk::run(global, &command, signals).await,
        Command::Realtime(command) => realtime::run(global, &command, signals).await,
        Command::Devices(command) => devices::run(&command),
        Command::Sessions(command) => signals.unless(sessions::run(global, &command)).await,
        Command::Trace(command) => signals.unless(trace::run(global, &command)).await,
        Command::Agents(command) => agents::run(global, &command),
        Command::Graph(command) => graph::run(global, &command),
        Command::Tools(command) => signals.unless(tools::run(global, &command)).await,
        #[cfg(unix)]
        Command::Skills(command) => skills::run(global, &command),
        #[cfg(unix)]
        Command::Plugins(command) => signals.unless(plugins::run(global, &command)).await,
        Command::Check(_) => signals.unless(check::run(global)).await,
        Command::Reload(command) => signals.unless(reload::run(global, &command)).await,
    }
}

impl Default for Command {
    fn default() -> Self {
        Self::Serve(serve::ServeArgs::default())
    }
}
