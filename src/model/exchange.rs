//! One request and its answer: bytes out, bytes in, events on; what every HTTP back end shares.
//!
//! An exchange is a state machine that its caller polls: no task and no channel stands between the socket and the run,
//! so that a slow consumer slows the server down, and dropping it closes the connection. It knows statuses, content
//! types and time-outs; what the bytes mean is the decoder's.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_core::Stream;
use hyper::header::{CONTENT_TYPE, HeaderName};
use tokio::time::{Sleep, sleep};

use crate::future::BoxFuture;
use crate::http::{
    Headers, HttpBody, HttpError, HttpResponse, IdleTimer, SseDecoder, SseError, SseEvent,
    WholeBody,
};
use crate::kind::ErrorKind;
use crate::model::endpoint::Endpoint;
use crate::model::memory_limit::MemoryShare;
use crate::model::recording;
use crate::model::redaction::EventRedactor;
use crate::model::wire::{ResponseDecoder, ServerError, excerpt, too_large};
use crate::model::{Delivery, MemoryLimit, ModelError, ModelEvent, ModelRequest, Received};

/// The most bytes of an error's body that are read: its words, and no flood.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// How long the end of a finished stream's body is waited for, so that its connection can serve the next request. Servers send it
/// right behind the last event; one that does not costs its connection, not the run's time.
const END_OF_BODY: Duration = Duration::from_millis(50);

/// A `Retry-After` beyond this is a mistake of the server (some put a Unix time there).
const MAX_RETRY_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// The headers in which servers name a request, `LiteLLM`'s among them.
static REQUEST_IDS: [HeaderName; 3] = [
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("request-id"),
    HeaderName::from_static("x-litellm-call-id"),
];

/// A stream of the events of one answer.
pub(super) struct Exchange {
    endpoint: Arc<Endpoint>,
    decoder: Box<dyn ResponseDecoder>,
    memory: Option<MemoryShare>,
    state: ExchangeState,
    /// What was decoded and not yet taken.
    events: VecDeque<ModelEvent>,
    /// Whether the decoder gave the end; what the server sends behind it is not part of the answer.
    is_complete: bool,
    delivery: Delivery,
    redaction: EventRedactor,
    request_id: Option<String>,
    /// For the next event; comments do not count, by which a server keeps a connection open while it says nothing.
    event_timer: IdleTimer,
    has_event: bool,
    /// For the whole exchange (`timeout` of the model settings); the clock starts when something is first waited for.
    timeout: Option<Duration>,
    deadline: Option<Pin<Box<Sleep>>>,
}

