//! Locks a durable run, so that only one process executes it: `flock` on a file beside the journal.
//!
//! The system takes the lock away with the process, however that ends, so that a run whose process was killed can go on at once. Without
//! it, a `resume` of a run that is alive would begin another execution and end the live one before it finds that it should not.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use openai_agents::ErrorKind;

use crate::failure::Unusable;

/// The right to execute a run, as long as this is there.
pub(crate) struct RunLock {
    path: PathBuf,
    /// Closing it gives the lock back.
    _file: File,
}

impl RunLock {
    /// Takes the right to execute a run of the journal in this file.
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
        // It is still locked, so that nobody has it; one that stays is taken again, for it is not the file that counts.
        fs::remove_file(&self.path).ok();
    }
}

fn beside(journal: &Path, run: &str) -> PathBuf {
    // The same file has the same lock, by whatever link it is named.
    let journal = fs::canonicalize(journal).unwrap_or_else(|_| journal.to_owned());
    let mut name = journal.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{run}.lock"));
    journal.with_file_name(name)
}

fn is_alive(path: &Path, run: &str) -> Unusable {
    let mut process = String::new();
    // Who holds it, as far as they have said; it is only for the message.
    let read = File::open(path).and_then(|file| file.take(20).read_to_string(&mut process));
    let process = match (read, process.trim().parse::<u32>()) {
        (Ok(_), Ok(number)) => format!("process {number}"),
        _ => "another process".to_owned(),
    };
    Unusable {
        kind: ErrorKind::AlreadyResumed,
        message: format!("the run {run} is under way in {process}"),
        hint: Some(
            "it goes on there, and nothing of it was changed; resume it once that has ended"
                .to_owned(),
        ),
    }
}

/// Opens the file and locks it; none if somebody else has it.
fn take(path: &Path) -> io::Result<Option<File>> {
    loop {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true);
        private(&mut options);
        let Some(mut file) = locked(options.open(path))? else {
            return Ok(None);
        };
        // Between opening and locking, the one who had it may have removed it: then this is a file without a name, and locks nothing.
        if is_the_file(&file, path)? {
            file.set_len(0)?;
            // The number is for the message of others.
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

/// Windows does not let others open a file that is shared with nobody.
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
            format!("the run r is under way in process {me}")
        );
        let other = RunLock::take(&journal, "s").unwrap();
        drop(lock);
        let again = RunLock::take(&journal, "r").unwrap();
        let path = again.path.clone();
        drop((again, other));
        assert!(!path.exists());
    }
}
