//! The served configuration, and its reload.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::Result;
use openai_agents::config::{Config, ConfigError};
use openai_agents::mcp::McpError;
use openai_agents::server::Reloaded;
use openai_agents::server::mcp::McpServer;
use openai_agents::{Agent, FunctionTool, Runner};

use crate::args::Global;
use crate::recorder::{LocalStore, Recorder};
use crate::{logging, output};

/// Sections that are read at the start only.
const FIXED: [&str; 5] = ["server", "sessions", "trace", "realtime", "log_level"];

/// The served configuration, with the flags of the program to load it again.
pub(crate) struct Served {
    global: Global,
    bind: Option<String>,
    /// The fixed sections at the start.
    fixed: [Vec<String>; FIXED.len()],
    now: Mutex<Config>,
    /// The recorder of all runs.
    recorder: OnceLock<Recorder>,
}

/// The agents and tools that are served.
pub(crate) struct Catalog {
    pub(crate) runner: Runner,
    pub(crate) agents: Vec<Agent>,
    pub(crate) tools: Vec<FunctionTool>,
}

impl Served {
    /// Loads the configuration, and starts the log.
    pub(crate) fn load(global: Global, bind: Option<String>) -> Result<Arc<Self>> {
        let config = load(&global, bind.as_deref())?;
        logging::start(&config)?;
        Ok(Arc::new(Self {
            global,
            bind,
            fixed: FIXED.map(|section| section_of(&config, section)),
            now: Mutex::new(config),
            recorder: OnceLock::new(),
        }))
    }

    /// Opens the recorder, if one is configured.
    pub(crate) async fn open_recorder(&self) -> Result<Option<&Recorder>> {
        let recorder = Recorder::open(&self.now(), LocalStore::IfConfigured).await?;
        Ok(recorder.map(|recorder| self.recorder.get_or_init(|| recorder)))
    }

    /// Returns the recorder.
    pub(crate) fn recorder(&self) -> Option<&Recorder> {
        self.recorder.get()
    }

    /// Returns the configuration that is served now. Its MCP servers live as long as somebody holds
    /// it.
    pub(crate) fn now(&self) -> Config {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.clone()
    }

    /// Loads the configuration again and serves it; notes what needs a restart.
    pub(crate) async fn load_again(&self, mcp: &McpServer) -> Result<Reloaded> {
        let config = load(&self.global, self.bind.as_deref())?;
        // Before anything can fail: errors of the new servers may contain the new keys.
        output::keep_secret(config.redactor());
        config.replaces(&self.now());
        let catalog = Catalog::of(&config, self.recorder())?;
        connect(&config).await?;
        // All that can fail comes before this. From here on the new agents are served.
        mcp.set_agents(
            catalog.runner.clone(),
            catalog.agents.clone(),
            catalog.tools,
        )?;
        let mut loaded = Reloaded::new(catalog.runner, catalog.agents);
        for (section, before) in FIXED.into_iter().zip(&self.fixed) {
            if section_of(&config, section) != *before {
                loaded = loaded.note(format!(
                    "`{section}` has changed: restart the server to apply it"
                ));
            }
        }
        // The old MCP servers end with the last run that uses them.
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(loaded)
    }
}

impl Catalog {
    pub(crate) fn of(config: &Config, recorder: Option<&Recorder>) -> Result<Self> {
        let agents = config.agents().iter();
        let agents = agents.map(|agent| config.agent(&agent.name));
        let runner = config.runner()?;
        Ok(Self {
            runner: match recorder {
                Some(recorder) => runner.tracer(&recorder.tracer),
                None => runner,
            },
            agents: agents.collect::<Result<_, _>>()?,
            tools: config.served_tools().iter().cloned().collect(),
        })
    }
}

/// Connects the MCP servers of all agents, so that errors appear now and not in a run.
pub(crate) async fn connect(config: &Config) -> Result<(), McpError> {
    for agent in config.agents() {
        config.connect_mcp(agent).await?;
    }
    Ok(())
}

fn load(global: &Global, bind: Option<&str>) -> Result<Config, ConfigError> {
    match bind {
        Some(bind) => global
            .clone()
            .load_with(&[("--bind", "server.bind", Some(bind))]),
        None => global.clone().load(),
    }
}

/// Lists the settings of a section, for comparison.
fn section_of(config: &Config, section: &str) -> Vec<String> {
    let settings = config.origins().iter().filter(|setting| {
        let rest = setting.key.strip_prefix(section);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    });
    let mut said: Vec<_> = settings
        .map(|setting| format!("{}={}", setting.key, setting.value))
        .collect();
    said.sort();
    // Settings show only the length of a secret, which a new token may share.
    if let Some(token) = config
        .server()
        .token
        .as_ref()
        .filter(|_| section == "server")
    {
        said.push(token.expose().to_owned());
    }
    said
}