#[expect(
    clippy::large_enum_variant,
    reason = "it lies in an exchange, which is boxed once for each request"
)]
enum ExchangeState {
    Head(BoxFuture<'static, Result<HttpResponse, HttpError>>),
    /// A body that is needed whole: an answer, or the words of an error.
    Body(BodyKind, WholeBody),
    Stream(Box<(HttpBody, SseDecoder)>),
    /// The answer is complete; only the end of the body is still to come.
    Ending(Box<HttpBody>, Pin<Box<Sleep>>),
    Over,
}

/// What a whole body is.
enum BodyKind {
    Answer,
    Status {
        status: u16,
        retry_after: Option<Duration>,
    },
    NotAStream {
        content_type: String,
    },
}

impl Exchange {
    /// Addresses a body; nothing is sent before the exchange is polled.
    ///
    /// # Errors
    ///
    /// `config` when a header of the request's settings cannot be sent.
    pub(super) fn start(
        endpoint: Arc<Endpoint>,
        request: &ModelRequest,
        body: Bytes,
        decoder: Box<dyn ResponseDecoder>,
    ) -> Result<Self, ModelError> {
        let (delivery, settings) = (request.delivery, &request.settings);
        let mut redactor = endpoint.redactor.clone();
        let mut own_headers = None;
        if !settings.extra_headers.is_empty() {
            let (headers, with_own) = endpoint.headers_with(&settings.extra_headers)?;
            (own_headers, redactor) = (Some(headers), with_own);
        }
        let shared = Arc::clone(&endpoint);
        let recorded = redactor.clone();
        // Nothing runs before the first poll, so that a request which is dropped unpolled is never
        // sent. The span is asked inside, because only then is the span of this model call the
        // current one.
        let head = Box::pin(async move {
            recording::record_request(&body, &recorded, || shared.description(delivery, &recorded));
            if let Some(traceparent) = recording::traceparent() {
                let mut headers = own_headers.unwrap_or_else(|| shared.headers.clone());
                headers.insert("traceparent", &traceparent)?;
                own_headers = Some(headers);
            }
            let headers = own_headers.as_ref().unwrap_or(&shared.headers);
            shared
                .client
                .post(shared.url(delivery), headers, body)
                .await
        });
        Ok(Self {
            decoder,
            memory: endpoint.memory.as_ref().map(MemoryLimit::share),
            state: ExchangeState::Head(head),
            events: VecDeque::new(),
            is_complete: false,
            delivery,
            redaction: EventRedactor::new(redactor),
            request_id: None,
            event_timer: IdleTimer::new(endpoint.client.timeouts().first_event),
            has_event: false,
            timeout: settings.timeout,
            deadline: None,
            endpoint,
        })
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ModelError>> {
        // The states follow each other: head, then body or stream, then (for a stream) the end of
        // its body. One call makes one move; `poll_next` loops.
        match &mut self.state {
            ExchangeState::Head(head) => {
                let response = ready!(head.as_mut().poll(cx)).map_err(http_error)?;
                Poll::Ready(self.on_head(response))
            }
            ExchangeState::Body(_, whole) => {
                // `None` is "more has come". Counting at each piece bounds all answers under way,
                // not only those that are complete.
                let body = match ready!(whole.poll(cx)) {
                    Ok(None) => {
                        let n_bytes = usize::try_from(whole.n_bytes()).unwrap_or(usize::MAX);
                        return Poll::Ready(self.count_memory(n_bytes));
                    }
                    Ok(Some(body)) => Ok(body),
                    Err(error) => Err(error),
                };
                let ExchangeState::Body(kind, _) =
                    std::mem::replace(&mut self.state, ExchangeState::Over)
                else {
                    return Poll::Ready(Ok(()));
                };
                Poll::Ready(self.on_body(kind, body))
            }
            ExchangeState::Stream(_) => self.poll_stream(cx),
            ExchangeState::Ending(body, grace) => {
                // What still comes is thrown away: it is behind the answer. Only the end counts,
                // with which the connection goes back to the pool.
                match body.poll_chunk(cx) {
                    Poll::Ready(Some(Ok(_))) => return Poll::Ready(Ok(())),
                    Poll::Ready(Some(Err(_)) | None) => {}
                    // An end that fails or never comes costs the connection and not the answer,
                    // which is complete.
                    Poll::Pending => ready!(grace.as_mut().poll(cx)),
                }
                self.state = ExchangeState::Over;
                Poll::Ready(Ok(()))
            }
            ExchangeState::Over => Poll::Ready(Ok(())),
        }
    }

    fn count_memory(&mut self, n_bytes: usize) -> Result<(), ModelError> {
        match &mut self.memory {
            Some(memory) => memory.grow_to(n_bytes),
            None => Ok(()),
        }
    }

    /// Counts what the decoder keeps; an answer that is complete goes on to count for as long as it is kept.
    fn count_kept(&mut self) -> Result<(), ModelError> {
        self.count_memory(self.decoder.n_kept_bytes())?;
        if self.is_complete
            && let Some(ModelEvent::ResponseDone(meta)) = self.events.back_mut()
        {
            meta.memory = self.memory.take().into();
        }
        Ok(())
    }

    fn on_head(&mut self, response: HttpResponse) -> Result<(), ModelError> {
        let HttpResponse {
            status,
            headers,
            body,
            awaited_since,
            ..
        } = response;
        let id = REQUEST_IDS.iter().find_map(|name| headers.value(name));
        self.request_id = id.map(str::to_owned);
        // The status first: the body of an error is read for its words, whatever its content type
        // says.
        recording::record_status(status);
        if !(200..300).contains(&status) {
            let kind = BodyKind::Status {
                status,
                retry_after: retry_after(&headers),
            };
            self.state = ExchangeState::Body(kind, body.whole(MAX_ERROR_BYTES));
            return Ok(());
        }
        let content_type = headers.value(&CONTENT_TYPE).unwrap_or_default();
        let is_events = starts_with(content_type, "text/event-stream");
        self.state = match self.delivery {
            // A page is what a wrong base URL answers. Other types are let through, since some
            // servers name none or a wrong one, and the decoder says whether it is JSON.
            Delivery::Whole if is_events || starts_with(content_type, "text/html") => {
                return Err(wrong_type(content_type, "JSON", ""));
            }
            Delivery::Whole => {
                let body = body.whole(self.endpoint.limits.max_bytes);
                ExchangeState::Body(BodyKind::Answer, body)
            }
            // Servers that forget the header do stream. Any other type under a stream is an error:
            // it is the server's refusal, or a gateway's page.
            Delivery::Stream if is_events || content_type.is_empty() => {
                // From here on events count, and not bytes.
                let limit = self.endpoint.client.timeouts().first_event;
                self.event_timer = IdleTimer::waiting_since(limit, awaited_since);
                let decoder = SseDecoder::new(self.endpoint.max_event_bytes);
                ExchangeState::Stream(Box::new((body.without_idle_timeout(), decoder)))
            }
            // It may hold an error; the server's words must not be lost.
            Delivery::Stream => {
                let content_type = content_type.to_owned();
                let kind = BodyKind::NotAStream { content_type };
                ExchangeState::Body(kind, body.whole(MAX_ERROR_BYTES))
            }
        };
        Ok(())
    }

    fn on_body(
        &mut self,
        kind: BodyKind,
        body: Result<Bytes, HttpError>,
    ) -> Result<(), ModelError> {
        if let Ok(body) = &body {
            recording::record_answer(body, self.redaction.redactor());
        }
        match kind {
            BodyKind::Answer => {
                let body = body.map_err(|error| match error {
                    HttpError::TooLarge { .. } => too_large(self.endpoint.limits.max_bytes),
                    error => http_error(error),
                })?;
                self.decoder.on_body(&body, &mut self.events)?;
                // Some decoders read both deliveries alike.
                self.events.retain(|event| !event.is_delta());
                self.note_end();
                self.count_kept()?;
                self.check_complete()
            }
            BodyKind::Status {
                status,
                retry_after,
            } => Err(status_error(status, &body).with_retry_after(retry_after)),
            BodyKind::NotAStream { content_type } => Err(match body {
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
        let chunk = match stream.0.poll_chunk(cx) {
            Poll::Ready(chunk) => chunk.transpose().map_err(http_error)?,
            Poll::Pending => {
                let limit = ready!(self.event_timer.poll_elapsed(cx));
                let target = self.endpoint.url(self.delivery).host_port().to_owned();
                return Poll::Ready(Err(http_error(if self.has_event {
                    HttpError::IdleTimeout { target, limit }
                } else {
                    HttpError::FirstEventTimeout { target, limit }
                })));
            }
        };
        Poll::Ready(self.on_chunk(chunk))
    }

    /// Decodes the events that a chunk completes; without a chunk the body has ended.
    fn on_chunk(&mut self, chunk: Option<Bytes>) -> Result<(), ModelError> {
        // Taken out, so that the events, which borrow from it, can be passed to the decoder.
        let ExchangeState::Stream(mut stream) =
            std::mem::replace(&mut self.state, ExchangeState::Over)
        else {
            return Ok(());
        };
        // A chunk may end in the middle of an event and may hold many. The SSE decoder keeps what
        // is not whole yet.
        let sse = &mut stream.1;
        let has_ended = chunk.is_none();
        match chunk {
            Some(chunk) => {
                recording::record_answer(&chunk, self.redaction.redactor());
                sse.push(chunk);
            }
            None => {
                if let Some(event) = sse.finish().map_err(sse_error)? {
                    self.on_event(&event)?;
                }
            }
        }
        // Stops at the end of the response. Some gateways send more events behind `[DONE]`, which
        // are not part of the answer.
        while !self.is_complete {
            let Some(event) = sse.next_event().map_err(sse_error)? else {
                break;
            };
            self.on_event(&event)?;
        }
        self.count_kept()?;
        // The body is over. Whether the answer is complete all the same is a question of the API,
        // so the wire decides.
        if has_ended && !self.is_complete {
            self.decoder.on_end(&mut self.events)?;
            self.note_end();
            self.count_kept()?;
            self.check_complete()?;
        }
        self.state = match (self.is_complete, has_ended) {
            (false, _) => ExchangeState::Stream(stream),
            (true, true) => ExchangeState::Over,
            (true, false) => {
                ExchangeState::Ending(Box::new(stream.0), Box::pin(sleep(END_OF_BODY)))
            }
        };
        Ok(())
    }

    fn on_event(&mut self, event: &SseEvent<'_>) -> Result<(), ModelError> {
        // Two bounds: a long one until the first event, which covers the server's queue and the
        // prefill, and another between two events.
        if self.has_event {
            self.event_timer.touch();
        } else {
            self.has_event = true;
            self.event_timer = IdleTimer::new(self.endpoint.client.timeouts().idle);
        }
        if let Some(words) = event.error {
            return Err(ServerError::from_body(words).into_error(ErrorKind::StreamError));
        }
        self.decoder
            .on_event(event.event, event.data, &mut self.events)?;
        self.note_end();
        Ok(())
    }

    /// Looks whether the decoder gave the end, and adds to it what only the exchange knows.
    fn note_end(&mut self) {
        if let Some(ModelEvent::ResponseDone(meta)) = self.events.back_mut() {
            // The id stands in a header, which the decoder never sees.
            meta.request_id = self.request_id.take();
            self.is_complete = true;
        }
    }

    fn check_complete(&self) -> Result<(), ModelError> {
        if self.is_complete {
            return Ok(());
        }
        let message =
            "the body ended, and its decoder gave neither the end of a response nor an error";
        Err(ModelError::new(ErrorKind::NoTerminalEvent, message))
    }

    /// Adds to an error what only the exchange knows, and takes the key out of it.
    fn complete_error(&mut self, error: ModelError) -> ModelError {
        let mut error = error.with_request_id(self.request_id.take());
        // A decoder may have put it into its error already.
        if *error.received() == Received::default() {
            error = error.with_received(self.decoder.take_received());
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

impl Stream for Exchange {
    type Item = Result<ModelEvent, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let exchange = &mut *self;
        loop {
            // Holds the last event until the body ends: the consumer drops us when it arrives, which would close a
            // reusable connection.
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
                // Polled last and only while waiting: an answer that is there never loses to the
                // clock.
                Poll::Pending => Err(ready!(exchange.poll_deadline(cx))),
            };
            if let Err(error) = step {
                exchange.state = ExchangeState::Over;
                // Events that nobody has taken go with the error, so that no half of an item looks
                // like an answer.
                exchange.events.clear();
                return Poll::Ready(Some(Err(exchange.complete_error(error))));
            }
        }
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
    let request_id = REQUEST_IDS.iter().find_map(|name| headers.value(name));
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

fn starts_with(content_type: &str, prefix: &str) -> bool {
    let start = content_type.get(..prefix.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Reads how long to wait: milliseconds, seconds, or a date.
fn retry_after(headers: &Headers) -> Option<Duration> {
    let milliseconds = headers
        .get("retry-after-ms")
        .and_then(|value| value.trim().parse::<f64>().ok())
        .map(|ms| ms / 1000.0);
    // Some servers send milliseconds in a header of their own, which say it more exactly.
    let value = headers.get("retry-after").map(str::trim);
    let seconds = milliseconds.or_else(|| value.and_then(|value| value.parse::<f64>().ok()));
    let wait = match seconds {
        Some(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        None => value
            .and_then(|value| httpdate::parse_http_date(value).ok())
            .map(|date| {
                date.duration_since(time_at_server(headers))
                    .unwrap_or_default()
            }),
    };
    wait.filter(|wait| *wait <= MAX_RETRY_AFTER)
}

/// The time by the server's clock when it answered, with which the dates that it sends go together; this machine's may be set differently.
fn time_at_server(headers: &Headers) -> SystemTime {
    let date = headers.get("date");
    let date = date.and_then(|date| httpdate::parse_http_date(date.trim()).ok());
    date.unwrap_or_else(SystemTime::now)
}
