//! A path as a model writes it: relative to the root.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use super::WorkspaceError;

/// The longest path that is taken; Linux takes no longer one either.
const MAX_BYTES: usize = 4096;

/// A path that is relative and has no NUL.
///
/// Whether it stays below the root is not known before the kernel has opened it: links and other processes decide that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WorkspacePath {
    /// As it was written.
    written: String,
    relative: PathBuf,
}

impl WorkspacePath {
    /// Reads a path; one that begins with the root itself is taken as what follows, because models see the root in outputs.
    pub(super) fn parse(written: &str, root: &Path) -> Result<Self, WorkspaceError> {
        let refuse = |problem| {
            Err(WorkspaceError::BadPath {
                path: written.chars().take(200).collect(),
                problem,
            })
        };
        if written.contains('\0') {
            return refuse("it contains a NUL character");
        }
        if written.len() > MAX_BYTES {
            return refuse("it is longer than 4096 bytes");
        }
        let path = Path::new(written);
        let relative = match path.strip_prefix(root) {
            Ok(rest) => rest,
            Err(_) if path.has_root() => {
                return refuse("it is absolute; paths are relative to the root of the workspace");
            }
            Err(_) => path,
        };
        let is_here = relative.as_os_str().is_empty();
        Ok(Self {
            written: if written.is_empty() { "." } else { written }.to_owned(),
            relative: if is_here { Path::new(".") } else { relative }.to_owned(),
        })
    }

    /// A path that was found below the root.
    pub(super) fn found(relative: PathBuf) -> Self {
        Self {
            written: relative.display().to_string(),
            relative,
        }
    }

    pub(super) fn as_path(&self) -> &Path {
        &self.relative
    }

    /// The folder and the name in it, of a path that names something in a folder.
    pub(super) fn parent_and_name(&self) -> Result<(&Path, &OsStr), WorkspaceError> {
        let last = self.relative.components().next_back();
        // A slash at the end is not part of `components`, and asks for a folder.
        let is_folder = self.written.ends_with('/');
        match (last, self.relative.parent()) {
            (Some(Component::Normal(name)), Some(parent)) if !is_folder => Ok((
                if parent.as_os_str().is_empty() {
                    Path::new(".")
                } else {
                    parent
                },
                name,
            )),
            _ => Err(WorkspaceError::BadPath {
                path: self.written.clone(),
                problem: "it names no file",
            }),
        }
    }
}

impl fmt::Display for WorkspacePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}
