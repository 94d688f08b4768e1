//! The tool `list_files`.

use std::ops::ControlFlow;
use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use schemars::JsonSchema;
use serde::Deserialize;

use super::WorkspaceError;
use super::root::{Root, refused};
use super::walk::{WalkEntry, WalkExtent, plain, sorted, walk};

pub(super) const DESCRIPTION: &str = "Lists files of the workspace, one a line; folders end with a slash, links with an at sign. Without a \
    pattern it lists one folder. With a pattern such as *.rs or src/**/test_*.py it lists all files below the folder that fit, \
    without those that .gitignore names. At most 1000 are listed.";

const MAX_LISTED: usize = 1000;

#[derive(Deserialize, JsonSchema)]
pub(super) struct ListArguments {
    /// The folder, relative to the root of the workspace; null means the root.
    path: Option<String>,
    /// Which files to list, as in .gitignore: * and ? stay within a name, ** goes through folders. Null lists the folder itself.
    pattern: Option<String>,
}

pub(super) fn list_files(root: &Root, arguments: &ListArguments) -> Result<String, WorkspaceError> {
    let path = root.parse(arguments.path.as_deref().unwrap_or("."))?;
    let mut lines = FileList::default();
    match &arguments.pattern {
        None => {
            let folder = root.folder(&path)?;
            let names = sorted(&folder).map_err(|error| refused(&path, "listed", error))?;
            let beginning = plain(path.as_path());
            for (name, file_type) in names {
                let path = beginning.join(name);
                if lines.add(&WalkEntry { path, file_type }).is_break() {
                    break;
                }
            }
        }
        Some(pattern) => {
            let glob = glob(pattern)?;
            let beginning = plain(path.as_path());
            let extent = walk(root, &path, &mut |entry| {
                if entry.file_type.is_dir() || !fits(&glob, &beginning, entry) {
                    return ControlFlow::Continue(());
                }
                lines.add(entry)
            })?;
            lines.is_whole &= extent == WalkExtent::Whole;
        }
    }
    Ok(lines.finish())
}

/// Reads a pattern as a line of `.gitignore` is read: one without a slash fits in every folder.
pub(super) fn glob(pattern: &str) -> Result<Gitignore, WorkspaceError> {
    let wrong = |source: ignore::Error| WorkspaceError::Pattern {
        pattern: pattern.to_owned(),
        source: Box::new(source),
    };
    let mut builder = GitignoreBuilder::new("");
    builder.add_line(None, pattern).map_err(wrong)?;
    builder.build().map_err(wrong)
}

pub(super) fn fits(glob: &Gitignore, beginning: &Path, entry: &WalkEntry) -> bool {
    let below = entry.path.strip_prefix(beginning).unwrap_or(&entry.path);
    glob.matched(below, entry.file_type.is_dir()).is_ignore()
}

/// What is listed, up to a bound.
struct FileList {
    lines: Vec<String>,
    is_whole: bool,
}

impl Default for FileList {
    fn default() -> Self {
        Self {
            lines: Vec::new(),
            is_whole: true,
        }
    }
}

impl FileList {
    fn add(&mut self, entry: &WalkEntry) -> ControlFlow<()> {
        if self.lines.len() >= MAX_LISTED {
            self.is_whole = false;
            return ControlFlow::Break(());
        }
        let end = match entry.file_type {
            kind if kind.is_dir() => "/",
            kind if kind.is_symlink() => "@",
            _ => "",
        };
        // A line end in a name would look like another file.
        let name = entry.path.display().to_string();
        self.lines.push(name.replace(['\n', '\r'], "?") + end);
        ControlFlow::Continue(())
    }

    fn finish(mut self) -> String {
        if !self.is_whole {
            self.lines
                .push("[there are more; name a folder below or a narrower pattern]".to_owned());
        }
        if self.lines.is_empty() {
            return "[no files]".to_owned();
        }
        self.lines.join("\n")
    }
}
