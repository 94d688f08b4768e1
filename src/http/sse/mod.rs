//! Turns the bytes of a `text/event-stream` into events, and copies only what it must.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use memchr::memchr2;
use thiserror::Error;

use crate::kind::ErrorKind;

mod block;
#[cfg(test)]
mod tests;

use block::{Block, LinePlace};

/// Decodes server-sent events from chunks of bytes, however they are split.
///
/// It follows the [WHATWG standard][standard]: lines end in LF, CRLF or CR; a byte order mark at the start is skipped;
/// several `data` lines are joined by LF; comments, `id`, `retry` and unknown fields are ignored. It never reconnects.
///
/// Events are borrowed from the decoder: [`push`](Self::push) a chunk, then call [`next_event`](Self::next_event) until it gives
/// `None`, and only then push the next chunk. An event within one chunk is a slice of it; only one that spans two chunks is copied.
/// No byte is searched twice, so that a line of many megabytes takes time in proportion to its length.
///
/// ```
/// use openai_agents::http::SseDecoder;
///
/// let mut decoder = SseDecoder::new(1024);
/// decoder.push("data: {\"n\":1}\n\ndata: {\"n\"".into());
/// let event = decoder.next_event()?.map(|event| event.data.to_vec());
/// assert_eq!(event.as_deref(), Some(&b"{\"n\":1}"[..]));
/// assert!(decoder.next_event()?.is_none());
///
/// decoder.push(":2}\n\n".into());
/// let event = decoder.next_event()?.map(|event| event.data.to_vec());
/// assert_eq!(event.as_deref(), Some(&b"{\"n\":2}"[..]));
/// assert!(decoder.finish()?.is_none());
/// # Ok::<(), openai_agents::http::SseError>(())
/// ```
///
/// [standard]: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
#[derive(Debug)]
pub struct SseDecoder {
    max_event_bytes: usize,
    chunk: Bytes,
    /// The start of the unread part of `chunk`.
    at: usize,
    /// The start of a line whose end has not arrived. Never longer than `max_event_bytes`.
    carry: Vec<u8>,
    /// Whether the last line ended in CR. A LF after it belongs to it, and may be in the next chunk.
    skip_lf: bool,
    /// Whether no line has ended yet, so that the next one may begin with a byte order mark.
    at_start: bool,
    block: Block,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Reading,
    /// `block` was given out and must be cleared.
    Lent,
    /// The limit was exceeded. Where the next event begins is unknown.
    Failed,
}

/// An event, borrowed from the decoder until its next call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SseEvent<'a> {
    /// The value of the `event` line; empty if there was none.
    ///
    /// Invalid UTF-8 is replaced by U+FFFD.
    pub event: &'a str,
    /// The values of the `data` lines, joined by LF. They may not be UTF-8.
    pub data: &'a [u8],
    /// The value of an `error` line, which the standard does not have.
    ///
    /// Some servers (llama.cpp) reported errors as `error: {...}` in place of `data`. The standard ignores such a line, and the
    /// error would be lost. So an event with this line is given out even if it has no data.
    pub error: Option<&'a [u8]>,
}

/// Says why a stream of events cannot be decoded any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SseError {
    /// A line or the data of an event is longer than the limit.
    #[error("an event of the stream is larger than {max_event_bytes} bytes")]
    EventTooLarge {
        /// The limit given to [`SseDecoder::new`].
        max_event_bytes: usize,
    },
}

impl SseError {
    /// Returns the stable kind.
    pub const fn kind(self) -> ErrorKind {
        match self {
            Self::EventTooLarge { .. } => ErrorKind::LimitExceeded,
        }
    }
}

impl SseDecoder {
    /// Creates a decoder with a limit on the bytes of a line or event.
    pub fn new(max_event_bytes: usize) -> Self {
        Self {
            max_event_bytes,
            chunk: Bytes::new(),
            at: 0,
            carry: Vec::new(),
            skip_lf: false,
            at_start: true,
            block: Block::default(),
            phase: Phase::Reading,
        }
    }

    /// Gives the decoder the next bytes of the body.
    ///
    /// If events of the previous chunk were not taken yet, both chunks are joined, which copies.
    /// After an error it does nothing.
    pub fn push(&mut self, chunk: Bytes) {
        if self.phase == Phase::Failed {
            return;
        }
        self.forget_dispatched();
        self.block.detach_from(&self.chunk);
        let rest = self.rest();
        self.chunk = if rest.is_empty() {
            chunk
        } else {
            let mut joined = BytesMut::with_capacity(rest.len() + chunk.len());
            joined.extend_from_slice(rest);
            joined.extend_from_slice(&chunk);
            joined.freeze()
        };
        self.at = 0;
    }

