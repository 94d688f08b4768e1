//! A received JSON object, read part by part: what the answer needs is strict, and what it does not need cannot lose it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::deviations::Deviations;
use super::{excerpt, parse};
use crate::few::Few;
use crate::kind::ErrorKind;
use crate::model::ModelError;

/// The fields of an object in their order, each value as it stands there; a key may come twice.
pub(crate) struct Object<'a> {
    /// What it is, such as `message`, for errors and deviations; empty for the whole document.
    place: &'static str,
    fields: Fields<'a>,
}

impl<'a> Object<'a> {
    /// Reads a whole document.
    ///
    /// # Errors
    ///
    /// `invalid_json` when it is not JSON, `wrong_type` when it is not an object.
    pub(crate) fn parse(json: &'a str) -> Result<Self, ModelError> {
        let fields = parse(json)?;
        Ok(Self { place: "", fields })
    }

    /// Reads a part of a document; `None` if it is not an object.
    pub(crate) fn of(raw: &'a RawValue, place: &'static str) -> Option<Self> {
        let fields = serde_json::from_str(raw.get()).ok()?;
        Some(Self { place, fields })
    }

    /// Names a field for an error or a deviation.
    pub(crate) fn path(&self, key: &str) -> String {
        if self.place.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.place)
        }
    }

    /// Gives the values of a key, in order; nulls say nothing and are left out.
    fn values<'b>(&'b self, key: &'b str) -> impl Iterator<Item = &'a RawValue> + 'b {
        self.fields
            .0
            .iter()
            .filter(move |(name, value)| name == key && value.get() != "null")
            .map(|(_, value)| *value)
    }

    /// Whether a field is there and not null.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.values(key).next().is_some()
    }

    /// How many bytes the fields have that are not among these.
    pub(crate) fn n_bytes_without(&self, keys: &[&str]) -> usize {
        let others = self
            .fields
            .0
            .iter()
            .filter(|(key, _)| !keys.contains(&&**key));
        others.map(|(key, raw)| key.len() + raw.get().len()).sum()
    }

    fn note_repeats(&self, key: &str, notes: &mut Deviations) {
        let is_key = |(name, _): &&(Cow<'a, str>, &'a RawValue)| name == key;
        if self.fields.0.iter().filter(is_key).nth(1).is_some() {
            let values: Vec<&str> = self
                .fields
                .0
                .iter()
                .filter(is_key)
                .map(|field| field.1.get())
                .collect();
            notes.field("repeated_field", &self.path(key), &values.join(" "));
        }
    }

    /// Gives the value of a field that the answer consists of; `None` when it is missing or null.
    ///
    /// # Errors
    ///
    /// `invalid_json` when it has two values: that is not one answer.
    pub(crate) fn required(
        &self,
        key: &str,
        notes: &mut Deviations,
    ) -> Result<Option<&'a RawValue>, ModelError> {
        let mut values = self.values(key);
        let first = values.next();
        if let Some(other) = values.find(|value| Some(value.get()) != first.map(RawValue::get)) {
            let message = format!(
                "`{}` is there twice, with different values: {}",
                self.path(key),
                excerpt(other.get())
            );
            return Err(ModelError::new(ErrorKind::InvalidJson, message));
        }
        self.note_repeats(key, notes);
        Ok(first)
    }

    /// The same, as text.
    pub(crate) fn required_text(
        &self,
        key: &str,
        notes: &mut Deviations,
    ) -> Result<Option<Cow<'a, str>>, ModelError> {
        let Some(raw) = self.required(key, notes)? else {
            return Ok(None);
        };
        if !raw.get().starts_with('"') {
            return Err(self.wrong_type(key, "a text", raw));
        }
        parse_text(raw).map(Some).map_err(|error| {
            let message = format!(
                "`{}` is a text that cannot be read: {error}",
                self.path(key)
            );
            ModelError::new(ErrorKind::InvalidJson, message)
        })
    }

    /// The same, as a list.
    pub(crate) fn required_list(
        &self,
        key: &str,
        notes: &mut Deviations,
    ) -> Result<Option<List<'a>>, ModelError> {
        let raw = self.required(key, notes)?;
        raw.map(|raw| list(raw).ok_or_else(|| self.wrong_type(key, "a list", raw)))
            .transpose()
    }

    /// The same, as an object, which is named for its own fields.
    pub(crate) fn required_object(
        &self,
        key: &str,
        place: &'static str,
        notes: &mut Deviations,
    ) -> Result<Option<Self>, ModelError> {
        let raw = self.required(key, notes)?;
        raw.map(|raw| Self::of(raw, place).ok_or_else(|| self.wrong_type(key, "an object", raw)))
            .transpose()
    }

    /// The error of a field that the answer needs and that is something else.
    pub(crate) fn wrong_type(&self, key: &str, wanted: &str, raw: &RawValue) -> ModelError {
        let message = format!(
            "`{}` is not {wanted}: {}",
            self.path(key),
            excerpt(raw.get())
        );
        ModelError::new(ErrorKind::WrongType, message)
    }

    /// Reads a field that the answer does not need: the first value that can be read counts, and what cannot is noted.
    pub(crate) fn optional<T>(
        &self,
        key: &str,
        notes: &mut Deviations,
        read: impl Fn(&'a RawValue) -> Option<T>,
    ) -> Option<T> {
        let mut found = None;
        for raw in self.values(key) {
            let value = if found.is_none() { read(raw) } else { break };
            if value.is_none() {
                notes.field("unreadable_field", &self.path(key), raw.get());
            }
            found = value;
        }
        self.note_repeats(key, notes);
        found
    }

    /// The same, as text; one that is empty counts only if there is no other.
    pub(crate) fn text(&self, key: &str, notes: &mut Deviations) -> Option<Cow<'a, str>> {
        self.text_by(key, notes, text)
    }

    /// The same, by a way to read it.
    pub(crate) fn text_by(
        &self,
        key: &str,
        notes: &mut Deviations,
        read: impl Fn(&'a RawValue) -> Option<Cow<'a, str>>,
    ) -> Option<Cow<'a, str>> {
        let some = |raw| read(raw).filter(|text| !text.is_empty());
        match self.values(key).find_map(some) {
            Some(found) => {
                self.note_repeats(key, notes);
                Some(found)
            }
            None => self.optional(key, notes, read),
        }
    }

    /// The same, as a count: a whole number that is not negative.
    pub(crate) fn count(&self, key: &str, notes: &mut Deviations) -> Option<u64> {
        self.optional(key, notes, count)
    }

    /// The same, as an object, which is named for its own fields.
    pub(crate) fn object(
        &self,
        key: &str,
        place: &'static str,
        notes: &mut Deviations,
    ) -> Option<Self> {
        self.optional(key, notes, |raw| Self::of(raw, place))
    }

    /// Gives the fields that are not among these and say something, each once.
    pub(crate) fn rest(&self, known: &[&str], notes: &mut Deviations) -> OtherFields<'a> {
        let mut others = OtherFields::default();
        // A set costs an allocation, and comparing all with all costs their square.
        let mut seen = (self.fields.0.len() > MAX_FEW).then(HashSet::new);
        for (key, raw) in self.fields.0.iter() {
            if known.contains(&&**key) || matches!(raw.get(), "null" | "{}" | "[]" | "\"\"") {
                continue;
            }
            let is_new = match &mut seen {
                Some(seen) => seen.insert(&**key),
                None => others.iter().all(|(known, _)| known != key),
            };
            if is_new {
                others.push((key.clone(), raw));
            } else {
                notes.field("repeated_field", &self.path(key), raw.get());
            }
        }
        others
    }

    /// Whether a key comes twice; then the object means what its reader makes of it.
    pub(crate) fn has_repeats(&self) -> bool {
        let mut seen = HashSet::new();
        !self.fields.0.iter().all(|(key, _)| seen.insert(&**key))
    }

    /// Gives the object as a map: of each key the first value that says something, and what JSON values cannot hold as text.
    pub(crate) fn to_map(&self, notes: &mut Deviations) -> Map<String, Value> {
        let mut map = Map::new();
        for (key, raw) in self.fields.0.iter() {
            let is_news = map.get(&**key).is_none_or(Value::is_null);
            if is_news {
                map.insert(key.clone().into_owned(), self.value(key, raw, notes));
            } else {
                notes.field("repeated_field", &self.path(key), raw.get());
            }
        }
        map
    }

    /// Reads a value that is kept; one that no value can hold (nested too deep, a number out of range) is kept as text.
    pub(crate) fn value(&self, key: &str, raw: &RawValue, notes: &mut Deviations) -> Value {
        value_of(raw).unwrap_or_else(|| {
            notes.field("unreadable_field", &self.path(key), raw.get());
            Value::String(raw.get().to_owned())
        })
    }
}

