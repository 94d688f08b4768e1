//! The tool `write_file`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::WorkspaceError;
use super::root::{OnExisting, Root, WriteOutcome};

pub(super) const DESCRIPTION: &str = "Writes a text file of the workspace. What the file held before is replaced; folders that are missing \
    are made. To change a part of a file, use edit_file.";

#[derive(Deserialize, JsonSchema)]
pub(super) struct WriteArguments {
    /// The path of the file, relative to the root of the workspace.
    path: String,
    /// Everything that the file shall hold.
    content: String,
}

pub(super) fn write_file(
    root: &Root,
    arguments: &WriteArguments,
) -> Result<String, WorkspaceError> {
    let path = root.parse(&arguments.path)?;
    let written = root.write(&path, arguments.content.as_bytes(), OnExisting::Replace)?;
    let what = match written {
        WriteOutcome::Made => "new file",
        WriteOutcome::Replaced => "replaced",
    };
    Ok(format!(
        "wrote {} bytes to {path} ({what})",
        arguments.content.len()
    ))
}
