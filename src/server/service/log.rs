//! The latest events of a session's runs, from which readers go on where they stopped.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use serde_json::Value;
use tokio::sync::watch;

/// Numbers events from 1 and keeps the latest.
pub(super) struct EventLog {
    kept: Mutex<KeptEvents>,
    max: usize,
    last: watch::Sender<u64>,
}

#[derive(Default)]
struct KeptEvents {
    events: VecDeque<Bytes>,
    /// The number of the latest.
    last: u64,
}

/// Events that a reader asks for were forgotten, or there never were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone {
    /// The number of the first that is kept.
    pub(super) first: u64,
}

impl EventLog {
    pub(super) fn new(max: usize) -> Self {
        Self {
            kept: Mutex::default(),
            max,
            last: watch::Sender::new(0),
        }
    }

    pub(super) fn push(&self, event: &Value) {
        let mut kept = self.kept();
        kept.last += 1;
        let id = kept.last;
        let kind = event
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let text = format!("id: {id}\nevent: {kind}\ndata: {event}\n\n");
        kept.events.push_back(Bytes::from(text));
        if kept.events.len() > self.max {
            kept.events.pop_front();
        }
        drop(kept);
        self.last.send_replace(id);
    }

    /// Gives what came after an event.
    pub(super) fn after(&self, id: u64) -> Result<Vec<Bytes>, Gone> {
        let kept = self.kept();
        let first = kept.first();
        if id > kept.last || id + 1 < first {
            return Err(Gone { first });
        }
        let n_seen = usize::try_from(id + 1 - first).unwrap_or(usize::MAX);
        Ok(kept.events.iter().skip(n_seen).cloned().collect())
    }

    pub(super) fn last(&self) -> u64 {
        self.kept().last
    }

    /// The number before the first event that is kept.
    pub(super) fn before_first(&self) -> u64 {
        self.kept().first() - 1
    }

    /// Tells of each new event.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    fn kept(&self) -> MutexGuard<'_, KeptEvents> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeptEvents {
    fn first(&self) -> u64 {
        self.last + 1 - self.events.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_reader_goes_on_where_it_stopped_or_is_told_that_it_cannot() {
        let log = EventLog::new(2);
        let check = |id, expect: Result<&[u64], u64>| {
            let found = log.after(id).map_err(|gone| gone.first);
            let number = |event: &Bytes| {
                let text = std::str::from_utf8(event).unwrap();
                text.lines()
                    .next()
                    .unwrap()
                    .strip_prefix("id: ")
                    .unwrap()
                    .parse()
                    .unwrap()
            };
            let found: Result<Vec<u64>, u64> =
                found.map(|events| events.iter().map(number).collect());
            assert_eq!(found, expect.map(<[u64]>::to_vec), "{id}");
        };
        check(0, Ok(&[]));
        check(1, Err(1));
        for n in 1..=3 {
            log.push(&json!({"type": "x", "n": n}));
        }
        check(0, Err(2));
        check(1, Ok(&[2, 3]));
        check(2, Ok(&[3]));
        check(3, Ok(&[]));
        check(4, Err(2));
        assert_eq!((log.last(), log.before_first()), (3, 1));
    }
}
