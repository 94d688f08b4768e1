//! Compares a server's messages with the protocol and notes where they deviate.

use serde_json::{Map, Value};

use super::deviations::{Deviations, Difference, quoted};
use super::json::join;
use super::shape::{CONTENT, METHODS, RESOURCE, Shape, ShapeField};

/// Lists where what belongs to a method differs from the protocol.
pub(super) fn compare(method: &str, found: &Value, deviations: &Deviations) {
    let fields = METHODS.iter().find(|(name, _)| *name == method);
    if let Some((_, fields)) = fields {
        let place = ComparedMessage { method, deviations };
        place.object("", fields, found);
    }
}

struct ComparedMessage<'a> {
    method: &'a str,
    deviations: &'a Deviations,
}

impl ComparedMessage<'_> {
    fn note(&self, difference: Difference, path: &str, words: &str) {
        let method = self.method;
        let place = format!("{method} {path}");
        let detail = if path.is_empty() {
            format!("{method}: {words}")
        } else {
            format!("{method}: `{path}` {words}")
        };
        self.deviations.note(difference, &place, &detail);
    }

    fn wrong(&self, path: &str, due: &str, found: &Value) {
        let words = format!("is {}, not {due}: {}", kind(found), quoted(found));
        self.note(Difference::WrongType, path, &words);
    }

    fn object(&self, path: &str, fields: &[ShapeField], found: &Value) {
        let Value::Object(map) = found else {
            return self.wrong(path, "an object", found);
        };
        for field in fields {
            match map.get(field.name) {
                Some(Value::Null) if !matches!(field.shape, Shape::Any) => {
                    self.note(Difference::Null, &join(path, field.name), "is null");
                }
                Some(value) => self.value(&join(path, field.name), field.shape, value),
                None if field.is_due => {
                    self.note(Difference::Missing, &join(path, field.name), "is missing");
                }
                None => {}
            }
        }
        for (name, value) in map {
            if !fields.iter().any(|field| field.name == name) {
                let words = format!("is no field of the protocol: {}", quoted(value));
                self.note(Difference::UnknownField, &join(path, name), &words);
            }
        }
    }

    fn value(&self, path: &str, shape: Shape, found: &Value) {
        match shape {
            Shape::Any => {}
            Shape::Text => self.expect(path, "text", found, found.is_string()),
            Shape::Flag => self.expect(path, "true or false", found, found.is_boolean()),
            Shape::Number => self.expect(path, "a number", found, found.is_number()),
            Shape::Key => {
                let fits = found.is_string() || found.is_number();
                self.expect(path, "text or a number", found, fits);
            }
            Shape::Open => self.expect(path, "an object", found, found.is_object()),
            Shape::Object(fields) => self.object(path, fields, found),
            Shape::Content => self.content(path, found),
            Shape::Contents => match found {
                Value::Array(blocks) => {
                    for (n, block) in blocks.iter().enumerate() {
                        self.content(&format!("{path}[{n}]"), block);
                    }
                }
                block => self.content(path, block),
            },
            Shape::Word(words) => match found.as_str() {
                Some(word) if words.contains(&word) => {}
                Some(_) => {
                    let words = format!("is a word that is not known: {}", quoted(found));
                    self.note(Difference::UnknownValue, path, &words);
                }
                None => self.wrong(path, "text", found),
            },
            Shape::List(each) => {
                let Value::Array(values) = found else {
                    return self.wrong(path, "a list", found);
                };
                for (n, value) in values.iter().enumerate() {
                    self.value(&format!("{path}[{n}]"), *each, value);
                }
            }
        }
    }

    fn expect(&self, path: &str, due: &str, found: &Value, fits: bool) {
        if !fits {
            self.wrong(path, due, found);
        }
    }

    fn content(&self, path: &str, found: &Value) {
        let Value::Object(map) = found else {
            return self.wrong(path, "an object", found);
        };
        let kind = map.get("type").and_then(Value::as_str);
        if kind == Some("resource_link") {
            return self.link(path, map);
        }
        let known = CONTENT.iter().find(|(name, _)| Some(*name) == kind);
        if let Some((_, fields)) = known {
            return self.object(path, fields, found);
        }
        let words = format!("is content of a type that is not known: {}", quoted(found));
        self.note(Difference::UnknownValue, path, &words);
    }

    /// A link has the fields of a resource beside its type.
    fn link(&self, path: &str, map: &Map<String, Value>) {
        let mut resource = map.clone();
        resource.remove("type");
        self.object(path, RESOURCE, &Value::Object(resource));
    }
}

/// Says what a value is.
pub(super) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
