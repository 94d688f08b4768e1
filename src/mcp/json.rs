//! A JSON reader for what servers send: it finds repeated keys, lone surrogates, broken or too deep JSON, and where.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

use rmcp::model::RequestId;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A text of JSON, read.
#[derive(Debug, PartialEq)]
pub(super) struct Parsed {
    pub(super) value: Value,
    /// Where keys stand more than once.
    pub(super) repeated: Vec<Repeated>,
    /// Whether halves of characters were replaced: escapes such as `\ud83d` that stand alone.
    pub(super) has_halves: bool,
}

/// A key that stands more than once in one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repeated {
    /// Its place, such as `result.tools[0].name`.
    pub(super) path: String,
    /// Whether its values differ, so that it says nothing. A `null` beside another value does not count.
    pub(super) differs: bool,
}

/// Reads a text, or says what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Parsed, String> {
    let error = match parse_whole(text) {
        Ok(parsed) => return Ok(parsed),
        Err(error) => error,
    };
    // Only what serde refuses is looked at again. Most texts have no lone surrogates, and replacing
    // costs a copy.
    let replaced = replace_halves(text);
    if replaced == text {
        return Err(reason(&error));
    }
    let parsed = parse_whole(&replaced).map_err(|error| reason(&error))?;
    Ok(Parsed {
        has_halves: true,
        ..parsed
    })
}

fn parse_whole(text: &str) -> Result<Parsed, serde_json::Error> {
    let repeated = RefCell::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let seed = ValueSeed {
        path: String::new(),
        repeated: &repeated,
    };
    let value = seed.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(Parsed {
        value,
        repeated: repeated.into_inner(),
        has_halves: false,
    })
}

fn reason(error: &serde_json::Error) -> String {
    let words = error.to_string();
    if words.starts_with("recursion limit exceeded") {
        "it is nested more than 127 deep".to_owned()
    } else if error.is_eof() {
        "it is JSON that breaks off".to_owned()
    } else {
        format!("it is no JSON: {words}")
    }
}

/// Puts the replacement character where an escape is half of one and the other half is missing.
fn replace_halves(text: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        replaced.push_str(before);
        let (taken, written) = match (unit(escape), escape.get(6..).and_then(unit)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => (12, escape.get(..12)),
            (Some(0xD800..=0xDFFF), _) => (6, Some("\\ufffd")),
            // The character behind the backslash may be one too.
            _ => {
                let n_bytes = 1 + escape.chars().nth(1).map_or(0, char::len_utf8);
                (n_bytes, escape.get(..n_bytes))
            }
        };
        replaced.push_str(written.unwrap_or_default());
        rest = escape.get(taken..).unwrap_or_default();
    }
    replaced.push_str(rest);
    replaced
}

/// Returns the unit of UTF-16 of an escape that a text begins with.
fn unit(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u32::from_str_radix(digits, 16).ok()
}

/// A value at a place.
struct ValueSeed<'a> {
    path: String,
    repeated: &'a RefCell<Vec<Repeated>>,
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = elements.next_element_seed(ValueSeed {
            path: format!("{}[{}]", self.path, values.len()),
            repeated: self.repeated,
        })? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<Cow<'de, str>>()? {
            let path = join(&self.path, &key);
            let value = entries.next_value_seed(ValueSeed {
                path: path.clone(),
                repeated: self.repeated,
            })?;
            let Some(first) = map.get(&*key) else {
                map.insert(key.into_owned(), value);
                continue;
            };
            let differs = *first != value && !first.is_null() && !value.is_null();
            let is_better = first.is_null();
            self.repeated.borrow_mut().push(Repeated { path, differs });
            if is_better {
                map.insert(key.into_owned(), value);
            }
        }
        Ok(Value::Object(map))
    }
}

/// Names the place of a key below another.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// Finds the id of an answer that cannot be read as a whole; none in what is a question.
pub(super) fn id_of_broken(text: &str) -> Option<RequestId> {
    let mut depth = 0_usize;
    let mut id = None;
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}', '[', ']', '"']) {
        let (_, found) = rest.split_at(at);
        let mut length = 1;
        match found.as_bytes().first() {
            Some(b'{' | b'[') => depth += 1,
            Some(b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {
                let string = string_at(found)?;
                length = string.len();
                let value = found.get(length..)?.trim_start().strip_prefix(':');
                match (depth, string, value) {
                    (1, "\"method\"", Some(_)) => return None,
                    (1, "\"id\"", Some(value)) => id = id.or_else(|| id_at(value.trim_start())),
                    _ => {}
                }
            }
        }
        rest = found.get(length..)?;
    }
    id
}

/// Returns the string that a text begins with, with its quotes.
fn string_at(text: &str) -> Option<&str> {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return text.get(..=at),
            _ => {}
        }
    }
    None
}

fn id_at(text: &str) -> Option<RequestId> {
    if text.starts_with('"') {
        let string = serde_json::from_str::<String>(string_at(text)?).ok()?;
        return Some(RequestId::String(string.into()));
    }
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '-')
        .unwrap_or(text.len());
    text.get(..end)?.parse().ok().map(RequestId::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_that_stand_twice_are_told() {
        let parsed = parse(r#"{"a": 1, "b": [{"c": null, "c": 2, "d": 3, "d": 3}], "a": 4}"#);
        let repeated = |path: &str, differs| Repeated {
            path: path.to_owned(),
            differs,
        };
        assert_eq!(
            parsed,
            Ok(Parsed {
                value: json!({"a": 1, "b": [{"c": 2, "d": 3}]}),
                repeated: vec![
                    repeated("b[0].c", false),
                    repeated("b[0].d", false),
                    repeated("a", true),
                ],
                has_halves: false,
            })
        );
    }

    #[test]
    fn halves_of_characters_are_replaced() {
        for (text, expected) in [
            (r#""a\ud83d""#, "a\u{fffd}"),
            (r#""\ude00\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""\\ud83d \ud83d\n""#, "\\ud83d \u{fffd}\n"),
        ] {
            let parsed = parse(text).unwrap();
            assert_eq!(parsed.value, json!(expected), "{text}");
            assert!(parsed.has_halves, "{text}");
        }
    }

    #[test]
    fn json_error_names_its_place() {
        let deep = "[".repeat(200);
        for (text, expected) in [
            (&*deep, "it is nested more than 127 deep"),
            (r#"{"a": [1"#, "it is JSON that breaks off"),
            ("oops", "it is no JSON: expected value at line 1 column 1"),
        ] {
            assert_eq!(parse(text), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn the_id_of_a_broken_answer_is_found() {
        let number = Some(RequestId::Number(7));
        for (text, expected) in [
            (r#"{"jsonrpc":"2.0","id":7,"result":{"a":["#, number.clone()),
            (r#"{"result":{"id":3,"a":"}\"{"},"id": 7"#, number),
            (
                r#"{"id":"x","result":{{"#,
                Some(RequestId::String("x".into())),
            ),
            (r#"{"method":"ping","id":7,"#, None),
            (r#"{"result":{"id":7}"#, None),
            ("", None),
        ] {
            assert_eq!(id_of_broken(text), expected, "{text}");
        }
    }
}
