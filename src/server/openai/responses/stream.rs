//! Streams a response.

use std::collections::VecDeque;

use axum::body::Bytes;
use futures_util::{Stream, stream};
use serde_json::json;

use super::json::{Json, Written};
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
        for kind in ["response.created", "response.in_progress"] {
            events.send(event(kind).with("response", begun.clone()));
        }
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
                self.send(event(kind).with("response", body));
            }
            Progress::Failed(error, body) => {
                self.send(run::error_event(&error).into());
                self.send(event("response.failed").with("response", body));
            }
        }
        self.is_over = true;
    }

    fn send(&mut self, mut event: Json) {
        event.set("sequence_number", json!(self.n_sent));
        self.n_sent += 1;
        self.waiting.extend(written(&event));
    }
}

/// The error of a response that never began, as the only event of its stream.
pub(super) fn error_event(error: &ApiError) -> Bytes {
    let event = Json::from(run::error_event(error)).with("sequence_number", json!(0));
    written(&event).concat().into()
}

fn event(kind: &str) -> Json {
    Json::from(json!({ "type": kind }))
}

fn written(event: &Json) -> Vec<Bytes> {
    let kind = event.get("type").and_then(Json::as_str);
    let mut written = Written::default();
    for text in ["event: ", kind.unwrap_or_default(), "\ndata: "] {
        written.push_str(text);
    }
    written.push(event);
    written.push_str("\n\n");
    written.pieces()
}
