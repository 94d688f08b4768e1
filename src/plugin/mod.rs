//! Plugins: folders in the format of Agent Plugins 1.0 (agent-plugins.org), with skills and MCP servers, and modules of code.
//!
//! A [`PluginSearch`] finds and loads the plugins of a folder and runs nothing of them. One that is trusted, with the very content that it
//! had when it was trusted, may be used: its [skills](Plugin::skills) are like any other, and its MCP servers are
//! [tool sources](Plugin::tool_sources) of agents. Everything else is listed with the reason.

mod error;
mod manifest;
mod loader;
mod servers;
mod content;
mod extension;
mod module;
#[cfg(any(feature = "plugins-native", feature = "plugins-wasm"))]
mod module_error;
#[cfg(any(feature = "plugins-native", feature = "plugins-wasm"))]
mod module_tools;
#[cfg(feature = "plugins-native")]
mod native;
#[cfg(feature = "plugins-wasm")]
mod wasm;
mod trust;
mod registry;
mod tools;
#[cfg(test)]
mod tests;

pub use error::{ManifestError, PluginError, PluginIssue, PluginServerError};
pub use extension::{DefinitionsFile, EXTENSION_FOLDER};
pub use manifest::{PluginAuthor, PluginManifest};
pub use module::{ModuleKind, PluginModule};
#[cfg(any(feature = "plugins-native", feature = "plugins-wasm"))]
pub use module_error::{ModuleCallError, ModuleError};
#[cfg(any(feature = "plugins-native", feature = "plugins-wasm"))]
pub use module_tools::ModuleTools;
pub use registry::{FoundPlugin, PluginSearch, Plugins};
pub use servers::{PluginServer, PluginTransport};
pub use tools::PluginTools;
pub use trust::{PluginTrust, TrustState};

use std::path::{Path, PathBuf};

use crate::skills::Skill;

/// A plugin that was loaded; of what it brings, nothing was run.
#[derive(Debug)]
pub struct Plugin {
    folder: PathBuf,
    root: PathBuf,
    data: PathBuf,
    manifest: PluginManifest,
    content: content::Content,
    skills: Vec<Skill>,
    servers: Vec<PluginServer>,
    modules: Vec<PluginModule>,
    definitions: Option<DefinitionsFile>,
    issues: Vec<PluginIssue>,
}

impl Plugin {
    /// Gives the name.
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// Gives what `plugin.json` says.
    pub const fn manifest(&self) -> &PluginManifest {
        &self.manifest
    }

    /// Gives the folder as it was named.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Gives the folder, links resolved.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Gives the folder that the plugin's servers can write to, and that outlives an update; it is made before one is started.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Gives the SHA-256 of all that the folder holds, in hex.
    pub fn hash(&self) -> &str {
        &self.content.hash
    }

    /// Gives the skills that can be used.
    pub fn skills(&self) -> &[Skill] {
        &self.skills
    }

    /// Gives the MCP servers that can be used.
    pub fn servers(&self) -> &[PluginServer] {
        &self.servers
    }

    /// Gives the modules of code that can be used: shared libraries, and WebAssembly in a sandbox.
    pub fn modules(&self) -> &[PluginModule] {
        &self.modules
    }

    /// Gives the file in which the plugin defines agents, guardrails and prompts.
    pub const fn definitions(&self) -> Option<&DefinitionsFile> {
        self.definitions.as_ref()
    }

    /// Gives what is wrong with the rest.
    pub fn issues(&self) -> &[PluginIssue] {
        &self.issues
    }

    /// Adds what whoever uses the plugin finds wrong.
    #[cfg(feature = "config")]
    pub(crate) fn add_issue(&mut self, issue: PluginIssue) {
        self.issues.push(issue);
    }
}
