//! Finds the plugins of `plugins_path` and of `--plugin`, for agents that name what they bring and
//! for `Assistant`.

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

/// Folders of plugin data, below the data folder of the user.
const DATA: &str = "openai_agents/plugin-data";
/// The list of trusted plugins, below the data folder of the user.
const TRUST: &str = "openai_agents/trusted-plugins.json";

/// The agent that gets everything that trusted plugins bring.
const ASSISTANT: &str = "Assistant";

/// The plugins, and the tools of those that are trusted.
#[derive(Debug, Clone, Default)]
pub(super) struct ConfiguredPlugins {
    plugins: Arc<Plugins>,
    sources: Arc<[PluginTools]>,
    #[cfg(any(feature = "plugins-native", feature = "plugins-wasm"))]
    modules: Arc<[ModuleTools]>,
    /// Modules with a tool whose name another module has. An agent can have only one of them.
    #[cfg(any(feature = "plugins-native", feature = "plugins-wasm"))]
    clashing: Arc<[String]>,
    definitions: Arc<BTreeMap<String, PluginDefinitions>>,
    trust_file: Option<PathBuf>,
}

impl ConfiguredPlugins {
    pub(super) fn plugins(&self) -> &Plugins {
        &self.plugins
    }

    /// Returns what each plugin defines in YAML, trusted or not, by its name.
    pub(super) fn definitions(&self) -> &BTreeMap<String, PluginDefinitions> {
        &self.definitions
    }

    /// Adds an issue to each plugin whose agents cannot be built.
    pub(super) fn add_issues(&mut self, problems: &BTreeMap<String, String>) {
        // Never shared here: the configuration is still being loaded.
        let plugins = Arc::get_mut(&mut self.plugins).into_iter();
        for plugin in plugins.flat_map(Plugins::loaded_mut) {
            if let Some(problem) = problems.get(plugin.name()).cloned() {
                plugin.add_issue(PluginIssue::Definitions { problem });
            }
        }
    }
}

impl Loader {
    /// Adds a plugin by its folder. It is trusted, because it was named on purpose.
    #[must_use]
    pub fn plugin(mut self, folder: impl Into<PathBuf>) -> Self {
        self.plugins.push(folder.into());
        self
    }

    /// Returns the folder for data of programs of this user.
    fn data_folder(&self) -> Option<PathBuf> {
        let Folders { home, data } = self.folders();
        // By the XDG specification, a path that is not absolute is to be ignored.
        let of_system = data.map(|(path, _)| path).filter(|path| path.is_absolute());
        of_system.or_else(|| Some(home?.join(".local/share")))
    }
}

impl Config {
    /// Returns all plugins that were found, trusted or not, with the issues of each.
    pub fn plugins(&self) -> &Plugins {
        &self.plugins.plugins
    }

    /// Returns the tools of the MCP servers of trusted plugins.
    ///
    /// A server is started when its tools are first asked for.
    pub fn plugin_tools(&self) -> &[PluginTools] {
        &self.plugins.sources
    }

    /// Returns the tools of the modules of trusted plugins.
    ///
    /// A module is loaded when its tools are first asked for.
    #[cfg(any(feature = "plugins-native", feature = "plugins-wasm"))]
    pub fn plugin_modules(&self) -> &[ModuleTools] {
        &self.plugins.modules
    }

    /// Says whether a trusted plugin has a module of this name, `PLUGIN/MODULE`.
    #[cfg(any(feature = "plugins-native", feature = "plugins-wasm"))]
    pub(super) fn has_plugin_module(&self, name: &str) -> bool {
        let named = name.split_once('/');
        self.plugins().enabled().any(|plugin| {
            named.is_some_and(|(of, module)| {
                of == plugin.name() && plugin.modules().iter().any(|known| known.name == module)
            })
        })
    }

    /// Returns the modules of an agent: those among its tools, and for `Assistant` all that do not
    /// clash with another.
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

    /// Returns the file that lists the trusted plugins; `None` without a data folder.
    pub fn plugin_trust_file(&self) -> Option<&Path> {
        self.plugins.trust_file.as_deref()
    }

    /// Says whether a trusted plugin has an MCP server of this name, `PLUGIN/SERVER`.
    pub(super) fn has_plugin_tools(&self, name: &str) -> bool {
        self.plugin_tools()
            .iter()
            .any(|source| source.name() == name)
    }

    /// Finds the skill of a trusted plugin by `PLUGIN/SKILL`.
    pub(super) fn plugin_skill(&self, name: &str) -> Option<&Skill> {
        let (plugin, skill) = name.split_once('/')?;
        let mut plugins = self.plugins().enabled();
        let plugin = plugins.find(|known| known.name() == plugin)?;
        plugin.skills().iter().find(|known| known.name() == skill)
    }

    /// Returns the skills that `Assistant` gets from plugins, beside those that agents name.
    pub(super) fn plugin_skills_of(&self, agent: &AgentConfig) -> Vec<&Skill> {
        let mut skills: Vec<&Skill> = Vec::new();
        if !is_assistant(agent) {
            return skills;
        }
        for skill in self.plugins().enabled().flat_map(Plugin::skills) {
            // The model asks for a skill by its bare name, so that only one of two can be there: that of the first plugin.
            if skills.iter().all(|known| known.name() != skill.name()) {
                skills.push(skill);
            }
        }
        skills
    }

    /// Returns the plugin servers of an agent: those that it names, and all of them for `Assistant`.
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

/// Says whether this is the built-in `Assistant`, and not one of the file.
fn is_assistant(agent: &AgentConfig) -> bool {
    agent.origin == Origin::BuiltIn && agent.name == ASSISTANT
}

/// Finds the plugins, as the last part of loading a configuration. Without a data folder there is
/// no list of trust, and no plugins.
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

/// Finds modules of trusted plugins with a tool that an earlier plugin or `Assistant` has.
///
/// `Assistant` does not get them, because it could not be built. Agents that name one have it.
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
                // `Assistant` does not get this module, so its other tools take no names.
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
