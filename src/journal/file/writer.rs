//! The thread that writes lines to a file, in the order in which they come.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::thread::{self, JoinHandle};

use tokio::sync::{mpsc, oneshot};

use super::line::Line;
use crate::journal::JournalError;

/// Writes lines; each is with the system before it is acknowledged.
pub(super) struct LineWriter {
    store: String,
    lines: Option<mpsc::Sender<WriteJob>>,
    thread: Option<JoinHandle<()>>,
}

type WriteJob = (Vec<u8>, oneshot::Sender<io::Result<()>>);

/// Who writes a line waits for it, so that there are as many as effects under way; more than these wait before the door.
const MAX_WAITING: usize = 64;

impl LineWriter {
    /// Makes the file, which must not be there.
    pub(super) async fn create(path: PathBuf) -> Result<Self, JournalError> {
        let store = path.display().to_string();
        Self::start(store, move || create_private(&path)).await
    }

    /// Opens a file and writes to it.
    pub(super) async fn start(
        store: String,
        open: impl FnOnce() -> io::Result<File> + Send + 'static,
    ) -> Result<Self, JournalError> {
        // A thread and no task: writing to a file blocks, and `spawn_blocking` would not keep the
        // lines in their order.
        let (lines, mut waiting) = mpsc::channel::<WriteJob>(MAX_WAITING);
        let (opened, is_open) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("openai-agents-record".to_owned())
            .spawn(move || match open() {
                Ok(mut file) => {
                    if opened.send(Ok(())).is_ok() {
                        while let Some((line, written)) = waiting.blocking_recv() {
                            // Nobody may be waiting any more; the line is there all the same.
                            drop(written.send(file.write_all(&line)));
                        }
                    }
                }
                Err(error) => drop(opened.send(Err(error))),
            })
            .map_err(|error| failed(&store, error))?;
        let writer = Self {
            store,
            lines: Some(lines),
            thread: Some(thread),
        };
        match is_open.await {
            Ok(Ok(())) => Ok(writer),
            Ok(Err(error)) => Err(failed(&writer.store, error)),
            Err(_) => Err(writer.closed()),
        }
    }

    /// Writes a line, at once and whole unless the process or the disk ends in the middle of it.
    pub(super) async fn write(&self, line: serde_json::Result<Line>) -> Result<(), JournalError> {
        let json = line.and_then(|line| serde_json::to_vec(&line));
        let mut json = json.map_err(|error| JournalError::Refused {
            store: self.store.clone(),
            source: error.into(),
        })?;
        json.push(b'\n');
        let (written, is_written) = oneshot::channel();
        let lines = self.lines.as_ref().ok_or_else(|| self.closed())?;
        let job = (json, written);
        lines.send(job).await.map_err(|_| self.closed())?;
        let done = is_written.await.map_err(|_| self.closed())?;
        done.map_err(|error| failed(&self.store, error))
    }

    pub(super) fn store(&self) -> &str {
        &self.store
    }

    fn closed(&self) -> JournalError {
        let store = self.store.clone();
        JournalError::Closed { store }
    }
}

/// What it holds is its owner's.
fn create_private(path: &PathBuf) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

pub(super) fn failed(store: &str, error: io::Error) -> JournalError {
    let store = store.to_owned();
    let kind = error.kind();
    let source = Box::new(error);
    match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => JournalError::Full { store, source },
        ErrorKind::ReadOnlyFilesystem => JournalError::ReadOnly { store, source },
        ErrorKind::AlreadyExists => JournalError::Refused { store, source },
        _ => JournalError::Unavailable { store, source },
    }
}

/// All that is acknowledged is written, so that this waits for one line at most.
impl Drop for LineWriter {
    fn drop(&mut self) {
        self.lines = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so, and its callers were told that the file is closed.
            drop(thread.join());
        }
    }
}
