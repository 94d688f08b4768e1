//! Plugins: folders in the format of Agent Plugins 1.0 (agent-plugins.org), with skills and MCP servers, and modules of code.
//!
//! A [`PluginSearch`] finds and loads the plugins of a folder without running anything of them. A plugin may be used if it is
//! trusted and its content has not changed since: its [skills](Plugin::skills) are like any other, and its MCP servers are
//! [tool sources](Plugin::tool_sources) of agents. All others are listed with the reason.

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

/// A loaded plugin. Loading runs nothing of it.
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
    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// Returns the content of `plugin.json`.
    pub const fn manifest(&self) -> &PluginManifest {
        &self.manifest
    }

    /// Returns the folder as it was named.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the folder, links resolved.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the folder for data of the plugin, which outlives an update.
    ///
    /// It is created before a server is started.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Returns the SHA-256 of everything in the folder, in hex.
    pub fn hash(&self) -> &str {
        &self.content.hash
    }

    /// Returns the skills that can be used.
    pub fn skills(&self) -> &[Skill] {
        &self.skills
    }

    /// Returns the MCP servers that can be used.
    pub fn servers(&self) -> &[PluginServer] {
        &self.servers
    }

    /// Returns the modules of code that can be used.
    ///
    /// They are shared libraries, and WebAssembly in a sandbox.
    pub fn modules(&self) -> &[PluginModule] {
        &self.modules
    }

    /// Returns the file in which the plugin defines agents, guardrails and prompts.
    pub const fn definitions(&self) -> Option<&DefinitionsFile> {
        self.definitions.as_ref()
    }

    /// Returns the problems of the parts that cannot be used.
    pub fn issues(&self) -> &[PluginIssue] {
        &self.issues
    }

    /// Adds a problem that was found by a user of the plugin.
    #[cfg(feature = "config")]
    pub(crate) fn add_issue(&mut self, issue: PluginIssue) {
        self.issues.push(issue);
    }
}
