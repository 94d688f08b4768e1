//! A response as it comes in.

use std::collections::VecDeque;

use axum::body::Bytes;
use futures_util::{Stream, stream};
use serde_json::{Value, json};

use super::assembly::set;
use super::object::Status;
use super::run::{self, Progress, ResponseRun};
use crate::server::error::ApiError;

/// Numbers the events of a response and writes them.
pub(super) struct EventStream {
    response: ResponseRun,
    waiting: VecDeque<Bytes>,
    n_sent: u64,
    is_over: bool,
}

impl EventStream {
    pub(super) fn new(response: ResponseRun) -> Self {
        let mut events = Self {
            response,
            waiting: VecDeque::new(),
            n_sent: 0,
            is_over: false,
        };
        let begun = events.response.begun();
        events.send(json!({"type": "response.created", "response": begun}));
        events.send(json!({"type": "response.in_progress", "response": begun}));
        events
    }

    pub(super) fn into_stream(self) -> impl Stream<Item = Bytes> + Send + 'static {
        stream::unfold(self, |mut events| async move {
            loop {
                if let Some(event) = events.waiting.pop_front() {
                    return Some((event, events));
                }
                if events.is_over {
                    return None;
                }
                let progress = events.response.next().await?;
                events.take(progress);
            }
        })
    }

    fn take(&mut self, progress: Progress) {
        for event in self.response.events() {
            self.send(event);
        }
        match progress {
            Progress::GoesOn => return,
            Progress::Over(status, body) => {
                let kind = match status {
                    Status::Incomplete(_) => "response.incomplete",
                    _ => "response.completed",
                };
                self.send(json!({"type": kind, "response": body}));
            }
            Progress::Failed(error, body) => {
                self.send(run::error_event(&error));
                self.send(json!({"type": "response.failed", "response": body}));
            }
        }
        self.is_over = true;
    }

    fn send(&mut self, mut event: Value) {
        set(&mut event, "sequence_number", json!(self.n_sent));
        self.n_sent += 1;
        self.waiting.push_back(written(&event));
    }
}

/// The error of a response that never began, as the only event of its stream.
pub(super) fn error_event(error: &ApiError) -> Bytes {
    let mut event = run::error_event(error);
    set(&mut event, "sequence_number", json!(0));
    written(&event)
}

fn written(event: &Value) -> Bytes {
    let kind = event
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    Bytes::from(format!("event: {kind}\ndata: {event}\n\n"))
}
