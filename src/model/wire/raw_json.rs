//! A JSON value as it stands in a received text, and where its parts stand in it.
//!
//! The parts are looked up in the index of the text ([`JsonIndex`]). A text that has none, because it has very many values, was checked by
//! `serde_json` as a whole, and its parts are looked for: that needs no second check, which [`serde_json::value::RawValue`] would make
//! on every level again.

use std::borrow::Cow;

use memchr::{memchr, memchr2};
use serde_json::value::RawValue;

use super::json_index::{JsonIndex, JsonNode, N_MARKS, name_mark};
use super::parse;
use crate::model::ModelError;

/// A value in a text that is JSON, without the space around it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawJson<'a> {
    text: &'a str,
    /// Its own node and those of what is inside it; none in a text without an index.
    nodes: &'a [JsonNode],
}

/// A field of an object; its name may be there twice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'a> {
    /// The name as it stands between the quotes.
    quoted: &'a str,
    is_escaped: bool,
    pub(crate) value: RawJson<'a>,
}

impl<'a> RawJson<'a> {
    /// Reads a whole text.
    ///
    /// # Errors
    ///
    /// `invalid_json` when it is not JSON.
    pub(crate) fn parse(json: &'a str, index: &'a mut JsonIndex) -> Result<Self, ModelError> {
        let nodes = index.read(json);
        if let Some(whole) = nodes.and_then(|nodes| Self::indexed(json, nodes)) {
            return Ok(whole);
        }
        parse::<&RawValue>(json).map(|raw| Self::scanned(raw.get()))
    }

    /// A value of an index, by the text of what it is in.
    fn indexed(around: &'a str, nodes: &'a [JsonNode]) -> Option<Self> {
        let text = around.get(nodes.first()?.value())?;
        Some(Self { text, nodes })
    }

    const fn scanned(text: &'a str) -> Self {
        Self { text, nodes: &[] }
    }

    /// Returns the value as it stands there.
    pub(crate) const fn get(self) -> &'a str {
        self.text
    }

    pub(crate) fn says_nothing(self) -> bool {
        matches!(self.text, "null" | "{}" | "[]" | "\"\"")
    }

    pub(crate) fn is_text(self) -> bool {
        self.text.starts_with('"')
    }

    pub(crate) fn is_number(self) -> bool {
        self.text
            .starts_with(|first: char| first == '-' || first.is_ascii_digit())
    }

    /// Whether a parser can certainly make a value of it; where that is not known, one has to be asked.
    pub(crate) fn is_surely_readable(self) -> bool {
        self.nodes.first().is_some_and(JsonNode::is_sure)
    }

    /// Returns the fields in their order, those of the index or those that are looked for; `None` if it is not an object.
    pub(crate) fn fields(self) -> Option<(IndexedParts<'a>, ScannedFields<'a>)> {
        let (indexed, scanned) = self.parts('{')?;
        Some((indexed, ScannedFields(scanned)))
    }

    /// Returns the elements in their order; `None` if it is not a list.
    pub(crate) fn elements(self) -> Option<impl Iterator<Item = Self>> {
        let (mut indexed, mut scanned) = self.parts('[')?;
        Some(std::iter::from_fn(move || {
            indexed.element().or_else(|| scanned.next())
        }))
    }

    fn parts(self, bracket: char) -> Option<(IndexedParts<'a>, ScannedParts<'a>)> {
        if !self.text.starts_with(bracket) {
            return None;
        }
        let indexed = IndexedParts {
            around: self.text,
            rest: self.nodes.get(1..).unwrap_or_default(),
        };
        let is_indexed = !self.nodes.is_empty();
        let scanned = ScannedParts {
            json: if is_indexed { "" } else { self.text },
            at: 1,
        };
        Some((indexed, scanned))
    }

    /// Reads a text.
    ///
    /// # Errors
    ///
    /// When it is another value, or half a surrogate pair is escaped in it.
    pub(crate) fn to_text(self) -> Result<Cow<'a, str>, serde_json::Error> {
        #[derive(serde::Deserialize)]
        struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

        let inner = self.text.strip_prefix('"');
        let inner = inner.and_then(|text| text.strip_suffix('"'));
        let known = match (inner, self.nodes.first()) {
            (Some(text), Some(node)) if node.is_escaped_text() && node.is_sure() => {
                unescaped(text).map(Cow::Owned)
            }
            (Some(text), Some(node)) if !node.is_escaped_text() => Some(Cow::Borrowed(text)),
            (Some(text), None) if !text.contains('\\') => Some(Cow::Borrowed(text)),
            _ => None,
        };
        match known {
            Some(text) => Ok(text),
            None => serde_json::from_str::<Text<'_>>(self.text).map(|text| text.0),
        }
    }
}

