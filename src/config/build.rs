//! Builds all agents of a configuration, those first that others have as tools or guardrails.

use std::collections::HashMap;
use std::sync::Arc;

use super::agent_guardrail::{AgentGuardrail, BuiltinCheck};
use super::agents::prompt_name;
#[cfg(feature = "mcp-client")]
use super::mcp::ApprovalRequired;
use super::nearest::nearest;
use super::schema::{
    AgentConfig, AgentToolConfig, ApprovalConfig, Config, LimitsConfig, ToolUseConfig,
};
use super::{ConfigError, DefinitionKind, GuardrailCheck, GuardrailConfig};
use crate::agent::runner::Judgement;
use crate::agent::{AgentBuilder, AgentError, ToolUseBehavior};
#[cfg(feature = "mcp-client")]
use crate::mcp::McpClient;
use crate::model::{Model, ToolChoice};
use crate::tools::FunctionTool;
use crate::{Agent, Handoff, Limits, Runner, ToolRegistry};

/// The agents of a configuration, by name.
pub(super) type AgentSet = HashMap<String, Agent>;

/// What agents are built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To find what is wrong. No models are made, so that none need be configured.
    Check,
    Run,
}

/// What an agent is built as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Role {
    Answerer,
    /// A guardrail, whose output is a verdict. The same agent may also answer, with another output
    /// type.
    Guardrail,
}

/// Builds every agent once.
pub(super) fn agent_set(config: &Config, purpose: Purpose) -> Result<AgentSet, ConfigError> {
    let mut builder = AgentSetBuilder {
        config,
        purpose,
        tools: config.tools(),
        built: HashMap::new(),
        path: Vec::new(),
    };
    for agent in config.agents() {
        builder.agent(agent, Role::Answerer)?;
    }
    let built = builder.built.into_iter();
    Ok(built
        .filter(|((_, role), _)| *role == Role::Answerer)
        .map(|((name, _), agent)| (name.to_owned(), agent))
        .collect())
}

struct AgentSetBuilder<'a> {
    config: &'a Config,
    purpose: Purpose,
    tools: ToolRegistry,
    built: HashMap<(&'a str, Role), Agent>,
    /// The agents being built, each for the one before it. An agent that is on the path closes a
    /// circle.
    path: Vec<&'a str>,
}

impl<'a> AgentSetBuilder<'a> {
    fn agent(&mut self, config: &'a AgentConfig, role: Role) -> Result<Agent, ConfigError> {
        let key = (config.name.as_str(), role);
        if let Some(agent) = self.built.get(&key) {
            return Ok(agent.clone());
        }
        if let Some(first) = self.path.iter().position(|name| *name == config.name) {
            let circle = self.path.iter().skip(first).chain([&key.0]);
            return Err(ConfigError::AgentCycle {
                path: circle.map(|name| (*name).to_owned()).collect(),
                origin: config.origin.clone(),
            });
        }
        self.path.push(&config.name);
        let agent = self.build(config, role)?;
        self.path.pop();
        self.built.insert(key, agent.clone());
        Ok(agent)
    }

    fn build(&mut self, config: &'a AgentConfig, role: Role) -> Result<Agent, ConfigError> {
        if let Some((kind, name)) = unresolved(config) {
            return Err(self.unknown_definition(config, kind, name));
        }
        let mut builder = Agent::builder(&config.name)
            .model_settings(config.settings.clone())
            .tool_use_behavior(tool_use(config));
        if let Some(instructions) = self.instructions(config)? {
            builder = builder.instructions(instructions);
        }
        if let Some(description) = &config.handoff_description {
            builder = builder.handoff_description(description);
        }
        if config.limits != LimitsConfig::default() {
            // An agent with limits replaces those of the runner, so that these are laid under its
            // own.
            let below = self.config.limits().over(Limits::default());
            builder = builder.limits(config.limits.over(below));
        }
        if config.defer_tools {
            builder = builder.defer_tools();
        }
        if !config.reset_tool_choice {
            builder = builder.keep_tool_choice();
        }
        if let (Some(model), Purpose::Run) = (&config.model, self.purpose) {
            builder = builder.shared_model(self.config.driver(model)?);
        }
        for tool in self.tools_of(config)? {
            builder = builder.tool(tool);
        }
        #[cfg(all(feature = "workspace", unix))]
        if let Some(workspace) = &self.config.workspace {
            for tool in workspace.built_in_tools(&config.tools) {
                builder = builder.hosted_tool(tool);
            }
        }
        builder = self.sources(config, builder)?;
        for name in &config.handoffs {
            // Only looked up: handoffs go by name, so that agents can hand off to each other in a
            // circle.
            self.find(config, "hands off to", name)?;
            builder = builder.handoff(Handoff::to_name(name.as_str()));
        }
        builder = self.guardrails(config, builder)?;
        builder = match (&config.output_schema, role) {
            // `guardrail` below refuses an agent with a schema of its own.
            (_, Role::Guardrail) => builder.output::<Judgement>(),
            (Some(schema), Role::Answerer) => builder.output_schema(schema.clone().into()),
            (None, Role::Answerer) => builder,
        };
        let agent = builder.build().map_err(|source| wrong(config, source))?;
        check_names(config, &agent)?;
        Ok(agent)
    }