    /// Returns the next complete event, or `None` when more bytes are needed.
    ///
    /// # Errors
    ///
    /// [`SseError::EventTooLarge`] when a line or an event exceeds the limit, and on every later
    /// call.
    pub fn next_event(&mut self) -> Result<Option<SseEvent<'_>>, SseError> {
        if self.phase == Phase::Failed {
            return Err(self.too_large());
        }
        match self.advance() {
            Ok(true) => Ok(Some(self.block.event(&self.chunk))),
            Ok(false) => Ok(None),
            Err(error) => {
                self.phase = Phase::Failed;
                Err(error)
            }
        }
    }

    /// Ends the stream and gives the event that was cut off, if any.
    ///
    /// An event is complete when an empty line ends it. The standard discards an event that the end
    /// of the body cut. It is given here so that the caller can tell a clean end from a cut one.
    /// Its last line may be cut as well, and its data may be empty. Call this after
    /// [`next_event`](Self::next_event) gave `None`; other events are lost. The decoder is then
    /// ready for another stream.
    ///
    /// # Errors
    ///
    /// [`SseError::EventTooLarge`] when the stream exceeded the limit.
    pub fn finish(&mut self) -> Result<Option<SseEvent<'_>>, SseError> {
        while self.next_event()?.is_some() {}
        let line = std::mem::take(&mut self.carry);
        let line = self.strip_bom(&line);
        if !line.is_empty() {
            self.block.field(line, None);
        }
        self.at_start = true;
        self.skip_lf = false;
        self.phase = Phase::Lent;
        Ok(self
            .block
            .has_begun()
            .then(|| self.block.event(&self.chunk)))
    }

    /// Reads lines until one ends an event (true) or the chunk is used up (false).
    fn advance(&mut self) -> Result<bool, SseError> {
        self.forget_dispatched();
        loop {
            let rest = self.chunk.get(self.at..).unwrap_or_default();
            // CRLF may be split over two chunks. CR already ended the line, so that the LF would
            // look like an empty one.
            if self.skip_lf && !rest.is_empty() {
                self.skip_lf = false;
                if rest.first() == Some(&b'\n') {
                    self.at += 1;
                    continue;
                }
            }
            let Some(n_line) = line_length(rest) else {
                self.keep_rest()?;
                return Ok(false);
            };
            if self.carry.len() + n_line > self.max_event_bytes {
                return Err(self.too_large());
            }
            self.skip_lf = rest.get(n_line) == Some(&b'\r');
            let line = self.at..self.at + n_line;
            self.at = line.end + 1;
            if self.line_ends_event(line) {
                self.phase = Phase::Lent;
                return Ok(true);
            }
            if self.block.n_bytes() > self.max_event_bytes {
                return Err(self.too_large());
            }
        }
    }

    /// Adds the line in this range of the chunk. Gives true if it completes an event.
    fn line_ends_event(&mut self, range: Range<usize>) -> bool {
        let in_chunk = self.chunk.get(range.clone()).unwrap_or_default();
        let place = if self.carry.is_empty() {
            Some(LinePlace {
                chunk: &self.chunk,
                end: range.end,
            })
        } else {
            self.carry.extend_from_slice(in_chunk);
            None
        };
        let line = if place.is_some() {
            in_chunk
        } else {
            &self.carry
        };
        let line = self.strip_bom(line);
        let ends = line.is_empty() && self.block.end();
        if !line.is_empty() {
            self.block.field(line, place);
        }
        self.at_start = false;
        block::recycle(&mut self.carry);
        ends
    }

    /// Moves the rest of the chunk, which is the start of a line, to `carry`.
    fn keep_rest(&mut self) -> Result<(), SseError> {
        let rest = self.chunk.get(self.at..).unwrap_or_default();
        if self.carry.len() + rest.len() > self.max_event_bytes {
            return Err(self.too_large());
        }
        self.carry.extend_from_slice(rest);
        self.block.detach_from(&self.chunk);
        self.chunk = Bytes::new();
        self.at = 0;
        Ok(())
    }

    fn forget_dispatched(&mut self) {
        if self.phase == Phase::Lent {
            self.block.clear();
            self.phase = Phase::Reading;
        }
    }

    /// Removes a byte order mark, which only the first line of a stream may have.
    fn strip_bom<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        if self.at_start {
            line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line)
        } else {
            line
        }
    }

    fn rest(&self) -> &[u8] {
        self.chunk.get(self.at..).unwrap_or_default()
    }

    const fn too_large(&self) -> SseError {
        SseError::EventTooLarge {
            max_event_bytes: self.max_event_bytes,
        }
    }
}

/// Returns the length of the first line, if its end is there.
fn line_length(bytes: &[u8]) -> Option<usize> {
    // Every other line of a stream is empty, and looking at one byte is cheaper than starting a search.
    match bytes.first() {
        Some(b'\n' | b'\r') => Some(0),
        _ => memchr2(b'\n', b'\r', bytes),
    }
}
