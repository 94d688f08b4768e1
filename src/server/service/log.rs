//! The event log of a session's runs; readers resume after the last event that they saw.
//!
//! It is the answer itself, piece by piece, and not a second trace: spans are known when their steps end, have no pieces and no numbers to
//! go on from.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use serde_json::Value;
use tokio::sync::watch;

/// What an event takes beside its bytes.
const OVERHEAD: usize = 64;

/// Numbers events from 1 and keeps the latest.
pub(super) struct EventLog {
    kept: Mutex<KeptEvents>,
    max: usize,
    last: watch::Sender<u64>,
}

#[derive(Default)]
struct KeptEvents {
    events: VecDeque<Bytes>,
    n_bytes: usize,
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

    /// Adds an event, and gives its JSON, which is not there twice.
    pub(super) fn push(&self, event: &Value) -> Bytes {
        let kind = event
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let mut kept = self.kept();
        kept.last += 1;
        let id = kept.last;
        // Written once as the bytes of SSE: every reader is sent the same, and the JSON inside is a
        // slice of it.
        let mut text = format!("id: {id}\nevent: {kind}\ndata: {event}\n\n");
        text.shrink_to_fit();
        let n_before = text.find("data: ").unwrap_or_default() + "data: ".len();
        let event = Bytes::from(text);
        let json =
            event.slice(n_before.min(event.len())..event.len().saturating_sub(2).max(n_before));
        kept.n_bytes += event.len() + OVERHEAD;
        kept.events.push_back(event);
        if kept.events.len() > self.max {
            kept.drop_first();
        }
        drop(kept);
        // Outside of the lock, since those who wake ask for the events at once.
        self.last.send_replace(id);
        json
    }

    /// Forgets the older half of the bytes; the latest event stays, which may be the result that somebody waits for.
    ///
    /// A reader that keeps up reads on.
    pub(super) fn shrink(&self) {
        let mut kept = self.kept();
        let max_bytes = kept.n_bytes / 2;
        while kept.events.len() > 1 && kept.n_bytes > max_bytes {
            kept.drop_first();
        }
    }

    pub(super) fn n_bytes(&self) -> usize {
        self.kept().n_bytes
    }

    /// Returns what came after an event: the next, and those behind it that are not many bytes more.
    ///
    /// So a reader that is slow holds little, whatever the log holds or has forgotten.
    pub(super) fn after(&self, id: u64, max_bytes: usize) -> Result<Vec<Bytes>, Gone> {
        let kept = self.kept();
        let first = kept.first();
        // A number that was never given belongs to another log: the server was started anew, or the
        // run was dropped meanwhile.
        if id > kept.last || id + 1 < first {
            return Err(Gone { first });
        }
        let n_seen = usize::try_from(id + 1 - first).unwrap_or(usize::MAX);
        let mut n_bytes = 0;
        let few = kept.events.iter().skip(n_seen).take_while(|event| {
            let is_next = n_bytes == 0;
            n_bytes += event.len();
            is_next || n_bytes <= max_bytes
        });
        Ok(few.cloned().collect())
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
    fn drop_first(&mut self) {
        if let Some(first) = self.events.pop_front() {
            self.n_bytes -= first.len() + OVERHEAD;
        }
    }

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
            let found = log.after(id, 1000).map_err(|gone| gone.first);
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

    #[test]
    fn events_are_given_in_portions_and_share_their_json() {
        let log = EventLog::new(9);
        let json = log.push(&json!({"type": "x", "text": "y".repeat(100)}));
        assert_eq!(&json[..20], br#"{"type":"x","text":""#);
        assert_eq!(json.len(), 122);
        for _ in 0..3 {
            log.push(&json!({"type": "x"}));
        }
        // The next, however large; then what is not too much.
        assert_eq!(log.after(0, 10).unwrap().len(), 1);
        assert_eq!(log.after(1, 80).unwrap().len(), 2);
        assert_eq!(log.after(1, 1000).unwrap().len(), 3);
        let n_bytes = log.n_bytes();
        log.shrink();
        assert_eq!((log.before_first(), log.last()), (2, 4));
        assert!(log.n_bytes() * 3 < n_bytes * 2);
        log.shrink();
        log.shrink();
        assert_eq!(log.after(2, 1000), Err(Gone { first: 4 }));
    }
}