    /// Returns the instructions of an agent, followed by the descriptions of its skills.
    #[cfg(all(feature = "skills", unix))]
    fn instructions(&self, config: &AgentConfig) -> Result<Option<String>, ConfigError> {
        let of_skills = self.config.skills_of(config)?.instructions();
        let parts = config.instructions.iter().cloned();
        let parts: Vec<String> = parts
            .chain(Some(of_skills).filter(|text| !text.is_empty()))
            .collect();
        Ok((!parts.is_empty()).then(|| parts.join("\n\n")))
    }

    #[cfg(not(all(feature = "skills", unix)))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "skills can be wrong"
    )]
    fn instructions(&self, config: &AgentConfig) -> Result<Option<String>, ConfigError> {
        Ok(config.instructions.clone())
    }

    /// Adds the MCP servers of an agent, whose tools are asked for before each turn.
    #[cfg(feature = "mcp-client")]
    fn sources(
        &self,
        config: &AgentConfig,
        mut builder: AgentBuilder,
    ) -> Result<AgentBuilder, ConfigError> {
        #[cfg(all(feature = "plugins", unix))]
        for source in self.config.plugin_tools_of(config) {
            builder = match config.needs_approval {
                ApprovalConfig::Always => {
                    builder.tool_source(ApprovalRequired::new(source.clone()))
                }
                ApprovalConfig::Never | ApprovalConfig::Tools(_) => {
                    builder.tool_source(source.clone())
                }
            };
        }
        #[cfg(any(feature = "plugins-native", feature = "plugins-wasm"))]
        let mut modules = Vec::new();
        #[cfg(any(feature = "plugins-native", feature = "plugins-wasm"))]
        for module in self.config.plugin_modules_of(config) {
            // The tools of a module are known only once it is loaded. It is told of the tools
            // before it, so that a name that is taken is an error of this module.
            let module = module.behind(&config.tools, &modules);
            modules.push(module.clone());
            builder = match config.needs_approval {
                ApprovalConfig::Always => builder.tool_source(ApprovalRequired::new(module)),
                ApprovalConfig::Never | ApprovalConfig::Tools(_) => builder.tool_source(module),
            };
        }
        for name in &config.mcp_servers {
            #[cfg(all(feature = "plugins", unix))]
            if self.config.has_plugin_tools(name) {
                continue;
            }
            let server = self.config.mcp_servers().get(name);
            let server = server.ok_or_else(|| {
                let servers = self.config.mcp_servers().servers().iter();
                unknown_server(config, name, servers.map(McpClient::name))
            })?;
            builder = match config.needs_approval {
                ApprovalConfig::Always => {
                    builder.tool_source(ApprovalRequired::new(server.clone()))
                }
                ApprovalConfig::Never | ApprovalConfig::Tools(_) => {
                    builder.tool_source(server.clone())
                }
            };
        }
        Ok(builder)
    }

    #[cfg(not(feature = "mcp-client"))]
    #[expect(
        clippy::unused_self,
        reason = "with the feature the servers are those of the configuration"
    )]
    fn sources(
        &self,
        config: &AgentConfig,
        builder: AgentBuilder,
    ) -> Result<AgentBuilder, ConfigError> {
        match config.mcp_servers.first() {
            Some(name) => Err(unknown_server(config, name, std::iter::empty())),
            None => Ok(builder),
        }
    }

    /// Returns the tools of an agent, those that are agents included, with approval where it is
    /// needed.
    fn tools_of(&mut self, config: &'a AgentConfig) -> Result<Vec<FunctionTool>, ConfigError> {
        let mut tools = Vec::with_capacity(config.tools.len() + config.agents_as_tools.len());
        for name in &config.tools {
            #[cfg(any(feature = "plugins-native", feature = "plugins-wasm"))]
            // Added by `sources`, since a module is loaded when its tools are asked for.
            if self.config.has_plugin_module(name) {
                continue;
            }
            let tool = self.tools.get(name).ok_or_else(|| {
                let names = self.tools.specs().map(|spec| spec.name.as_str());
                unknown_tool(config, name, names)
            })?;
            tools.push(tool.clone());
        }
        for tool in &config.agents_as_tools {
            tools.push(self.agent_tool(config, tool)?);
        }
        #[cfg(all(feature = "skills", unix))]
        let skills = self.config.skills_of(config)?;
        #[cfg(all(feature = "skills", unix))]
        if skills.iter().len() > 0 {
            // Never deferred: the instructions tell the model to call it, and there is one for all skills.
            tools.push(skills.tool().never_defer());
        }
        Ok(tools
            .into_iter()
            .map(|tool| match &config.needs_approval {
                ApprovalConfig::Always => tool.needs_approval(),
                ApprovalConfig::Tools(names) if names.contains(&tool.name().to_string()) => {
                    tool.needs_approval()
                }
                ApprovalConfig::Tools(_) | ApprovalConfig::Never => tool,
            })
            .collect())
    }

    fn agent_tool(
        &mut self,
        owner: &'a AgentConfig,
        config: &'a AgentToolConfig,
    ) -> Result<FunctionTool, ConfigError> {
        let named = self.find(owner, "has the tool", &config.agent)?;
        let agent = self.agent(named, Role::Answerer)?;
        let own = named.handoff_description.as_ref();
        let description = match config.description.as_ref().or(own) {
            Some(description) => description.clone(),
            None => format!("Asks the agent {}.", named.name),
        };
        let mut tool = agent
            .as_tool(description)
            .limits(named.limits.over(Limits::default()));
        if let Some(name) = &config.name {
            tool = tool.name(name);
        }
        tool.build().map_err(|source| {
            let agent = owner.name.clone();
            wrong(owner, AgentError::Tool { agent, source })
        })
    }

    fn guardrails(
        &mut self,
        config: &'a AgentConfig,
        mut builder: AgentBuilder,
    ) -> Result<AgentBuilder, ConfigError> {
        for guardrail in &config.input_guardrails {
            if let Some(check) = self.guardrail(config, guardrail)? {
                builder = builder.input_guardrail(check.of_inputs(guardrail));
            }
        }
        for guardrail in &config.output_guardrails {
            if let Some(check) = self.guardrail(config, guardrail)? {
                builder = builder.output_guardrail(check.of_outputs(guardrail));
            }
        }
        Ok(builder)
    }

    /// Returns the check of a guardrail; `None` for an agent that is only checked, since it has no
    /// model to ask.
    fn guardrail(
        &mut self,
        owner: &'a AgentConfig,
        guardrail: &'a GuardrailConfig,
    ) -> Result<Option<BuiltinCheck>, ConfigError> {
        let GuardrailCheck::Agent(name) = &guardrail.check else {
            return Ok(BuiltinCheck::without_agent(&guardrail.check));
        };
        let config = self.find(owner, "is guarded by", name)?;
        let problem = if !config.handoffs.is_empty() {
            "hands off to others, so that another would give the verdict"
        } else if config.output_schema.is_some() {
            "has an output schema of its own, but a verdict is to be its output"
        } else if config.tool_use != ToolUseConfig::RunAgain {
            "ends with the output of a tool, but a verdict is to be its output"
        } else if self.config.may_wait(config) {
            "waits for approval, which a verdict cannot wait for"
        } else {
            ""
        };
        if !problem.is_empty() {
            return Err(ConfigError::GuardrailAgent {
                agent: owner.name.clone(),
                guardrail: name.clone(),
                problem,
                origin: owner.origin.clone(),
            });
        }
        // Built also when nothing is asked, so that a check finds the mistakes in this agent too.
        let agent = self.agent(config, Role::Guardrail)?;
        if self.purpose == Purpose::Check {
            return Ok(None);
        }
        let model: Arc<dyn Model> = match agent.model() {
            Some(model) => Arc::clone(model),
            None => self.config.driver(self.config.model()?)?,
        };
        let limits = config
            .limits
            .over(self.config.limits().over(Limits::default()));
        Ok(Some(BuiltinCheck::Agent(Arc::new(AgentGuardrail {
            agent,
            runner: Runner::shared(model).prices(self.config.prices().clone()),
            limits,
        }))))
    }

    fn unknown_definition(
        &self,
        config: &AgentConfig,
        kind: DefinitionKind,
        name: &str,
    ) -> ConfigError {
        #[cfg(all(feature = "plugins", unix))]
        let known = self.config.definition_names(kind);
        #[cfg(not(all(feature = "plugins", unix)))]
        let known = [];
        ConfigError::UnknownDefinition {
            kind,
            name: name.into(),
            nearest: nearest(name, known).map(Into::into),
            agent: config.name.as_str().into(),
            origin: config.origin.clone(),
        }
    }

    fn find(
        &self,
        config: &AgentConfig,
        relation: &'static str,
        name: &str,
    ) -> Result<&'a AgentConfig, ConfigError> {
        let agents = self.config.agents();
        let found = agents.iter().find(|agent| agent.name == name);
        found.ok_or_else(|| {
            let names = agents.iter().map(|agent| agent.name.as_str());
            ConfigError::UnknownAgentNamed {
                relation,
                named: name.into(),
                nearest: nearest(name, names).map(Into::into),
                agent: config.name.as_str().into(),
                origin: config.origin.clone(),
            }
        })
    }
}

