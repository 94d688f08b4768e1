//! The thread that owns the connection to a SQLite file.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::failure::Failure;
use super::schema;
use crate::session::SessionError;

/// Runs jobs on a connection, one after the other, on a thread that blocks; SQLite has no other way.
pub(super) struct Worker {
    store: String,
    jobs: Option<mpsc::Sender<Job>>,
    is_closing: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What a connection may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    ReadWrite,
    ReadOnly,
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A caller waits for its answer, so that as many jobs wait as there are tasks; more than these wait before the door.
const MAX_WAITING: usize = 64;

/// How long a job waits for other processes.
const BUSY: Duration = Duration::from_secs(10);

impl Worker {
    pub(super) async fn start(path: PathBuf, access: Access) -> Result<Self, SessionError> {
        let store = path.display().to_string();
        let (jobs, mut waiting) = mpsc::channel::<Job>(MAX_WAITING);
        let (opened, is_open) = oneshot::channel();
        let is_closing = Arc::new(AtomicBool::new(false));
        let patience = Patience::new(Arc::clone(&is_closing));
        let thread = thread::Builder::new()
            .name("openai-agents-sqlite".to_owned())
            .spawn(move || match schema::open(&path, access, &patience) {
                Ok(mut db) => {
                    if opened.send(Ok(())).is_ok() {
                        while let Some(job) = waiting.blocking_recv() {
                            job(&mut db);
                        }
                    }
                }
                Err(failure) => drop(opened.send(Err(failure))),
            })
            .map_err(|error| SessionError::Unavailable {
                store: store.clone(),
                source: Box::new(error),
            })?;
        let worker = Self {
            store,
            jobs: Some(jobs),
            is_closing,
            thread: Some(thread),
        };
        match is_open.await {
            Ok(Ok(())) => Ok(worker),
            Ok(Err(failure)) => Err(failure.at(&worker.store)),
            Err(_) => Err(worker.closed()),
        }
    }

    /// Runs a job, unless the future is dropped before its turn comes.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, SessionError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |db| {
            if !answer.is_closed() {
                // Nobody may be waiting any more; the job is done all the same.
                drop(answer.send(job(db)));
            }
        });
        let jobs = self.jobs.as_ref().ok_or_else(|| self.closed())?;
        jobs.send(job).await.map_err(|_| self.closed())?;
        let done = answered.await.map_err(|_| self.closed())?;
        done.map_err(|failure| failure.at(&self.store))
    }

    pub(super) fn store(&self) -> &str {
        &self.store
    }

    fn closed(&self) -> SessionError {
        SessionError::Closed {
            store: self.store.clone(),
        }
    }
}

/// All that is acknowledged is done, so that this waits for one job at most, and that one no longer waits for other processes.
impl Drop for Worker {
    fn drop(&mut self) {
        self.is_closing.store(true, Ordering::Relaxed);
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so, and its callers were told that the store is closed.
            drop(thread.join());
        }
    }
}

/// Says how long to wait for other processes: [`BUSY`], but no longer than there is a handle.
#[derive(Clone)]
pub(super) struct Patience {
    is_closing: Arc<AtomicBool>,
    busy: Duration,
}

impl Patience {
    fn new(is_closing: Arc<AtomicBool>) -> Self {
        Self {
            is_closing,
            busy: BUSY,
        }
    }

    /// Waits a moment; `false` when it has been too long since `since`.
    pub(super) fn wait(&self, since: Instant) -> bool {
        // SQLite has no queue: who asks often is served first, who asks seldom may starve.
        const MOMENT: Duration = Duration::from_millis(2);
        if self.is_closing.load(Ordering::Relaxed) || since.elapsed() >= self.busy {
            return false;
        }
        thread::sleep(MOMENT);
        true
    }
}
