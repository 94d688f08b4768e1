//! Event streams over HTTP: turns each event into the form that rmcp reads, and a broken stream into an error with its reason.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use rmcp::model::{RequestId, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_client::SseError;
use sse_stream::{Sse, SseStream};
use tokio::time::Instant;

use super::backend::MAX_ANSWER_BYTES;
use super::frames::Frames;
use super::resume::Resumption;
use crate::error::error_chain;
use crate::http::{HttpBody, HttpError};

pub(super) type Events = BoxStream<'static, Result<Sse, SseError>>;

/// Returns messages as a stream.
pub(super) fn of(messages: Vec<ServerJsonRpcMessage>) -> Events {
    let messages = messages.into_iter().filter_map(|message| event(&message));
    stream::iter(messages.map(Ok).collect::<Vec<_>>()).boxed()
}

/// The request that a stream answers.
pub(super) struct Awaited {
    pub(super) id: RequestId,
    /// When whoever made the request has given it up; `None` if it has no end of its own.
    pub(super) deadline: Option<Instant>,
    pub(super) resumption: Resumption,
}

/// Reads the events that answer a request, each within the bound.
///
/// A stream that breaks before the answer is taken up again if the server said where. If that does not succeed, the last event is an
/// error that says why.
pub(super) fn answering(frames: &Arc<Frames>, body: HttpBody, awaited: Awaited) -> Events {
    read(frames, body, EventSource::Request(Box::new(awaited)))
}

/// Reads the events of the stream on which a server says what is no answer; whoever reads it opens it again when it ends.
///
/// `n_silent` counts the streams in a row that brought no event.
pub(super) fn standing(frames: &Arc<Frames>, body: HttpBody, n_silent: Arc<AtomicU32>) -> Events {
    n_silent.fetch_add(1, Ordering::Relaxed);
    read(frames, body, EventSource::Standing { n_silent })
}

fn read(frames: &Arc<Frames>, body: HttpBody, source: EventSource) -> Events {
    let reader = EventReader {
        frames: Arc::clone(frames),
        source,
        events: SseStream::from_bytes_stream(bounded(body)).boxed(),
        ready: VecDeque::new(),
        has_ended: false,
    };
    stream::unfold(reader, |mut reader| async move {
        let next = reader.next().await?;
        Some((next, reader))
    })
    .boxed()
}

enum EventSource {
    Request(Box<Awaited>),
    Standing { n_silent: Arc<AtomicU32> },
}

struct EventReader {
    frames: Arc<Frames>,
    source: EventSource,
    events: Events,
    ready: VecDeque<Sse>,
    has_ended: bool,
}

impl EventReader {
    async fn next(&mut self) -> Option<Result<Sse, SseError>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            if self.has_ended {
                return None;
            }
            let deadline = match &self.source {
                EventSource::Request(awaited) => awaited.deadline,
                EventSource::Standing { .. } => None,
            };
            // A standing stream and a subscription wait as long as it takes. The answer to a
            // request has a deadline, also over several connections.
            let Some(deadline) = deadline else {
                self.advance().await;
                continue;
            };
            let advanced = tokio::time::timeout_at(deadline, self.advance()).await;
            if advanced.is_err() {
                self.end("nothing in time".to_owned());
            }
        }
    }

    async fn advance(&mut self) {
        let reason = match self.events.next().await {
            Some(Ok(event)) => return self.take(event),
            Some(Err(error)) if is_too_large(&error) => {
                return self.end(format!("nothing, {}", error_chain(&error)));
            }
            Some(Err(error)) => format!("nothing, {}", error_chain(&error)),
            None => "nothing: the stream ended before the answer".to_owned(),
        };
        let EventSource::Request(awaited) = &mut self.source else {
            // An end is taken up after a wait, and an error (by rmcp 3.11) at once: what breaks at once would keep both sides busy.
            self.has_ended = true;
            return;
        };
        // The answer has come, so the end of the stream is what was due.
        if !self.frames.awaits(&awaited.id) {
            self.has_ended = true;
            return;
        }
        // The answer has not come. Another connection goes on where this one ended, if the server
        // named its events.
        match awaited.resumption.reopen(reason).await {
            Ok(body) => self.events = SseStream::from_bytes_stream(bounded(body)).boxed(),
            Err(reason) => self.end(reason),
        }
    }

    fn end(&mut self, reason: String) {
        self.has_ended = true;
        if let EventSource::Request(awaited) = &self.source {
            let failed = self.frames.fail_one(&awaited.id, reason);
            self.ready.extend(failed.as_ref().and_then(event));
        }
    }

    fn take(&mut self, mut sse: Sse) {
        match &mut self.source {
            EventSource::Request(awaited) => awaited.resumption.hear(&mut sse),
            EventSource::Standing { n_silent } => n_silent.store(0, Ordering::Relaxed),
        }
        let is_message = matches!(sse.event.as_deref(), None | Some("" | "message"));
        let data = sse.data.take().filter(|_| is_message).unwrap_or_default();
        let messages = if data.trim().is_empty() {
            Vec::new()
        } else {
            match (self.frames.read(data.as_bytes()), &self.source) {
                (Ok(messages), _) => messages,
                (Err(broken), EventSource::Request(awaited)) => self
                    .frames
                    .fail_one(&awaited.id, broken.reason)
                    .into_iter()
                    .collect(),
                (Err(broken), EventSource::Standing { .. }) => {
                    self.frames.stray(&broken.reason);
                    Vec::new()
                }
            }
        };
        // The id and the time to wait of a standing stream come first, whatever becomes of the message.
        self.ready.push_back(sse);
        self.ready.extend(messages.iter().filter_map(event));
    }
}

