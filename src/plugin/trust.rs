//! Records which plugins the user trusts, with the content that was trusted.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Plugin;
use crate::file;

const VERSION: u32 = 1;
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The plugins that the user trusts, kept in a file.
///
/// Trust is given to a folder with its content. Any change or move of the folder ends it.
#[derive(Debug, Clone)]
pub struct PluginTrust {
    file: PathBuf,
    trusted: BTreeMap<PathBuf, String>,
}

/// Says whether a plugin is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrustState {
    /// Trusted, with its current content.
    Trusted,
    /// It was trusted, and something has changed since.
    Changed,
    /// Never trusted.
    Untrusted,
}

#[derive(Serialize, Deserialize)]
struct TrustFile {
    version: u32,
    trusted: BTreeMap<PathBuf, String>,
}

impl PluginTrust {
    /// Reads the file. Without a file nothing is trusted.
    ///
    /// # Errors
    ///
    /// [`io::Error`] if it cannot be read, has another format, or is from a newer version of the
    /// program.
    pub fn read(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let text = match file::read_text(&path, MAX_BYTES) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self {
                    file: path,
                    trusted: BTreeMap::new(),
                });
            }
            Err(error) => return Err(error),
        };
        let wrong = |problem: String| io::Error::new(io::ErrorKind::InvalidData, problem);
        let read: TrustFile =
            serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if read.version != VERSION {
            let found = read.version;
            return Err(wrong(format!(
                "it has version {found}; only {VERSION} is supported"
            )));
        }
        Ok(Self {
            file: path,
            trusted: read.trusted,
        })
    }

    /// Says whether a plugin is trusted with its current content.
    pub fn state(&self, plugin: &Plugin) -> TrustState {
        match self.trusted.get(plugin.root()) {
            Some(hash) if hash == plugin.hash() => TrustState::Trusted,
            Some(_) => TrustState::Changed,
            None => TrustState::Untrusted,
        }
    }

    /// Trusts a plugin with its current content, and writes the file.
    ///
    /// # Errors
    ///
    /// [`io::Error`] if the file cannot be written; the plugin is then not trusted.
    pub fn trust(&mut self, plugin: &Plugin) -> io::Result<()> {
        let mut trusted = self.trusted.clone();
        trusted.insert(plugin.root().to_owned(), plugin.hash().to_owned());
        self.write(trusted)
    }

    /// Ends the trust in a folder, and writes the file. Says whether it was trusted.
    ///
    /// # Errors
    ///
    /// [`io::Error`] if the file cannot be written; the plugin then stays trusted.
    pub fn untrust(&mut self, root: &Path) -> io::Result<bool> {
        let mut trusted = self.trusted.clone();
        let was_trusted = trusted.remove(root).is_some();
        if was_trusted {
            self.write(trusted)?;
        }
        Ok(was_trusted)
    }

    /// Writes the file atomically, readable by its owner only.
    fn write(&mut self, trusted: BTreeMap<PathBuf, String>) -> io::Result<()> {
        if let Some(folder) = self.file.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        let text = serde_json::to_string_pretty(&TrustFile {
            version: VERSION,
            trusted: trusted.clone(),
        })?;
        let temporary = self
            .file
            .with_extension(format!("{}.tmp", std::process::id()));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, &self.file)?;
        self.trusted = trusted;
        Ok(())
    }
}
