//! The sources of the loader: variables and files, of the process or of a test.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::{fmt, io};

use super::Origin;
use super::tree::{TreeNode, Value};
use crate::file;

/// The largest configuration, `.env` or file of instructions: 4 MiB.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// The variables that have a value, with the origin of each.
#[derive(Debug, Default)]
pub(super) struct Variables(BTreeMap<String, Variable>);

pub(super) struct Variable {
    pub(super) value: String,
    pub(super) origin: Origin,
}

impl Variables {
    pub(super) fn get(&self, name: &str) -> Option<&Variable> {
        self.0.get(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Variable)> {
        self.0
            .iter()
            .map(|(name, variable)| (name.as_str(), variable))
    }

    /// Adds the variables that are not set yet.
    pub(super) fn fill(&mut self, others: Self) {
        for (name, variable) in others.0 {
            self.0.entry(name).or_insert(variable);
        }
    }

    /// Sets a variable; the last value wins, and an empty one unsets it.
    pub(super) fn set(&mut self, name: &str, value: String, origin: Origin) {
        if value.is_empty() {
            self.0.remove(name);
        } else {
            self.0.insert(name.to_owned(), Variable { value, origin });
        }
    }
}

impl Variable {
    pub(super) fn as_text(&self) -> TreeNode {
        TreeNode {
            value: Value::Text(self.value.clone()),
            origin: self.origin.clone(),
        }
    }
}

/// Shows the origin only, since the value may be a key.
impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Variable({})", self.origin)
    }
}

/// Where files are read from.
pub(super) enum Files {
    Disk { directory: PathBuf },
    Memory(BTreeMap<PathBuf, String>),
}

impl Files {
    pub(super) fn read(&self, path: &Path) -> io::Result<String> {
        match self {
            Self::Disk { directory } => file::read_text(&directory.join(path), MAX_FILE_BYTES),
            Self::Memory(files) => files
                .get(&plain(path))
                .cloned()
                .ok_or_else(|| io::ErrorKind::NotFound.into()),
        }
    }
}

impl Files {
    /// Reads a file that other programs use too, whatever its encoding; `None` if there is none.
    pub(super) fn read_shared(&self, path: &Path) -> io::Result<Option<String>> {
        let Self::Disk { directory } = self else {
            return self.read(path).map(Some);
        };
        let path = directory.join(path);
        // Some Python projects have a virtual environment in a folder `.env`.
        if path.is_dir() {
            return Ok(None);
        }
        match file::read(&path, MAX_FILE_BYTES) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Shows the paths only, since the texts may hold keys.
impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk { directory } => write!(f, "Disk({})", directory.display()),
            Self::Memory(files) => f.debug_set().entries(files.keys()).finish(),
        }
    }
}

/// Drops `.` from a path, so that `./a` and `a` are the same file of a test.
pub(super) fn plain(path: &Path) -> PathBuf {
    path.components()
        .filter(|part| !matches!(part, Component::CurDir))
        .collect()
}
