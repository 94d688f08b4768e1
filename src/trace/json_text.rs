//! JSON written into a list of bytes, value by value.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

/// Writes a text: as it stands if nothing of it needs an escape, as nearly all do.
pub(super) fn push_text(json: &mut Vec<u8>, text: &str) {
    if needs_escapes(text.as_bytes()) {
        push_json(json, &text);
        return;
    }
    json.push(b'"');
    json.extend_from_slice(text.as_bytes());
    json.push(b'"');
}

/// Writes what needs no escapes in quotes, or `null`.
pub(super) fn push_quoted<T>(
    json: &mut Vec<u8>,
    value: Option<T>,
    push: impl FnOnce(&mut Vec<u8>, T),
) {
    let Some(value) = value else {
        json.extend_from_slice(b"null");
        return;
    };
    json.push(b'"');
    push(json, value);
    json.push(b'"');
}

pub(super) fn push_value(json: &mut Vec<u8>, value: &Value) {
    match value {
        Value::String(text) => push_text(json, text),
        other => push_json(json, other),
    }
}

/// Writes an object.
pub(super) fn push_map<T>(
    json: &mut Vec<u8>,
    pairs: &[(Cow<'static, str>, T)],
    push: impl Fn(&mut Vec<u8>, &T),
) {
    json.push(b'{');
    for (n, (name, value)) in pairs.iter().enumerate() {
        if n > 0 {
            json.push(b',');
        }
        push_text(json, name);
        json.push(b':');
        push(json, value);
    }
    json.push(b'}');
}

pub(super) fn push_json(json: &mut Vec<u8>, value: &impl Serialize) {
    // Its keys are texts and its numbers are finite, which is all that can fail.
    let _written = serde_json::to_writer(json, value);
}

/// Without leaving a chunk early, so that many bytes are looked at by one instruction.
fn needs_escapes(text: &[u8]) -> bool {
    const CHUNK: usize = 32;
    let is_any = |chunk: &[u8]| {
        let needs = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
        chunk.iter().fold(false, |any, byte| any | needs(byte))
    };
    text.chunks(CHUNK).any(is_any)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::push_text;

    proptest! {
        #[test]
        fn text_is_written_as_serde_writes_it(text in "([a-zä]{0,40}|[\\x00-\\x7f]){0,4}") {
            let mut json = Vec::new();
            push_text(&mut json, &text);
            prop_assert_eq!(String::from_utf8(json).unwrap(), serde_json::to_string(&text).unwrap());
        }
    }
}
