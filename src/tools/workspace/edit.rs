//! The tool `edit_file`.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Deserialize;

use super::WorkspaceError;
use super::read::MAX_FILE_BYTES;
use super::root::{OnExisting, Root};

pub(super) const DESCRIPTION: &str = "Replaces a text in a file of the workspace. old_text must be in the file exactly once, letter by \
    letter with its spaces and line ends; read the file first.";

#[derive(Deserialize, JsonSchema)]
pub(super) struct EditArguments {
    /// The path of the file, relative to the root of the workspace.
    path: String,
    /// The text to replace; take as many lines as make it unique.
    old_text: String,
    /// The text to put in its place; an empty one removes it.
    new_text: String,
    /// Whether to replace every occurrence; null means there must be exactly one.
    replace_all: Option<bool>,
}

pub(super) fn edit_file(root: &Root, arguments: &EditArguments) -> Result<String, WorkspaceError> {
    let path = root.parse(&arguments.path)?;
    if arguments.old_text.is_empty() {
        let problem = "`old_text` is empty; write_file makes a new file";
        return Err(WorkspaceError::NoChange { problem });
    }
    if arguments.old_text == arguments.new_text {
        let problem = "`old_text` and `new_text` are the same";
        return Err(WorkspaceError::NoChange { problem });
    }
    let text = root.read_text(&path, MAX_FILE_BYTES)?;
    let old = with_line_ends_of(&text, &arguments.old_text);
    let new = with_line_ends_of(&text, &arguments.new_text);
    let n_times = text.matches(&*old).count();
    match (n_times, arguments.replace_all.unwrap_or(false)) {
        (0, _) => {
            return Err(WorkspaceError::TextNotFound {
                path: path.to_string(),
            });
        }
        (1, _) | (_, true) => {}
        (n_times, false) => {
            return Err(WorkspaceError::TextNotUnique {
                path: path.to_string(),
                n_times,
            });
        }
    }
    let edited = text.replace(&*old, &new);
    root.write(&path, edited.as_bytes(), OnExisting::Replace)?;
    let times = if n_times == 1 { "once" } else { "everywhere" };
    Ok(format!("replaced {times} in {path}"))
}

/// Models write line feeds; a file of Windows has another line end, which they cannot see.
fn with_line_ends_of<'a>(text: &str, written: &'a str) -> Cow<'a, str> {
    if text.contains("\r\n") && !written.contains('\r') {
        written.replace('\n', "\r\n").into()
    } else {
        written.into()
    }
}
