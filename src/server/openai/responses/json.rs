//! JSON that is written from parts: a long text is held once, however many events and answers repeat it.
//!
//! The Responses API says a text by its deltas, then whole in three events, then in the response, which may be kept. As values each of
//! them would be a copy, and each written event another: an answer of 64 MiB took 600.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use serde_json::Value;

use crate::server::kept::json_bytes;

/// A piece of this size is shared; what is smaller is copied, since sharing it would cost more.
const MIN_PIECE_BYTES: usize = 32 * 1024;

/// A JSON value.
#[derive(Debug, Clone)]
pub(super) enum Json {
    Value(Value),
    Text(LongText),
    List(Vec<Self>),
    /// The fields, in the order in which they are written.
    Object(Vec<(Cow<'static, str>, Self)>),
}

/// A text that comes in, as it is written in JSON. A clone shares what is there.
#[derive(Debug, Clone, Default)]
pub(super) struct LongText {
    pieces: Vec<Bytes>,
    /// What came since the last piece.
    open: Vec<u8>,
    /// How much text it is, before it is written.
    n_bytes: usize,
}

impl LongText {
    /// Adds more of the text, and gives that as a value of its own.
    pub(super) fn push(&mut self, text: &str) -> Json {
        let written = escaped(text);
        self.n_bytes += text.len();
        if written.len() < MIN_PIECE_BYTES {
            self.open.extend_from_slice(&written);
            if self.open.len() >= MIN_PIECE_BYTES {
                self.close_piece();
            }
            return Json::Value(text.into());
        }
        self.close_piece();
        let piece = Bytes::from(written);
        self.pieces.push(piece.clone());
        Json::Text(Self {
            pieces: vec![piece],
            open: Vec::new(),
            n_bytes: text.len(),
        })
    }

    fn close_piece(&mut self) {
        if !self.open.is_empty() {
            let piece = std::mem::take(&mut self.open);
            self.pieces.push(piece.into());
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.n_bytes == 0
    }

    /// Adds what another text holds.
    fn extend(&mut self, other: &Self) {
        self.close_piece();
        self.pieces.extend(other.pieces.iter().cloned());
        self.open.extend_from_slice(&other.open);
        self.n_bytes += other.n_bytes;
    }

    fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let pieces = self.pieces.iter().map(|piece| &**piece);
        pieces.chain([&*self.open])
    }
}

/// Whether it is this text; neither is made anew for that.
impl PartialEq<str> for LongText {
    fn eq(&self, text: &str) -> bool {
        let mut mine = self.slices().flatten();
        let mut is_next = |part: &str| {
            let written = escaped(part);
            written.iter().all(|byte| mine.next() == Some(byte))
        };
        self.n_bytes == text.len() && parts(text).all(&mut is_next)
    }
}

/// Cuts a text, so that no whole copy of it is made.
fn parts(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let mut end = text.len().min(MIN_PIECE_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let (part, rest) = text.split_at(end);
        text = rest;
        Some(part).filter(|part| !part.is_empty())
    })
}

impl From<&str> for LongText {
    fn from(text: &str) -> Self {
        let mut long = Self::default();
        long.push(text);
        long
    }
}

impl<'a> FromIterator<&'a Self> for LongText {
    fn from_iter<I: IntoIterator<Item = &'a Self>>(texts: I) -> Self {
        let mut joined = Self::default();
        for text in texts {
            joined.extend(text);
        }
        joined
    }
}

/// An object becomes one whose fields can be set.
impl From<Value> for Json {
    fn from(value: Value) -> Self {
        match value {
            Value::Object(fields) => {
                let fields = fields.into_iter();
                Self::Object(
                    fields
                        .map(|(name, value)| (name.into(), Self::Value(value)))
                        .collect(),
                )
            }
            value => Self::Value(value),
        }
    }
}

impl From<&LongText> for Json {
    fn from(text: &LongText) -> Self {
        Self::Text(text.clone())
    }
}

impl Json {
    /// Sets a field of an object, in its place if it is there.
    pub(super) fn set(&mut self, name: &'static str, value: impl Into<Self>) {
        let Self::Object(fields) = self else { return };
        let value = value.into();
        match fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => fields.push((name.into(), value)),
        }
    }

    /// Returns the object with a field.
    #[must_use]
    pub(super) fn with(mut self, name: &'static str, value: impl Into<Self>) -> Self {
        self.set(name, value);
        self
    }

    /// Sets the fields of another object.
    pub(super) fn extend(&mut self, other: Self) {
        if let (Self::Object(fields), Self::Object(others)) = (&mut *self, other) {
            for (name, value) in others {
                match fields.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, known)) => *known = value,
                    None => fields.push((name, value)),
                }
            }
        }
    }

    /// Returns a field of an object.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// Returns a short text.
    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Value(value) => value.as_str(),
            _ => None,
        }
    }

    /// How much memory it takes, about.
    pub(super) fn n_bytes(&self) -> usize {
        match self {
            Self::Value(value) => json_bytes(value),
            Self::Text(text) => text.slices().map(<[u8]>::len).sum(),
            Self::List(values) => values.iter().map(Self::n_bytes).sum(),
            Self::Object(fields) => {
                let fields = fields.iter();
                fields
                    .map(|(name, value)| name.len() + value.n_bytes())
                    .sum()
            }
        }
    }

    /// Returns it as a value, with a copy of all that is long.
    pub(super) fn to_value(&self) -> Value {
        let mut written = Written::default();
        written.push(self);
        // What was written here can be read.
        serde_json::from_slice(&written.pieces().concat()).unwrap_or_default()
    }
}