/// Undoes the escapes that stand for one byte each; arguments of calls are full of them.
fn unescaped(text: &str) -> Option<String> {
    let mut unescaped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(n_plain) = memchr(b'\\', rest.as_bytes()) {
        unescaped.push_str(rest.get(..n_plain)?);
        unescaped.push(match rest.as_bytes().get(n_plain + 1)? {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            byte @ (b'"' | b'\\' | b'/') => char::from(*byte),
            _ => return None,
        });
        rest = rest.get(n_plain + 2..)?;
    }
    unescaped.push_str(rest);
    Some(unescaped)
}

/// The parts of a value that the index of its text has.
#[derive(Debug, Clone)]
pub(crate) struct IndexedParts<'a> {
    around: &'a str,
    rest: &'a [JsonNode],
}

impl<'a> IndexedParts<'a> {
    /// Returns the nodes of the next part.
    fn next_nodes(&mut self) -> Option<&'a [JsonNode]> {
        let n_nodes = self.rest.first()?.n_inside() + 1;
        let (nodes, rest) = self.rest.split_at_checked(n_nodes)?;
        self.rest = rest;
        Some(nodes)
    }

    fn element(&mut self) -> Option<RawJson<'a>> {
        let nodes = self.next_nodes()?;
        RawJson::indexed(self.around, nodes)
    }

    /// Returns the field whose nodes stand first among these.
    fn field(&self, nodes: &'a [JsonNode]) -> Option<Field<'a>> {
        let node = nodes.first()?;
        Some(Field {
            quoted: self.around.get(node.key())?,
            is_escaped: node.has_escaped_key(),
            value: RawJson::indexed(self.around, nodes.get(..=node.n_inside())?)?,
        })
    }

    /// Returns the first value under a name, where no name is escaped; nulls say nothing and are passed over.
    #[inline]
    pub(crate) fn value(&self, name: &str) -> Option<RawJson<'a>> {
        let (name, around) = (name.as_bytes(), self.around.as_bytes());
        let mark = name_mark(name);
        let mut rest = self.rest;
        loop {
            let node = rest.first()?;
            // Most have another name, and their marks tell it.
            if node.name_mark() == mark && !node.is_null() && around.get(node.key())? == name {
                return RawJson::indexed(self.around, rest.get(..=node.n_inside())?);
            }
            rest = rest.get(node.n_inside() + 1..)?;
        }
    }

    /// Returns the fields whose names are not among these, without those that say nothing.
    pub(crate) fn others(mut self, known: &FieldNames) -> impl Iterator<Item = Field<'a>> {
        std::iter::from_fn(move || {
            while let Some(nodes) = self.next_nodes() {
                let node = nodes.first()?;
                let name = self.around.as_bytes().get(node.key())?;
                // The fields of an answer are mostly known, and need not be made to see that.
                if node.is_null() || known.have_marked(name, node.name_mark()) {
                    continue;
                }
                let field = self.field(nodes)?;
                if !known.have(&field) && !field.value.says_nothing() {
                    return Some(field);
                }
            }
            None
        })
    }

    /// Marks the names of all fields, and says whether two have one mark.
    pub(crate) fn marks(mut self) -> NameMarks {
        let mut marks = NameMarks::default();
        let mut seen = 0_u64;
        while let Some(node) = self.next_nodes().and_then(<[JsonNode]>::first) {
            if node.has_escaped_key() {
                // Another name than what stands there is meant.
                return NameMarks::UNKNOWN;
            }
            let mark = 1 << node.name_mark();
            marks.have_common |= seen & mark != 0;
            seen |= mark;
            if !node.is_null() {
                marks.said |= mark;
            }
        }
        marks
    }

    /// Whether a name is there twice, by comparing all with all.
    pub(crate) fn has_repeats(mut self) -> bool {
        while let Some(nodes) = self.next_nodes() {
            let mut others = self.clone();
            while let Some(other) = others.next_nodes() {
                if self.have_one_name(nodes, other) {
                    return true;
                }
            }
        }
        false
    }

    fn have_one_name(&self, nodes: &'a [JsonNode], other: &'a [JsonNode]) -> bool {
        let (Some(node), Some(second)) = (nodes.first(), other.first()) else {
            return false;
        };
        let is_escaped = node.has_escaped_key() || second.has_escaped_key();
        if node.key_len() != second.key_len() && !is_escaped {
            return false;
        }
        match (self.field(nodes), self.field(other)) {
            (Some(field), Some(other)) => field.has_same_name(&other),
            _ => false,
        }
    }
}

