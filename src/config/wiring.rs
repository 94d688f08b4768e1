//! From settings to a runner, models, agents and tools: the one library file that names every driver.

use std::sync::Arc;

use super::ConfigError;
use super::nearest::nearest;
use super::schema::{AgentConfig, Config, ModelApi, ToolUseConfig};
use crate::http::{HttpClient, Proxies};
use crate::model::{GptOssResponses, LiteLlm, Model, OpenAiChat, RequestLimit, ToolChoice};
use crate::{Agent, Limits, Runner, ToolRegistry, ToolUse};

/// Gives a driver's builder what all drivers of a configuration have, and builds it.
macro_rules! wired {
    ($config:expr, $builder:expr) => {{
        let mut builder = $builder
            .http_client($config.http_client()?)
            .dialect($config.dialect().clone());
        if let Some(key) = $config.api_key() {
            builder = builder.api_key(key.clone());
        }
        builder
            .build()
            .map(|model| -> Arc<dyn Model> { Arc::new(model) })
    }};
}

impl Config {
    /// Makes a runner on the configured model, with the configured limits.
    ///
    /// An agent that names a model of its own keeps it. Proxies are those of the environment. Nothing is sent.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the base URL or the model is missing or cannot be used, or if [`check`](Self::check) fails.
    pub fn runner(&self) -> Result<Runner, ConfigError> {
        self.check()?;
        self.base_url()?;
        let model = self.driver(self.model()?)?;
        Ok(Runner::shared(model).limits(self.limits().over(Limits::default())))
    }

    /// Makes an agent; one that names a model of its own gets a driver for it, on the connections of all others.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if there is no such agent, if it cannot be built, or if it names a model and there is no base URL.
    pub fn agent(&self, name: &str) -> Result<Agent, ConfigError> {
        let config = self.agent_config(name)?;
        let model = match &config.model {
            Some(model) => Some(self.driver(model)?),
            None => None,
        };
        build(config, &self.tools(), model)
    }

    /// Finds the description of an agent.
    ///
    /// # Errors
    ///
    /// [`ConfigError::UnknownAgent`] if there is none of this name.
    pub fn agent_config(&self, name: &str) -> Result<&AgentConfig, ConfigError> {
        let found = self.agents().iter().find(|agent| agent.name == name);
        found.ok_or_else(|| {
            let known = || self.agents().iter().map(|agent| agent.name.as_str());
            ConfigError::UnknownAgent {
                name: name.to_owned(),
                nearest: nearest(name, known()).map(str::to_owned),
                known: known().map(str::to_owned).collect(),
            }
        })
    }

    /// Gives every tool that an agent may name.
    pub fn tools(&self) -> ToolRegistry {
        #[cfg(feature = "bundled-tools")]
        return crate::tools::bundled::registry();
        #[cfg(not(feature = "bundled-tools"))]
        ToolRegistry::new()
    }

    /// Checks that every agent can be built; needs no base URL and no model.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for the first tool that an agent names and that does not exist, or whatever else is wrong with one.
    pub fn check(&self) -> Result<(), ConfigError> {
        let tools = self.tools();
        self.agents()
            .iter()
            .try_for_each(|agent| build(agent, &tools, None).map(drop))
    }

    fn driver(&self, name: &str) -> Result<Arc<dyn Model>, ConfigError> {
        let base_url = self.base_url()?;
        let model = match self.model_api() {
            ModelApi::Chat => wired!(self, OpenAiChat::builder(base_url, name)),
            ModelApi::Responses => wired!(self, GptOssResponses::builder(base_url, name)),
            ModelApi::LiteLlm => wired!(self, LiteLlm::builder(base_url, name)),
        };
        let model = model.map_err(|source| ConfigError::Model {
            model: name.to_owned(),
            source,
        })?;
        Ok(match self.max_concurrent_requests() {
            None => model,
            Some(n) => Arc::new(
                self.request_limit
                    .get_or_init(|| RequestLimit::new(n))
                    .wrap_shared(model),
            ),
        })
    }

    /// Gives the HTTP client that all models of this configuration share.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Http`] if a proxy of the environment cannot be used.
    pub fn http_client(&self) -> Result<HttpClient, ConfigError> {
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        let client = HttpClient::builder()
            .proxies(Proxies::FromEnvironment)
            .build()
            .map_err(|source| ConfigError::Http { source })?;
        Ok(self.client.get_or_init(|| client).clone())
    }
}

fn build(
    config: &AgentConfig,
    known: &ToolRegistry,
    model: Option<Arc<dyn Model>>,
) -> Result<Agent, ConfigError> {
    let mut builder = Agent::builder(&config.name).model_settings(config.settings.clone());
    if let Some(instructions) = &config.instructions {
        builder = builder.instructions(instructions);
    }
    if let Some(model) = model {
        builder = builder.shared_model(model);
    }
    for name in &config.tools {
        let tool = known.get(name).ok_or_else(|| {
            let names = known.specs().map(|spec| spec.name.as_str());
            unknown_tool(config, name, names)
        })?;
        builder = builder.tool(tool.clone());
    }
    if let Some(ToolChoice::Function(name)) = &config.settings.tool_choice
        && !config.tools.contains(name)
    {
        let names = config.tools.iter().map(String::as_str);
        return Err(unknown_tool(config, name, names));
    }
    let tool_use = match &config.tool_use {
        ToolUseConfig::RunAgain => ToolUse::RunAgain,
        ToolUseConfig::StopOnFirst => ToolUse::StopOnFirstTool,
        ToolUseConfig::StopAt(names) => ToolUse::StopAtTools(names.clone()),
    };
    builder
        .tool_use(tool_use)
        .build()
        .map_err(|source| ConfigError::Agent {
            agent: config.name.clone(),
            origin: config.origin.clone(),
            source: Box::new(source),
        })
}

fn unknown_tool<'a>(
    config: &AgentConfig,
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> ConfigError {
    ConfigError::UnknownTool {
        tool: name.to_owned(),
        nearest: nearest(name, known).map(Into::into),
        agent: config.name.clone(),
        origin: config.origin.clone(),
    }
}
