//! `openai-agents plugins`.

mod new;

use std::io;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use futures_util::future::join_all;
use openai_agents::ErrorKind;
use openai_agents::FunctionTool;
use openai_agents::config::Config;
use openai_agents::error::error_chain;
use openai_agents::plugin::{
    FoundPlugin, ModuleKind, Plugin, PluginModule, PluginTransport, PluginTrust, TrustState,
};
use openai_agents::skills::Skill;
use openai_agents::tools::ToolSource as _;
use serde_json::{Value, json};

use crate::args::Global;
use crate::escape::excerpt;
use crate::exit::Exit;
use crate::failure::failed_result;
use crate::logging;
use crate::output::{self, Lines, is_read};

/// List the plugins that are there, check one, say which are trusted, or begin a new one
///
/// Plugins are folders below `plugins_path` in the format of Agent Plugins 1.0. Nothing of a plugin is used or run before it is trusted,
/// and trust ends when anything in its folder changes. A plugin that --plugin names is trusted for that command only.
#[derive(Debug, Args)]
pub(crate) struct PluginsArgs {
    #[command(subcommand)]
    command: PluginsCommand,
}

#[derive(Debug, Subcommand)]
enum PluginsCommand {
    /// List all plugins with their state, and what is wrong with each
    List(ListPlugins),
    /// Show what a plugin brings, and start the servers of a trusted one to ask for their tools
    Check(Named),
    /// Trust a plugin with what its folder holds now
    Trust(Named),
    /// Take the trust from a plugin
    Untrust(Named),
    /// Write a new plugin that works into a folder of its name, and say how to build and try it
    New(new::New),
}

#[derive(Debug, Args)]
struct ListPlugins {
    /// Print each plugin as a line of JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Named {
    /// The name of the plugin, or of its folder.
    name: String,
}

impl PluginsArgs {
    pub(super) fn is_json(&self) -> bool {
        match &self.command {
            PluginsCommand::List(list) => list.json,
            PluginsCommand::Check(_)
            | PluginsCommand::Trust(_)
            | PluginsCommand::Untrust(_)
            | PluginsCommand::New(_) => false,
        }
    }
}

pub(crate) async fn run(global: Global, arguments: &PluginsArgs) -> Result<Exit> {
    let load = || -> Result<Config> {
        let config = global.load()?;
        logging::start(&config)?;
        Ok(config)
    };
    match &arguments.command {
        PluginsCommand::New(arguments) => new::run(arguments),
        PluginsCommand::List(arguments) => list(&load()?, arguments),
        PluginsCommand::Check(named) => {
            let config = load()?;
            check(&config, find(&config, &named.name)?).await
        }
        PluginsCommand::Trust(named) => {
            let config = load()?;
            trust(&config, find(&config, &named.name)?)
        }
        PluginsCommand::Untrust(named) => {
            let config = load()?;
            untrust(&config, find(&config, &named.name)?)
        }
    }
}

fn find<'a>(config: &'a Config, name: &str) -> Result<&'a FoundPlugin> {
    let Some(found) = config.plugins().get(name) else {
        let names = config.plugins().found().iter().map(name_of);
        let names: Vec<String> = names.collect();
        let names = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        bail!("there is no plugin `{name}`; there are: {names}");
    };
    Ok(found)
}

