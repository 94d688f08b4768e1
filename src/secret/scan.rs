//! One look at a text: where secrets stand in it, as they are and behind escapes, and what of one its end may be.

use std::ops::Range;

use super::encoding::{Escape, MAX_ESCAPE_BYTES, escape, opens_escape};
use super::matcher::{Matcher, StateId};

/// Escapes are undone this often: a JSON text in a JSON text in a URL is three of them.
const MAX_LEVELS: usize = 3;

/// This much of a secret may be shown before it is known whether it is one: what all keys of a provider begin with.
const N_HARMLESS: usize = 4;

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SecretScan {
    /// Where secrets stand, in order, none touching another.
    pub(super) found: Vec<Range<usize>>,
    /// Where what may be the beginning of a secret begins; the length of the text if nothing is.
    pub(super) open: usize,
    /// The same, for a beginning that is too long to be shown.
    pub(super) telling: usize,
}

/// Looks for the patterns in a text.
pub(super) fn scan(matcher: &Matcher, text: &[u8]) -> SecretScan {
    let mut run = Run::new(matcher, 1);
    run.look(text);
    if memchr::memchr3(b'%', b'\\', b'&', text).is_none() {
        return run.finish(text.len());
    }
    let mut unescaped = Run::new(matcher, 1);
    unescaped.unescape(text);
    if unescaped.is_nested {
        unescaped = Run::new(matcher, MAX_LEVELS);
        unescaped.unescape(text);
    }
    run.take_over(unescaped);
    run.finish(text.len())
}

/// One pass over the text, with so many levels of escapes undone.
struct Run<'a> {
    matcher: &'a Matcher,
    levels: Vec<Level>,
    found: Vec<Range<usize>>,
    open: Option<usize>,
    telling: Option<usize>,
    /// Whether undoing one level of escapes left something that may be an escape again.
    is_nested: bool,
    has_unescaped: bool,
}

/// The text with one more level of escapes undone.
#[derive(Default)]
struct Level {
    state: StateId,
    /// Where in the text the bytes began that the state is made of, the latest last.
    begins: Vec<usize>,
    /// What may be the beginning of an escape.
    window: Vec<SecretPiece>,
}

/// A byte, and the part of the text that it stands for.
#[derive(Clone, Copy)]
struct SecretPiece {
    byte: u8,
    begin: usize,
    end: usize,
}

impl<'a> Run<'a> {
    fn new(matcher: &'a Matcher, n_levels: usize) -> Self {
        Self {
            matcher,
            levels: (0..n_levels).map(|_| Level::default()).collect(),
            found: Vec::new(),
            open: None,
            telling: None,
            is_nested: false,
            has_unescaped: false,
        }
    }

    /// Looks at the text as it is.
    fn look(&mut self, text: &[u8]) {
        for piece in pieces(text) {
            self.see(0, piece);
        }
        self.note_ends();
    }

    /// Looks at the text with escapes undone.
    fn unescape(&mut self, text: &[u8]) {
        for piece in pieces(text) {
            self.take(0, piece);
        }
        self.note_ends();
    }

    /// Takes a byte that a level is to undo escapes in.
    fn take(&mut self, at: usize, piece: SecretPiece) {
        let Some(level) = self.levels.get_mut(at) else {
            return;
        };
        if level.window.is_empty() && !opens_escape(piece.byte) {
            self.pass(at, piece);
            return;
        }
        level.window.push(piece);
        while let Some(piece) = self.undone(at) {
            self.pass(at, piece);
        }
    }

    /// Gives the next byte of a level's window, if it is known what it stands for.
    fn undone(&mut self, at: usize) -> Option<SecretPiece> {
        let window = &mut self.levels.get_mut(at)?.window;
        let first = *window.first()?;
        let mut bytes = [0; MAX_ESCAPE_BYTES];
        for (slot, piece) in bytes.iter_mut().zip(window.iter()) {
            *slot = piece.byte;
        }
        let n_known = window.len().min(MAX_ESCAPE_BYTES);
        match escape(bytes.get(..n_known)?) {
            Escape::Open => None,
            Escape::None => {
                window.remove(0);
                Some(first)
            }
            Escape::Whole { byte, n_bytes } => {
                let end = window.get(n_bytes - 1).map_or(first.end, |last| last.end);
                window.drain(..n_bytes);
                self.has_unescaped = true;
                Some(SecretPiece {
                    byte,
                    begin: first.begin,
                    end,
                })
            }
        }
    }

    /// Looks at a byte of a level, and passes it on to the next.
    fn pass(&mut self, at: usize, piece: SecretPiece) {
        self.is_nested |= self.has_unescaped && opens_escape(piece.byte);
        self.see(at, piece);
        self.take(at + 1, piece);
    }

    fn see(&mut self, at: usize, piece: SecretPiece) {
        let Some(level) = self.levels.get_mut(at) else {
            return;
        };
        level.state = self.matcher.step(level.state, piece.byte);
        if level.state == StateId::default() {
            level.begins.clear();
            return;
        }
        let depth = self.matcher.depth(level.state);
        if level.begins.len() > 2 * depth + 64 {
            level.begins.drain(..level.begins.len() - depth);
        }
        level.begins.push(piece.begin);
        let n_matched = self.matcher.n_matched(level.state);
        if n_matched > 0 {
            let begin = level.begin_of(n_matched).unwrap_or(piece.begin);
            self.found.push(begin..piece.end);
        }
    }

    /// Notes what the end of the text may be the beginning of.
    fn note_ends(&mut self) {
        for level in &self.levels {
            let window = level.window.first().map(|piece| piece.begin);
            let n_open = self.matcher.n_open(level.state);
            let begin = level.begin_of(n_open).or(window);
            self.open = earliest(self.open, begin);
            if n_open + usize::from(window.is_some()) >= N_HARMLESS {
                self.telling = earliest(self.telling, begin);
            }
        }
    }

    fn take_over(&mut self, other: Self) {
        self.found.extend(other.found);
        self.open = earliest(self.open, other.open);
        self.telling = earliest(self.telling, other.telling);
    }

    fn finish(mut self, n_bytes: usize) -> SecretScan {
        self.found.sort_by_key(|range| (range.start, range.end));
        let mut found: Vec<Range<usize>> = Vec::new();
        for range in self.found {
            match found.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => found.push(range),
            }
        }
        SecretScan {
            found,
            open: self.open.unwrap_or(n_bytes),
            telling: self.telling.unwrap_or(n_bytes),
        }
    }
}

impl Level {
    /// Where the last `n_bytes` bytes began.
    fn begin_of(&self, n_bytes: usize) -> Option<usize> {
        let idx = self.begins.len().checked_sub(n_bytes)?;
        self.begins.get(idx).copied()
    }
}

fn earliest(one: Option<usize>, other: Option<usize>) -> Option<usize> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn pieces(text: &[u8]) -> impl Iterator<Item = SecretPiece> {
    text.iter().enumerate().map(|(begin, &byte)| SecretPiece {
        byte,
        begin,
        end: begin + 1,
    })
}