impl<'a> Iterator for IndexedParts<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let nodes = self.next_nodes()?;
        self.field(nodes)
    }
}

/// What is known of the names of an object's fields before one is looked for: most are asked for in vain.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct NameMarks {
    /// The marks of fields that are not null.
    said: u64,
    /// Whether two fields have one mark, as two of one name do.
    pub(crate) have_common: bool,
}

impl NameMarks {
    /// Of nothing it is known that it is not there.
    pub(crate) const UNKNOWN: Self = Self {
        said: u64::MAX,
        have_common: true,
    };

    #[inline]
    pub(crate) fn may_say(&self, name: &str) -> bool {
        self.said >> name_mark(name.as_bytes()) & 1 != 0
    }

    /// Whether the fields are in an index and none of their names is escaped, so that a name is found as it stands there.
    #[inline]
    pub(crate) const fn are_known(&self) -> bool {
        self.said != u64::MAX
    }
}

/// Names of fields, of which no two have one mark.
#[derive(Debug)]
pub(crate) struct FieldNames {
    by_mark: [Option<&'static str>; N_MARKS],
}

impl FieldNames {
    /// # Panics
    ///
    /// When two of the names have one mark: while the program is compiled.
    #[expect(
        clippy::indexing_slicing,
        reason = "a mark is less than their number, and `get_mut` is not const"
    )]
    pub(crate) const fn of(names: &[&'static str]) -> Self {
        let (mut by_mark, mut rest) = ([None; N_MARKS], names);
        while let Some((name, others)) = rest.split_first() {
            let place = &mut by_mark[name_mark(name.as_bytes()) as usize];
            assert!(place.is_none(), "two names of fields have one mark");
            *place = Some(*name);
            rest = others;
        }
        Self { by_mark }
    }

    /// Whether the name of a field is among them.
    pub(crate) fn have(&self, field: &Field<'_>) -> bool {
        let name = field.name();
        self.have_marked(name.as_bytes(), name_mark(name.as_bytes()))
    }

    fn have_marked(&self, name: &[u8], mark: u8) -> bool {
        let known = self.by_mark.get(usize::from(mark)).copied().flatten();
        known.is_some_and(|known| known.as_bytes() == name)
    }
}

/// The fields of an object that is not in an index.
pub(crate) struct ScannedFields<'a>(ScannedParts<'a>);

impl<'a> Iterator for ScannedFields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let name = self.0.next()?.get();
        let quoted = name.get(1..name.len() - 1)?;
        Some(Field {
            quoted,
            is_escaped: quoted.contains('\\'),
            value: self.0.next()?,
        })
    }
}

impl<'a> Field<'a> {
    /// Returns the name; half a surrogate pair in it becomes U+FFFD, since nothing that is needed has such a name.
    pub(crate) fn name(&self) -> Cow<'a, str> {
        if !self.is_escaped {
            return Cow::Borrowed(self.quoted);
        }
        let quoted = format!("\"{}\"", self.quoted);
        // Bytes, which may be half a pair, where a text may not.
        let bytes: Result<LossyText, _> = serde_json::from_str(&quoted);
        Cow::Owned(bytes.map_or(quoted, |text| text.0))
    }

    pub(crate) fn has_name(&self, name: &str) -> bool {
        if self.is_escaped {
            self.name() == name
        } else {
            self.quoted == name
        }
    }
}

impl Field<'_> {
    pub(crate) fn has_same_name(&self, other: &Self) -> bool {
        if self.is_escaped || other.is_escaped {
            self.name() == other.name()
        } else {
            self.quoted == other.quoted
        }
    }
}

/// A text in which half a surrogate pair became U+FFFD.
struct LossyText(String);

impl<'de> serde::Deserialize<'de> for LossyText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LossyVisitor;

        impl serde::de::Visitor<'_> for LossyVisitor {
            type Value = LossyText;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text")
            }

            fn visit_bytes<E>(self, text: &[u8]) -> Result<LossyText, E> {
                Ok(LossyText(String::from_utf8_lossy(text).into_owned()))
            }
        }

        deserializer.deserialize_bytes(LossyVisitor)
    }
}

/// Walks through what an object or a list consists of: names and values in turn, or elements.
struct ScannedParts<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Iterator for ScannedParts<'a> {
    type Item = RawJson<'a>;

    fn next(&mut self) -> Option<RawJson<'a>> {
        let rest = self.json.as_bytes().get(self.at..)?;
        let n_between = rest.iter().position(|byte| !is_between(*byte))?;
        let begin = self.at + n_between;
        let rest = rest.get(n_between..)?;
        if matches!(rest.first()?, b'}' | b']') {
            return None;
        }
        self.at = begin + value_len(rest);
        self.json.get(begin..self.at).map(RawJson::scanned)
    }
}

