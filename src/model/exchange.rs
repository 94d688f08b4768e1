//! One request and its answer: bytes out, bytes in, events on; what every HTTP driver shares.
//!
//! An exchange is a state machine that its caller polls. It knows statuses, content types and time-outs; what the bytes mean is the
//! wire's.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_core::Stream;
use tokio::time::{Sleep, sleep};

use crate::future::BoxFuture;
use crate::http::{
    Headers, HttpBody, HttpClient, HttpError, HttpResponse, IdleTimer, SseDecoder, SseError,
    Timeouts, Url,
};
use crate::kind::ErrorKind;
use crate::model::redaction::EventRedactor;
use crate::model::wire::{Answer, ServerError, excerpt, too_large};
use crate::model::{Delivery, ModelError, ModelEvent, Received};
use crate::secret::Redactor;

/// The most bytes of an error's body that are read.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// How long the end of a finished stream's body is waited for, so that its connection can serve the next request. Servers send it
/// right behind the last event; one that does not costs its connection, not the run's time.
const END_OF_BODY: Duration = Duration::from_millis(50);

/// A `Retry-After` beyond this is a mistake of the server (some put a Unix time there).
const MAX_RETRY_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// The headers in which servers name a request, `LiteLLM`'s among them.
const REQUEST_IDS: [&str; 3] = ["x-request-id", "request-id", "x-litellm-call-id"];

/// What is sent, and how the answer is awaited.
pub(crate) struct Outgoing {
    pub(crate) client: HttpClient,
    pub(crate) url: Url,
    pub(crate) headers: Headers,
    pub(crate) body: Bytes,
    pub(crate) delivery: Delivery,
    /// Takes out of the answer what the request was trusted with.
    pub(crate) redactor: Redactor,
    pub(crate) max_event_bytes: usize,
    pub(crate) max_answer_bytes: usize,
    /// For the whole exchange.
    pub(crate) timeout: Option<Duration>,
}

/// A stream of the events of one answer.
pub(crate) struct Exchange<A> {
    answer: A,
    state: ExchangeState,
    events: VecDeque<ModelEvent>,
    delivery: Delivery,
    redaction: EventRedactor,
    request_id: Option<String>,
    max_event_bytes: usize,
    max_answer_bytes: usize,
    timeouts: Timeouts,
    /// For the next event; comments do not count.
    event_timer: IdleTimer,
    has_event: bool,
    host_port: String,
    timeout: Option<Duration>,
    deadline: Option<Pin<Box<Sleep>>>,
}

