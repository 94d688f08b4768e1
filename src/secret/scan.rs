//! Scans a text for secrets, as they are and behind escapes, and for the beginning of one at its
//! end.

use std::ops::Range;

use super::encoding::{Escape, MAX_ESCAPE_BYTES, escape, opens_escape};
use super::matcher::{Matcher, StateId};

/// How many layers of escapes are undone: JSON in JSON in a URL has three.
const MAX_LEVELS: usize = 3;

/// How much of a secret may be shown before it is known to be one: the beginning that all keys of a
/// provider share, such as `sk-`.
const N_HARMLESS: usize = 4;

/// The result of a scan.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SecretScan {
    /// The places of secrets, sorted, without overlaps.
    pub(super) found: Vec<Range<usize>>,
    /// The start of a possible beginning of a secret at the end; the length of the text if there is none.
    pub(super) open: usize,
    /// The same for a beginning that is too long to be shown.
    pub(super) telling: usize,
}

/// Scans a text for the patterns.
///
/// Every answer of a server passes here, and nearly none contains a secret. Without one, no memory
/// is allocated, and bytes that begin neither a secret nor an escape are skipped.
pub(super) fn scan(matcher: &Matcher, text: &[u8]) -> SecretScan {
    let mut finds = look(matcher, text);
    if memchr::memchr3(b'%', b'\\', b'&', text).is_none() {
        return finds.finish(text.len());
    }
    let mut quick = Run::new(matcher, 1);
    quick.unescape(text);
    let mut n_levels = 1;
    if quick.is_nested {
        n_levels = MAX_LEVELS;
        quick = Run::new(matcher, n_levels);
        quick.unescape(text);
    }
    if quick.may_hold {
        // A second pass finds the places. Most texts never need it, and the first one keeps no positions.
        let mut unescaped = Run::new(matcher, n_levels);
        unescaped.depth = ScanDepth::Full;
        unescaped.unescape(text);
        finds.take_over(unescaped.finds);
    }
    finds.finish(text.len())
}

/// Says whether a text may contain a pattern, as it is or behind escapes.
///
/// Most texts end here, for a fraction of the cost of reading every byte: where there are escapes, the text is written without them first.
pub(super) fn may_hold(matcher: &Matcher, text: &[u8]) -> bool {
    if matcher.may_be_in(text) {
        return true;
    }
    let Some(mut unescaped) = without_escapes(text) else {
        return false;
    };
    for _ in 1..MAX_LEVELS {
        if matcher.may_be_in(&unescaped) {
            return true;
        }
        match without_escapes(&unescaped) {
            Some(once_more) => unescaped = once_more,
            None => return false,
        }
    }
    matcher.may_be_in(&unescaped)
}

/// Undoes one level of escapes; nothing if there is none.
fn without_escapes(text: &[u8]) -> Option<Vec<u8>> {
    let next = |rest: &[u8]| memchr::memchr3(b'%', b'\\', b'&', rest);
    let mut n_plain = next(text)?;
    let (mut rest, mut unescaped) = (text, Vec::with_capacity(text.len()));
    let mut is_changed = false;
    loop {
        let (plain, behind) = rest.split_at_checked(n_plain)?;
        unescaped.extend_from_slice(plain);
        let opening = behind.get(..MAX_ESCAPE_BYTES).unwrap_or(behind);
        let Some(&first) = opening.first() else { break };
        let (byte, n_bytes) = match escape(opening) {
            Escape::Whole { byte, n_bytes } => (byte, n_bytes),
            // What is open at the end of a text is no escape.
            Escape::None | Escape::Open => (first, 1),
        };
        is_changed |= n_bytes > 1;
        unescaped.push(byte);
        rest = behind.get(n_bytes..).unwrap_or_default();
        n_plain = next(rest).unwrap_or(rest.len());
    }
    is_changed.then_some(unescaped)
}

/// Scans the text as it is.
fn look(matcher: &Matcher, text: &[u8]) -> Finds {
    let mut finds = Finds::default();
    let mut state = StateId::default();
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        if state == StateId::default() {
            let mut pairs = rest.iter().zip(rest.iter().skip(1));
            let begin = pairs.position(|(first, second)| matcher.may_begin(*first, *second));
            // The last byte has no successor to check, so that it is always stepped.
            at += begin.unwrap_or(rest.len().saturating_sub(1));
        }
        let Some(byte) = text.get(at) else { break };
        state = matcher.step(state, *byte);
        at += 1;
        let n_matched = matcher.n_matched(state);
        if n_matched > 0 {
            finds.found.push(at - n_matched..at);
        }
    }
    let n_open = matcher.n_open(state);
    let begin = (n_open > 0).then(|| text.len() - n_open);
    finds.open = begin;
    finds.telling = begin.filter(|_| n_open >= N_HARMLESS);
    finds
}

/// The findings of one or more passes.
#[derive(Default)]
struct Finds {
    /// The places of secrets, in any order.
    found: Vec<Range<usize>>,
    open: Option<usize>,
    telling: Option<usize>,
}

impl Finds {
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

/// What a pass looks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ScanDepth {
    /// Whether the text may contain a secret.
    Quick,
    /// The places of secrets.
    Full,
}

/// One pass over a text, with a number of layers of escapes undone.
struct Run<'a> {
    matcher: &'a Matcher,
    levels: [Level; MAX_LEVELS],
    n_levels: usize,
    depth: ScanDepth,
    may_hold: bool,
    finds: Finds,
    /// Whether undoing one layer left something that may be an escape again.
    is_nested: bool,
    has_unescaped: bool,
}

/// The text with one more layer of escapes undone.
#[derive(Default)]
struct Level {
    state: StateId,
    /// The places in the text of the bytes that led to the state, the latest last.
    begins: Vec<usize>,
    /// A possible beginning of an escape.
    window: EscapeWindow,
}

