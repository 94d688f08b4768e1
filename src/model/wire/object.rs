//! A received JSON object, read part by part: what the answer needs is strict, and what it does not need cannot lose it.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value};

use super::deviations::Deviations;
use super::excerpt;
use super::json_index::JsonIndex;
use super::raw_json::{Field, FieldNames, IndexedParts, NameMarks, RawJson};
use crate::few::Few;
use crate::kind::ErrorKind;
use crate::model::ModelError;

/// The fields of an object in their order, each value as it stands there; a key may come twice.
pub(crate) struct Object<'a> {
    /// What it is, such as `message`, for errors and deviations; empty for the whole document.
    place: &'static str,
    indexed: IndexedParts<'a>,
    /// Those of a document without an index; each of them is looked at a dozen times.
    scanned: Vec<Field<'a>>,
    marks: NameMarks,
    /// Whether a key comes twice.
    has_repeats: bool,
}

impl<'a> Object<'a> {
    /// Reads a whole document.
    ///
    /// # Errors
    ///
    /// `invalid_json` when it is not JSON, `wrong_type` when it is not an object, `limit_exceeded` when it has too many fields.
    pub(crate) fn parse(json: &'a str, index: &'a mut JsonIndex) -> Result<Self, ModelError> {
        let raw = RawJson::parse(json, index)?;
        let refused = |kind, what: &str| {
            let message = format!("the server's JSON {what}: {}", excerpt(json));
            ModelError::new(kind, message)
        };
        if !raw.get().starts_with('{') {
            return Err(refused(ErrorKind::WrongType, "is not an object"));
        }
        Self::of(raw, "").ok_or_else(|| {
            let too_many = format!("has more than {MAX_PARTS} fields");
            refused(ErrorKind::LimitExceeded, &too_many)
        })
    }

    /// Reads a part of a document; `None` if it is not an object, or has too many fields.
    pub(crate) fn of(raw: RawJson<'a>, place: &'static str) -> Option<Self> {
        let (indexed, fields) = raw.fields()?;
        let mut scanned = Vec::new();
        for field in fields {
            if scanned.len() == MAX_PARTS {
                return None;
            }
            scanned.push(field);
        }
        // Marks exist only for an indexed document. Where fields were scanned, every question is
        // answered by looking.
        let marks = if scanned.is_empty() {
            indexed.clone().marks()
        } else {
            NameMarks::UNKNOWN
        };
        let mut object = Self {
            place,
            indexed,
            scanned,
            marks,
            has_repeats: false,
        };
        if marks.have_common && object.finds_repeats() {
            // Also a key of which all values are null is to be looked at then: it is noted.
            object.has_repeats = true;
            object.marks = NameMarks::UNKNOWN;
        }
        Some(object)
    }