enum ExchangeState {
    Head(BoxFuture<'static, Result<HttpResponse, HttpError>>),
    /// A body that is needed whole: an answer, or the words of an error.
    Body(Meaning, BoxFuture<'static, Result<Bytes, HttpError>>),
    Stream(Box<(HttpBody, SseDecoder)>),
    /// The answer is complete; only the end of the body is still to come.
    Ending(Box<HttpBody>, Pin<Box<Sleep>>),
    Over,
}

/// What a whole body is.
#[derive(Clone)]
enum Meaning {
    Answer,
    Status {
        status: u16,
        retry_after: Option<Duration>,
    },
    NotAStream {
        content_type: String,
    },
}

impl<A: Answer> Exchange<A> {
    pub(crate) fn new(outgoing: Outgoing, answer: A) -> Self {
        let Outgoing {
            client,
            url,
            headers,
            body,
            delivery,
            redactor,
            max_event_bytes,
            max_answer_bytes,
            timeout,
        } = outgoing;
        let timeouts = *client.timeouts();
        let host_port = url.host_port().to_owned();
        let head = Box::pin(async move { client.post(&url, &headers, body).await });
        Self {
            answer,
            state: ExchangeState::Head(head),
            events: VecDeque::new(),
            delivery,
            redaction: EventRedactor::new(redactor),
            request_id: None,
            max_event_bytes,
            max_answer_bytes,
            timeouts,
            event_timer: IdleTimer::new(timeouts.first_event),
            has_event: false,
            host_port,
            timeout,
            deadline: None,
        }
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ModelError>> {
        match &mut self.state {
            ExchangeState::Head(head) => {
                let response = ready!(head.as_mut().poll(cx)).map_err(http_error)?;
                Poll::Ready(self.take_head(response))
            }
            ExchangeState::Body(meaning, body) => {
                let body = ready!(body.as_mut().poll(cx));
                let meaning = meaning.clone();
                Poll::Ready(self.take_body(meaning, body))
            }
            ExchangeState::Stream(_) => self.poll_stream(cx),
            ExchangeState::Ending(body, grace) => {
                match body.poll_chunk(cx) {
                    Poll::Ready(Some(Ok(_))) => return Poll::Ready(Ok(())),
                    Poll::Ready(Some(Err(_)) | None) => {}
                    Poll::Pending => ready!(grace.as_mut().poll(cx)),
                }
                self.state = ExchangeState::Over;
                Poll::Ready(Ok(()))
            }
            ExchangeState::Over => Poll::Ready(Ok(())),
        }
    }

    fn take_head(&mut self, response: HttpResponse) -> Result<(), ModelError> {
        let HttpResponse {
            status,
            headers,
            body,
            awaited_since,
            ..
        } = response;
        let header = |name: &str| headers.get(name).map(str::to_owned);
        self.request_id = REQUEST_IDS.iter().find_map(|name| header(name));
        if !(200..300).contains(&status) {
            let meaning = Meaning::Status {
                status,
                retry_after: retry_after(&headers),
            };
            self.state =
                ExchangeState::Body(meaning, Box::pin(body.collect_up_to(MAX_ERROR_BYTES)));
            return Ok(());
        }
        let content_type = header("content-type")
            .unwrap_or_default()
            .to_ascii_lowercase();
        let is_events = content_type.starts_with("text/event-stream");
        self.state = match self.delivery {
            Delivery::Whole if is_events || content_type.starts_with("text/html") => {
                return Err(wrong_type(&content_type, "JSON", ""));
            }
            Delivery::Whole => {
                let body = body.collect_up_to(self.max_answer_bytes);
                ExchangeState::Body(Meaning::Answer, Box::pin(body))
            }
            Delivery::Stream if is_events || content_type.is_empty() => {
                // From here on events count, and not bytes.
                self.event_timer =
                    IdleTimer::waiting_since(self.timeouts.first_event, awaited_since);
                let decoder = SseDecoder::new(self.max_event_bytes);
                ExchangeState::Stream(Box::new((body.without_idle_timeout(), decoder)))
            }
            // It may hold an error; the server's words must not be lost.
            Delivery::Stream => ExchangeState::Body(
                Meaning::NotAStream { content_type },
                Box::pin(body.collect_up_to(MAX_ERROR_BYTES)),
            ),
        };
        Ok(())
    }

    fn take_body(
        &mut self,
        meaning: Meaning,
        body: Result<Bytes, HttpError>,
    ) -> Result<(), ModelError> {
        self.state = ExchangeState::Over;
        match meaning {
            Meaning::Answer => {
                let body = body.map_err(|error| match error {
                    HttpError::TooLarge { .. } => too_large(self.max_answer_bytes),
                    error => http_error(error),
                })?;
                let (items, mut end) = self.answer.decode(&body)?;
                drop(body);
                end.request_id.clone_from(&self.request_id);
                self.events
                    .extend(items.into_iter().map(|item| ModelEvent::ItemDone { item }));
                self.events
                    .push_back(ModelEvent::ResponseDone(Box::new(end)));
                Ok(())
            }
            Meaning::Status {
                status,
                retry_after,
            } => Err(status_error(status, &body).with_retry_after(retry_after)),
            Meaning::NotAStream { content_type } => Err(match body {
                Ok(body) => not_a_stream(&content_type, &body),
                // The error's own words go into the message, where a key is taken out of them.
                Err(error) => wrong_type(&content_type, "an event stream", &error.to_string())
                    .with_cause_of(error),
            }),
        }
    }

    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ModelError>> {
        let ExchangeState::Stream(stream) = &mut self.state else {
            return Poll::Ready(Ok(()));
        };
        let (body, decoder) = &mut **stream;
        let chunk = match body.poll_chunk(cx) {
            Poll::Ready(chunk) => chunk.transpose().map_err(http_error)?,
            Poll::Pending => {
                let limit = ready!(self.event_timer.poll_elapsed(cx));
                let target = self.host_port.clone();
                return Poll::Ready(Err(http_error(if self.has_event {
                    HttpError::IdleTimeout { target, limit }
                } else {
                    HttpError::FirstEventTimeout { target, limit }
                })));
            }
        };
        let ended = chunk.is_none();
        match chunk {
            Some(chunk) => decoder.push(chunk),
            None => {
                if let Some(event) = decoder.finish().map_err(sse_error)? {
                    take_event(&mut self.answer, &event, &mut self.events)?;
                }
            }
        }
        while !self.answer.is_done() {
            let Some(event) = decoder.next_event().map_err(sse_error)? else {
                break;
            };
            if self.has_event {
                self.event_timer.touch();
            } else {
                self.has_event = true;
                self.event_timer = IdleTimer::new(self.timeouts.idle);
            }
            take_event(&mut self.answer, &event, &mut self.events)?;
        }
        if ended && !self.answer.is_done() {
            self.answer.end(&mut self.events)?;
        }
        if self.answer.is_done() {
            self.finish_stream(ended);
        }
        Poll::Ready(Ok(()))
    }

    fn finish_stream(&mut self, body_ended: bool) {
        if let Some(ModelEvent::ResponseDone(end)) = self.events.back_mut() {
            end.request_id.clone_from(&self.request_id);
        }
        if let ExchangeState::Stream(stream) =
            std::mem::replace(&mut self.state, ExchangeState::Over)
            && !body_ended
        {
            self.state = ExchangeState::Ending(Box::new(stream.0), Box::pin(sleep(END_OF_BODY)));
        }
    }

    /// Adds to an error what only the exchange knows, and takes the key out of it.
    fn complete_error(&mut self, error: ModelError) -> ModelError {
        let mut error = error.with_request_id(self.request_id.take());
        if *error.received() == Received::default() {
            error = error.with_received(self.answer.take_received());
        }
        error.redacted(self.redaction.redactor())
    }

    /// Becomes ready when the exchange took too long; it is only looked at while something is waited for.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<ModelError> {
        let Some(limit) = self.timeout else {
            return Poll::Pending;
        };
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(deadline.as_mut().poll(cx));
        let message = format!(
            "the answer was not complete within {limit:?} (`timeout` of the model settings)"
        );
        Poll::Ready(ModelError::new(ErrorKind::TimeoutTotal, message))
    }
}

impl<A: Answer> Stream for Exchange<A> {
    type Item = Result<ModelEvent, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let exchange = &mut *self;
        loop {
            // The last event waits for the end of the body: its taker drops the stream, and with it a connection in use.
            let is_last =
                exchange.events.len() == 1 && matches!(exchange.state, ExchangeState::Ending(..));
            if !is_last && let Some(event) = exchange.events.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            if matches!(exchange.state, ExchangeState::Over) {
                return Poll::Ready(None);
            }
            let n_before = exchange.events.len();
            let step = match exchange.poll_step(cx) {
                Poll::Ready(step) => step.and_then(|()| {
                    let Self {
                        events, redaction, ..
                    } = exchange;
                    redaction.redact(events, n_before)
                }),
                Poll::Pending => Err(ready!(exchange.poll_deadline(cx))),
            };
            if let Err(error) = step {
                exchange.state = ExchangeState::Over;
                exchange.events.clear();
                return Poll::Ready(Some(Err(exchange.complete_error(error))));
            }
        }
    }
}

fn take_event(
    answer: &mut impl Answer,
    event: &crate::http::SseEvent<'_>,
    events: &mut VecDeque<ModelEvent>,
) -> Result<(), ModelError> {
    match event.error {
        Some(words) => Err(ServerError::from_body(words).into_error(ErrorKind::StreamError)),
        None => answer.event(event.event, event.data, events),
    }
}

pub(crate) fn http_error(error: HttpError) -> ModelError {
    ModelError::new(error.kind(), error.to_string()).with_cause_of(error)
}

fn sse_error(error: SseError) -> ModelError {
    ModelError::new(error.kind(), error.to_string())
}

/// Makes the error of an answer that has another status than was asked for, of the server's own words.
#[cfg(feature = "realtime")]
pub(crate) async fn refusal(response: HttpResponse) -> ModelError {
    let HttpResponse {
        status,
        headers,
        body,
        ..
    } = response;
    let body = body.collect_up_to(MAX_ERROR_BYTES).await;
    let request_id = REQUEST_IDS.iter().find_map(|name| headers.get(name));
    status_error(status, &body)
        .with_retry_after(retry_after(&headers))
        .with_request_id(request_id.map(str::to_owned))
}

fn status_error(status: u16, body: &Result<Bytes, HttpError>) -> ModelError {
    let words = match body {
        Ok(body) => ServerError::from_body(body),
        Err(error) => ServerError {
            message: format!("its body could not be read: {error}"),
            code: None,
        },
    };
    let mut message = format!("the server answered {status}");
    if let Some(reason) = hyper::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
    {
        message.push(' ');
        message.push_str(reason);
    }
    if !words.message.is_empty() {
        message.push_str(": ");
        message.push_str(&words.message);
    }
    ModelError::new(ErrorKind::ApiStatus, message)
        .with_status(status)
        .with_code(words.code)
}

fn not_a_stream(content_type: &str, body: &[u8]) -> ModelError {
    let text = String::from_utf8_lossy(body);
    match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(value) if value.get("error").is_some_and(|error| !error.is_null()) => {
            ServerError::from_value(&value).into_error(ErrorKind::ApiError)
        }
        _ => wrong_type(content_type, "an event stream", text.trim()),
    }
}

fn wrong_type(content_type: &str, wanted: &str, body: &str) -> ModelError {
    let shown = if body.is_empty() {
        String::new()
    } else {
        format!(": {}", excerpt(body))
    };
    let message = format!(
        "the server answered with content type {content_type:?} where {wanted} was due (is the base URL right?){shown}"
    );
    ModelError::new(ErrorKind::ContentType, message)
}

/// Reads how long to wait: milliseconds, seconds, or a date.
fn retry_after(headers: &Headers) -> Option<Duration> {
    let milliseconds = headers
        .get("retry-after-ms")
        .and_then(|value| value.trim().parse::<f64>().ok())
        .map(|ms| ms / 1000.0);
    let value = headers.get("retry-after").map(str::trim);
    let seconds = milliseconds.or_else(|| value.and_then(|value| value.parse::<f64>().ok()));
    let wait = match seconds {
        Some(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        None => value
            .and_then(|value| httpdate::parse_http_date(value).ok())
            .map(|date| date.duration_since(SystemTime::now()).unwrap_or_default()),
    };
    wait.filter(|wait| *wait <= MAX_RETRY_AFTER)
}
