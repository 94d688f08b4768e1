//! Reads the agents, guardrails and prompts of plugins, in the format of the configuration file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::agents::{PROMPT_PREFIX, agent_list, prompt_name};
use super::build::{self, Purpose};
use super::error::{ConfigError, DefinitionKind};
use super::fields::{Fields, Keys, Seen};
use super::guardrails::guardrails;
use super::schema::{AgentConfig, Config};
use super::sources::Files;
use super::tree::{self, Source, TreeNode, Value};
use super::{GuardrailCheck, GuardrailConfig};
use crate::error::error_chain;
use crate::plugin::{Plugin, PluginIssue, Plugins};

const KEYS: Keys = Keys {
    known: &["agents", "guardrails", "prompts"],
    unsupported: &[],
};

/// Holds what a plugin defines in YAML, under names that begin with its own: `PLUGIN/NAME`.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct PluginDefinitions {
    /// Its agents.
    pub agents: Vec<AgentConfig>,
    /// Its guardrails of inputs.
    pub input_guardrails: Vec<GuardrailConfig>,
    /// Its guardrails of outputs.
    pub output_guardrails: Vec<GuardrailConfig>,
    /// Its prompts: texts that an agent uses as its instructions by `prompt:PLUGIN/NAME`.
    pub prompts: BTreeMap<String, String>,
}

/// Reads the definitions of all plugins, trusted or not: a user sees what a plugin brings before
/// trusting it.
pub(super) fn read_all(plugins: &mut Plugins) -> BTreeMap<String, PluginDefinitions> {
    let mut all = BTreeMap::new();
    for plugin in plugins.loaded_mut() {
        match read(plugin) {
            Ok(None) => {}
            Ok(Some(definitions)) => {
                all.insert(plugin.name().to_owned(), definitions);
            }
            Err(error) => plugin.add_issue(PluginIssue::Definitions {
                problem: error_chain(&error),
            }),
        }
    }
    all
}

/// Adds the agents of trusted plugins to a configuration, and fills in what agents name from
/// plugins.
///
/// If an agent of a plugin cannot be built, none of its agents are added, and the plugin has an
/// issue that says why. Errors in agents of the file are reported where these are used, and do not
/// count against a plugin.
pub(super) fn add_to(config: &mut Config) {
    let plugins = config.plugins.plugins();
    let trusted: Vec<(String, PluginDefinitions)> = plugins
        .enabled()
        .filter_map(|plugin| {
            let definitions = config.plugin_definitions(plugin.name())?;
            Some((plugin.name().to_owned(), definitions.clone()))
        })
        .collect();
    for agent in &mut config.agents {
        resolve(agent, &trusted);
    }
    let mut problems = BTreeMap::new();
    for (plugin, definitions) in &trusted {
        // An agent of the file wins over one of a plugin, as it does over a built-in one.
        let is_free = |name: &str| config.agents.iter().all(|agent| agent.name != name);
        let agents = definitions.agents.iter();
        let mut agents: Vec<AgentConfig> = agents
            .filter(|agent| is_free(&agent.name))
            .cloned()
            .collect();
        if agents.is_empty() {
            continue;
        }
        for agent in &mut agents {
            resolve(agent, &trusted);
        }
        // If the configuration was broken before, the check below would blame this plugin for it.
        let was_whole = build::agent_set(config, Purpose::Check).is_ok();
        let n_before = config.agents.len();
        config.agents.append(&mut agents);
        if let (true, Err(error)) = (was_whole, build::agent_set(config, Purpose::Check)) {
            config.agents.truncate(n_before);
            problems.insert(plugin.clone(), error_chain(&error));
        }
    }
    config.plugins.add_issues(&problems);
}

/// Fills in what an agent names from plugins. What is not found stays as a name, and building the
/// agent fails: without its guardrail it must not run.
fn resolve(agent: &mut AgentConfig, trusted: &[(String, PluginDefinitions)]) {
    let inputs = agent.input_guardrails.iter_mut();
    put_in(inputs, trusted, |definitions| &definitions.input_guardrails);
    let outputs = agent.output_guardrails.iter_mut();
    put_in(outputs, trusted, |definitions| {
        &definitions.output_guardrails
    });
    let Some(name) = agent.instructions.as_deref().and_then(prompt_name) else {
        return;
    };
    let mut all = trusted.iter();
    let text = all.find_map(|(_, definitions)| definitions.prompts.get(name));
    if let Some(text) = text.cloned() {
        agent.instructions = Some(text);
    }
}

fn put_in<'a>(
    guardrails: impl Iterator<Item = &'a mut GuardrailConfig>,
    trusted: &[(String, PluginDefinitions)],
    of: impl Fn(&PluginDefinitions) -> &[GuardrailConfig],
) {
    for guardrail in guardrails {
        let GuardrailCheck::Named(name) = &guardrail.check else {
            continue;
        };
        let mut all = trusted.iter().flat_map(|(_, definitions)| of(definitions));
        if let Some(found) = all.find(|known| known.name == *name) {
            *guardrail = found.clone();
        }
    }
}

fn read(plugin: &Plugin) -> Result<Option<PluginDefinitions>, ConfigError> {
    let Some(file) = plugin.definitions() else {
        return Ok(None);
    };
    let path: &Path = &file.path;
    let node = tree::parse(&file.text, &Source::File(path.into()))?;
    // A plugin is the work of somebody else. Its values are not listed as settings, and `${NAME}` is not
    // substituted: it could read any key of the environment.
    let mut seen = Seen::default();
    let mut fields = Fields::new("", node, KEYS, &mut seen)?;
    // The files were read with the plugin, so that they are those that were trusted.
    let texts = file.texts.iter();
    let texts = texts.map(|(path, text)| (PathBuf::from(path), text.clone()));
    let files = Files::Memory(texts.collect());
    let (input_guardrails, output_guardrails) = guardrails(&mut fields)?;
    let mut definitions = PluginDefinitions {
        prompts: prompts(&mut fields)?,
        agents: agent_list(&mut fields, &files)?,
        input_guardrails,
        output_guardrails,
    };
    Names::of(plugin, &definitions).qualify(&mut definitions);
    Ok(Some(definitions))
}

