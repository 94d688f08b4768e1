//! The flags that every command has, and the list of commands.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser};
use openai_agents::config::{Config, ConfigError, Loader};
use openai_agents::model::Delivery;

use crate::command::Command;

/// Run and serve AI agents on OpenAI-compatible models.
///
/// To begin: set OPENAI_BASE_URL, OPENAI_MODEL and OPENAI_API_KEY, see with `openai-agents check` whether the model answers, and ask with
/// `openai-agents run "What is 12 times 11?"`.
///
/// Settings come from four places; the later wins. ./config.yaml, or the file that --config or OPENAI_AGENTS_CONFIG names. The file .env.
/// The environment: OPENAI_BASE_URL, OPENAI_MODEL, OPENAI_API_KEY, RUST_LOG, and OPENAI_AGENTS__<KEY> for every other setting. The flags
/// below. `openai-agents check` shows each setting and where it comes from.
///
/// Exit codes: 0 done; 1 the run failed after the server had answered, or an output cannot be written; 2 nothing was done: wrong usage or
/// settings, something is not there, or the server cannot be reached; 3 a guardrail tripped; 4 a limit was reached; 5 tool calls wait for
/// approval; 129, 130 or 143 after SIGHUP, Ctrl-C or SIGTERM. A second Ctrl-C ends at once. With --json the last line always has the
/// type result.
#[derive(Debug, Parser)]
#[command(name = "openai-agents", version)]
#[expect(
    clippy::doc_markdown,
    reason = "this is a help text for terminals, where backticks would be noise"
)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// The flags that every command has.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Settings")]
pub(crate) struct Global {
    /// Read the settings from this file.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Talk to the server at this URL.
    #[arg(long, global = true, value_name = "URL")]
    base_url: Option<String>,
    /// Use this model for agents that name none themselves.
    #[arg(long, global = true, value_name = "NAME")]
    model: Option<String>,
    /// Use this API of the server: chat, responses or litellm.
    #[arg(long, global = true, value_name = "API")]
    model_api: Option<String>,
    /// Seconds to wait for a connection to the model's server, or none [default: 5].
    #[arg(long, global = true, value_name = "SECS")]
    connect_timeout: Option<String>,
    /// Seconds to wait for the beginning of an answer, or none [default: 600].
    #[arg(long, global = true, value_name = "SECS")]
    first_event_timeout: Option<String>,
    /// Seconds to wait for the next event of an answer, or none [default: 300].
    #[arg(long, global = true, value_name = "SECS")]
    idle_timeout: Option<String>,
    /// Seconds to wait for the end of an answer, or none [default: none].
    #[arg(long, global = true, value_name = "SECS")]
    total_timeout: Option<String>,
    /// Use the plugin in this folder, and trust it for this command; can be repeated.
    #[cfg(unix)]
    #[arg(long, global = true, value_name = "DIR")]
    plugin: Vec<PathBuf>,
    /// Log more: -v what happens, -vv how, -vvv everything.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
}

/// How the model is to deliver its answers.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct DeliveryFlag {
    /// Ask the model for whole answers instead of streams.
    #[arg(long)]
    no_stream: bool,
}

impl DeliveryFlag {
    /// Asks for a stream unless the user does not want one. The library would choose by what is
    /// listened to; the renderer shows answers as they arrive.
    pub(crate) const fn delivery(self) -> Delivery {
        if self.no_stream {
            Delivery::Whole
        } else {
            Delivery::Stream
        }
    }
}

impl Global {
    /// Says whether --model was given.
    pub(crate) fn names_model(&self) -> bool {
        self.model.is_some()
    }

    /// Returns the flags for another command with the same settings, for a hint that can be copied.
    pub(crate) fn to_flags(&self) -> Vec<String> {
        let config = self.config.as_ref().map(|path| path.display().to_string());
        let flags = [
            ("--config", config.as_ref()),
            ("--base-url", self.base_url.as_ref()),
            ("--model", self.model.as_ref()),
            ("--model-api", self.model_api.as_ref()),
            ("--connect-timeout", self.connect_timeout.as_ref()),
            ("--first-event-timeout", self.first_event_timeout.as_ref()),
            ("--idle-timeout", self.idle_timeout.as_ref()),
            ("--total-timeout", self.total_timeout.as_ref()),
        ];
        let given = flags
            .into_iter()
            .filter_map(|(flag, value)| Some([flag.to_owned(), value?.clone()]));
        let given = given.flatten();
        #[cfg(unix)]
        let given = given.chain(self.plugin.iter().flat_map(|folder| {
            let folder = folder.display().to_string();
            ["--plugin".to_owned(), folder]
        }));
        given.collect()
    }

    /// Loads the configuration with these flags over everything else.
    pub(crate) fn load(self) -> Result<Config, ConfigError> {
        self.loader()?.load()
    }

    /// Loads the configuration with these flags and those of one command, each with the key that it
    /// sets.
    pub(crate) fn load_with(
        self,
        flags: &[(&'static str, &'static str, Option<&str>)],
    ) -> Result<Config, ConfigError> {
        let mut loader = self.loader()?;
        for (flag, key, value) in flags {
            if let Some(value) = value {
                loader = loader.flag(flag, key, *value);
            }
        }
        loader.load()
    }

    fn loader(self) -> Result<Loader, ConfigError> {
        let mut loader = Loader::from_process()?;
        if let Some(path) = self.config {
            loader = loader.config_file("--config", path);
        }
        if let Some(url) = self.base_url {
            loader = loader.flag("--base-url", "base_url", url);
        }
        if let Some(name) = self.model {
            loader = loader.flag("--model", "model", name);
        }
        if let Some(api) = self.model_api {
            loader = loader.flag("--model-api", "model_api", api);
        }
        for (flag, key, seconds) in [
            (
                "--connect-timeout",
                "timeouts.connect_secs",
                self.connect_timeout,
            ),
            (
                "--first-event-timeout",
                "timeouts.first_event_secs",
                self.first_event_timeout,
            ),
            ("--idle-timeout", "timeouts.idle_secs", self.idle_timeout),
            ("--total-timeout", "timeouts.total_secs", self.total_timeout),
        ] {
            if let Some(seconds) = seconds {
                loader = loader.flag(flag, key, seconds);
            }
        }
        #[cfg(unix)]
        for folder in self.plugin {
            loader = loader.plugin(folder);
        }
        // Other crates stay at `warn` until everything is asked for: their lines are about sockets, not about agents.
        let filter = match self.verbose {
            0 => return Ok(loader),
            1 => "warn,openai_agents=info",
            2 => "warn,openai_agents=debug",
            _ => "trace",
        };
        Ok(loader.flag("--verbose", "log_level", filter))
    }
}
