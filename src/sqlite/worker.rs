//! The thread that owns the connection to a SQLite file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::failure::{Failure, StoreError, Trouble};
use super::open::{Access, Patience, open};

/// Runs jobs on a connection, one after the other, on a thread that blocks; SQLite has no other way.
pub(crate) struct Worker {
    store: String,
    jobs: Option<mpsc::Sender<Job>>,
    is_closing: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A caller waits for its answer, so that as many jobs wait as there are tasks; more than these wait before the door.
const MAX_WAITING: usize = 64;

impl Worker {
    /// Opens a file and makes what is missing in it.
    pub(crate) async fn start<E: StoreError>(
        path: PathBuf,
        access: Access,
        prepare: fn(&mut Connection, &Path, Access) -> Result<(), Failure<E>>,
    ) -> Result<Self, E> {
        let store = path.display().to_string();
        let (jobs, mut waiting) = mpsc::channel::<Job>(MAX_WAITING);
        let (opened, is_open) = oneshot::channel();
        let is_closing = Arc::new(AtomicBool::new(false));
        let patience = Patience::new(Arc::clone(&is_closing));
        // SQLite blocks, and a connection belongs to one thread at a time. So one thread owns it
        // and does the jobs in the order in which they come.
        let thread = thread::Builder::new()
            .name("openai-agents-sqlite".to_owned())
            .spawn(
                move || match open_prepared(&path, access, &patience, prepare) {
                    Ok(mut db) => {
                        if opened.send(Ok(())).is_ok() {
                            while let Some(job) = waiting.blocking_recv() {
                                job(&mut db);
                            }
                        }
                    }
                    Err(failure) => drop(opened.send(Err(failure))),
                },
            )
            .map_err(|error| E::at(&store, Trouble::Unavailable(Box::new(error))))?;
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
    pub(crate) async fn run<T: Send + 'static, E: StoreError>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, Failure<E>> + Send + 'static,
    ) -> Result<T, E> {
        let (answer, answered) = oneshot::channel();
        let job = move |db: &mut Connection| {
            // Whoever asked is gone before the job began, so it need not be done. `keep` is for
            // jobs that must be done all the same.
            if !answer.is_closed() {
                // Nobody may be waiting any more; the job is done all the same.
                drop(answer.send(job(db)));
            }
        };
        self.submit(Box::new(job), answered).await
    }

    /// Runs a job that keeps what has happened, also when the future is dropped before its turn comes.
    pub(crate) async fn keep<T: Send + 'static, E: StoreError>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, Failure<E>> + Send + 'static,
    ) -> Result<T, E> {
        let (answer, answered) = oneshot::channel();
        let job = move |db: &mut Connection| drop(answer.send(job(db)));
        self.submit(Box::new(job), answered).await
    }

    /// Runs a job that keeps what has happened, for a thread that may wait: not one of an asynchronous program.
    pub(crate) fn keep_blocking<T: Send + 'static, E: StoreError>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, Failure<E>> + Send + 'static,
    ) -> Result<T, E> {
        let (answer, answered) = oneshot::channel();
        let job = move |db: &mut Connection| drop(answer.send(job(db)));
        let jobs = self.jobs.as_ref().ok_or_else(|| self.closed())?;
        jobs.blocking_send(Box::new(job))
            .map_err(|_| self.closed())?;
        let done = answered.blocking_recv().map_err(|_| self.closed())?;
        done.map_err(|failure| failure.at(&self.store))
    }

    async fn submit<T, E: StoreError>(
        &self,
        job: Job,
        answered: oneshot::Receiver<Result<T, Failure<E>>>,
    ) -> Result<T, E> {
        let jobs = self.jobs.as_ref().ok_or_else(|| self.closed())?;
        jobs.send(job).await.map_err(|_| self.closed())?;
        let done = answered.await.map_err(|_| self.closed())?;
        done.map_err(|failure| failure.at(&self.store))
    }

    pub(crate) fn store(&self) -> &str {
        &self.store
    }

    fn closed<E: StoreError>(&self) -> E {
        E::at(&self.store, Trouble::Closed)
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

fn open_prepared<E: StoreError>(
    path: &Path,
    access: Access,
    patience: &Patience,
    prepare: fn(&mut Connection, &Path, Access) -> Result<(), Failure<E>>,
) -> Result<Connection, Failure<E>> {
    let mut db = open(path, access, patience)?;
    prepare(&mut db, path, access)?;
    Ok(db)
}
