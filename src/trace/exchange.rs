//! What a model call sent and what came back, kept for its span.

use std::sync::Arc;

use bytes::Bytes;

use super::gen_ai;
use super::record::Description;
use super::span::{Span, SpanContent};
use crate::secret::Redactor;

/// The latest exchange of a model call with its server: an attempt that follows another is told in the place of that.
#[derive(Clone)]
pub(crate) struct Exchange {
    server: Arc<dyn Description>,
    request: Option<SpanContent>,
    status: Option<u16>,
    answer: Option<SpanContent>,
}

impl Exchange {
    /// Begins it with what is sent, unless that is withheld.
    pub(crate) const fn new(server: Arc<dyn Description>, request: Option<SpanContent>) -> Self {
        Self {
            server,
            request,
            status: None,
            answer: None,
        }
    }

    pub(crate) const fn set_status(&mut self, status: u16) {
        self.status = Some(status);
    }

    /// Adds a piece of the answer, as it came.
    pub(crate) fn push(&mut self, piece: &Bytes, redactor: &Redactor) {
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
            span.set(gen_ai::STATUS_CODE, status);
        }
        for (name, content) in [("request", self.request), ("response", self.answer)] {
            if let Some(content) = content {
                span.add_content(name, content);
            }
        }
    }
}
