//! The threads that run the code of a library. One that does not return cannot be ended; it is counted, and another takes its place.

use std::io;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};

/// The most calls of one library at once. They do not run on the threads of Tokio, because a
/// runtime waits for these when it ends.
pub(super) const MAX_THREADS: usize = 64;

type NativeJob = Box<dyn FnOnce() + Send>;
/// A job, and the sender to its thread, which goes back to the idle ones with it.
type ThreadMessage = (NativeJob, Worker);
struct Worker(mpsc::Sender<ThreadMessage>);

/// The threads of a library. Idle ones end when this is dropped.
#[derive(Clone)]
pub(super) struct Threads {
    pool: Arc<Pool>,
    name: Arc<str>,
}

struct Pool {
    idle: Mutex<Vec<Worker>>,
    n_threads: AtomicUsize,
    n_given_up: Arc<AtomicUsize>,
}

/// A job that was started. Dropping it before the job is done abandons its thread.
pub(super) struct Begun {
    state: Arc<AtomicU8>,
    n_given_up: Arc<AtomicUsize>,
}

const RUNNING: u8 = 0;
const DONE: u8 = 1;
const GIVEN_UP: u8 = 2;

impl Threads {
    pub(super) fn new(name: &str) -> Self {
        Self {
            pool: Arc::new(Pool {
                idle: Mutex::default(),
                n_threads: AtomicUsize::new(0),
                n_given_up: Arc::default(),
            }),
            name: format!("plugin {name}").into(),
        }
    }

    pub(super) fn n_given_up(&self) -> usize {
        self.pool.n_given_up.load(Ordering::Relaxed)
    }

    /// Runs a job on an idle thread or a new one; `None` if all threads are busy.
    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) -> Option<Begun> {
        let state = Arc::new(AtomicU8::new(RUNNING));
        let n_given_up = Arc::clone(&self.pool.n_given_up);
        let begun = Begun {
            state: Arc::clone(&state),
            n_given_up: Arc::clone(&n_given_up),
        };
        let job: NativeJob = Box::new(move || {
            job();
            // An abandoned call has returned after all, and its thread is free again.
            if state.swap(DONE, Ordering::AcqRel) == GIVEN_UP {
                n_given_up.fetch_sub(1, Ordering::Relaxed);
            }
        });
        let idle = lock(&self.pool.idle).pop();
        let worker = match idle {
            Some(worker) => worker,
            None => self.start().ok()?,
        };
        let way = worker.0.clone();
        way.send((job, worker)).ok()?;
        Some(begun)
    }

    fn start(&self) -> io::Result<Worker> {
        let n_before = self.pool.n_threads.fetch_add(1, Ordering::AcqRel);
        let (sender, receiver) = mpsc::channel();
        let pool = Arc::downgrade(&self.pool);
        let started = if n_before < MAX_THREADS {
            let thread = std::thread::Builder::new().name(self.name.to_string());
            thread.spawn(move || work(&receiver, &pool))
        } else {
            Err(io::Error::other("all threads are busy"))
        };
        if let Err(error) = started {
            self.pool.n_threads.fetch_sub(1, Ordering::AcqRel);
            return Err(error);
        }
        Ok(Worker(sender))
    }
}

/// Runs jobs. Ends when all senders are gone, which is when the pool is dropped.
fn work(jobs: &mpsc::Receiver<ThreadMessage>, pool: &Weak<Pool>) {
    while let Ok((job, worker)) = jobs.recv() {
        job();
        if let Some(pool) = pool.upgrade() {
            lock(&pool.idle).push(worker);
        }
    }
}

fn lock(idle: &Mutex<Vec<Worker>>) -> std::sync::MutexGuard<'_, Vec<Worker>> {
    // Nothing here can panic with the list half changed.
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Begun {
    /// Lets the thread finish by itself, because the call was answered.
    pub(super) fn forget(self) {
        self.state.store(DONE, Ordering::Release);
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let before =
            self.state
                .compare_exchange(RUNNING, GIVEN_UP, Ordering::AcqRel, Ordering::Relaxed);
        if before.is_ok() {
            let n_given_up = self.n_given_up.fetch_add(1, Ordering::Relaxed) + 1;
            tracing::warn!(target: "openai_agents::plugin", n_given_up, "a call of a plugin was abandoned and may still be running: a thread cannot be ended");
        }
    }
}
