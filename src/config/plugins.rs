//! The plugins of `plugins_path`, and those that were named: their skills and tools, for agents that name them and for `Assistant`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::definitions::{self, PluginDefinitions};
use super::error::ConfigError;
use super::loader::Loader;
use super::origin::Origin;
use super::schema::{AgentConfig, Config};
use super::sessions::Folders;
#[cfg(any(feature = "plugins-native", feature = "plugins-wasm"))]
use crate::plugin::ModuleTools;
use crate::plugin::{Plugin, PluginIssue, PluginSearch, PluginTools, PluginTrust, Plugins};
use crate::skills::Skill;
use crate::tools::ToolSource as _;

/// Below the folder for data of programs.
const DATA: &str = "openai_agents/plugin-data";
const TRUST: &str = "openai_agents/trusted-plugins.json";

/// The agent that has what every trusted plugin brings.
const ASSISTANT: &str = "Assistant";

/// The plugins, and the tools of those that are trusted.
#[derive(Debug, Clone, Default)]
pub(super) struct ConfiguredPlugins {
    plugins: Arc<Plugins>,
    sources: Arc<[PluginTools]>,
    #[cfg(any(feature = "plugins-native", feature = "plugins-wasm"))]
    modules: Arc<[ModuleTools]>,
    /// Modules that have a tool of a name that another has, of which an agent can have one.
    #[cfg(any(feature = "plugins-native", feature = "plugins-wasm"))]
    clashing: Arc<[String]>,
    definitions: Arc<BTreeMap<String, PluginDefinitions>>,
    trust_file: Option<PathBuf>,
}

impl ConfiguredPlugins {
    pub(super) fn plugins(&self) -> &Plugins {
        &self.plugins
    }

    /// What each plugin defines in YAML, trusted or not, by the name of the plugin.
    pub(super) fn definitions(&self) -> &BTreeMap<String, PluginDefinitions> {
        &self.definitions
    }

    /// Adds to the issues of plugins that the agents of each cannot be built.
    pub(super) fn add_issues(&mut self, problems: &BTreeMap<String, String>) {
        // Nobody has a clone before the configuration is loaded.
        let plugins = Arc::get_mut(&mut self.plugins).into_iter();
        for plugin in plugins.flat_map(Plugins::loaded_mut) {
            if let Some(problem) = problems.get(plugin.name()).cloned() {
                plugin.add_issue(PluginIssue::Definitions { problem });
            }
        }
    }
}

impl Loader {
    /// Adds a folder that is a plugin; it is trusted, since it is named.
    #[must_use]
    pub fn plugin(mut self, folder: impl Into<PathBuf>) -> Self {
        self.plugins.push(folder.into());
        self
    }

    /// The folder in which programs of this user keep their data.
    fn data_folder(&self) -> Option<PathBuf> {
        let Folders { home, data } = self.folders();
        // By the XDG specification, a path that is not absolute is to be ignored.
        let of_system = data.map(|(path, _)| path).filter(|path| path.is_absolute());
        of_system.or_else(|| Some(home?.join(".local/share")))
    }
}

impl Config {
    /// Gives all plugins that were found, trusted or not, with what is wrong with each.
    pub fn plugins(&self) -> &Plugins {
        &self.plugins.plugins
    }

    /// Gives the tools of the MCP servers of trusted plugins; none is started before its tools are asked for.
    pub fn plugin_tools(&self) -> &[PluginTools] {
        &self.plugins.sources
    }

    /// Gives the tools of the modules of trusted plugins; none is loaded before its tools are asked for.
    #[cfg(any(feature = "plugins-native", feature = "plugins-wasm"))]
    pub fn plugin_modules(&self) -> &[ModuleTools] {
        &self.plugins.modules
    }

    /// Whether a trusted plugin has a module of this name, `PLUGIN/MODULE`.
    #[cfg(any(feature = "plugins-native", feature = "plugins-wasm"))]
    pub(super) fn has_plugin_module(&self, name: &str) -> bool {
        let named = name.split_once('/');
        self.plugins().enabled().any(|plugin| {
            named.is_some_and(|(of, module)| {
                of == plugin.name() && plugin.modules().iter().any(|known| known.name == module)
            })
        })
    }

