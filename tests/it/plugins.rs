//! Plugins in the format of Agent Plugins 1.0.0; each test names the paragraphs of the specification that it stands on.
#![cfg(unix)]

mod conformance;
mod modules;
mod native;
mod packages;
mod sdk;
mod servers;
mod trust;
mod wasm;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use openai_agents::plugin::{FoundPlugin, PluginSearch, PluginTrust, Plugins};

use crate::folder::Folder;

pub(super) const SCHEMA: &str = "https://agent-plugins.org/schemas/1.0.0/plugin.schema.json";
pub(super) const SERVERS_SCHEMA: &str = "https://agent-plugins.org/schemas/1.0.0/mcp.schema.json";

/// A folder with one plugin in `plugins/p`, and room for its data and for trust.
pub(super) struct Package(Folder);

impl Package {
    /// A plugin whose manifest has these fields beside the required ones.
    pub(super) fn new(fields: &str) -> Self {
        Self::with_manifest(&format!(
            r#"{{"$schema": "{SCHEMA}", "name": "p"{fields}}}"#
        ))
    }

    pub(super) fn with_manifest(manifest: &str) -> Self {
        let package = Self(Folder::new());
        package.file("plugin.json", manifest)
    }

    pub(super) fn file(self, name: &str, text: &str) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    pub(super) fn program(self, name: &str, text: &str) -> Self {
        let package = self.file(name, text);
        fs::set_permissions(package.path(name), fs::Permissions::from_mode(0o755)).unwrap();
        package
    }

    pub(super) fn skill(self, name: &str) -> Self {
        let text = format!("---\nname: {name}\ndescription: For {name}.\n---\n# {name}\n");
        self.file(&format!("skills/{name}/SKILL.md"), &text)
    }

    /// An `mcp.json` with these servers.
    pub(super) fn servers(self, servers: &str) -> Self {
        let text = format!(r#"{{"$schema": "{SERVERS_SCHEMA}", "mcpServers": {servers}}}"#);
        self.file("mcp.json", &text)
    }

    /// A path of the plugin.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path("plugins/p").join(name)
    }

    /// A path beside the folder of all plugins.
    pub(super) fn outside(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }

    pub(super) fn root(&self) -> PathBuf {
        self.path("").canonicalize().unwrap()
    }

    pub(super) fn data(&self) -> PathBuf {
        self.0.path("data").join("p")
    }

    pub(super) fn trust(&self) -> PluginTrust {
        PluginTrust::read(self.0.path("trust.json")).unwrap()
    }

    /// What is found, with the plugin named and so trusted.
    pub(super) fn named(&self) -> Plugins {
        let search = self.outside("data");
        let named = [self.path("")];
        PluginSearch::new(&search, &self.trust())
            .named(&named)
            .find()
            .unwrap()
    }

    /// What is found in the folder of plugins.
    pub(super) fn discovered(&self) -> Plugins {
        let (data, path) = (self.outside("data"), self.outside("plugins"));
        PluginSearch::new(&data, &self.trust())
            .path(&path)
            .find()
            .unwrap()
    }
}

/// An error with its causes.
pub(super) fn words(error: &dyn std::error::Error) -> String {
    match error.source() {
        // Some say their cause themselves.
        Some(cause) if !error.to_string().ends_with(&cause.to_string()) => {
            format!("{error}: {}", words(cause))
        }
        _ => error.to_string(),
    }
}

pub(super) fn issues(found: &FoundPlugin) -> Vec<String> {
    let issues = found.plugin.as_ref().unwrap().issues().iter();
    issues.map(|issue| words(issue)).collect()
}