/// What is written, in pieces: those of long texts are shared.
#[derive(Debug, Default)]
pub(super) struct Written {
    pieces: VecDeque<Bytes>,
    open: Vec<u8>,
}

impl Written {
    pub(super) fn push(&mut self, json: &Json) {
        match json {
            // Data with names as keys always serialises.
            Json::Value(value) => serde_json::to_writer(&mut self.open, value).unwrap_or_default(),
            Json::Text(text) => self.push_text(text),
            Json::List(values) => {
                self.open.push(b'[');
                for (n, value) in values.iter().enumerate() {
                    self.push_str(if n > 0 { "," } else { "" });
                    self.push(value);
                }
                self.open.push(b']');
            }
            Json::Object(fields) => {
                self.open.push(b'{');
                for (n, (name, value)) in fields.iter().enumerate() {
                    self.push_str(if n > 0 { ",\"" } else { "\"" });
                    self.open.extend_from_slice(&escaped(name));
                    self.push_str("\":");
                    self.push(value);
                }
                self.open.push(b'}');
            }
        }
    }

    pub(super) fn push_str(&mut self, text: &str) {
        self.open.extend_from_slice(text.as_bytes());
    }

    fn push_text(&mut self, text: &LongText) {
        self.open.push(b'"');
        for piece in &text.pieces {
            if piece.len() < MIN_PIECE_BYTES {
                self.open.extend_from_slice(piece);
                continue;
            }
            self.close_piece();
            self.pieces.push_back(piece.clone());
        }
        self.open.extend_from_slice(&text.open);
        self.open.push(b'"');
    }

    fn close_piece(&mut self) {
        if !self.open.is_empty() {
            let piece = std::mem::take(&mut self.open);
            self.pieces.push_back(piece.into());
        }
    }

    pub(super) fn pieces(mut self) -> Vec<Bytes> {
        self.close_piece();
        self.pieces.into()
    }
}

/// As the body of an answer, whose length is known.
impl HttpBody for Written {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.pieces.is_empty() {
            self.close_piece();
        }
        Poll::Ready(self.pieces.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && self.open.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let n_bytes = self.pieces.iter().map(Bytes::len).sum::<usize>() + self.open.len();
        SizeHint::with_exact(n_bytes as u64)
    }
}

/// A text as it stands between the quotes of JSON.
fn escaped(text: &str) -> Vec<u8> {
    let mut written = serde_json::to_vec(text).unwrap_or_default();
    written.pop();
    written.drain(..written.len().min(1));
    written
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample(deltas: &[&str]) -> (String, LongText, Vec<Value>) {
        let mut text = LongText::default();
        let values = deltas.iter().map(|delta| text.push(delta).to_value());
        let values = values.collect();
        (deltas.concat(), text, values)
    }

    #[test]
    fn long_text_whatever_its_pieces_is_written_as_one_json_text() {
        let long = "x\u{e9}\"\\\n\u{1}".repeat(20_000);
        for deltas in [
            &["", "a", "\"b\u{1f600}"][..],
            &[&*long, "end"],
            &["begin", &long, &long, "end"],
            &["y".repeat(MIN_PIECE_BYTES - 1).as_str(), "\n", "z"],
            &[],
        ] {
            let (whole, text, values) = sample(deltas);
            assert_eq!(
                values,
                deltas.iter().map(|delta| json!(delta)).collect::<Vec<_>>()
            );
            let object = Json::from(json!({"a": 1, "text": null, "z": [2]})).with("text", &text);
            let twice = Json::List(vec![object.clone(), object]);
            let expected = json!({"a": 1, "text": whole, "z": [2]});
            assert_eq!(twice.to_value(), json!([expected, expected]));
            assert!(text == *whole);
            assert!(text != *format!("{whole}?"));
            let joined = LongText::from_iter([&text, &LongText::from("more"), &text]);
            assert!(joined == *format!("{whole}more{whole}"));
        }
        let text = LongText::from("ab");
        assert!(text == *"ab" && text != *"ac");
    }

    #[test]
    fn long_text_that_is_repeated_is_held_once() {
        let mut text = LongText::default();
        let delta = text.push(&"x".repeat(1_000_000));
        let mut written = Written::default();
        for _ in 0..3 {
            written.push(&Json::from(json!({"text": null})).with("text", &text));
        }
        written.push(&delta);
        assert_eq!(written.size_hint().exact(), Some(3 * 1_000_011 + 1_000_002));
        let pieces = written.pieces();
        let large: Vec<_> = pieces.iter().filter(|piece| piece.len() > 100).collect();
        assert_eq!(large.len(), 4);
        assert!(
            large
                .iter()
                .all(|piece| piece.as_ptr() == large[0].as_ptr())
        );
    }
}