/// Reads a value, unless it is so large that its parts could take more memory than an answer may.
pub(crate) fn value_of(raw: &RawValue) -> Option<Value> {
    const MAX_BYTES: usize = 1024 * 1024;
    if raw.get().len() > MAX_BYTES && !raw.get().starts_with('"') {
        return None;
    }
    serde_json::from_str(raw.get()).ok()
}

/// Says whether a value can be parsed, without keeping anything of it.
pub(crate) fn is_readable(raw: &RawValue) -> bool {
    serde_json::from_str::<Readable>(raw.get()).is_ok()
}

/// A value that was read and forgotten: unlike `IgnoredAny` it sees numbers out of range and values nested too deep.
struct Readable;

impl<'de> Deserialize<'de> for Readable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReadableVisitor)
    }
}

struct ReadableVisitor;

impl<'de> Visitor<'de> for ReadableVisitor {
    type Value = Readable;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Readable, A::Error> {
        while seq.next_element::<Readable>()?.is_some() {}
        Ok(Readable)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Readable, A::Error> {
        while map.next_entry::<Readable, Readable>()?.is_some() {}
        Ok(Readable)
    }
}

/// Reads a text.
pub(crate) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    parse_text(raw).ok()
}

fn parse_text(raw: &RawValue) -> Result<Cow<'_, str>, serde_json::Error> {
    #[derive(serde::Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

    serde_json::from_str::<Text<'_>>(raw.get()).map(|text| text.0)
}

