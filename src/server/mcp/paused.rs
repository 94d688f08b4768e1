//! Runs that wait until their client comes back with decisions, for a limited time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indexmap::IndexMap;

/// How many wait at most; the one that has waited longest makes room.
const MAX_WAITING: usize = 100;

/// What waits, by ids that only the client knows which is to come back.
#[derive(Debug)]
pub(super) struct PausedRuns<T> {
    /// In the order in which they came, so that the oldest are first.
    waiting: Mutex<IndexMap<String, (Instant, T)>>,
    ttl: Duration,
}

impl<T> PausedRuns<T> {
    pub(super) fn new(ttl: Duration) -> Self {
        Self {
            waiting: Mutex::default(),
            ttl,
        }
    }

    /// Lets a run wait.
    pub(super) fn put(&self, id: String, run: T) {
        self.put_at(Instant::now(), id, run);
    }

    /// Takes a run that waits; it can be taken once.
    pub(super) fn take(&self, id: &str) -> Option<T> {
        self.take_at(Instant::now(), id)
    }

    fn put_at(&self, now: Instant, id: String, run: T) {
        let mut gone = self.expired(now);
        let mut waiting = self.waiting();
        waiting.shift_remove(&id);
        waiting.insert(id, (now, run));
        if waiting.len() > MAX_WAITING {
            gone.extend(waiting.shift_remove_index(0));
        }
        // What is given up may do something at its end.
        drop(waiting);
        drop(gone);
    }

    fn take_at(&self, now: Instant, id: &str) -> Option<T> {
        drop(self.expired(now));
        let taken = self.waiting().shift_remove(id);
        taken.map(|(_, run)| run)
    }

    fn expired(&self, now: Instant) -> Vec<(String, (Instant, T))> {
        let mut waiting = self.waiting();
        let is_over = |since: Instant| now.saturating_duration_since(since) > self.ttl;
        let n_over = waiting.values().take_while(|(since, _)| is_over(*since));
        let n_over = n_over.count();
        waiting.drain(..n_over).collect()
    }

    fn waiting(&self) -> MutexGuard<'_, IndexMap<String, (Instant, T)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paused_run_is_taken_once_before_its_ttl() {
        let paused = PausedRuns::new(Duration::from_secs(10));
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        paused.put_at(start, "a".to_owned(), 1);
        paused.put_at(after(5), "b".to_owned(), 2);
        assert_eq!(paused.take_at(after(10), "a"), Some(1));
        assert_eq!(paused.take_at(after(10), "a"), None);
        assert_eq!(paused.take_at(after(16), "b"), None);
    }

    #[test]
    fn the_one_that_has_waited_longest_makes_room() {
        let paused = PausedRuns::new(Duration::MAX);
        for n in 0..=MAX_WAITING {
            paused.put(n.to_string(), n);
        }
        assert_eq!(paused.take("0"), None);
        assert_eq!(paused.take("1"), Some(1));
        assert_eq!(paused.take("100"), Some(100));
    }
}
