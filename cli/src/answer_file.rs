//! The file of `-o`: a second copy of the answer, written when the run succeeds.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::failure::Usage;
use crate::whole_file;

/// A place for the answer that was looked at before the run.
pub(crate) struct AnswerFile(PathBuf);

impl AnswerFile {
    /// Finds what would make writing fail, before it would cost the run.
    pub(crate) fn new(path: &Path) -> Result<Self> {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let problem = if path.is_dir() {
            "it is a folder"
        } else if folder.is_some_and(|folder| !folder.is_dir()) {
            "its folder does not exist"
        } else {
            return Ok(Self(path.to_owned()));
        };
        let path = path.display();
        Err(Usage(format!("-o {path}: {problem}")).into())
    }

    /// Writes the answer in the place of what was there, with a line end as on stdout.
    pub(crate) fn write(&self, answer: &str) -> Result<()> {
        let end = if answer.ends_with('\n') { "" } else { "\n" };
        self.write_bytes(format!("{answer}{end}").as_bytes())
    }

    /// Writes bytes in the place of what was there.
    pub(crate) fn write_bytes(&self, bytes: &[u8]) -> Result<()> {
        whole_file::replace(&self.0, bytes)
            .with_context(|| format!("cannot write the answer to {}", self.0.display()))
    }
}