/// Reads the elements of a list.
pub(crate) fn list(raw: &RawValue) -> Option<List<'_>> {
    serde_json::from_str::<Elements<'_>>(raw.get())
        .ok()
        .map(|elements| elements.0)
}

fn count(raw: &RawValue) -> Option<u64> {
    let number: serde_json::Number = serde_json::from_str(raw.get()).ok()?;
    number.as_u64().or_else(|| {
        // Some servers count in floats: `5.0`.
        let text = raw.get().strip_suffix(".0")?;
        text.parse().ok()
    })
}

/// The most fields of an object, and elements of a list, that are looked at: each takes more memory than it may take on the wire.
const MAX_PARTS: usize = 200_000;

fn too_many<E: de::Error>() -> E {
    E::custom(format!("more than {MAX_PARTS} parts"))
}

/// The elements of a list, each as it stands there.
pub(crate) type List<'a> = Few<&'a RawValue, 2>;

struct Elements<'a>(List<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Elements<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ElementsVisitor).map(Elements)
    }
}

struct ElementsVisitor;

impl<'de> Visitor<'de> for ElementsVisitor {
    type Value = List<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = List::default();
        while let Some(element) = seq.next_element()? {
            if elements.len() == MAX_PARTS {
                return Err(too_many());
            }
            elements.push(element);
        }
        Ok(elements)
    }
}

/// A field, its value as it stands there.
pub(crate) type Field<'a> = (Cow<'a, str>, &'a RawValue);

/// Fields that are kept: most answers have one or two in the body, and none elsewhere.
pub(crate) type OtherFields<'a> = Few<Field<'a>, 2>;

/// The fields as they come; serde's own maps and structs refuse or merge keys that come twice.
#[derive(Default)]
struct Fields<'a>(Few<Field<'a>, MAX_FEW>);

/// So many fields of an object are kept without an allocation; an answer consists of objects that have fewer.
const MAX_FEW: usize = 10;

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Fields::default();
        while let Some((Key(key), value)) = map.next_entry()? {
            if fields.0.len() == MAX_PARTS {
                return Err(too_many());
            }
            fields.0.push((key, value));
        }
        Ok(fields)
    }
}

/// A key; half a surrogate pair in it becomes U+FFFD, since nothing that is needed has such a name.
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(KeyVisitor).map(Key)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_bytes<E: de::Error>(self, key: &'de [u8]) -> Result<Self::Value, E> {
        Ok(String::from_utf8_lossy(key))
    }

    fn visit_bytes<E: de::Error>(self, key: &[u8]) -> Result<Self::Value, E> {
        Ok(Cow::Owned(String::from_utf8_lossy(key).into_owned()))
    }
}
