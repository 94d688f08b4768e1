//! Files of paused runs: readable by their owner only, sealed if there is a key, resumed once.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use openai_agents::agent::{StateError, StateKey};
use openai_agents::config::Config;
use openai_agents::{ErrorKind, RunState, file};

use crate::failure::{Unusable, Usage};
use crate::{private_folder, whole_file};

/// The largest saved run. Conversations with images are large; a larger file is something else.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Reads and writes saved runs.
pub(crate) struct StateFiles {
    key: Option<StateKey>,
    key_is_from: String,
}

/// A file whose run was resumed, or is about to be.
pub(crate) struct Claim {
    file: PathBuf,
    used: PathBuf,
}

impl StateFiles {
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let key = config.state_key().cloned().map(StateKey::new).transpose();
        let file = config.file().display();
        Ok(Self {
            // The configuration has checked the length, so this is an error of the program only.
            key: key.map_err(|error| Usage(error.to_string()))?,
            key_is_from: config.setting("state_key").map_or_else(
                || format!("set the key with OPENAI_AGENTS__STATE_KEY, or `state_key` in {file}"),
                |key| format!("the key is from {}", key.origin),
            ),
        })
    }

    /// Reads a saved run, with its text.
    pub(crate) fn read(&self, path: &Path) -> Result<(String, RunState)> {
        let text = match file::read_text(path, MAX_BYTES) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && used(path).exists() => {
                return Err(already_resumed(path).into());
            }
            Err(error) => {
                let message = format!("cannot read the saved run {}: {error}", path.display());
                return Err(invalid(ErrorKind::StateInvalid, message, None).into());
            }
        };
        let state = match &self.key {
            Some(key) => RunState::from_sealed_json(key, &text),
            None => RunState::from_json(&text),
        };
        match state {
            Ok(state) => Ok((text, state)),
            Err(error) => Err(self.unusable(path, &error).into()),
        }
    }

    /// Writes a run that waits into a new file. If that fails, the name is free as before.
    pub(crate) fn write(&self, path: PathBuf, state: &RunState) -> Result<PathBuf> {
        let json = self.json(state)?;
        whole_file::create(&path, json.as_bytes())
            .with_context(|| format!("cannot save the run in {}", path.display()))?;
        // The mark of an earlier run with this name would make this one look resumed.
        let used = used(&path);
        if used.exists() {
            fs::remove_file(&used).with_context(|| format!("cannot remove {}", used.display()))?;
        }
        Ok(path)
    }

    /// Returns the text of the file for a run that waits.
    pub(crate) fn json(&self, state: &RunState) -> Result<String, StateError> {
        match &self.key {
            Some(key) => state.to_sealed_json(key),
            None => state.to_json(),
        }
    }

    fn unusable(&self, path: &Path, error: &StateError) -> Unusable {
        let hint = match error {
            StateError::Sealed | StateError::Tampered => Some(self.key_is_from.clone()),
            _ => None,
        };
        let message = format!("cannot resume {}: {error}", path.display());
        invalid(error.kind(), message, hint)
    }
}

impl Claim {
    /// Takes the file, so that no other process resumes the run. It must still hold the text that
    /// was read.
    pub(crate) fn take(path: &Path, text: &str) -> Result<Self> {
        let claim = Self {
            file: path.to_owned(),
            used: used(path),
        };
        // A rename is atomic: of several processes only one succeeds.
        match fs::rename(path, &claim.used) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(already_resumed(path).into());
            }
            Err(error) => {
                let message = format!(
                    "cannot resume {}: it must be renamed, so that no other process resumes it too: {error}",
                    path.display()
                );
                return Err(Usage(message).into());
            }
        }
        if file::read_text(&claim.used, MAX_BYTES).is_ok_and(|now| now == text) {
            return Ok(claim);
        }
        // Another process resumed the run meanwhile, and saved a later pause under this name.
        claim.give_back()?;
        Err(already_resumed(path).into())
    }

    /// Gives the file its name back, because the run did not continue.
    pub(crate) fn give_back(&self) -> Result<()> {
        fs::rename(&self.used, &self.file)
            .with_context(|| format!("cannot rename {}", self.used.display()))
    }

    /// Empties the file. What stays is the mark that the run was resumed.
    pub(crate) fn consume(&self) -> Result<()> {
        // The run has paused again and was saved under the same name.
        if self.file.exists() {
            return Ok(());
        }
        File::create(&self.used)
            .map(drop)
            .with_context(|| format!("cannot empty {}", self.used.display()))
    }

    /// Returns the note for a run that continued and then failed.
    pub(crate) fn note(&self) -> String {
        let (file, used) = (self.file.display(), self.used.display());
        format!(
            "the run was resumed from {file}, which is {used} now; approved calls may have been made"
        )
    }
}

/// Returns a new name in the folder of paused runs.
pub(crate) fn default_path() -> Result<PathBuf> {
    let folder = folder().ok_or_else(|| {
        let message =
            "paused runs are saved below the home directory, and HOME is not set; name a file with --save-state";
        Usage(message.to_owned())
    })?;
    private_folder::create(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = now.map_or(0, |now| now.as_secs());
    let name = |n: u32| format!("run-{seconds}-{}-{n}.json", std::process::id());
    let mut paths = (0..).map(|n| folder.join(name(n)));
    let is_free = |path: &PathBuf| !path.exists() && !used(path).exists();
    paths.find(is_free).context("no name is left")
}

fn folder() -> Option<PathBuf> {
    let of_system = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = || std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
    // The XDG specification says to ignore a path that is not absolute.
    let base = of_system
        .filter(|path| path.is_absolute())
        .or_else(|| Some(home()?.join(".local/state")))?;
    Some(base.join("openai-agents/runs"))
}

/// Returns the name of a file after its run was resumed.
fn used(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".used");
    name.into()
}

fn already_resumed(path: &Path) -> Unusable {
    let used = used(path);
    let is_empty = fs::metadata(&used).is_ok_and(|metadata| metadata.len() == 0);
    let hint = (!is_empty).then(|| {
        format!(
            "if that run has failed, its saved state is {}; approved calls may have been made",
            used.display()
        )
    });
    let message = format!("the run in {} was already resumed", path.display());
    invalid(ErrorKind::AlreadyResumed, message, hint)
}

fn invalid(kind: ErrorKind, message: String, hint: Option<String>) -> Unusable {
    Unusable {
        kind,
        message,
        hint,
    }
}
