//! A request's body while it is written.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::few::Few;
use crate::item::{History, Item};
use crate::kind::ErrorKind;
use crate::memo::{EncodedPrefix, PrefixBasis};
use crate::model::verbatim::{VerbatimField, Word};
use crate::model::{ModelError, ModelSettings};

/// A JSON object that is being written; a key that is written twice is refused.
pub(super) struct Body<'a> {
    bytes: BytesMut,
    keys: Few<&'a str, 16>,
    /// What is said under these names whatever else would be.
    verbatim: &'a [VerbatimField],
}

/// What a turn usually adds to a conversation, and what stands before it in a body.
const ROOM_FOR_MORE: usize = 512;

/// What of a conversation is still to be written.
pub(super) struct Rest<'a> {
    /// The items that are not written yet.
    pub(super) items: &'a [Item],
    /// Whether nothing of the conversation is written.
    pub(super) is_start: bool,
}

impl<'a> Body<'a> {
    /// Begins a body that ends with this conversation.
    pub(super) fn new(items: &History) -> Self {
        // It lasts as long as the run, which remembers what of the conversation is written: a short one should not be large.
        let mut bytes = BytesMut::with_capacity(items.n_encoded_bytes() + 2 * ROOM_FOR_MORE);
        bytes.put_u8(b'{');
        Self {
            bytes,
            keys: Few::default(),
            verbatim: &[],
        }
    }

    /// Says these fields word for word from now on.
    pub(super) fn set_verbatim(&mut self, fields: &'a [VerbatimField]) {
        self.verbatim = fields;
    }

    /// Whether nothing is to be said under a name.
    pub(super) fn leaves_out(&self, name: &str) -> bool {
        let mut fields = self.verbatim.iter().filter(|field| field.name == name);
        fields.any(|field| matches!(field.word, Word::LeftOut))
    }

    pub(super) fn field(&mut self, key: &'a str, value: &impl Serialize) -> Result<(), ModelError> {
        // What stands in its place is written by `extra`.
        if self.verbatim.iter().any(|field| field.name == key) {
            return Ok(());
        }
        self.written(key, value)
    }

    fn written(&mut self, key: &'a str, value: &impl Serialize) -> Result<(), ModelError> {
        self.key(key)?;
        write_json(&mut self.bytes, value)
    }

    /// Writes an object of several settings, unless it is empty; a verbatim object is laid over it.
    pub(super) fn object(
        &mut self,
        key: &'a str,
        mut object: Map<String, Value>,
    ) -> Result<(), ModelError> {
        match self.verbatim.iter().find(|field| field.name == key) {
            Some(VerbatimField {
                word: Word::Value(Value::Object(over)),
                ..
            }) => object.extend(over.clone()),
            Some(_) => return Ok(()),
            None => {}
        }
        if object.is_empty() {
            return Ok(());
        }
        self.written(key, &object)
    }

    pub(super) fn optional(
        &mut self,
        key: &'a str,
        value: Option<&impl Serialize>,
    ) -> Result<(), ModelError> {
        match value {
            Some(value) => self.field(key, value),
            None => Ok(()),
        }
    }

    /// Writes a field whose JSON is there already.
    pub(super) fn encoded(&mut self, key: &'a str, json: &[u8]) -> Result<(), ModelError> {
        self.key(key)?;
        self.bytes.put_slice(json);
        Ok(())
    }

    /// Writes the verbatim fields, and the extra fields of the settings, of which none may stand for what the wire itself says.
    pub(super) fn extra(
        &mut self,
        settings: &'a ModelSettings,
        reserved: &[&str],
        api: &str,
    ) -> Result<(), ModelError> {
        for VerbatimField { name, word } in self.verbatim {
            match word {
                // An object field was laid over already by `object`, so it is there.
                Word::Value(value) if !self.has_key(name) => self.written(name, value)?,
                Word::Value(_) | Word::LeftOut => {}
                Word::Unsupported => refuse(name, true, api)?,
            }
        }
        for (key, value) in &settings.extra_body {
            if reserved.contains(&key.as_str()) {
                return Err(ModelError::new(
                    ErrorKind::Config,
                    format!("`{key}` cannot be set by extra_body"),
                ));
            }
            self.field(key, value)?;
        }
        Ok(())
    }

