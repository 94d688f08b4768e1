//! Finds all plugins, each with its state.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Plugin, PluginError, PluginTrust, TrustState, extension, loader};

/// The plugins of a folder and those that were named, sorted by name.
#[derive(Debug, Default)]
pub struct Plugins {
    found: Vec<FoundPlugin>,
}

/// A folder or file that is a plugin, or should be one.
#[derive(Debug)]
#[non_exhaustive]
pub struct FoundPlugin {
    /// The folder, or the file of a plugin without a folder.
    pub folder: PathBuf,
    /// The plugin, or why it cannot be one.
    pub plugin: Result<Plugin, PluginError>,
    /// Whether it is trusted.
    pub trust: TrustState,
}

impl FoundPlugin {
    /// Returns the plugin if it may be used.
    pub fn enabled(&self) -> Option<&Plugin> {
        match self.trust {
            TrustState::Trusted => self.plugin.as_ref().ok(),
            TrustState::Changed | TrustState::Untrusted => None,
        }
    }
}

/// Says where to look for plugins.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct PluginSearch<'a> {
    /// The folder to search.
    ///
    /// Each folder in it with a `plugin.json` is a plugin, and each shared library and WebAssembly module. It need not exist.
    pub path: Option<&'a Path>,
    /// Folders of plugins that are trusted, because the user named them on purpose.
    pub named: &'a [PathBuf],
    /// The folder for the data of plugins.
    pub data: &'a Path,
    /// The trusted plugins.
    pub trust: &'a PluginTrust,
}

impl<'a> PluginSearch<'a> {
    /// Starts a search without any place.
    pub const fn new(data: &'a Path, trust: &'a PluginTrust) -> Self {
        Self {
            path: None,
            named: &[],
            data,
            trust,
        }
    }

    /// Searches a folder.
    #[must_use]
    pub const fn path(mut self, path: &'a Path) -> Self {
        self.path = Some(path);
        self
    }

    /// Adds folders of trusted plugins.
    #[must_use]
    pub const fn named(mut self, named: &'a [PathBuf]) -> Self {
        self.named = named;
        self
    }

    /// Finds and loads all plugins, without running anything of them.
    ///
    /// # Errors
    ///
    /// [`io::Error`] if the folder exists and cannot be listed.
    pub fn find(self) -> io::Result<Plugins> {
        let mut found: Vec<FoundPlugin> = Vec::new();
        for folder in self.named {
            let plugin = load(folder, self.data);
            found.push(FoundPlugin {
                folder: folder.clone(),
                plugin,
                trust: TrustState::Trusted,
            });
        }
        for folder in children(self.path)? {
            let plugin = load(&folder, self.data);
            let trust = plugin.as_ref();
            found.push(FoundPlugin {
                trust: trust.map_or(TrustState::Untrusted, |plugin| self.trust.state(plugin)),
                folder,
                plugin,
            });
        }
        refuse_duplicates(&mut found);
        found.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        Ok(Plugins { found })
    }
}

impl Plugins {
    /// Returns all that were found, sorted by name.
    ///
    /// One that could not be loaded goes by the name of its folder.
    pub fn found(&self) -> &[FoundPlugin] {
        &self.found
    }

    /// Returns those that may be used.
    pub fn enabled(&self) -> impl Iterator<Item = &Plugin> {
        self.found.iter().filter_map(FoundPlugin::enabled)
    }

    /// Returns those that were loaded, trusted or not.
    #[cfg(feature = "config")]
    pub(crate) fn loaded_mut(&mut self) -> impl Iterator<Item = &mut Plugin> {
        let found = self.found.iter_mut();
        found.filter_map(|found| found.plugin.as_mut().ok())
    }

    /// The same of those that may be used.
    #[cfg(all(
        feature = "config",
        any(feature = "plugins-native", feature = "plugins-wasm")
    ))]
    /// Returns those that may be used, for changes.
    pub(crate) fn enabled_mut(&mut self) -> impl Iterator<Item = &mut Plugin> {
        let found = self.found.iter_mut();
        let trusted = found.filter(|found| found.trust == TrustState::Trusted);
        trusted.filter_map(|found| found.plugin.as_mut().ok())
    }

    /// Finds a plugin by its name, or by the name of its folder.
    pub fn get(&self, name: &str) -> Option<&FoundPlugin> {
        let by_name = |found: &&FoundPlugin| {
            found
                .plugin
                .as_ref()
                .is_ok_and(|plugin| plugin.name() == name)
        };
        let by_folder = |found: &&FoundPlugin| {
            found
                .folder
                .file_name()
                .is_some_and(|folder| folder == name)
        };
        let mut found = self.found.iter();
        found
            .find(by_name)
            .or_else(|| self.found.iter().find(by_folder))
    }
}

impl FoundPlugin {
    fn sort_key(&self) -> (String, &Path) {
        let name = if let Ok(plugin) = &self.plugin {
            plugin.name().to_owned()
        } else {
            let name = self.folder.file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        };
        (name, &self.folder)
    }
}

fn load(path: &Path, data: &Path) -> Result<Plugin, PluginError> {
    if extension::name_of_file(path).is_some() && !path.is_dir() {
        loader::load_file(path, data)
    } else {
        loader::load(path, data)
    }
}

/// Returns the folders with a `plugin.json` and the files that are modules. Others are not plugins,
/// and not errors.
fn children(path: Option<&Path>) -> io::Result<Vec<PathBuf>> {
    let Some(path) = path else {
        return Ok(Vec::new());
    };
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut folders = Vec::new();
    for entry in entries {
        let folder = entry?.path();
        // A dangling link counts, so that loading it reports the error.
        let is_module = extension::name_of_file(&folder).is_some() && !folder.is_dir();
        if is_module || folder.join("plugin.json").symlink_metadata().is_ok() {
            folders.push(folder);
        }
    }
    folders.sort();
    Ok(folders)
}

/// Refuses plugins with the name of an earlier one. Named plugins come before those that were
/// found.
fn refuse_duplicates(found: &mut [FoundPlugin]) {
    let mut names: Vec<(String, PathBuf)> = Vec::new();
    for plugin in found {
        let Ok(loaded) = &plugin.plugin else {
            continue;
        };
        let name = loaded.name().to_owned();
        match names.iter().find(|(known, _)| *known == name) {
            Some((_, first)) => {
                let first = first.clone();
                plugin.plugin = Err(PluginError::Duplicate { name, first });
            }
            None => names.push((name, plugin.folder.clone())),
        }
    }
}
