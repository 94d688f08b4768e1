//! Goes through the files below a folder, without those that `.gitignore` names.
//!
//! The crate `ignore` reads the patterns; its own walk opens folders by their path, which a link can turn elsewhere in the middle.

use std::ffi::OsString;
use std::io;
use std::ops::ControlFlow;
use std::path::{Component, Path, PathBuf};

use cap_std::fs::{Dir, FileType};
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::WorkspaceError;
use super::path::WorkspacePath;
use super::root::{Root, refused};

/// How deep folders are followed; each level keeps one folder open.
const MAX_DEPTH: usize = 64;
/// How many names are looked at in one walk.
const MAX_NAMES: usize = 200_000;
const MAX_GITIGNORE_BYTES: u64 = 1024 * 1024;

/// What is found on the way.
#[derive(Debug)]
pub(super) struct WalkEntry {
    /// Relative to the root of the workspace.
    pub(super) path: PathBuf,
    pub(super) file_type: FileType,
}

/// How a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WalkExtent {
    /// Everything was visited.
    Whole,
    /// The visitor had enough.
    Stopped,
    /// There is more than one walk looks at.
    TooMuch,
}

/// Visits everything below a folder in the order of the names, folders before what is in them; links are visited and not followed.
pub(super) fn walk(
    root: &Root,
    start: &WorkspacePath,
    visit: &mut dyn FnMut(&WalkEntry) -> ControlFlow<()>,
) -> Result<WalkExtent, WorkspaceError> {
    let folder = root.folder(start)?;
    let mut walker = Walker {
        root,
        visit,
        levels: Vec::new(),
        n_names: 0,
    };
    let beginning = plain(start.as_path());
    // The patterns of folders above count as well, also if the walk begins below them.
    walker.enter_parents(&beginning);
    walker
        .folder(&folder, &beginning)
        .map_err(|error| refused(start, "listed", error))
}

struct Walker<'a> {
    root: &'a Root,
    visit: &'a mut dyn FnMut(&WalkEntry) -> ControlFlow<()>,
    /// The patterns of the folders from the root to here.
    levels: Vec<Level>,
    n_names: usize,
}

struct Level {
    folder: PathBuf,
    patterns: Gitignore,
}

impl Walker<'_> {
    /// Patterns of a folder above hold below it too.
    fn enter_parents(&mut self, beginning: &Path) {
        let mut above: Vec<PathBuf> = beginning.ancestors().skip(1).map(Path::to_owned).collect();
        above.reverse();
        for folder in above {
            self.enter(folder);
        }
    }

    fn enter(&mut self, folder: PathBuf) {
        let file = WorkspacePath::found(folder.join(".gitignore"));
        let mut builder = GitignoreBuilder::new("");
        // One that is not there or cannot be read excludes nothing.
        if let Ok(text) = self.root.read_text(&file, MAX_GITIGNORE_BYTES) {
            for line in text.lines() {
                // git too passes over a line that is no pattern.
                builder.add_line(None, line).ok();
            }
        }
        let patterns = builder.build().unwrap_or_else(|_| Gitignore::empty());
        self.levels.push(Level { folder, patterns });
    }

    fn folder(&mut self, dir: &Dir, path: &Path) -> io::Result<WalkExtent> {
        let names = sorted(dir)?;
        self.enter(path.to_owned());
        let extent = self.names(dir, path, names);
        self.levels.pop();
        Ok(extent)
    }

    fn names(&mut self, dir: &Dir, path: &Path, names: Vec<(OsString, FileType)>) -> WalkExtent {
        for (name, file_type) in names {
            self.n_names += 1;
            if self.n_names > MAX_NAMES {
                return WalkExtent::TooMuch;
            }
            let entry = WalkEntry {
                path: path.join(&name),
                file_type,
            };
            // An ignored folder is not entered at all, as in git: nothing in it can be taken in
            // again.
            if name == ".git" || self.is_ignored(&entry) {
                continue;
            }
            if (self.visit)(&entry).is_break() {
                return WalkExtent::Stopped;
            }
            if !file_type.is_dir() {
                continue;
            }
            if self.levels.len() >= MAX_DEPTH {
                return WalkExtent::TooMuch;
            }
            let Ok(below) = dir.open_dir(&name) else {
                continue;
            };
            match self.folder(&below, &entry.path) {
                // A folder below that cannot be listed is passed over, as grep does.
                Ok(WalkExtent::Whole) | Err(_) => {}
                Ok(extent) => return extent,
            }
        }
        WalkExtent::Whole
    }

    /// The innermost folder that says something about it decides.
    fn is_ignored(&self, entry: &WalkEntry) -> bool {
        for level in self.levels.iter().rev() {
            let Ok(path) = entry.path.strip_prefix(&level.folder) else {
                continue;
            };
            match level.patterns.matched(path, entry.file_type.is_dir()) {
                Match::None => {}
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
            }
        }
        false
    }
}

/// The names of a folder, sorted, so that what a model sees does not depend on the file system.
pub(super) fn sorted(dir: &Dir) -> io::Result<Vec<(OsString, FileType)>> {
    let mut names = Vec::new();
    for entry in dir.entries()?.take(MAX_NAMES) {
        let entry = entry?;
        // What was removed meanwhile is not there.
        if let Ok(file_type) = entry.file_type() {
            names.push((entry.file_name(), file_type));
        }
    }
    names.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(names)
}

/// Without `.`, so that paths are shown as short as they are.
pub(super) fn plain(path: &Path) -> PathBuf {
    path.components()
        .filter(|component| !matches!(component, Component::CurDir))
        .collect()
}