/// Puts a message into an event.
fn event(message: &ServerJsonRpcMessage) -> Option<Sse> {
    let data = serde_json::to_string(message).ok()?;
    Some(Sse::default().data(data))
}

fn bounded(body: HttpBody) -> impl futures_util::Stream<Item = Result<Bytes, EventsError>> + Send {
    stream::unfold(
        (body, Length::default()),
        |(mut body, mut length)| async move {
            let chunk = match body.next_chunk().await? {
                Ok(chunk) if length.add(&chunk) <= MAX_ANSWER_BYTES => Ok(chunk),
                Ok(_) => Err(EventsError::TooLarge),
                Err(error) => Err(EventsError::Http(error)),
            };
            Some((chunk, (body, length)))
        },
    )
}

/// How much there is of the event that is being read.
#[derive(Debug, Default)]
struct Length {
    n_bytes: usize,
    n_line_bytes: usize,
    was_return: bool,
}

impl Length {
    fn add(&mut self, chunk: &[u8]) -> usize {
        for &byte in chunk {
            let was_return = std::mem::replace(&mut self.was_return, byte == b'\r');
            // Both ends of a line are one.
            if byte == b'\n' && was_return {
                continue;
            }
            self.n_bytes += 1;
            match byte {
                // An empty line ends an event.
                b'\n' | b'\r' if std::mem::take(&mut self.n_line_bytes) == 0 => self.n_bytes = 0,
                b'\n' | b'\r' => {}
                _ => self.n_line_bytes += 1,
            }
        }
        self.n_bytes
    }
}

/// Why no more events come.
#[derive(Debug, thiserror::Error)]
enum EventsError {
    #[error("{0}")]
    Http(HttpError),
    #[error("an event has more than {MAX_ANSWER_BYTES} bytes")]
    TooLarge,
}

fn is_too_large(error: &SseError) -> bool {
    let SseError::Body(error) = error else {
        return false;
    };
    matches!(error.downcast_ref(), Some(EventsError::TooLarge))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_as_long_as_it_is_in_whatever_pieces_it_comes() {
        for (text, expected) in [
            ("data: 1\n\ndata: 22", 8),
            ("data: 1\r\n\r\ndata: 22\r\n", 9),
            ("data: 1\r\rx", 1),
            (": only\n", 7),
            ("data: 1\n\n", 0),
        ] {
            let mut length = Length::default();
            assert_eq!(length.add(text.as_bytes()), expected, "{text:?}");
            let mut length = Length::default();
            for byte in text.as_bytes() {
                length.add(&[*byte]);
            }
            assert_eq!(length.n_bytes, expected, "{text:?}");
        }
    }
}