    /// Ends the body with the conversation, so that a later body begins with the bytes of this one.
    ///
    /// What was written for the same conversation before is copied. `is_closed` says whether what is written of all items stays as it
    /// is when items are added.
    pub(super) fn finish(
        mut self,
        key: &'a str,
        (basis, items): (PrefixBasis, &History),
        is_closed: bool,
        write: impl FnOnce(&mut BytesMut, Rest<'_>) -> Result<(), ModelError>,
    ) -> Result<Bytes, ModelError> {
        self.key(key)?;
        self.bytes.put_u8(b'[');
        let start = self.bytes.len();
        // Turn k+1 sends everything that turn k sent and a little more. So the bytes of turn k are
        // copied, and only what came since is encoded. The basis has everything that changes how an
        // item is written; with another one the bytes do not fit.
        let kept = items
            .encoded()
            .filter(|kept| kept.basis == basis && kept.n_items <= items.len());
        let mut n_kept = 0;
        if let Some(kept) = kept {
            self.bytes.reserve(kept.bytes.len() + ROOM_FOR_MORE);
            self.bytes.put_slice(&kept.bytes);
            n_kept = kept.n_items;
        }
        let is_start = self.bytes.len() == start;
        write(
            &mut self.bytes,
            Rest {
                items: items.get(n_kept..).unwrap_or_default(),
                is_start,
            },
        )?;
        let end = self.bytes.len();
        self.bytes.put_slice(b"]}");
        let bytes = self.bytes.freeze();
        // Not while the last message may still grow, as one of the assistant does when a call
        // follows: the next turn would then begin with other bytes.
        if is_closed {
            items.keep_encoded(EncodedPrefix {
                basis,
                n_items: items.len(),
                // A slice shares the body's memory: remembering it copies nothing.
                bytes: bytes.slice(start..end),
            });
        }
        Ok(bytes)
    }

    fn has_key(&self, key: &str) -> bool {
        self.keys.iter().any(|known| *known == key)
    }

    fn key(&mut self, key: &'a str) -> Result<(), ModelError> {
        // Compared one by one: a body has about a dozen keys, for which a set costs more than it saves.
        if self.has_key(key) {
            return Err(ModelError::new(
                ErrorKind::Config,
                format!("`{key}` is set twice, once by extra_body"),
            ));
        }
        if !self.keys.is_empty() {
            self.bytes.put_u8(b',');
        }
        self.keys.push(key);
        // All but those of applications are plain, and their escapes need not be looked for twice.
        if key
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        {
            self.bytes.put_u8(b'"');
            self.bytes.put_slice(key.as_bytes());
            self.bytes.put_slice(b"\":");
            return Ok(());
        }
        write_json(&mut self.bytes, &key)?;
        self.bytes.put_u8(b':');
        Ok(())
    }
}

pub(super) fn write_json(bytes: &mut BytesMut, value: &impl Serialize) -> Result<(), ModelError> {
    serde_json::to_writer(WithRoom(bytes), value).map_err(unencodable)
}

/// Writes with room left for what ends a value: a picture of many megabytes must not be moved, and be there twice, for a quote.
struct WithRoom<'a>(&'a mut BytesMut);

/// Enough for the ends of all that a large piece is in.
const ROOM: usize = 256;

impl io::Write for WithRoom<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        put(self.0, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Puts bytes at the end, in the same way.
pub(super) fn put(to: &mut BytesMut, bytes: &[u8]) {
    if bytes.len() > ROOM {
        to.reserve(bytes.len() + ROOM);
    }
    to.put_slice(bytes);
}

pub(super) fn unencodable(error: serde_json::Error) -> ModelError {
    ModelError::new(ErrorKind::Config, "the request cannot be written as JSON").with_source(error)
}

/// Refuses a setting that a wire has no word for.
pub(super) fn refuse(setting: &str, is_set: bool, api: &str) -> Result<(), ModelError> {
    if is_set {
        return Err(ModelError::new(
            ErrorKind::Unsupported,
            format!("`{setting}` cannot be set for {api}"),
        ));
    }
    Ok(())
}