fn name_of(found: &FoundPlugin) -> String {
    if let Ok(plugin) = &found.plugin {
        plugin.name().to_owned()
    } else {
        let name = found.folder.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

fn state_of(found: &FoundPlugin) -> &'static str {
    match (&found.plugin, found.trust) {
        (Err(_), _) => "broken",
        (Ok(_), TrustState::Trusted) => "trusted",
        (Ok(_), TrustState::Changed) => "changed since it was trusted",
        (Ok(_), _) => "not trusted",
    }
}

fn list(config: &Config, arguments: &ListPlugins) -> Result<Exit> {
    let mut out = Lines::stdout();
    let mut plugins = config.plugins().found().iter();
    is_read(plugins.try_for_each(|found| {
        if arguments.json {
            out.json(&to_json(config, found))
        } else {
            write_text(&mut out, config, found)
        }
    }))?;
    let mut broken = config.plugins().found().iter().filter_map(|found| {
        let error = found.plugin.as_ref().err()?;
        Some(format!(
            "the plugin `{}` is broken: {}",
            name_of(found),
            error_chain(error)
        ))
    });
    let Some(first) = broken.next() else {
        return Ok(Exit::Done);
    };
    is_read(output::result(&failed_result(ErrorKind::Plugin, &first)))?;
    Ok(Exit::Usage)
}

fn write_text(out: &mut Lines, config: &Config, found: &FoundPlugin) -> io::Result<()> {
    let (name, state) = (name_of(found), state_of(found));
    out.text(format_args!("{name}: {state} ({})", found.folder.display()))?;
    let plugin = match &found.plugin {
        Ok(plugin) => plugin,
        Err(error) => return out.text(format_args!("  {}", error_chain(error))),
    };
    if let Some(description) = &plugin.manifest().description {
        out.text(format_args!("  {}", excerpt(description)))?;
    }
    for (what, names) in [
        ("skills", skills(plugin)),
        ("MCP servers", servers(plugin)),
        ("modules", modules(plugin)),
        ("agents", Definitions::of(config, plugin).agents),
        ("guardrails", Definitions::of(config, plugin).guardrails),
        ("prompts", Definitions::of(config, plugin).prompts),
    ] {
        if !names.is_empty() {
            out.text(format_args!("  {what}: {}", names.join(", ")))?;
        }
    }
    for issue in plugin.issues() {
        out.text(format_args!("  {}", error_chain(issue)))?;
    }
    Ok(())
}

fn skills(plugin: &Plugin) -> Vec<&str> {
    plugin.skills().iter().map(Skill::name).collect()
}

fn servers(plugin: &Plugin) -> Vec<&str> {
    let servers = plugin.servers().iter();
    servers.map(|server| server.name.as_str()).collect()
}

fn modules(plugin: &Plugin) -> Vec<&str> {
    let modules = plugin.modules().iter();
    modules.map(|module| module.name.as_str()).collect()
}

/// The names of the definitions of a plugin in YAML.
#[derive(Default)]
struct Definitions<'a> {
    agents: Vec<&'a str>,
    guardrails: Vec<&'a str>,
    prompts: Vec<&'a str>,
}

impl<'a> Definitions<'a> {
    fn of(config: &'a Config, plugin: &Plugin) -> Self {
        let Some(definitions) = config.plugin_definitions(plugin.name()) else {
            return Self::default();
        };
        let agents = definitions.agents.iter();
        let inputs = definitions.input_guardrails.iter();
        let guardrails = inputs.chain(&definitions.output_guardrails);
        Self {
            agents: agents.map(|agent| agent.name.as_str()).collect(),
            guardrails: guardrails
                .map(|guardrail| guardrail.name.as_str())
                .collect(),
            prompts: definitions.prompts.keys().map(String::as_str).collect(),
        }
    }
}

fn to_json(config: &Config, found: &FoundPlugin) -> Value {
    let plugin = found.plugin.as_ref().ok();
    let issues = plugin.map_or(&[][..], Plugin::issues).iter();
    let issues: Vec<String> = issues.map(|issue| error_chain(issue)).collect();
    let definitions = plugin.map_or_else(Definitions::default, |plugin| {
        Definitions::of(config, plugin)
    });
    json!({
        "type": "plugin",
        "name": name_of(found),
        "version": plugin.and_then(|plugin| plugin.manifest().version.as_deref()),
        "description": plugin.and_then(|plugin| plugin.manifest().description.as_deref()),
        "folder": found.folder.display().to_string(),
        "state": state_of(found),
        "error": found.plugin.as_ref().err().map(|error| error_chain(error)),
        "skills": plugin.map(skills).unwrap_or_default(),
        "mcp_servers": plugin.map(servers).unwrap_or_default(),
        "modules": plugin.map(modules).unwrap_or_default(),
        "agents": definitions.agents,
        "guardrails": definitions.guardrails,
        "prompts": definitions.prompts,
        "issues": issues,
        "sha256": plugin.map(Plugin::hash),
    })
}