/// Whether a byte stands between values; where the text is JSON, it need not be known which stands where.
const fn is_between(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | b',' | b':')
}

/// How many bytes the value has that stands at the beginning.
fn value_len(json: &[u8]) -> usize {
    match json.first() {
        Some(b'"') => text_len(json),
        Some(b'{' | b'[') => container_len(json),
        // A number, or a word.
        _ => {
            let is_end = |byte: &u8| is_between(*byte) || matches!(byte, b'}' | b']');
            json.iter().position(is_end).unwrap_or(json.len())
        }
    }
}

fn text_len(json: &[u8]) -> usize {
    let mut at = 1;
    while let Some(n) = json.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += n + 1;
        if json.get(at - 1) == Some(&b'"') {
            return at;
        }
        // What is escaped.
        at += 1;
    }
    json.len()
}

fn container_len(json: &[u8]) -> usize {
    let mut n_open = 0_usize;
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => {
                at += text_len(json.get(at..).unwrap_or_default());
                continue;
            }
            b'{' | b'[' => n_open += 1,
            b'}' | b']' if n_open == 1 => return at + 1,
            b'}' | b']' => n_open -= 1,
            _ => {}
        }
        at += 1;
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Puts a value together again from what is found in its text.
    fn rebuilt(json: RawJson<'_>) -> Value {
        if let Some((indexed, scanned)) = json.fields() {
            let fields = indexed.chain(scanned);
            let fields = fields.map(|field| (field.name().into_owned(), rebuilt(field.value)));
            return fields.collect::<serde_json::Map<_, _>>().into();
        }
        if let Some(elements) = json.elements() {
            return elements.map(rebuilt).collect();
        }
        if json.is_text() {
            return json.to_text().map_or(Value::Null, Value::from);
        }
        serde_json::from_str(json.get()).unwrap_or(Value::Null)
    }

    /// A whole text, and the same as it is read without an index.
    fn both<'a>(json: &'a str, index: &'a mut JsonIndex) -> [RawJson<'a>; 2] {
        [
            RawJson::parse(json, index).unwrap_or(RawJson::scanned("")),
            RawJson::scanned(json.trim()),
        ]
    }

    fn value() -> impl Strategy<Value = Value> {
        let text = r#"[a-c"\\{}\[\],: \n\u{e9}\u{1f600}]{0,6}"#;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::vec((text, inner), 0..5)
                    .prop_map(|fields| fields.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn json_parts_make_the_value_that_serde_reads(value in value(), is_pretty in any::<bool>()) {
            let json = if is_pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let json = format!(" {}\n", json.unwrap_or_default());
            // Through its text, as numbers change by being written.
            let read: Value = serde_json::from_str(&json).unwrap_or_default();
            let mut index = JsonIndex::default();
            for raw in both(&json, &mut index) {
                prop_assert_eq!(raw.get(), json.trim());
                prop_assert_eq!(rebuilt(raw), read.clone());
            }
        }
    }

    #[test]
    fn json_field_with_escapes_has_the_name_that_is_meant() {
        let json = r#"{"\u0061\"":1,"\ud800":2,"a\"":3}"#;
        let mut index = JsonIndex::default();
        for raw in both(json, &mut index) {
            let fields = raw.fields().into_iter();
            let fields: Vec<_> = fields
                .flat_map(|(indexed, scanned)| indexed.chain(scanned))
                .map(|field| {
                    (
                        field.name().into_owned(),
                        field.value.get(),
                        field.has_name("a\""),
                    )
                })
                .collect();
            assert_eq!(
                fields,
                [
                    ("a\"".to_owned(), "1", true),
                    ("\u{fffd}\u{fffd}\u{fffd}".to_owned(), "2", false),
                    ("a\"".to_owned(), "3", true),
                ]
            );
        }
    }

    #[test]
    fn json_nested_without_end_is_passed_over_without_a_stack() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let json = format!(r#"{{"deep":{deep},"b":"x"}}"#);
        let mut index = JsonIndex::default();
        for raw in both(&json, &mut index) {
            let fields = raw.fields().into_iter();
            let fields = fields.flat_map(|(indexed, scanned)| indexed.chain(scanned));
            let lengths: Vec<_> = fields.map(|field| field.value.get().len()).collect();
            assert_eq!(lengths, [200_000, 3]);
        }
    }
}
