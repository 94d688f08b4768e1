//! The file of `-o`: a second copy of the answer, written when the run succeeds.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::failure::{AnswerFileError, Usage};
use crate::whole_file;

/// The file for the answer, checked before the run.
pub(crate) struct AnswerFile {
    path: PathBuf,
    /// A pipe stays open from the start: closing it after the check would be the end of input for
    /// its reader.
    pipe: Option<File>,
}

impl AnswerFile {
    /// Checks that the file can be written, so that a run is not paid for and then lost.
    pub(crate) fn new(path: &Path) -> Result<Self> {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let problem = if path.is_dir() {
            "it is a folder".to_owned()
        } else if folder.is_some_and(|folder| !folder.is_dir()) {
            "its folder does not exist".to_owned()
        } else {
            match open_pipe(path) {
                Ok(pipe) => {
                    let path = path.to_owned();
                    return Ok(Self { path, pipe });
                }
                Err(problem) => problem,
            }
        };
        let path = path.display();
        Err(Usage(format!("-o {path}: {problem}")).into())
    }

    /// Replaces the file by the answer, with a line end as on stdout.
    pub(crate) fn write(&self, answer: &str) -> Result<()> {
        let end = if answer.ends_with('\n') { "" } else { "\n" };
        self.write_bytes(format!("{answer}{end}").as_bytes())
    }

    /// Replaces the file by these bytes.
    pub(crate) fn write_bytes(&self, bytes: &[u8]) -> Result<()> {
        self.write_pieces(&[bytes])
    }

    /// Replaces the file by these pieces, one after another.
    pub(crate) fn write_pieces<B: AsRef<[u8]>>(&self, pieces: &[B]) -> Result<()> {
        let written = match &self.pipe {
            Some(pipe) => whole_file::write_all(pipe, pieces),
            None => whole_file::replace(&self.path, pieces),
        };
        let unwritten = |source: io::Error| AnswerFileError {
            file: self.path.clone(),
            source,
        };
        Ok(written.map_err(unwritten)?)
    }
}

/// Opens the path if it is a pipe, without waiting for a reader: with no reader the program would
/// wait, perhaps for ever, when the answer is there.
#[cfg(unix)]
fn open_pipe(path: &Path) -> Result<Option<File>, String> {
    use rustix::fs::{Mode, OFlags, fcntl_setfl, open};
    use std::os::unix::fs::FileTypeExt as _;

    if !std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo()) {
        return Ok(None);
    }
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let pipe = open(path, flags, Mode::empty()).map_err(|error| match error {
        rustix::io::Errno::NXIO => "nobody reads this pipe".to_owned(),
        error => io::Error::from(error).to_string(),
    })?;
    // `O_NONBLOCK` was only for the open. Writes may wait for a slow reader.
    fcntl_setfl(&pipe, OFlags::empty()).map_err(|error| io::Error::from(error).to_string())?;
    Ok(Some(pipe.into()))
}

#[cfg(not(unix))]
fn open_pipe(_path: &Path) -> Result<Option<File>, String> {
    Ok(None)
}