fn prompts(fields: &mut Fields<'_>) -> Result<BTreeMap<String, String>, ConfigError> {
    const EXPECTED: &str = "a map from names to texts";
    let Some(TreeNode { value, origin }) = fields.take("prompts") else {
        return Ok(BTreeMap::new());
    };
    let Value::Map(entries) = value else {
        return Err(fields.invalid("prompts", EXPECTED, origin));
    };
    let mut prompts = BTreeMap::new();
    for entry in entries {
        let Value::Text(text) = entry.node.value else {
            let key = format!("prompts.{}", entry.key);
            return Err(fields.invalid(&key, EXPECTED, entry.node.origin));
        };
        prompts.insert(entry.key, text);
    }
    Ok(prompts)
}

/// The names of what a plugin brings, as its own definitions write them: without the name of the
/// plugin.
struct Names {
    plugin: String,
    agents: Vec<String>,
    guardrails: Vec<String>,
    prompts: Vec<String>,
    modules: Vec<String>,
    servers: Vec<String>,
    skills: Vec<String>,
}

impl Names {
    fn of(plugin: &Plugin, definitions: &PluginDefinitions) -> Self {
        let agents = definitions.agents.iter();
        let inputs = definitions.input_guardrails.iter();
        let guardrails = inputs.chain(&definitions.output_guardrails);
        let modules = plugin.modules().iter();
        let servers = plugin.servers().iter();
        let skills = plugin.skills().iter();
        Self {
            plugin: plugin.name().to_owned(),
            agents: agents.map(|agent| agent.name.clone()).collect(),
            guardrails: guardrails.map(|guardrail| guardrail.name.clone()).collect(),
            prompts: definitions.prompts.keys().cloned().collect(),
            modules: modules.map(|module| module.name.clone()).collect(),
            servers: servers.map(|server| server.name.clone()).collect(),
            skills: skills.map(|skill| skill.name().to_owned()).collect(),
        }
    }

    /// Puts the name of the plugin before the names that are its own. Other names mean what they
    /// mean in the file.
    fn qualify(&self, definitions: &mut PluginDefinitions) {
        for agent in &mut definitions.agents {
            self.agent(agent);
        }
        let inputs = definitions.input_guardrails.iter_mut();
        for guardrail in inputs.chain(&mut definitions.output_guardrails) {
            guardrail.name = format!("{}/{}", self.plugin, guardrail.name);
            self.check(&mut guardrail.check);
        }
        let prompts = std::mem::take(&mut definitions.prompts).into_iter();
        definitions.prompts = prompts
            .map(|(name, text)| (format!("{}/{name}", self.plugin), text))
            .collect();
    }

    fn agent(&self, agent: &mut AgentConfig) {
        self.own(&self.agents, [&mut agent.name]);
        self.own(&self.agents, &mut agent.handoffs);
        let called = agent.agents_as_tools.iter_mut();
        self.own(&self.agents, called.map(|tool| &mut tool.agent));
        self.own(&self.modules, &mut agent.tools);
        self.own(&self.servers, &mut agent.mcp_servers);
        self.own(&self.skills, &mut agent.skills);
        let inputs = agent.input_guardrails.iter_mut();
        for guardrail in inputs.chain(&mut agent.output_guardrails) {
            self.check(&mut guardrail.check);
        }
        let prompt = agent.instructions.as_deref().and_then(prompt_name);
        if let Some(mut name) = prompt.map(str::to_owned) {
            self.own(&self.prompts, [&mut name]);
            agent.instructions = Some(format!("{PROMPT_PREFIX}{name}"));
        }
    }

    fn check(&self, check: &mut GuardrailCheck) {
        match check {
            GuardrailCheck::Agent(name) => self.own(&self.agents, [name]),
            GuardrailCheck::Named(name) => self.own(&self.guardrails, [name]),
            GuardrailCheck::MaxChars(_) | GuardrailCheck::Deny(_) => {}
        }
    }

    fn own<'a>(&self, own: &[String], names: impl IntoIterator<Item = &'a mut String>) {
        for name in names {
            if own.contains(name) {
                *name = format!("{}/{name}", self.plugin);
            }
        }
    }
}

impl Config {
    /// Returns what a plugin defines in YAML. Only definitions of trusted plugins are used.
    pub fn plugin_definitions(&self, plugin: &str) -> Option<&PluginDefinitions> {
        self.plugins.definitions().get(plugin)
    }

    /// Returns the names of the guardrails or prompts of trusted plugins.
    pub(super) fn definition_names(&self, kind: DefinitionKind) -> Vec<&str> {
        let plugins = self.plugins().enabled();
        let definitions = plugins.filter_map(|plugin| self.plugin_definitions(plugin.name()));
        let names = definitions.flat_map(|definitions| match kind {
            DefinitionKind::InputGuardrail => names_of(&definitions.input_guardrails),
            DefinitionKind::OutputGuardrail => names_of(&definitions.output_guardrails),
            DefinitionKind::Prompt => definitions.prompts.keys().map(String::as_str).collect(),
        });
        names.collect()
    }
}

fn names_of(guardrails: &[GuardrailConfig]) -> Vec<&str> {
    let names = guardrails.iter();
    names.map(|guardrail| guardrail.name.as_str()).collect()
}
