//! Streams the events of a session to one reader.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::body::Bytes;
use futures_util::future::{self, Either};
use futures_util::{Stream, stream};
use serde_json::json;
use tokio::sync::watch;

use super::record::Record;
use crate::server::active::Runs;

/// How many bytes of events a reader takes at once, but for one that has more.
const MAX_PORTION: usize = 64 * 1024;

struct LogReader {
    record: Arc<Record>,
    runs: Arc<Runs>,
    /// The number of the last event that was read.
    seen: u64,
    waiting: VecDeque<Bytes>,
    changes: watch::Receiver<u64>,
    is_over: bool,
}

/// Returns the events after one, until the run is over and all were read.
///
/// A reader that is so slow that events were forgotten meanwhile is told so, and its stream ends.
pub(super) fn stream(
    record: Arc<Record>,
    seen: u64,
    runs: Arc<Runs>,
) -> impl Stream<Item = Bytes> + Send + 'static {
    let reader = LogReader {
        changes: record.log.watch(),
        record,
        runs,
        seen,
        waiting: VecDeque::new(),
        is_over: false,
    };
    stream::unfold(reader, |mut reader| async move {
        loop {
            if let Some(event) = reader.waiting.pop_front() {
                return Some((event, reader));
            }
            if reader.is_over {
                return None;
            }
            reader.read().await;
        }
    })
}

impl LogReader {
    async fn read(&mut self) {
        // Before the look: what comes after it wakes `changed` below.
        self.changes.mark_unchanged();
        // Before the events, so that none comes between them and the look.
        let is_running = self.record.is_running();
        match self.record.log.after(self.seen, MAX_PORTION) {
            Err(gone) => {
                let error = json!({
                    "type": "error", "code": "events_gone", "first_event_id": gone.first,
                    "message": "events after the last one that was read are not kept any more",
                });
                self.waiting
                    .push_back(Bytes::from(format!("event: error\ndata: {error}\n\n")));
                self.is_over = true;
            }
            Ok(events) if !events.is_empty() => {
                self.seen += events.len() as u64;
                self.waiting.extend(events);
            }
            Ok(_) if !is_running => self.is_over = true,
            Ok(_) => {
                let changed = Box::pin(self.changes.changed());
                let ended = Box::pin(async { self.runs.idle_after_closing().await });
                if let Either::Right(_) = future::select(changed, ended).await {
                    self.is_over = self.record.log.last() == self.seen;
                }
            }
        }
    }
}
