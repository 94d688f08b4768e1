//! What an answer of a model says of itself, kept for its span.

use super::gen_ai;
use super::span::Span;

/// The texts of an answer in one allocation: a run makes one for each of its model calls.
#[derive(Clone)]
pub(crate) struct ResponseTexts {
    joined: Box<str>,
    /// The id, the model, the id of the request and why it ended.
    n_bytes: [Option<usize>; 4],
}

impl ResponseTexts {
    /// Takes the id of an answer, its model, the id of the request and why the answer ended.
    pub(crate) fn new(texts: [Option<&str>; 4]) -> Self {
        let n_bytes = texts.map(|text| text.map(str::len));
        let mut joined = String::with_capacity(n_bytes.iter().flatten().sum());
        joined.extend(texts.into_iter().flatten());
        Self {
            joined: joined.into(),
            n_bytes,
        }
    }

    pub(super) fn write(&self, span: &mut Span) {
        let mut rest = &*self.joined;
        let [response_id, model, request_id, finish_reason] = self.n_bytes.map(|n_bytes| {
            let (text, behind) = rest.split_at_checked(n_bytes?)?;
            rest = behind;
            Some(text)
        });
        for (name, text) in [
            (gen_ai::RESPONSE_ID, response_id),
            (gen_ai::RESPONSE_MODEL, model),
            (gen_ai::REQUEST_ID, request_id),
        ] {
            if let Some(text) = text {
                span.add(name, text);
            }
        }
        if let Some(reason) = finish_reason {
            span.add(gen_ai::FINISH_REASONS, vec![reason]);
        }
    }
}
