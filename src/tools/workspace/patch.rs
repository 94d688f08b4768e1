//! The tool `apply_patch`.

use std::collections::HashSet;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::WorkspaceError;
use super::diff::{DiffMode, PatchError, apply_diff};
use super::path::WorkspacePath;
use super::read::MAX_FILE_BYTES;
use super::root::{OnExisting, Root};
use super::walk::plain;

pub(super) const DESCRIPTION: &str = "Changes files of the workspace by a patch:\n\
    *** Begin Patch\n\
    *** Update File: src/a.py\n\
    *** Move to: src/b.py (only to rename it)\n\
    @@ def area(r):\n \
     # a kept line begins with a space\n\
    -    return 3 * r * r\n\
    +    return pi * r * r\n\
    *** Add File: notes.txt\n\
    +every line of a new file begins with a plus\n\
    *** Delete File: old.txt\n\
    *** End Patch\n\
    Hunks are found by their kept and removed lines, so give about three lines around each change, and after @@ the function or \
    class that it is in. Nothing is changed if any part does not fit.";

const BEGIN_PATCH: &str = "*** Begin Patch";
const END_PATCH: &str = "*** End Patch";

#[derive(Deserialize, JsonSchema)]
pub(super) struct PatchArguments {
    /// The patch, from *** Begin Patch to *** End Patch.
    patch: String,
}

pub(super) fn apply_patch(
    root: &Root,
    arguments: &PatchArguments,
) -> Result<String, WorkspaceError> {
    let parts = read_patch(&arguments.patch)
        .map_err(|source| WorkspaceError::Patch { path: None, source })?;
    apply(root, parts)
}

/// The operation of an `apply_patch_call` of the Responses API.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Operation {
    #[serde(rename = "type")]
    action: OperationAction,
    path: String,
    diff: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
enum OperationAction {
    #[serde(rename = "create_file")]
    Create,
    #[serde(rename = "update_file")]
    Update,
    #[serde(rename = "delete_file")]
    Delete,
}

/// Carries out an `apply_patch_call`, which is about one file.
pub(super) fn apply_operation(
    root: &Root,
    operation: &Operation,
) -> Result<String, WorkspaceError> {
    let diff = || {
        let diff = operation.diff.clone().filter(|diff| !diff.is_empty());
        diff.ok_or_else(|| WorkspaceError::Patch {
            path: Some(operation.path.clone()),
            source: PatchError::Empty,
        })
    };
    let action = match operation.action {
        OperationAction::Create => PatchAction::Add { diff: diff()? },
        OperationAction::Update => PatchAction::Update {
            move_to: None,
            diff: diff()?,
        },
        OperationAction::Delete => PatchAction::Delete,
    };
    let path = &operation.path;
    apply(root, vec![FilePatch { path, action }])
}

fn apply(root: &Root, parts: Vec<FilePatch<'_>>) -> Result<String, WorkspaceError> {
    // Everything is read and checked before anything is written.
    let mut paths = HashSet::new();
    let mut changes = Vec::with_capacity(parts.len());
    for part in parts {
        changes.push(prepare(root, part, &mut paths)?);
    }
    let mut done: Vec<String> = Vec::with_capacity(changes.len());
    for change in &changes {
        match carry_out(root, change) {
            Ok(line) => done.push(line),
            Err(error) if done.is_empty() => return Err(error),
            Err(error) => {
                return Err(WorkspaceError::PatchUnfinished {
                    done: done.join(", "),
                    source: Box::new(error),
                });
            }
        }
    }
    Ok(done.join("\n"))
}

/// A part of a patch, about one file.
#[derive(Debug, PartialEq, Eq)]
struct FilePatch<'a> {
    path: &'a str,
    action: PatchAction<'a>,
}

#[derive(Debug, PartialEq, Eq)]
enum PatchAction<'a> {
    Add {
        diff: String,
    },
    Delete,
    Update {
        move_to: Option<&'a str>,
        diff: String,
    },
}

