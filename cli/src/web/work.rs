//! The requests under way: bounded in number, and waited for at the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use futures_util::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// More would wait for the model longer than a client does.
const MAX_REQUESTS: u32 = 1_000;

/// Counts the requests that do something; a cheap handle.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    permits: Arc<Semaphore>,
    is_ending: Arc<AtomicBool>,
}

/// A request under way, until it is dropped.
pub(super) struct UnderWay(OwnedSemaphorePermit);

/// Why a request is not taken.
pub(super) enum Busy {
    Ending,
    Full,
}

impl Work {
    pub(crate) fn new() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(MAX_REQUESTS as usize)),
            is_ending: Arc::default(),
        }
    }

    /// Whether no new work is taken any more.
    pub(crate) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Acquire)
    }

    /// Takes no new work from now on.
    pub(crate) fn end(&self) {
        self.is_ending.store(true, Ordering::Release);
    }

    /// How many requests are under way.
    pub(crate) fn n_under_way(&self) -> usize {
        let n_free = self.permits.available_permits();
        (MAX_REQUESTS as usize).saturating_sub(n_free)
    }

    /// Waits until none is.
    pub(crate) async fn finished(&self) {
        // The semaphore is never closed.
        drop(self.permits.acquire_many(MAX_REQUESTS).await);
    }

    pub(super) fn begin(&self) -> Result<UnderWay, Busy> {
        if self.is_ending() {
            return Err(Busy::Ending);
        }
        let permit = Arc::clone(&self.permits).try_acquire_owned();
        permit.map(UnderWay).map_err(|_| Busy::Full)
    }
}

impl UnderWay {
    /// Lasts until the body has been read, or nobody reads it any more.
    pub(super) fn until_end_of(self, body: Body) -> Body {
        let chunks = body.into_data_stream().map(move |chunk| {
            let _held = &self.0;
            chunk
        });
        Body::from_stream(chunks)
    }
}
