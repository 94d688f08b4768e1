//! Plugins in the format of Agent Plugins 1.0.0; each test names the paragraphs of the specification that it stands on.
//!
//! | paragraphs | held by |
//! |---|---|
//! | 4.1.1, 4.1.2 (a root, a manifest) | `manifest_that_breaks_a_rule_is_refused`, `plugins_of_one_name_are_refused_but_for_the_first` |
//! | 4.1.3 to 4.1.5, its five failure boundaries | `manifest_behind_a_link_stays_in_the_folder`, `places_of_the_wrong_kind_disable_their_part_only`, `skills_behind_links_stay_in_the_folder`, `servers_whose_links_lead_out_are_skipped`, `extension_that_is_wrong_is_told_and_the_rest_is_used` |
//! | 5.1 to 5.6 (manifest, names) | `manifest_*` in `packages` |
//! | 6.1, 6.2 (fixed places) | `places_of_the_wrong_kind_disable_their_part_only`, `published_layouts_are_loaded` |
//! | 7.1 (skills) | `skills_*` in `packages` |
//! | 7.2.1 (`mcp.json`, stdio, HTTP) | `servers_*` in `servers`, `core_*` in `conformance` |
//! | 7.2.2 (loading rules) | `servers_file_that_is_wrong_disables_servers_only`, `servers_that_break_a_rule_are_skipped_one_by_one`, `servers_that_do_not_start_leave_the_others`, `recovery_leaves_what_is_valid` |
//! | 8.1, 8.2 (extensions) | `manifest_with_unknown_fields_is_loaded_and_reported`, `extension_that_is_wrong_is_told_and_the_rest_is_used`, `published_layouts_are_loaded` |
//! | 9.1 (environment, data) | `core_processes_are_given_what_their_plugin_says`, `core_data_is_each_plugins_own_and_outlives_an_update` |
//! | 9.2 (placeholders) | `placeholders_are_replaced_once_and_everywhere`, `core_processes_are_given_what_their_plugin_says` |
//! | 10.1 (versions) | `manifest_that_breaks_a_rule_is_refused`, `servers_file_that_is_wrong_disables_servers_only` |
//! | 11 | follows from these |
//!
//! What is ours (trust, modules) is in `trust`, `modules`, `native`, `wasm` and `sdk`; agents, guardrails and prompts in `cli/tests/it/plugins.rs`.
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