/// The last bytes of a level whose meaning is not known yet.
#[derive(Default)]
struct EscapeWindow {
    pieces: [SecretPiece; MAX_ESCAPE_BYTES],
    len: usize,
}

/// A byte, and the part of the text that it comes from.
#[derive(Clone, Copy, Default)]
struct SecretPiece {
    byte: u8,
    begin: usize,
    end: usize,
}

impl<'a> Run<'a> {
    fn new(matcher: &'a Matcher, n_levels: usize) -> Self {
        Self {
            matcher,
            levels: Default::default(),
            n_levels,
            depth: ScanDepth::Quick,
            may_hold: false,
            finds: Finds::default(),
            is_nested: false,
            has_unescaped: false,
        }
    }

    /// Scans the text with escapes undone.
    fn unescape(&mut self, text: &[u8]) {
        let mut at = 0;
        while let Some(rest) = text.get(at..) {
            if self.is_idle() {
                let begin = rest
                    .iter()
                    .position(|byte| opens_escape(*byte) || self.matcher.begins(*byte));
                let Some(n_skipped) = begin else { break };
                at += n_skipped;
            }
            let Some(&byte) = text.get(at) else { break };
            let (begin, end) = (at, at + 1);
            self.take(0, SecretPiece { byte, begin, end });
            at += 1;
        }
        self.note_ends();
    }

    /// Says whether nothing has begun on any level.
    fn is_idle(&self) -> bool {
        let mut levels = self.levels.iter().take(self.n_levels);
        levels.all(|level| level.state == StateId::default() && level.window.len == 0)
    }

    fn level(&mut self, at: usize) -> Option<&mut Level> {
        let n_levels = self.n_levels;
        self.levels.get_mut(at).filter(|_| at < n_levels)
    }

    /// Takes a byte in which a level undoes escapes.
    fn take(&mut self, at: usize, piece: SecretPiece) {
        let Some(level) = self.level(at) else {
            return;
        };
        if level.window.len == 0 && !opens_escape(piece.byte) {
            self.pass(at, piece);
            return;
        }
        level.window.push(piece);
        while let Some(piece) = self.undone(at) {
            self.pass(at, piece);
        }
    }

    /// Returns the next byte of the window of a level, once its meaning is known.
    fn undone(&mut self, at: usize) -> Option<SecretPiece> {
        let window = &mut self.level(at)?.window;
        let first = *window.first()?;
        match escape(window.bytes().get(..window.len)?) {
            Escape::Open => None,
            Escape::None => {
                window.remove(1);
                Some(first)
            }
            Escape::Whole { byte, n_bytes } => {
                let last = window.pieces.get(n_bytes.wrapping_sub(1));
                let end = last.map_or(first.end, |last| last.end);
                window.remove(n_bytes);
                self.has_unescaped = true;
                Some(SecretPiece {
                    byte,
                    begin: first.begin,
                    end,
                })
            }
        }
    }

    /// Scans a byte of a level, and passes it on to the next level.
    fn pass(&mut self, at: usize, piece: SecretPiece) {
        self.is_nested |= self.has_unescaped && opens_escape(piece.byte);
        self.see(at, piece);
        self.take(at + 1, piece);
    }

    fn see(&mut self, at: usize, piece: SecretPiece) {
        let (matcher, scan_depth) = (self.matcher, self.depth);
        let Some(level) = self.level(at) else {
            return;
        };
        level.state = matcher.step(level.state, piece.byte);
        if level.state == StateId::default() {
            level.begins.clear();
            return;
        }
        let n_matched = matcher.n_matched(level.state);
        if scan_depth == ScanDepth::Quick {
            self.may_hold |= n_matched > 0;
            return;
        }
        let depth = matcher.depth(level.state);
        // Only the last `depth` places can still be needed. Dropping the others now and then keeps
        // the list short at a constant cost per byte.
        if level.begins.len() > 2 * depth + 64 {
            level.begins.drain(..level.begins.len() - depth);
        }
        level.begins.push(piece.begin);
        if n_matched > 0 {
            let begin = level.begin_of(n_matched).unwrap_or(piece.begin);
            self.finds.found.push(begin..piece.end);
        }
    }

    /// Records what the end of the text may be the beginning of.
    fn note_ends(&mut self) {
        for level in self.levels.iter().take(self.n_levels) {
            let window = level.window.first().map(|piece| piece.begin);
            let n_open = self.matcher.n_open(level.state);
            self.may_hold |= n_open > 0 || window.is_some();
            let begin = level.begin_of(n_open).or(window);
            self.finds.open = earliest(self.finds.open, begin);
            if n_open + usize::from(window.is_some()) >= N_HARMLESS {
                self.finds.telling = earliest(self.finds.telling, begin);
            }
        }
    }
}

impl EscapeWindow {
    fn first(&self) -> Option<&SecretPiece> {
        self.pieces.first().filter(|_| self.len > 0)
    }

    fn bytes(&self) -> [u8; MAX_ESCAPE_BYTES] {
        self.pieces.map(|piece| piece.byte)
    }

    /// Adds a byte. There is room, because a full window is never an open escape.
    fn push(&mut self, piece: SecretPiece) {
        if let Some(slot) = self.pieces.get_mut(self.len) {
            *slot = piece;
            self.len += 1;
        }
    }

    /// Removes bytes at the front.
    fn remove(&mut self, n_bytes: usize) {
        let n_bytes = n_bytes.min(self.len);
        self.pieces.copy_within(n_bytes..self.len, 0);
        self.len -= n_bytes;
    }
}

impl Level {
    /// Returns the place of the last `n_bytes` bytes.
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
