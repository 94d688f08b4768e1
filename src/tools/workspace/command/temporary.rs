//! A folder for what a command wants to keep for a moment: its home, gone with it.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::tools::workspace::WorkspaceError;

/// A new folder that only its owner can look into; removed with what is in it when this is dropped.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Result<Self, WorkspaceError> {
        let made = random_name().and_then(|name| {
            let path = std::env::temp_dir().join(name);
            // It fails if anything has the name, a link too.
            DirBuilder::new().mode(0o700).create(&path)?;
            path.canonicalize()
        });
        made.map(Self)
            .map_err(|source| WorkspaceError::TemporaryFolder { source })
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It does not follow links. What cannot be removed is the system's to clear.
        fs::remove_dir_all(&self.0).ok();
    }
}

fn random_name() -> io::Result<String> {
    let mut random = [0_u8; 8];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let mut name = "openai-agents-".to_owned();
    for byte in random {
        // Writing to a string does not fail.
        write!(name, "{byte:02x}").ok();
    }
    Ok(name)
}