/// Finds a guardrail or prompt that no trusted plugin has. Those that exist were filled in when the
/// configuration was loaded.
fn unresolved(config: &AgentConfig) -> Option<(DefinitionKind, &str)> {
    let prompt = config.instructions.as_deref().and_then(prompt_name);
    let prompt = prompt.map(|name| (DefinitionKind::Prompt, name));
    let inputs = named(&config.input_guardrails);
    let outputs = named(&config.output_guardrails);
    inputs
        .map(|name| (DefinitionKind::InputGuardrail, name))
        .or_else(|| outputs.map(|name| (DefinitionKind::OutputGuardrail, name)))
        .or(prompt)
}

fn named(guardrails: &[GuardrailConfig]) -> Option<&str> {
    guardrails
        .iter()
        .find_map(|guardrail| match &guardrail.check {
            GuardrailCheck::Named(name) => Some(name.as_str()),
            GuardrailCheck::MaxChars(_) | GuardrailCheck::Deny(_) | GuardrailCheck::Agent(_) => {
                None
            }
        })
}

fn tool_use(config: &AgentConfig) -> ToolUseBehavior {
    match &config.tool_use {
        ToolUseConfig::RunAgain => ToolUseBehavior::RunAgain,
        ToolUseConfig::StopOnFirst => ToolUseBehavior::StopOnFirstTool,
        ToolUseConfig::StopAt(names) => ToolUseBehavior::StopAtTools(names.clone()),
    }
}

