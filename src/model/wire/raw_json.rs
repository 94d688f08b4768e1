//! A JSON value as it stands in a received text, and where its parts stand in it.
//!
//! `serde_json` says of the whole text that it is JSON, once. To find a part of it needs no second check, which
//! [`serde_json::value::RawValue`] would make on every level again: for an answer with a tool call that was most of its cost.

use std::borrow::Cow;

use memchr::memchr2;
use serde_json::value::RawValue;

use super::parse;
use crate::model::ModelError;

/// A value in a text that is JSON, without the space around it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawJson<'a>(&'a str);

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
    pub(crate) fn parse(json: &'a str) -> Result<Self, ModelError> {
        parse::<&RawValue>(json).map(|raw| Self(raw.get()))
    }

    /// Gives the value as it stands there.
    pub(crate) const fn get(self) -> &'a str {
        self.0
    }

    pub(crate) fn is_text(self) -> bool {
        self.0.starts_with('"')
    }

    /// Gives the fields in their order; `None` if it is not an object.
    pub(crate) fn fields(self) -> Option<impl Iterator<Item = Field<'a>>> {
        let mut parts = Parts::of(self, '{')?;
        Some(std::iter::from_fn(move || {
            let name = parts.next()?.0;
            let quoted = name.get(1..name.len() - 1)?;
            Some(Field {
                quoted,
                is_escaped: quoted.contains('\\'),
                value: parts.next()?,
            })
        }))
    }

    /// Gives the elements in their order; `None` if it is not a list.
    pub(crate) fn elements(self) -> Option<impl Iterator<Item = Self>> {
        Parts::of(self, '[')
    }

    /// Reads a text.
    ///
    /// # Errors
    ///
    /// When it is another value, or half a surrogate pair is escaped in it.
    pub(crate) fn to_text(self) -> Result<Cow<'a, str>, serde_json::Error> {
        #[derive(serde::Deserialize)]
        struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

        match self
            .0
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
        {
            Some(text) if !text.contains('\\') => Ok(Cow::Borrowed(text)),
            _ => serde_json::from_str::<Text<'_>>(self.0).map(|text| text.0),
        }
    }
}

impl<'a> Field<'a> {
    /// What stands where nothing is yet.
    pub(crate) const NONE: Self = Self {
        quoted: "",
        is_escaped: false,
        value: RawJson("null"),
    };

    /// Gives the name; half a surrogate pair in it becomes U+FFFD, since nothing that is needed has such a name.
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
struct Parts<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Parts<'a> {
    fn of(container: RawJson<'a>, bracket: char) -> Option<Self> {
        let json = container.0;
        json.starts_with(bracket).then_some(Self { json, at: 1 })
    }
}

impl<'a> Iterator for Parts<'a> {
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
        self.json.get(begin..self.at).map(RawJson)
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
        if let Some(fields) = json.fields() {
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
            let raw = RawJson::parse(&json).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(raw.get(), json.trim());
            // Through its text, as numbers change by being written.
            let read: Value = serde_json::from_str(&json).unwrap_or_default();
            prop_assert_eq!(rebuilt(raw), read);
        }
    }

    #[test]
    fn json_field_with_escapes_has_the_name_that_is_meant() {
        let json = r#"{"\u0061\"":1,"\ud800":2,"a\"":3}"#;
        let fields = RawJson::parse(json).ok().and_then(RawJson::fields);
        let fields: Vec<_> = fields
            .into_iter()
            .flatten()
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

    #[test]
    fn json_nested_without_end_is_passed_over_without_a_stack() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let json = format!(r#"{{"deep":{deep},"b":"x"}}"#);
        let fields = RawJson::parse(&json).ok().and_then(RawJson::fields);
        let lengths = fields.into_iter().flatten();
        let lengths: Vec<_> = lengths.map(|field| field.value.get().len()).collect();
        assert_eq!(lengths, [200_000, 3]);
    }
}
