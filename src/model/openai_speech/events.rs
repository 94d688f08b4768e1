//! The events of a speech request: those that a server sends, within bounds and time, and those that a caller gets.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use futures_util::stream;
use serde_json::Value;

use super::OpenAiSpeech;
use crate::future::BoxStream;
use crate::http::{HttpBody, HttpResponse, IdleTimer, SseDecoder, SseError};
use crate::kind::ErrorKind;
use crate::model::ModelError;
use crate::model::exchange::http_error;
use crate::model::wire::{ServerError, parse_json, text_of};

/// The most bytes of an event: some seconds of samples as base64.
const MAX_EVENT_BYTES: usize = 8 * 1024 * 1024;

/// One request and its answer, step by step.
pub(super) trait SpeechAnswer: Send + 'static {
    /// What the caller gets.
    type Event: Send;

    /// Sends the request, or reads on; adds to the events, and says when the answer is over.
    fn step(&mut self) -> impl Future<Output = Result<(), ModelError>> + Send;

    /// Returns what was read and not taken yet.
    fn progress(&mut self) -> &mut AnswerProgress<Self::Event>;
}

/// How far an answer is.
pub(super) struct AnswerProgress<E> {
    server: OpenAiSpeech,
    pub(super) ready: VecDeque<E>,
    pub(super) is_over: bool,
}

impl<E> AnswerProgress<E> {
    pub(super) const fn new(server: OpenAiSpeech) -> Self {
        Self {
            server,
            ready: VecDeque::new(),
            is_over: false,
        }
    }
}

/// Returns the events of an answer; an error is the last, without the secrets that the server was given.
pub(super) fn events_of<A: SpeechAnswer>(
    answer: A,
) -> BoxStream<'static, Result<A::Event, ModelError>> {
    Box::pin(stream::unfold(answer, |mut answer| async move {
        loop {
            let progress = answer.progress();
            if let Some(event) = progress.ready.pop_front() {
                return Some((Ok(event), answer));
            }
            if progress.is_over {
                return None;
            }
            if let Err(error) = answer.step().await {
                let progress = answer.progress();
                progress.is_over = true;
                let error = error.redacted(progress.server.redactor());
                return Some((Err(error), answer));
            }
        }
    }))
}

/// Reads events; an error of the server among them is an error.
pub(super) struct EventReader {
    server: OpenAiSpeech,
    target: String,
    body: HttpBody,
    sse: SseDecoder,
    /// For the next event; comments do not count, by which a server keeps a connection open while it says nothing.
    timer: IdleTimer,
    has_event: bool,
    has_ended: bool,
}

/// An event: its type, its value, and its JSON without the secrets that the server was given.
pub(super) struct ReceivedEvent {
    pub(super) name: String,
    pub(super) value: Value,
    pub(super) json: String,
}

impl EventReader {
    pub(super) fn new(server: OpenAiSpeech, path: &str, response: HttpResponse) -> Self {
        let limit = server.0.client.timeouts().first_event;
        let target = server.0.base_url.join(path);
        Self {
            target: target.map_or_else(|_| String::new(), |url| url.host_port().to_owned()),
            timer: IdleTimer::waiting_since(limit, response.awaited_since),
            server,
            body: response.body.without_idle_timeout(),
            sse: SseDecoder::new(MAX_EVENT_BYTES),
            has_event: false,
            has_ended: false,
        }
    }

    /// Waits for the next event; `None` is the end of the body.
    pub(super) async fn next(&mut self) -> Result<Option<ReceivedEvent>, ModelError> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<ReceivedEvent>, ModelError>> {
        loop {
            if let Some(event) = self.take_event()? {
                return Poll::Ready(Ok(Some(event)));
            }
            if self.has_ended {
                return Poll::Ready(Ok(None));
            }
            match self.body.poll_chunk(cx) {
                Poll::Ready(Some(chunk)) => self.sse.push(chunk.map_err(http_error)?),
                Poll::Ready(None) => self.has_ended = true,
                Poll::Pending => {
                    let limit = ready!(self.timer.poll_elapsed(cx));
                    let target = self.target.clone();
                    return Poll::Ready(Err(http_error(if self.has_event {
                        crate::http::HttpError::IdleTimeout { target, limit }
                    } else {
                        crate::http::HttpError::FirstEventTimeout { target, limit }
                    })));
                }
            }
        }
    }

    fn take_event(&mut self) -> Result<Option<ReceivedEvent>, ModelError> {
        loop {
            let event = if self.has_ended {
                self.sse.finish()
            } else {
                self.sse.next_event()
            };
            let Some(event) = event.map_err(sse_error)? else {
                return Ok(None);
            };
            if let Some(words) = event.error {
                return Err(ServerError::from_body(words).into_error(ErrorKind::StreamError));
            }
            if self.has_event {
                self.timer.touch();
            } else {
                self.has_event = true;
                self.timer = IdleTimer::new(self.server.0.client.timeouts().idle);
            }
            let text = text_of(event.data)?.trim();
            // Servers that end every stream alike send it behind the last event.
            if text.is_empty() || text == "[DONE]" {
                continue;
            }
            let json = self.server.redactor().redact_json(text).into_owned();
            let value: Value = parse_json(json.as_bytes())?;
            let name = value.get("type").and_then(Value::as_str);
            let name = name.unwrap_or(event.event).to_owned();
            if name == "error" || value.get("error").is_some_and(|error| !error.is_null()) {
                return Err(ServerError::from_value(&value).into_error(ErrorKind::StreamError));
            }
            return Ok(Some(ReceivedEvent { name, value, json }));
        }
    }
}

fn sse_error(error: SseError) -> ModelError {
    ModelError::new(error.kind(), error.to_string())
}
