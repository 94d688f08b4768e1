//! What the span of a model call is told of its HTTP exchange: the exact bytes, without keys.

use std::sync::Arc;

use bytes::Bytes;

use crate::http::Url;
use crate::secret::Redactor;
use crate::trace::{ActiveSpan, Description, Span, SpanContent, SpanKind, gen_ai, with_current};

/// Does something with the span of the model call that is under way, if that is recorded.
fn with_generation(act: impl FnOnce(&ActiveSpan)) {
    with_current(|span| {
        if span.kind() == SpanKind::Generation {
            act(span);
        }
    });
}

/// Notes what is sent and to whom, in the place of what an attempt before had sent and got.
pub(super) fn record_request(
    body: &Bytes,
    redactor: &Redactor,
    server: impl FnOnce() -> Arc<dyn Description>,
) {
    with_generation(|span| {
        span.begin_exchange(server(), || {
            SpanContent::bytes(body).without_secrets_of(redactor)
        });
    });
}

/// What a span says of the server that was asked.
pub(super) fn server_description(url: &Url, redactor: &Redactor) -> Arc<dyn Description> {
    let host_port = url.host_port();
    let (host, port) = host_port.rsplit_once(':').unwrap_or((host_port, ""));
    let (host, port) = (Box::<str>::from(host), port.parse::<u16>().ok());
    let url = redactor.redact(&url.to_string()).into_owned();
    Arc::new(move |span: &mut Span| {
        span.add(gen_ai::SERVER_ADDRESS, &*host);
        if let Some(port) = port {
            span.add(gen_ai::SERVER_PORT, port);
        }
        span.add(gen_ai::URL, url.as_str());
    })
}

/// Notes a piece of the answer's body, as it came.
pub(super) fn record_answer(piece: &Bytes, redactor: &Redactor) {
    with_generation(|span| span.add_answer(piece, redactor));
}

/// Notes the status of an answer.
pub(super) fn record_status(status: u16) {
    with_generation(|span| span.set_exchange_status(status));
}

/// The header that tells the server of the trace, if that was asked for.
pub(super) fn traceparent() -> Option<String> {
    with_current(|span| {
        let is_told = span.tracer().tells_models();
        is_told.then(|| span.context().to_string())
    })
    .flatten()
}
