//! Takes secrets out of a text that arrives in pieces.

use super::redactor::{REDACTED, Redactor};

/// Takes secrets out of a text that arrives in pieces, however it is split.
///
/// A possible beginning of a secret is held back until it is known, except for its first three
/// bytes.
#[derive(Debug, Clone)]
pub(crate) struct StreamRedactor {
    redactor: Redactor,
    /// The end of the text so far, which may be the beginning of a secret.
    tail: String,
    /// How much of the tail was given out.
    n_given: usize,
}

impl StreamRedactor {
    pub(crate) const fn new(redactor: Redactor) -> Self {
        Self {
            redactor,
            tail: String::new(),
            n_given: 0,
        }
    }

    /// Takes the next piece, and gives what can be shown.
    pub(crate) fn push(&mut self, piece: String) -> String {
        let mut text = piece;
        if !self.tail.is_empty() {
            text.insert_str(0, &self.tail);
        }
        let Some(scan) = self.redactor.scan(&text) else {
            return text;
        };
        if self.n_given == 0 && scan.found.is_empty() && scan.open == text.len() {
            self.tail.clear();
            return text;
        }
        let mut shown = String::new();
        let mut end = self.n_given;
        for range in &scan.found {
            // The match may grow with the next piece.
            if range.start >= scan.telling {
                break;
            }
            shown.push_str(text.get(end..range.start.max(end)).unwrap_or_default());
            if range.end > end {
                shown.push_str(REDACTED);
                end = range.end;
            }
        }
        let until = scan.telling.max(end);
        shown.push_str(text.get(end..until).unwrap_or_default());
        let tail_begin = scan.open.min(until);
        self.tail = text.get(tail_begin..).unwrap_or_default().to_owned();
        self.n_given = until - tail_begin;
        shown
    }

    /// Returns what was held back. The text is over, so that it was not a secret.
    pub(crate) fn finish(&mut self) -> String {
        let held = self.tail.get(self.n_given..).unwrap_or_default().to_owned();
        self.tail.clear();
        self.n_given = 0;
        held
    }
}
