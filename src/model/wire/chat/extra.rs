//! Fields of an answer that this crate does not act on: kept with the answer.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::{Map, Value};

use crate::few::Few;
use crate::model::wire::budget::{ResponseBudget, VALUE_COST};
use crate::model::wire::deviations::Deviations;
use crate::model::wire::object;
use crate::model::wire::readable::is_readable;
use crate::model::{JsonText, ModelError};

/// Fields of a part of an answer as they stand on the wire; most parts have none.
pub(super) type Extra<'a> = object::OtherFields<'a, 0>;

/// Those of the body, of which most answers have one or two.
pub(super) type BodyExtra<'a> = object::OtherFields<'a, 2>;

/// The fields of a message or a choice that are kept; what comes in several chunks is put together.
#[derive(Debug)]
pub(super) struct ExtraFields {
    place: &'static str,
    map: Map<String, Value>,
}

/// The fields of the body that are kept: of each the last that came, as it stands there.
///
/// Every answer has some (`system_fingerprint`), in every chunk, and nearly nobody looks at them: so they are copied once, into the text
/// in which they are passed on.
#[derive(Debug, Default)]
pub(super) struct BodyFields {
    /// An object without its end.
    json: String,
    places: Few<FieldPlace, 2>,
}

/// Where a field stands in the text.
#[derive(Debug)]
struct FieldPlace {
    /// The key, without quotes and with its escapes.
    key: Range<usize>,
    value: Range<usize>,
}

impl BodyFields {
    /// Keeps fields.
    ///
    /// # Errors
    ///
    /// `limit_exceeded` when the answer is larger than it may be.
    pub(super) fn push(
        &mut self,
        extra: BodyExtra<'_>,
        notes: &mut Deviations,
        budget: &mut ResponseBudget,
    ) -> Result<(), ModelError> {
        if self.json.is_empty() {
            let n_bytes = extra
                .iter()
                .map(|(key, raw)| key.len() + raw.get().len() + 4);
            self.json.reserve(n_bytes.sum::<usize>() + 1);
        }
        for (key, raw) in extra {
            let written = escaped(&key);
            let known = self.find(&written);
            let known_json = known
                .as_ref()
                .and_then(|value| self.json.get(value.clone()));
            if known_json == Some(raw.get()) {
                continue;
            }
            if !is_readable(raw) {
                notes.field("unreadable_field", &key, raw.get());
                continue;
            }
            let n_more = raw
                .get()
                .len()
                .saturating_sub(known_json.map_or(0, str::len));
            budget.spend(n_more.saturating_mul(VALUE_COST))?;
            if let Some(value) = known {
                self.replace(&value, raw.get());
            } else {
                let place = self.append(&written, raw.get());
                self.places.push(place);
            }
        }
        Ok(())
    }

    /// Finds the value of a key.
    fn find(&self, written: &str) -> Option<Range<usize>> {
        let is_key = |place: &&FieldPlace| self.json.get(place.key.clone()) == Some(written);
        self.places
            .iter()
            .find(is_key)
            .map(|place| place.value.clone())
    }

    fn append(&mut self, written: &str, value: &str) -> FieldPlace {
        self.json.push(if self.json.is_empty() { '{' } else { ',' });
        let start = self.json.len() + 1;
        self.json.extend(["\"", written, "\":", value]);
        FieldPlace {
            key: start..start + written.len(),
            value: self.json.len() - value.len()..self.json.len(),
        }
    }

    /// Puts another value in the place of one, and moves what stands behind it.
    fn replace(&mut self, known: &Range<usize>, value: &str) {
        self.json.replace_range(known.clone(), value);
        let moved = |at: usize| at - known.len() + value.len();
        for place in self.places.iter_mut() {
            if place.value.start == known.start {
                place.value.end = moved(place.value.end);
            } else if place.key.start > known.start {
                place.key = moved(place.key.start)..moved(place.key.end);
                place.value = moved(place.value.start)..moved(place.value.end);
            }
        }
    }

    /// Returns the fields as one object, with those of the choice and the message in it.
    pub(super) fn take(&mut self, inner: [(&str, Map<String, Value>); 2]) -> Option<JsonText> {
        for (key, kept) in inner.into_iter().filter(|(_, kept)| !kept.is_empty()) {
            self.append(key, &Value::Object(kept).to_string());
        }
        let Self { mut json, .. } = std::mem::take(self);
        if json.is_empty() {
            return None;
        }
        json.push('}');
        Some(JsonText::of_json(json))
    }
}

/// A text as it stands between the quotes of JSON.
fn escaped(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let quoted = Value::from(text).to_string();
    let inner = quoted.get(1..quoted.len() - 1);
    Cow::Owned(inner.unwrap_or_default().to_owned())
}

impl ExtraFields {
    pub(super) fn new(place: &'static str) -> Self {
        Self {
            place,
            map: Map::new(),
        }
    }

    /// Keeps fields.
    ///
    /// # Errors
    ///
    /// `limit_exceeded` when the answer is larger than it may be.
    pub(super) fn push(
        &mut self,
        extra: Extra<'_>,
        notes: &mut Deviations,
        budget: &mut ResponseBudget,
    ) -> Result<(), ModelError> {
        for (key, raw) in extra {
            let Some(value) = object::value_of(raw) else {
                let path = format!("{}.{key}", self.place);
                notes.field("unreadable_field", &path, raw.get());
                continue;
            };
            let n_bytes = raw.get().len();
            match (self.map.get_mut(&*key), value) {
                (Some(Value::Array(known)), Value::Array(more)) => {
                    budget.spend(n_bytes.saturating_mul(VALUE_COST))?;
                    known.extend(more);
                }
                // The same text again is a mark, such as a format; another one goes on.
                (Some(Value::String(known)), Value::String(more)) => {
                    if *known != more {
                        budget.spend(more.len())?;
                        known.push_str(&more);
                    }
                }
                (known, value) => {
                    let n_known = known.map_or(0, |known| known.to_string().len());
                    let n_more = n_bytes.saturating_sub(n_known);
                    budget.spend(n_more.saturating_mul(VALUE_COST))?;
                    self.map.insert(key.into_owned(), value);
                }
            }
        }
        Ok(())
    }

    pub(super) fn insert(&mut self, key: &str, value: Value) {
        self.map.insert(key.to_owned(), value);
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// Returns the fields.
    pub(super) fn take(&mut self) -> Map<String, Value> {
        std::mem::take(&mut self.map)
    }
}
