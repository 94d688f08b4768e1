//! What all answers that are kept or under way may hold together.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::ModelError;
use crate::kind::ErrorKind;

/// What an answer may hold without being counted, so that a short one comes through while others take all that there is.
const FREE_BYTES: usize = 64 * 1024;
/// When asking again makes sense: large answers take seconds.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Bounds what the answers hold that are under way or kept.
///
/// It bounds the sum over all models that share it.
///
/// One answer is bounded by [`max_answer_bytes`](super::HttpModelBuilder::max_answer_bytes). A program that makes many runs at once for
/// others has no bound by that: a hundred answers of 64 MiB are more than a machine has. Counted is what came of an answer, beyond its first
/// 64 KiB, while it comes and for as long as its [`ResponseMeta`](super::ResponseMeta) is kept: a run keeps all of its turns, and its
/// result does. The answer that would be too much ends with the error `limit_exceeded`, which names the time after which to ask again;
/// the others go on.
///
/// A clone shares everything.
#[derive(Clone)]
pub struct MemoryLimit(Arc<MemoryCount>);

struct MemoryCount {
    max_bytes: AtomicUsize,
    n_bytes: AtomicUsize,
}

impl MemoryLimit {
    /// Allows so many bytes.
    pub fn new(max_bytes: usize) -> Self {
        Self(Arc::new(MemoryCount {
            max_bytes: AtomicUsize::new(max_bytes),
            n_bytes: AtomicUsize::new(0),
        }))
    }

    /// Returns how many bytes are allowed.
    pub fn max_bytes(&self) -> usize {
        self.0.max_bytes.load(Ordering::Relaxed)
    }

    /// Allows another number of bytes from now on.
    pub fn set_max_bytes(&self, max_bytes: usize) {
        self.0.max_bytes.store(max_bytes, Ordering::Relaxed);
    }

    /// Returns how many bytes are counted now.
    pub fn n_bytes(&self) -> usize {
        self.0.n_bytes.load(Ordering::Relaxed)
    }

    /// Begins with an answer of which nothing is kept yet.
    pub(super) fn share(&self) -> MemoryShare {
        MemoryShare {
            limit: self.clone(),
            n_bytes: 0,
        }
    }
}

impl fmt::Debug for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLimit")
            .field("max_bytes", &self.max_bytes())
            .field("n_bytes", &self.n_bytes())
            .finish()
    }
}

/// What one answer holds of it; given back when this is dropped.
pub(super) struct MemoryShare {
    limit: MemoryLimit,
    n_bytes: usize,
}

impl MemoryShare {
    /// Notes how much the answer holds by now.
    ///
    /// # Errors
    ///
    /// `limit_exceeded` when all answers would hold more than they may.
    pub(super) fn grow_to(&mut self, n_kept: usize) -> Result<(), ModelError> {
        // Called for every piece of an answer, so a call that adds nothing does not touch the
        // counter that all share.
        let more = n_kept
            .saturating_sub(FREE_BYTES)
            .saturating_sub(self.n_bytes);
        if more == 0 {
            return Ok(());
        }
        let max_bytes = self.limit.max_bytes();
        let count = &self.limit.0.n_bytes;
        let fits = |n_bytes: usize| n_bytes.checked_add(more).filter(|sum| *sum <= max_bytes);
        if count
            // Either all of it fits or nothing is added. An answer that is refused leaves the
            // others their room.
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .is_err()
        {
            let message = format!(
                "all answers that are kept or under way hold {max_bytes} bytes, which is as much as they may (the limit is `limits.max_answers_bytes`)"
            );
            let error = ModelError::new(ErrorKind::LimitExceeded, message);
            return Err(error.with_retry_after(Some(RETRY_AFTER)));
        }
        self.n_bytes += more;
        Ok(())
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.limit
            .0
            .n_bytes
            .fetch_sub(self.n_bytes, Ordering::Relaxed);
    }
}

/// The share of an answer that is complete; given back with the last clone.
#[cfg(feature = "http")]
#[derive(Clone, Default)]
pub(crate) struct KeptAnswer(Option<Arc<MemoryShare>>);

#[cfg(feature = "http")]
impl From<Option<MemoryShare>> for KeptAnswer {
    fn from(share: Option<MemoryShare>) -> Self {
        Self(share.map(Arc::new))
    }
}

/// What an answer is does not depend on who counts it.
#[cfg(feature = "http")]
impl PartialEq for KeptAnswer {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

#[cfg(feature = "http")]
impl fmt::Debug for KeptAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_bytes = self.0.as_ref().map_or(0, |share| share.n_bytes);
        f.debug_tuple("KeptAnswer").field(&n_bytes).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_share_that_would_be_too_much_is_refused_and_the_others_stay() {
        let limit = MemoryLimit::new(100);
        let (mut one, mut other) = (limit.share(), limit.share());
        one.grow_to(FREE_BYTES).unwrap();
        assert_eq!(limit.n_bytes(), 0);
        one.grow_to(FREE_BYTES + 60).unwrap();
        one.grow_to(FREE_BYTES + 40).unwrap();
        let error = other.grow_to(FREE_BYTES + 41).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        assert_eq!(error.retry_after(), Some(RETRY_AFTER));
        assert_eq!(limit.n_bytes(), 60);
        drop(one);
        other.grow_to(FREE_BYTES + 100).unwrap();
        drop(other);
        assert_eq!(limit.n_bytes(), 0);
    }
}
