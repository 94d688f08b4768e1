//! Encoded bytes that are made once and shared.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

/// Names an encoding, so that a memo made for one wire is never sent on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Chat,
    ChatFunctions,
    Responses,
}

/// Remembers one encoding of an immutable value.
///
/// A value is nearly always sent over one wire; what is encoded for another is made anew each time and not kept.
#[derive(Default)]
pub(crate) struct Memo {
    kept: OnceLock<(Encoding, Bytes)>,
    /// Whether it was encoded before.
    is_known: AtomicBool,
}

impl Memo {
    /// Returns the bytes, if the value was encoded so before.
    pub(crate) fn get(&self, encoding: Encoding) -> Option<&[u8]> {
        let (kept, bytes) = self.kept.get()?;
        (*kept == encoding).then_some(bytes)
    }

    /// Keeps a copy of the bytes, if this is not the first time that they were made.
    ///
    /// A conversation remembers its own encoding ([`EncodedPrefix`]), so that its items are encoded once in a run. Those of a session are
    /// sent in every run of it.
    pub(crate) fn keep_again(&self, encoding: Encoding, bytes: &[u8]) {
        // Nothing is read through the mark: an item that two threads encode at once is kept by one of them or the next.
        if !self.is_known.swap(true, Ordering::Relaxed) {
            return;
        }
        self.kept
            .get_or_init(|| (encoding, Bytes::copy_from_slice(bytes)));
    }

    /// Returns the bytes, encoding them at the first call; an error is not remembered.
    pub(crate) fn get_or_encode<E>(
        &self,
        encoding: Encoding,
        encode: impl FnOnce() -> Result<Bytes, E>,
    ) -> Result<Bytes, E> {
        if let Some((kept, bytes)) = self.kept.get()
            && *kept == encoding
        {
            return Ok(bytes.clone());
        }
        let bytes = encode()?;
        // Another thread may have been quicker; both made the same bytes.
        drop(self.kept.set((encoding, bytes.clone())));
        Ok(bytes)
    }
}

/// The encoded beginning of a conversation that grows.
#[derive(Clone)]
pub(crate) struct EncodedPrefix {
    /// What the encoding depends on beside the items.
    pub(crate) basis: PrefixBasis,
    /// How many items are encoded.
    pub(crate) n_items: usize,
    pub(crate) bytes: Bytes,
}

/// What the encoding of a conversation depends on beside its items.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PrefixBasis {
    pub(crate) encoding: Encoding,
    pub(crate) replays_reasoning: bool,
    pub(crate) shows_tool_media: bool,
    pub(crate) instructions: Option<Arc<str>>,
}