fn read_patch(patch: &str) -> Result<Vec<FilePatch<'_>>, PatchError> {
    let mut lines = patch.trim().split_terminator('\n').peekable();
    let first = lines.next().unwrap_or_default();
    if first.trim_end() != BEGIN_PATCH {
        return Err(wrong(first, "a patch begins with `*** Begin Patch`"));
    }
    let mut parts = Vec::new();
    while let Some(line) = lines.next() {
        let header = line.trim_end();
        if header == END_PATCH {
            if parts.is_empty() {
                return Err(PatchError::Empty);
            }
            return match lines.next() {
                None => Ok(parts),
                Some(line) => Err(wrong(line, "nothing follows `*** End Patch`")),
            };
        }
        parts.push(if let Some(path) = header.strip_prefix("*** Add File: ") {
            let diff = body(&mut lines);
            let action = PatchAction::Add { diff };
            FilePatch { path, action }
        } else if let Some(path) = header.strip_prefix("*** Delete File: ") {
            let action = PatchAction::Delete;
            FilePatch { path, action }
        } else if let Some(path) = header.strip_prefix("*** Update File: ") {
            let moved = lines.next_if(|line| line.starts_with("*** Move to: "));
            let move_to = moved.and_then(|line| line.trim_end().strip_prefix("*** Move to: "));
            let diff = body(&mut lines);
            let action = PatchAction::Update { move_to, diff };
            FilePatch { path, action }
        } else {
            return Err(wrong(
                line,
                "here stands `*** Add File: `, `*** Update File: `, `*** Delete File: ` or `*** End Patch`",
            ));
        });
    }
    Err(wrong("", "a patch ends with `*** End Patch`"))
}

type PatchLines<'a> = std::iter::Peekable<std::str::SplitTerminator<'a, char>>;

/// The lines up to the next header.
fn body(lines: &mut PatchLines<'_>) -> String {
    let mut diff = String::new();
    while let Some(line) = lines.next_if(|line| !is_header(line)) {
        diff.push_str(line);
        diff.push('\n');
    }
    diff
}

fn is_header(line: &str) -> bool {
    line.trim_end() == END_PATCH
        || ["*** Add File: ", "*** Delete File: ", "*** Update File: "]
            .iter()
            .any(|header| line.starts_with(header))
}

fn wrong(line: &str, expected: &'static str) -> PatchError {
    PatchError::Line {
        line: line.to_owned(),
        expected,
    }
}

/// A change that will be made, all of it known.
#[derive(Debug)]
enum Change {
    Add(WorkspacePath, String),
    Delete(WorkspacePath),
    Update(WorkspacePath, String),
    Move {
        from: WorkspacePath,
        to: WorkspacePath,
        text: String,
    },
}

fn prepare(
    root: &Root,
    part: FilePatch<'_>,
    paths: &mut HashSet<PathBuf>,
) -> Result<Change, WorkspaceError> {
    let path = root.parse(part.path)?;
    let mut claim = |path: &WorkspacePath| {
        if paths.insert(plain(path.as_path())) {
            return Ok(());
        }
        let source = PatchError::FileTwice {
            path: path.to_string(),
        };
        Err(WorkspaceError::Patch { path: None, source })
    };
    claim(&path)?;
    let applied = |text: &str, diff: &str, mode| {
        apply_diff(text, diff, mode).map_err(|source| WorkspaceError::Patch {
            path: Some(path.to_string()),
            source,
        })
    };
    match part.action {
        PatchAction::Delete => {
            // It must be there, and be a file.
            drop(root.file(&path)?);
            Ok(Change::Delete(path))
        }
        PatchAction::Add { diff } => {
            refuse_taken(root, &path)?;
            let mut text = applied("", &diff, DiffMode::Create)?;
            // A text file ends with a line end; the diff of a new one has no way to say so.
            if !text.is_empty() {
                text.push('\n');
            }
            Ok(Change::Add(path, text))
        }
        PatchAction::Update { move_to, diff } => {
            let text = root.read_text(&path, MAX_FILE_BYTES)?;
            let text = applied(&text, &diff, DiffMode::Update)?;
            let Some(to) = move_to else {
                return Ok(Change::Update(path, text));
            };
            let to = root.parse(to)?;
            claim(&to)?;
            refuse_taken(root, &to)?;
            let from = path;
            Ok(Change::Move { from, to, text })
        }
    }
}

fn refuse_taken(root: &Root, path: &WorkspacePath) -> Result<(), WorkspaceError> {
    path.parent_and_name()?;
    if root.is_taken(path)? {
        return Err(WorkspaceError::Exists {
            path: path.to_string(),
        });
    }
    Ok(())
}

fn carry_out(root: &Root, change: &Change) -> Result<String, WorkspaceError> {
    match change {
        Change::Add(path, text) => {
            root.write(path, text.as_bytes(), OnExisting::Refuse)?;
            Ok(format!("added {path}"))
        }
        Change::Delete(path) => {
            root.remove(path)?;
            Ok(format!("deleted {path}"))
        }
        Change::Update(path, text) => {
            root.write(path, text.as_bytes(), OnExisting::Replace)?;
            Ok(format!("updated {path}"))
        }
        Change::Move { from, to, text } => {
            // First the new one, then the old one away: if it breaks off between them there are two
            // files, and none is lost.
            root.write(to, text.as_bytes(), OnExisting::Refuse)?;
            root.remove(from)?;
            Ok(format!("moved {from} to {to}"))
        }
    }
}
