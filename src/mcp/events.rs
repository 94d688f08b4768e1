//! Event streams over HTTP: turns each event into the form that rmcp reads, and a broken stream into an error with its reason.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use rmcp::model::{RequestId, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_client::SseError;
use sse_stream::{Sse, SseStream};

use super::backend::MAX_ANSWER_BYTES;
use super::error_chain;
use super::frames::Frames;
use crate::http::{HttpBody, HttpError};

pub(super) type Events = BoxStream<'static, Result<Sse, SseError>>;

/// Gives messages as a stream.
pub(super) fn of(messages: Vec<ServerJsonRpcMessage>) -> Events {
    let messages = messages.into_iter().filter_map(|message| event(&message));
    stream::iter(messages.map(Ok).collect::<Vec<_>>()).boxed()
}

/// Reads events, each within the bound.
///
/// A stream that answers a request and ends before the answer, without an id at which it could be taken up again, ends in an error
/// that says why.
pub(super) fn read(frames: &Arc<Frames>, body: HttpBody, request: Option<RequestId>) -> Events {
    let reader = EventReader {
        frames: Arc::clone(frames),
        request,
        events: SseStream::from_bytes_stream(bounded(body)).boxed(),
        ready: VecDeque::new(),
        can_resume: false,
        has_ended: false,
    };
    stream::unfold(reader, |mut reader| async move {
        let next = reader.next().await?;
        Some((next, reader))
    })
    .boxed()
}

struct EventReader {
    frames: Arc<Frames>,
    /// The request that the stream answers.
    request: Option<RequestId>,
    events: Events,
    ready: VecDeque<Sse>,
    /// Whether an event had an id, at which the server can go on with another stream.
    can_resume: bool,
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
            match self.events.next().await {
                Some(Ok(event)) => self.take(event),
                Some(Err(error)) if self.can_resume && !is_too_large(&error) => {
                    return Some(Err(error));
                }
                Some(Err(error)) => {
                    self.end(format!("nothing, {}", error_chain(&error)));
                }
                None if self.can_resume => return None,
                None => self.end("nothing: the stream ended before the answer".to_owned()),
            }
        }
    }

    fn end(&mut self, reason: String) {
        self.has_ended = true;
        let failed = self
            .request
            .as_ref()
            .and_then(|id| self.frames.fail_one(id, reason));
        self.ready.extend(failed.as_ref().and_then(event));
    }

    fn take(&mut self, mut sse: Sse) {
        self.can_resume |= sse.id.as_ref().is_some_and(|id| !id.is_empty());
        let is_message = matches!(sse.event.as_deref(), None | Some("" | "message"));
        let data = sse.data.take().filter(|_| is_message).unwrap_or_default();
        let messages = if data.trim().is_empty() {
            Vec::new()
        } else {
            match (self.frames.read(data.as_bytes()), &self.request) {
                (Ok(messages), _) => messages,
                (Err(broken), Some(id)) => self
                    .frames
                    .fail_one(id, broken.reason)
                    .into_iter()
                    .collect(),
                (Err(broken), None) => {
                    self.frames.stray(&broken.reason);
                    Vec::new()
                }
            }
        };
        // The id and the time to wait stand first, whatever becomes of the message.
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