    /// The modules that an agent has: those among its tools, and for the agent that always exists all but those that clash with another.
    #[cfg(any(feature = "plugins-native", feature = "plugins-wasm"))]
    pub(super) fn plugin_modules_of<'a>(
        &'a self,
        agent: &'a AgentConfig,
    ) -> impl Iterator<Item = &'a ModuleTools> {
        let has_all = is_assistant(agent);
        let clashing = &self.plugins.clashing;
        let is_had = move |module: &&ModuleTools| {
            let is_named = agent.tools.iter().any(|name| name == module.name());
            is_named || has_all && clashing.iter().all(|name| name != module.name())
        };
        self.plugin_modules().iter().filter(is_had)
    }

    /// Gives the file that says which plugins are trusted, if there is a place for it.
    pub fn plugin_trust_file(&self) -> Option<&Path> {
        self.plugins.trust_file.as_deref()
    }

    /// Whether a trusted plugin has an MCP server of this name, `PLUGIN/SERVER`.
    pub(super) fn has_plugin_tools(&self, name: &str) -> bool {
        self.plugin_tools()
            .iter()
            .any(|source| source.name() == name)
    }

    /// The skill of a trusted plugin that `PLUGIN/SKILL` names.
    pub(super) fn plugin_skill(&self, name: &str) -> Option<&Skill> {
        let (plugin, skill) = name.split_once('/')?;
        let mut plugins = self.plugins().enabled();
        let plugin = plugins.find(|known| known.name() == plugin)?;
        plugin.skills().iter().find(|known| known.name() == skill)
    }

    /// What the agent that always exists has of plugins, beside what agents name.
    pub(super) fn plugin_skills_of(&self, agent: &AgentConfig) -> Vec<&Skill> {
        let mut skills: Vec<&Skill> = Vec::new();
        if !is_assistant(agent) {
            return skills;
        }
        for skill in self.plugins().enabled().flat_map(Plugin::skills) {
            // Of two of one name the model could ask for one only; the first plugin has it.
            if skills.iter().all(|known| known.name() != skill.name()) {
                skills.push(skill);
            }
        }
        skills
    }

    /// The plugin servers that an agent has: those that it names, and all of them for the agent that always exists.
    pub(super) fn plugin_tools_of<'a>(
        &'a self,
        agent: &'a AgentConfig,
    ) -> impl Iterator<Item = &'a PluginTools> {
        let has_all = is_assistant(agent);
        let is_had = move |source: &&PluginTools| {
            has_all || agent.mcp_servers.iter().any(|name| name == source.name())
        };
        self.plugin_tools().iter().filter(is_had)
    }
}

/// The agent that always exists, unless the file has another of its name.
fn is_assistant(agent: &AgentConfig) -> bool {
    agent.origin == Origin::BuiltIn && agent.name == ASSISTANT
}

/// Finds the plugins of a configuration that is loaded otherwise; without a folder for data nothing can be trusted.
pub(super) fn load(loader: &Loader, config: &mut Config) -> Result<(), ConfigError> {
    let Some(data) = loader.data_folder() else {
        return match loader.plugins.first() {
            None => Ok(()),
            Some(folder) => Err(ConfigError::NoHome {
                key: folder.display().to_string(),
                origin: Origin::Flag { name: "--plugin" },
            }),
        };
    };
    let trust_file = data.join(TRUST);
    let trust = PluginTrust::read(&trust_file).map_err(|source| ConfigError::Read {
        path: trust_file.clone(),
        source,
    })?;
    let data = data.join(DATA);
    let mut search = PluginSearch::new(&data, &trust).named(&loader.plugins);
    if let Some(path) = config.plugins_path() {
        search = search.path(path);
    }
    let mut plugins = search.find().map_err(|source| ConfigError::Read {
        path: config.plugins_path().unwrap_or(Path::new("")).to_owned(),
        source,
    })?;
    let of_yaml = definitions::read_all(&mut plugins);
    #[cfg(any(feature = "plugins-native", feature = "plugins-wasm"))]
    let clashing = clashing_modules(config, &mut plugins);
    let mut sources = Vec::new();
    for plugin in plugins.enabled() {
        let of_plugin = plugin.tool_sources(config.http_client());
        sources.extend(of_plugin.map_err(|source| ConfigError::PluginServer {
            plugin: plugin.name().to_owned(),
            source: Box::new(source),
        })?);
    }
    #[cfg(any(feature = "plugins-native", feature = "plugins-wasm"))]
    let modules = plugins.enabled().flat_map(Plugin::module_tools).collect();
    config.plugins = ConfiguredPlugins {
        #[cfg(any(feature = "plugins-native", feature = "plugins-wasm"))]
        modules,
        #[cfg(any(feature = "plugins-native", feature = "plugins-wasm"))]
        clashing: clashing.into(),
        plugins: Arc::new(plugins),
        sources: sources.into(),
        definitions: Arc::new(of_yaml),
        trust_file: Some(trust_file),
    };
    definitions::add_to(config);
    Ok(())
}

/// The modules of trusted plugins that have a tool of a name that one of an earlier plugin has, or the agent that always exists itself.
///
/// That agent is not given them: it could not be built. Agents that name one have it.
#[cfg(any(feature = "plugins-native", feature = "plugins-wasm"))]
fn clashing_modules(config: &Config, plugins: &mut Plugins) -> Vec<String> {
    let assistant = config.agents().iter().find(|agent| is_assistant(agent));
    let Some(assistant) = assistant else {
        return Vec::new();
    };
    let own = assistant.tools.iter();
    let mut taken: BTreeMap<String, String> = own
        .map(|tool| (tool.clone(), ASSISTANT.to_owned()))
        .collect();
    let mut clashing = Vec::new();
    for plugin in plugins.enabled_mut() {
        let mut issues = Vec::new();
        for module in plugin.modules() {
            let name = format!("{}/{}", plugin.name(), module.name);
            let tools = module.tools.as_deref().unwrap_or_default();
            let twice = tools.iter().find_map(|tool| Some((tool, taken.get(tool)?)));
            if let Some((tool, owner)) = twice {
                issues.push(PluginIssue::ToolTwice {
                    module: module.name.clone(),
                    tool: tool.clone(),
                    owner: owner.clone(),
                });
                clashing.push(name);
                continue;
            }
            taken.extend(tools.iter().map(|tool| (tool.clone(), name.clone())));
        }
        for issue in issues {
            plugin.add_issue(issue);
        }
    }
    clashing
}
