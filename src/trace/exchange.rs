//! What a model call sent and what came back, kept for its span.

use std::sync::Arc;

use bytes::Bytes;

use super::gen_ai;
use super::record::Description;
use super::span::{Span, SpanContent};
use crate::secret::Redactor;

/// The latest exchange of a model call with its server: an attempt that follows another is told in the place of that.
#[derive(Clone)]
pub(super) struct Exchange {
    server: Arc<dyn Description>,
    request: Option<SpanContent>,
    status: Option<u16>,
    answer: Option<SpanContent>,
}

impl Exchange {
    /// Begins it with what is sent, unless that is withheld.
    pub(super) const fn new(server: Arc<dyn Description>, request: Option<SpanContent>) -> Self {
        Self {
            server,
            request,
            status: None,
            answer: None,
        }
    }

    pub(super) const fn set_status(&mut self, status: u16) {
        self.status = Some(status);
    }

    /// Adds a piece of the answer, as it came.
    pub(super) fn push(&mut self, piece: &Bytes, redactor: &Redactor) {
        match &mut self.answer {
            Some(answer) => answer.push(piece),
            None => self.answer = Some(SpanContent::bytes(piece).without_secrets_of(redactor)),
        }
    }

    /// About how many bytes of content it holds.
    pub(super) fn n_bytes(&self) -> usize {
        let content = [&self.request, &self.answer].into_iter().flatten();
        content.map(SpanContent::n_bytes).sum()
    }

    pub(super) fn write(self, span: &mut Span) {
        (self.server)(span);
        if let Some(status) = self.status {
            span.add(gen_ai::STATUS_CODE, status);
        }
        for (name, content) in [("request", self.request), ("response", self.answer)] {
            if let Some(content) = content {
                span.add_content(name, content);
            }
        }
    }
}

#[cfg(all(test, feature = "http"))]
mod tests {
    use super::*;
    use crate::trace::{SpanKind, SpanStart, TraceId, TraceInfo, Tracer};

    #[test]
    fn later_attempt_is_told_in_the_place_of_the_one_before() {
        let trace = TraceInfo {
            id: TraceId::random(),
            name: "a run".into(),
            group: None,
            metadata: Vec::new(),
        };
        let start = SpanStart::new(Arc::new(trace), None, SpanKind::Generation);
        let span = Tracer::builder().build().begin(start);
        let begin = |body: &'static str| {
            let body = Bytes::from_static(body.as_bytes());
            span.begin_exchange(Arc::new(|_: &mut Span| {}), || SpanContent::bytes(&body));
        };
        let content = |name| span.snapshot().content(name).map(SpanContent::to_text);
        let status = || span.snapshot().attribute(gen_ai::STATUS_CODE).cloned();
        begin("first");
        span.set_exchange_status(503);
        span.add_answer(&Bytes::from_static(b"bu"), &Redactor::default());
        span.add_answer(&Bytes::from_static(b"sy"), &Redactor::default());
        assert_eq!(content("request").as_deref(), Some("first"));
        assert_eq!(content("response").as_deref(), Some("busy"));
        assert_eq!(status(), Some(503.into()));
        begin("second");
        assert_eq!(content("request").as_deref(), Some("second"));
        assert_eq!((content("response"), status()), (None, None));
        span.end();
        assert_eq!(span.record().n_bytes(), "second".len());
    }
}
