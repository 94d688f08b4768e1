//! What the span of a model call is told of its HTTP exchange: the exact bytes, without keys.

use bytes::Bytes;

use crate::http::Url;
use crate::secret::Redactor;
use crate::trace::{ActiveSpan, SpanContent, SpanKind, gen_ai, with_current};

/// Does something with the span of the model call that is under way, if that is recorded.
fn with_generation(act: impl FnOnce(&ActiveSpan)) {
    with_current(|span| {
        if span.kind() == SpanKind::Generation {
            act(span);
        }
    });
}

/// Notes what is sent, in the place of what an attempt before had sent.
pub(super) fn record_request(url: &Url, body: &Bytes, redactor: &Redactor) {
    with_generation(|span| {
        // A retry uses the span of the call again. The bytes of the attempt that failed would stand
        // before those of this one.
        span.remove_content("response");
        span.add_content("request", || {
            SpanContent::bytes(body).without_secrets_of(redactor)
        });
        let (url, redactor) = (url.clone(), redactor.clone());
        span.describe(move |span| {
            let host_port = url.host_port();
            let (host, port) = host_port.rsplit_once(':').unwrap_or((host_port, ""));
            span.set(gen_ai::SERVER_ADDRESS, host);
            if let Ok(port) = port.parse::<u16>() {
                span.set(gen_ai::SERVER_PORT, port);
            }
            span.set(gen_ai::URL, redactor.redact(&url.to_string()).into_owned());
        });
    });
}

/// Notes a piece of the answer's body, as it came.
pub(super) fn record_answer(piece: &Bytes, redactor: &Redactor) {
    with_generation(|span| span.append_content("response", piece, redactor));
}

/// Notes the status of an answer.
pub(super) fn record_status(status: u16) {
    with_generation(|span| span.describe(move |span| span.set(gen_ai::STATUS_CODE, status)));
}

/// The header that tells the server of the trace, if that was asked for.
pub(super) fn traceparent() -> Option<String> {
    with_current(|span| {
        let is_told = span.tracer().tells_models();
        is_told.then(|| span.context().to_string())
    })
    .flatten()
}