    fn fields(&self) -> impl Iterator<Item = Field<'a>> {
        self.indexed.clone().chain(self.scanned.iter().copied())
    }

    /// Whether a key comes twice. A set costs an allocation, and comparing all with all costs their square.
    fn finds_repeats(&self) -> bool {
        if self.fields().nth(MAX_COMPARED).is_some() {
            let mut seen = HashSet::new();
            return !self.fields().all(|field| seen.insert(field.name()));
        }
        let mut fields = &*self.scanned;
        while let Some((field, others)) = fields.split_first() {
            if others.iter().any(|other| other.has_same_name(field)) {
                return true;
            }
            fields = others;
        }
        self.indexed.clone().has_repeats()
    }

    /// Names a field for an error or a deviation.
    pub(crate) fn path(&self, key: &str) -> String {
        if self.place.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.place)
        }
    }

    /// Returns the values of a key, in order; nulls say nothing and are left out.
    fn values(&self, key: &str) -> impl Iterator<Item = RawJson<'a>> {
        let is_value = move |field: &Field<'_>| field.has_name(key) && field.value.get() != "null";
        let values = self.fields().filter(is_value);
        values.map(|field| field.value)
    }

    /// Returns the first value of a key, which is the only one in an object without repeats.
    fn first(&self, key: &str) -> Option<RawJson<'a>> {
        if !self.marks.may_say(key) {
            return None;
        }
        self.first_marked(key)
    }

    /// The same of a key whose mark is there.
    #[inline]
    fn first_marked(&self, key: &str) -> Option<RawJson<'a>> {
        if self.marks.are_known() {
            self.indexed.value(key)
        } else {
            self.first_compared(key)
        }
    }

    /// The same by looking at the names of all fields.
    #[cold]
    fn first_compared(&self, key: &str) -> Option<RawJson<'a>> {
        self.values(key).next()
    }

    /// Whether a field is there and not null.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.first(key).is_some()
    }

    /// How many bytes the fields have that are not among these.
    pub(crate) fn n_bytes_without(&self, keys: &[&str]) -> usize {
        let others = self.fields();
        others
            .map(|field| (field.name(), field.value.get()))
            .filter(|(key, _)| !keys.contains(&&**key))
            .map(|(key, json)| key.len() + json.len())
            .sum()
    }

    fn note_repeats(&self, key: &str, notes: &mut Deviations) {
        let fields = self.fields();
        let values: Vec<&str> = fields
            .filter(|field| field.has_name(key))
            .map(|field| field.value.get())
            .collect();
        if values.len() > 1 {
            notes.field("repeated_field", &self.path(key), &values.join(" "));
        }
    }

    /// Returns the value of a field that the answer consists of; `None` when it is missing or null.
    ///
    /// # Errors
    ///
    /// `invalid_json` when it has two values: that is not one answer.
    pub(crate) fn required(
        &self,
        key: &str,
        notes: &mut Deviations,
    ) -> Result<Option<RawJson<'a>>, ModelError> {
        if !self.has_repeats {
            return Ok(self.first(key));
        }
        let mut values = self.values(key);
        let first = values.next();
        // JSON allows a key twice and parsers differ about which counts. The same value twice is
        // harmless; two different ones would be two answers.
        if let Some(other) = values.find(|value| Some(value.get()) != first.map(RawJson::get)) {
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
        if !raw.is_text() {
            return Err(self.wrong_type(key, "a text", raw));
        }
        raw.to_text().map(Some).map_err(|error| {
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
    pub(crate) fn wrong_type(&self, key: &str, wanted: &str, raw: RawJson<'_>) -> ModelError {
        let message = format!(
            "`{}` is not {wanted}: {}",
            self.path(key),
            excerpt(raw.get())
        );
        ModelError::new(ErrorKind::WrongType, message)
    }

    /// Reads a field that the answer does not need: the first value that can be read counts, and what cannot is noted.
    ///
    /// Most such fields are asked for in vain: in place and with a key that the compiler knows, this is a look at one bit.
    #[inline]
    pub(crate) fn optional<T>(
        &self,
        key: &str,
        notes: &mut Deviations,
        read: impl Fn(RawJson<'a>) -> Option<T>,
    ) -> Option<T> {
        if !self.marks.may_say(key) {
            return None;
        }
        if self.has_repeats {
            return self.repeated(key, notes, read);
        }
        self.only(key, notes, read)
    }

    /// Reads the only value of a key.
    #[inline(never)]
    fn only<T>(
        &self,
        key: &str,
        notes: &mut Deviations,
        read: impl Fn(RawJson<'a>) -> Option<T>,
    ) -> Option<T> {
        let raw = self.first_marked(key)?;
        read(raw).or_else(|| self.note_unreadable(key, raw, notes))
    }

    /// Reads the first value of a key that can be read, where there may be several.
    #[cold]
    fn repeated<T>(
        &self,
        key: &str,
        notes: &mut Deviations,
        read: impl Fn(RawJson<'a>) -> Option<T>,
    ) -> Option<T> {
        let read_or_note = |raw| read(raw).or_else(|| self.note_unreadable(key, raw, notes));
        let found = self.values(key).find_map(read_or_note);
        self.note_repeats(key, notes);
        found
    }

    #[cold]
    fn note_unreadable<T>(&self, key: &str, raw: RawJson<'_>, notes: &mut Deviations) -> Option<T> {
        notes.field("unreadable_field", &self.path(key), raw.get());
        None
    }

    /// The same, as text; one that is empty counts only if there is no other.
    #[inline]
    pub(crate) fn text(&self, key: &str, notes: &mut Deviations) -> Option<Cow<'a, str>> {
        self.text_by(key, notes, text)
    }

    /// The same, by a way to read it.
    #[inline]
    pub(crate) fn text_by(
        &self,
        key: &str,
        notes: &mut Deviations,
        read: impl Fn(RawJson<'a>) -> Option<Cow<'a, str>>,
    ) -> Option<Cow<'a, str>> {
        if !self.marks.may_say(key) {
            return None;
        }
        if self.has_repeats {
            return self.repeated_text(key, notes, read);
        }
        self.only(key, notes, read)
    }

    #[cold]
    fn repeated_text(
        &self,
        key: &str,
        notes: &mut Deviations,
        read: impl Fn(RawJson<'a>) -> Option<Cow<'a, str>>,
    ) -> Option<Cow<'a, str>> {
        // An empty text says nothing, so another value of the same key wins over it.
        let some = |raw| read(raw).filter(|text| !text.is_empty());
        let Some(found) = self.values(key).find_map(some) else {
            return self.repeated(key, notes, read);
        };
        self.note_repeats(key, notes);
        Some(found)
    }

    /// The same, as a count: a whole number that is not negative.
    #[inline]
    pub(crate) fn count(&self, key: &str, notes: &mut Deviations) -> Option<u64> {
        self.optional(key, notes, count)
    }

    /// The same, as an object, which is named for its own fields.
    #[inline]
    pub(crate) fn object(
        &self,
        key: &str,
        place: &'static str,
        notes: &mut Deviations,
    ) -> Option<Self> {
        self.optional(key, notes, |raw| Self::of(raw, place))
    }

    /// Returns the fields that are not among these and say something, each once.
    pub(crate) fn rest<const N: usize>(
        &self,
        known: &FieldNames,
        notes: &mut Deviations,
    ) -> OtherFields<'a, N> {
        let mut others = OtherFields::default();
        for field in self.indexed.clone().others(known) {
            others.push((field.name(), field.value));
        }
        for field in &self.scanned {
            if !known.have(field) && !field.value.says_nothing() {
                others.push((field.name(), field.value));
            }
        }
        if self.has_repeats {
            self.without_repeats(others, notes)
        } else {
            others
        }
    }

    /// Leaves out what comes again.
    fn without_repeats<const N: usize>(
        &self,
        others: OtherFields<'a, N>,
        notes: &mut Deviations,
    ) -> OtherFields<'a, N> {
        let mut seen = HashSet::new();
        let is_new = |(key, raw): &(Cow<'a, str>, RawJson<'a>)| {
            let is_new = seen.insert(key.clone());
            if !is_new {
                notes.field("repeated_field", &self.path(key), raw.get());
            }
            is_new
        };
        others.into_iter().filter(is_new).collect()
    }

    /// Whether a key comes twice; then the object means what its reader makes of it.
    pub(crate) const fn has_repeats(&self) -> bool {
        self.has_repeats
    }

    /// Returns the object as a map: of each key the first value that says something, and what JSON values cannot hold as text.
    pub(crate) fn to_map(&self, notes: &mut Deviations) -> Map<String, Value> {
        let mut map = Map::new();
        for field in self.fields() {
            let (key, raw) = (field.name(), field.value);
            let is_news = map.get(&*key).is_none_or(Value::is_null);
            if is_news {
                let value = self.value(&key, raw, notes);
                map.insert(key.into_owned(), value);
            } else {
                notes.field("repeated_field", &self.path(&key), raw.get());
            }
        }
        map
    }

    /// Reads a value that is kept; one that no value can hold (nested too deep, a number out of range) is kept as text.
    pub(crate) fn value(&self, key: &str, raw: RawJson<'_>, notes: &mut Deviations) -> Value {
        value_of(raw).unwrap_or_else(|| {
            notes.field("unreadable_field", &self.path(key), raw.get());
            Value::String(raw.get().to_owned())
        })
    }
}

/// Reads a value, unless it is so large that its parts could take more memory than an answer may.
pub(crate) fn value_of(raw: RawJson<'_>) -> Option<Value> {
    const MAX_BYTES: usize = 1024 * 1024;
    // A text takes as much memory as its JSON. A list of small numbers takes many times that.
    if raw.get().len() > MAX_BYTES && !raw.get().starts_with('"') {
        return None;
    }
    serde_json::from_str(raw.get()).ok()
}

/// Reads a text.
pub(crate) fn text(raw: RawJson<'_>) -> Option<Cow<'_, str>> {
    raw.to_text().ok()
}

/// Reads the elements of a list; `None` if it is none, or has too many.
pub(crate) fn list(raw: RawJson<'_>) -> Option<List<'_>> {
    let mut elements = List::default();
    for element in raw.elements()? {
        if elements.len() == MAX_PARTS {
            return None;
        }
        elements.push(element);
    }
    Some(elements)
}

fn count(raw: RawJson<'_>) -> Option<u64> {
    if let Ok(count) = raw.get().parse() {
        return Some(count);
    }
    let number: serde_json::Number = serde_json::from_str(raw.get()).ok()?;
    number.as_u64().or_else(|| {
        // Some servers count in floats: `5.0`.
        let text = raw.get().strip_suffix(".0")?;
        text.parse().ok()
    })
}

/// The most fields of an object, and elements of a list, that are looked at: each takes more memory than it may take on the wire.
const MAX_PARTS: usize = 200_000;

/// The elements of a list, each as it stands there.
pub(crate) type List<'a> = Few<RawJson<'a>, 2>;

/// Fields that are kept.
pub(crate) type OtherFields<'a, const N: usize> = Few<(Cow<'a, str>, RawJson<'a>), N>;

/// So many fields of an object are compared with each other; an answer consists of objects that have fewer.
const MAX_COMPARED: usize = 10;