/// Shows everything, so that somebody can decide about trust. Programs and modules are started only
/// for a trusted plugin.
async fn check(config: &Config, found: &FoundPlugin) -> Result<Exit> {
    let mut out = Lines::stdout();
    is_read(write_text(&mut out, config, found))?;
    let Ok(plugin) = &found.plugin else {
        return Ok(Exit::Usage);
    };
    is_read(write_details(&mut out, plugin))?;
    if found.enabled().is_none() {
        return Ok(Exit::Usage);
    }
    let prefix = format!("{}/", plugin.name());
    let sources = config.plugin_tools().iter();
    let sources: Vec<_> = sources
        .filter(|source| source.name().starts_with(&prefix))
        .collect();
    let states = join_all(sources.iter().map(|source| source.state())).await;
    let mut exit = if plugin.issues().is_empty() {
        Exit::Done
    } else {
        Exit::Usage
    };
    for (source, state) in sources.iter().zip(states) {
        let words = match state {
            Ok(tools) => ready(&tools),
            Err(error) => {
                exit = Exit::Usage;
                error_chain(&*error)
            }
        };
        source.close().await;
        is_read(out.text(format_args!("  {}: {words}", source.name())))?;
    }
    let modules = config.plugin_modules().iter();
    for module in modules.filter(|module| module.name().starts_with(&prefix)) {
        let words = match module.state().await {
            Ok(tools) => ready(&tools),
            Err(error) => {
                exit = Exit::Usage;
                error_chain(&*error)
            }
        };
        is_read(out.text(format_args!("  {}: {words}", module.name())))?;
    }
    Ok(exit)
}

fn ready(tools: &[FunctionTool]) -> String {
    let names: Vec<&str> = tools.iter().map(|tool| tool.name().as_str()).collect();
    format!("ready: {}", names.join(", "))
}

fn write_details(out: &mut Lines, plugin: &Plugin) -> io::Result<()> {
    out.text(format_args!("  sha256: {}", plugin.hash()))?;
    for server in plugin.servers() {
        let name = &server.name;
        let words = match &server.transport {
            PluginTransport::Stdio {
                command, args, cwd, ..
            } => {
                let args = args.iter().map(|arg| format!(" {arg:?}"));
                let args: String = args.collect();
                format!("runs {}{args} in {}", command.display(), cwd.display())
            }
            PluginTransport::StreamableHttp { url, .. } => format!("asks {url}"),
            // The enum may gain variants in a newer library.
            other => format!("{other:?}"),
        };
        out.text(format_args!("  MCP server {name} {words}"))?;
    }
    for module in plugin.modules() {
        let PluginModule { name, file, .. } = module;
        let words = match module.kind {
            ModuleKind::Native => "loads, with all rights of this program,",
            ModuleKind::Wasm => "runs, in a sandbox,",
            // The enum may gain variants in a newer library.
            _ => "uses",
        };
        let tools = module.tools.as_ref().map(|tools| tools.join(", "));
        let tools = tools.map_or_else(String::new, |tools| format!(" for {tools}"));
        out.text(format_args!(
            "  module {name} {words} {}{tools}",
            file.display()
        ))?;
    }
    Ok(())
}

fn trust_file(config: &Config) -> Result<PluginTrust> {
    let path = config.plugin_trust_file();
    let path =
        path.context("trusted plugins are listed below the home directory, and HOME is not set")?;
    PluginTrust::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

fn trust(config: &Config, found: &FoundPlugin) -> Result<Exit> {
    let plugin = match &found.plugin {
        Ok(plugin) => plugin,
        Err(error) => bail!(
            "the plugin `{}` is broken: {}",
            name_of(found),
            error_chain(error)
        ),
    };
    trust_file(config)?
        .trust(plugin)
        .context("the list of trusted plugins cannot be written")?;
    let mut out = Lines::stdout();
    is_read(out.text(format_args!(
        "{} is trusted with sha256 {}",
        plugin.name(),
        plugin.hash()
    )))?;
    Ok(Exit::Done)
}

fn untrust(config: &Config, found: &FoundPlugin) -> Result<Exit> {
    // By the folder, because the plugin may be broken by now and have no readable name.
    let root = found
        .folder
        .canonicalize()
        .context("the folder cannot be found")?;
    let was_trusted = trust_file(config)?
        .untrust(&root)
        .context("the list of trusted plugins cannot be written")?;
    let words = if was_trusted {
        "is not trusted any more"
    } else {
        "was not trusted"
    };
    let mut out = Lines::stdout();
    is_read(out.text(format_args!("{} {words}", name_of(found))))?;
    Ok(Exit::Done)
}