/// Refuses names of tools that the agent does not have.
fn check_names(config: &AgentConfig, agent: &Agent) -> Result<(), ConfigError> {
    let tools = agent.tools();
    let own = || tools.specs().map(|spec| spec.name.as_str());
    if let ApprovalConfig::Tools(names) = &config.needs_approval
        && let Some(name) = names.iter().find(|name| tools.get(name).is_none())
    {
        return Err(unknown_tool(config, name, own()));
    }
    // The tools of MCP servers are known only after they are connected.
    if let Some(ToolChoice::Function(name)) = &config.settings.tool_choice
        && config.mcp_servers.is_empty()
    {
        let handoffs = agent.bound_handoffs().iter();
        let mut known = own().chain(handoffs.map(|handoff| handoff.tool_name().as_str()));
        if !known.any(|known| known == name) {
            return Err(unknown_tool(config, name, own()));
        }
    }
    Ok(())
}

fn unknown_server<'a>(
    config: &AgentConfig,
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> ConfigError {
    ConfigError::UnknownMcpServer {
        server: name.to_owned(),
        nearest: nearest(name, known).map(Into::into),
        agent: config.name.clone(),
        origin: config.origin.clone(),
    }
}

fn wrong(config: &AgentConfig, source: AgentError) -> ConfigError {
    ConfigError::Agent {
        agent: config.name.clone(),
        origin: config.origin.clone(),
        source: Box::new(source),
    }
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
