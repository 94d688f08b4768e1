//! The served configuration, and loading it again for `reload`.

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

/// The sections that are read when the program starts, and never again.
const FIXED: [&str; 5] = ["server", "sessions", "trace", "realtime", "log_level"];

/// The configuration that is served, and how to load it again: with the flags that the program was started with.
pub(crate) struct Served {
    global: Global,
    bind: Option<String>,
    /// The fixed sections that the program started with.
    fixed: [Vec<String>; FIXED.len()],
    now: Mutex<Config>,
    /// What runs are recorded in.
    recorder: OnceLock<Recorder>,
}

/// The part of a configuration that is served.
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

    /// Opens what runs are recorded in, if anything is configured.
    pub(crate) async fn open_recorder(&self) -> Result<Option<&Recorder>> {
        let recorder = Recorder::open(&self.now(), LocalStore::IfConfigured).await?;
        Ok(recorder.map(|recorder| self.recorder.get_or_init(|| recorder)))
    }

    /// Gives what runs are recorded in.
    pub(crate) fn recorder(&self) -> Option<&Recorder> {
        self.recorder.get()
    }

    /// Gives what is served now; whoever holds it keeps its MCP servers from ending.
    pub(crate) fn now(&self) -> Config {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.clone()
    }

    /// Loads everything again, puts it in the place of what was served, and says what needs a restart.
    pub(crate) async fn load_again(&self, mcp: &McpServer) -> Result<Reloaded> {
        let config = load(&self.global, self.bind.as_deref())?;
        output::keep_secret(config.redactor());
        config.replaces(&self.now());
        let catalog = Catalog::of(&config, self.recorder())?;
        connect(&config).await?;
        mcp.set_agents(
            catalog.runner.clone(),
            catalog.agents.clone(),
            catalog.tools,
        )?;
        let mut loaded = Reloaded::new(catalog.runner, catalog.agents);
        for (section, before) in FIXED.into_iter().zip(&self.fixed) {
            if section_of(&config, section) != *before {
                loaded = loaded.note(format!("`{section}` is changed by a restart only"));
            }
        }
        // The servers before are ended by the last run that has them.
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

/// Connects the MCP servers of all agents, so that what is wrong is found now.
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

/// Lists what a section says.
fn section_of(config: &Config, section: &str) -> Vec<String> {
    let settings = config.origins().iter().filter(|setting| {
        let rest = setting.key.strip_prefix(section);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    });
    let mut said: Vec<_> = settings
        .map(|setting| format!("{}={}", setting.key, setting.value))
        .collect();
    said.sort();
    // A secret is shown by its length only.
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
