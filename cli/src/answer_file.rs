//! The file of `-o`: a second copy of the answer, written when the run succeeds.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::failure::{AnswerFileError, Usage};
use crate::whole_file;

/// A place for the answer that was looked at before the run.
pub(crate) struct AnswerFile {
    path: PathBuf,
    /// A pipe is open from the beginning: its reader would take it for ended if it were closed after a look.
    pipe: Option<File>,
}

impl AnswerFile {
    /// Finds what would make writing fail, before it would cost the run.
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

    /// Writes the answer in the place of what was there, with a line end as on stdout.
    pub(crate) fn write(&self, answer: &str) -> Result<()> {
        let end = if answer.ends_with('\n') { "" } else { "\n" };
        self.write_bytes(format!("{answer}{end}").as_bytes())
    }

    /// Writes bytes in the place of what was there.
    pub(crate) fn write_bytes(&self, bytes: &[u8]) -> Result<()> {
        self.write_pieces(&[bytes])
    }

    /// Writes pieces, one after another, in the place of what was there.
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

/// Opens what is a pipe, without waiting for a reader: it would be waited for when the answer is there, and perhaps for ever.
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
    // A reader that is slow is waited for.
    fcntl_setfl(&pipe, OFlags::empty()).map_err(|error| io::Error::from(error).to_string())?;
    Ok(Some(pipe.into()))
}

#[cfg(not(unix))]
fn open_pipe(_path: &Path) -> Result<Option<File>, String> {
    Ok(None)
}
