//! The lines of one event, until an empty line ends it.

use std::ops::Range;

use memchr::memchr;

use super::SseEvent;

/// Buffers that grew beyond this are freed after the event that needed them.
const KEPT_CAPACITY: usize = 64 * 1024;

/// What was read of the current event.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// Whether a line other than a comment was read.
    begun: bool,
    event: String,
    data: Data,
    /// The data, if it could not stay in the chunk. The memory is used again.
    joined: Vec<u8>,
    error: Option<Vec<u8>>,
}

#[derive(Debug, Default)]
enum Data {
    #[default]
    None,
    /// One line, all of it in the current chunk.
    InChunk(Range<usize>),
    /// In `Block::joined`.
    Joined,
}

/// The place of a line that lies within one chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct LinePlace<'a> {
    pub(super) chunk: &'a [u8],
    /// The position in `chunk` after the last byte of the line.
    pub(super) end: usize,
}

impl Block {
    /// Adds a line that is not empty.
    pub(super) fn field(&mut self, line: &[u8], place: Option<LinePlace<'_>>) {
        if let Some(value) = line.strip_prefix(b"data:") {
            self.data_line(without_space(value), place);
            return;
        }
        let colon = memchr(b':', line).unwrap_or(line.len());
        let (name, value) = line.split_at_checked(colon).unwrap_or((line, b""));
        let value = without_space(value.strip_prefix(b":").unwrap_or_default());
        match name {
            // A comment.
            b"" => return,
            // Lines with a colon were handled above, so this is `data` alone, which adds an empty line.
            b"data" => self.data_line(value, place),
            b"event" => {
                self.event.clear();
                self.event.push_str(&String::from_utf8_lossy(value));
            }
            b"error" => self.error = Some(value.to_vec()),
            // `id`, `retry` and unknown fields.
            _ => {}
        }
        self.begun = true;
    }

    fn data_line(&mut self, value: &[u8], place: Option<LinePlace<'_>>) {
        self.begun = true;
        if let Some(place) = place {
            if matches!(self.data, Data::None) {
                self.data = Data::InChunk(place.end.saturating_sub(value.len())..place.end);
                return;
            }
            self.detach_from(place.chunk);
        }
        if matches!(self.data, Data::Joined) {
            self.joined.push(b'\n');
        }
        self.joined.extend_from_slice(value);
        self.data = Data::Joined;
    }

    /// Ends the event at an empty line. Gives true if there is an event to give out.
    pub(super) fn end(&mut self) -> bool {
        let worth_it = !matches!(self.data, Data::None) || self.error.is_some();
        if !worth_it {
            self.clear();
        }
        worth_it
    }

    /// Copies the data out of a chunk that is about to be dropped.
    pub(super) fn detach_from(&mut self, chunk: &[u8]) {
        if let Data::InChunk(range) = &self.data {
            self.joined
                .extend_from_slice(chunk.get(range.clone()).unwrap_or_default());
            self.data = Data::Joined;
        }
    }

    pub(super) fn event<'a>(&'a self, chunk: &'a [u8]) -> SseEvent<'a> {
        SseEvent {
            event: &self.event,
            data: match &self.data {
                Data::None => &[],
                Data::InChunk(range) => chunk.get(range.clone()).unwrap_or_default(),
                Data::Joined => &self.joined,
            },
            error: self.error.as_deref(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.begun = false;
        self.event.clear();
        self.data = Data::None;
        recycle(&mut self.joined);
        self.error = None;
    }

    pub(super) const fn has_begun(&self) -> bool {
        self.begun
    }

    /// Returns the size of the event, wherever it lies.
    pub(super) fn n_bytes(&self) -> usize {
        let n_data = match &self.data {
            Data::None => 0,
            Data::InChunk(range) => range.len(),
            Data::Joined => self.joined.len(),
        };
        n_data + self.event.len() + self.error.as_ref().map_or(0, Vec::len)
    }
}

/// Empties a buffer and keeps its memory, unless it is unusually large.
pub(super) fn recycle(buffer: &mut Vec<u8>) {
    if buffer.capacity() > KEPT_CAPACITY {
        *buffer = Vec::new();
    } else {
        buffer.clear();
    }
}

fn without_space(value: &[u8]) -> &[u8] {
    value.strip_prefix(b" ").unwrap_or(value)
}
