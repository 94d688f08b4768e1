//! Locks a durable run, so that only one process executes it: `flock` on a file beside the journal.
//!
//! The system releases the lock when the process ends, however it ends, so that a killed run can be
//! resumed at once. Without the lock, `resume` of a run that is alive would start another
//! execution, and that would end the live one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use openai_agents::ErrorKind;

use crate::failure::Unusable;

/// The right to execute a run, until it is dropped.
pub(crate) struct RunLock {
    path: PathBuf,
    /// Holds the lock; closing it releases the lock.
    _file: File,
}

impl RunLock {
    /// Takes the lock of a run in this journal.
    pub(crate) fn take(journal: &Path, run: &str) -> Result<Self> {
        let path = beside(journal, run);
        let taken = take(&path);
        match taken.with_context(|| format!("cannot lock the run by {}", path.display()))? {
            Some(file) => Ok(Self { path, _file: file }),
            None => Err(is_alive(&path, run).into()),
        }
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // Removed while it is still locked, so that it is not the file of another process. A file that stays does no harm: the lock counts, not the file.
        fs::remove_file(&self.path).ok();
    }
}

fn beside(journal: &Path, run: &str) -> PathBuf {
    // The same journal needs the same lock, through whatever link it is named.
    let journal = fs::canonicalize(journal).unwrap_or_else(|_| journal.to_owned());
    let mut name = journal.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{run}.lock"));
    journal.with_file_name(name)
}

fn is_alive(path: &Path, run: &str) -> Unusable {
    let mut process = String::new();
    // The holder has written its process id. It is only for the message, and may be missing.
    let read = File::open(path).and_then(|file| file.take(20).read_to_string(&mut process));
    let process = match (read, process.trim().parse::<u32>()) {
        (Ok(_), Ok(number)) => format!("process {number}"),
        _ => "another process".to_owned(),
    };
    Unusable {
        kind: ErrorKind::AlreadyResumed,
        message: format!("the run {run} is being executed by {process}"),
        hint: Some(
            "it continues there, and nothing was changed; resume it after that process has ended"
                .to_owned(),
        ),
    }
}

/// Opens the file and locks it; `None` if another process has the lock.
fn take(path: &Path) -> io::Result<Option<File>> {
    loop {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true);
        private(&mut options);
        let Some(mut file) = locked(options.open(path))? else {
            return Ok(None);
        };
        // The holder may have removed the file between our open and our lock. Then ours has no name any more, and another process could lock a new one.
        if is_the_file(&file, path)? {
            file.set_len(0)?;
            // For the message of other processes.
            writeln!(file, "{}", std::process::id())?;
            return Ok(Some(file));
        }
    }
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
}

#[cfg(unix)]
fn locked(opened: io::Result<File>) -> io::Result<Option<File>> {
    use rustix::fs::{FlockOperation, flock};
    let file = opened?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(unix)]
fn is_the_file(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let opened = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (opened.dev(), opened.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Opens the file without sharing: Windows then refuses to open it a second time, which is the
/// lock.
#[cfg(windows)]
fn private(options: &mut OpenOptions) {
    std::os::windows::fs::OpenOptionsExt::share_mode(options, 0);
}

#[cfg(windows)]
fn locked(opened: io::Result<File>) -> io::Result<Option<File>> {
    const ERROR_SHARING_VIOLATION: i32 = 32;
    match opened {
        Err(error) if error.raw_os_error() == Some(ERROR_SHARING_VIOLATION) => Ok(None),
        opened => opened.map(Some),
    }
}

#[cfg(windows)]
fn is_the_file(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_is_executed_by_one_at_a_time() {
        let journal = std::env::temp_dir().join(format!("run-lock-{}.db", std::process::id()));
        let lock = RunLock::take(&journal, "r").unwrap();
        let Err(refused) = RunLock::take(&journal, "r") else {
            panic!("taken twice");
        };
        let me = std::process::id();
        assert_eq!(
            refused.to_string(),
            format!("the run r is being executed by process {me}")
        );
        let other = RunLock::take(&journal, "s").unwrap();
        drop(lock);
        let again = RunLock::take(&journal, "r").unwrap();
        let path = again.path.clone();
        drop((again, other));
        assert!(!path.exists());
    }
}
