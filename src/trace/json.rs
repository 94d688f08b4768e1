//! Spans as JSON, for the local store, JSON lines and the HTTP API.

use std::borrow::Cow;
use std::sync::Arc;

#[cfg(feature = "mcp-server")]
use serde::Serialize;
use serde_json::{Map, Value};

#[cfg(feature = "mcp-server")]
use super::json_text::push_json;
use super::json_text::{push_map, push_quoted, push_text, push_value};
use super::span::{Span, SpanContent, SpanError, SpanEvent, SpanKind, SpanStatus, TraceInfo};
#[cfg(feature = "sqlite")]
use super::time::push_digits;
use super::time::{parse_rfc3339, push_rfc3339};

/// Where a part of a span's content stands, when it is stored apart.
#[cfg(feature = "sqlite")]
#[derive(Debug, Clone)]
pub(crate) struct ContentPlace {
    pub(crate) name: Cow<'static, str>,
    /// Its length in bytes.
    pub(crate) size: u64,
    /// Offset and size of each piece that makes it up.
    pub(crate) pieces: Vec<(u64, u64)>,
}

/// Texts in their place, by name.
fn push_whole(json: &mut Vec<u8>, content: &[(Cow<'static, str>, SpanContent)]) {
    push_map(json, content, |json, content| {
        push_text(json, &content.to_text());
    });
}

/// The places of the content, by name.
#[cfg(feature = "sqlite")]
fn push_places(json: &mut Vec<u8>, places: &[ContentPlace]) {
    json.push(b'{');
    for (n, place) in places.iter().enumerate() {
        if n > 0 {
            json.push(b',');
        }
        push_text(json, &place.name);
        json.extend_from_slice(br#":{"size":"#);
        push_digits(json, place.size, 1);
        json.extend_from_slice(br#","pieces":["#);
        for (n, (offset, size)) in place.pieces.iter().enumerate() {
            json.extend_from_slice(if n > 0 { b",[" } else { b"[" });
            push_digits(json, *offset, 1);
            json.push(b',');
            push_digits(json, *size, 1);
            json.push(b']');
        }
        json.extend_from_slice(b"]}");
    }
    json.push(b'}');
}

impl Span {
    /// Writes it as JSON, with all of its content.
    ///
    /// ```text
    /// {"trace_id", "span_id", "parent_id", "name", "kind", "is_root", "status", "started_at", "ended_at",
    ///  "attributes": {..}, "events": [..], "error": {"kind", "message"}, "content": {"request": "..", ..}}
    /// ```
    pub fn to_json(&self) -> String {
        let mut json = Vec::with_capacity(1024);
        self.write_json(&mut json, |json| push_whole(json, &self.content));
        String::from_utf8(json).unwrap_or_default()
    }

    /// Appends the span as JSON, with the places of its content instead of the content.
    #[cfg(feature = "sqlite")]
    pub(crate) fn write_json_with(&self, places: &[ContentPlace], to: &mut Vec<u8>) {
        self.write_json(to, |json| push_places(json, places));
    }

    /// Writes the span as JSON, with the given value as its content.
    #[cfg(feature = "mcp-server")]
    pub(crate) fn to_json_with_content(&self, content: &impl Serialize) -> String {
        let mut json = Vec::with_capacity(1024);
        self.write_json(&mut json, |json| push_json(json, content));
        String::from_utf8(json).unwrap_or_default()
    }

    /// Not by serde, which takes three times the instructions: it looks at each byte of what is known to have no escape.
    fn write_json(&self, json: &mut Vec<u8>, push_content: impl FnOnce(&mut Vec<u8>)) {
        json.extend_from_slice(br#"{"trace_id":""#);
        self.trace.id.push_to(json);
        json.extend_from_slice(br#"","span_id":""#);
        self.id.push_to(json);
        json.extend_from_slice(br#"","parent_id":"#);
        push_quoted(json, self.parent, |json, parent| parent.push_to(json));
        json.extend_from_slice(br#","name":"#);
        push_text(json, &self.name);
        json.extend_from_slice(br#","kind":""#);
        json.extend_from_slice(self.kind.as_str().as_bytes());
        json.extend_from_slice(br#"","is_root":"#);
        json.extend_from_slice(if self.is_root { b"true" } else { b"false" });
        json.extend_from_slice(br#","status":""#);
        json.extend_from_slice(self.status.as_str().as_bytes());
        json.extend_from_slice(br#"","started_at":""#);
        push_rfc3339(json, self.started_at);
        json.extend_from_slice(br#"","ended_at":"#);
        push_quoted(json, self.ended_at, push_rfc3339);
        json.extend_from_slice(br#","attributes":"#);
        push_map(json, &self.attributes, push_value);
        if !self.events.is_empty() {
            json.extend_from_slice(br#","events":"#);
            push_events(json, &self.events);
        }
        json.extend_from_slice(br#","error":"#);
        match &self.error {
            Some(error) => {
                json.extend_from_slice(br#"{"kind":"#);
                push_text(json, &error.kind);
                json.extend_from_slice(br#","message":"#);
                push_text(json, &error.message);
                json.push(b'}');
            }
            None => json.extend_from_slice(b"null"),
        }
        json.extend_from_slice(br#","content":"#);
        push_content(json);
        json.push(b'}');
    }

    /// Reads what [`to_json`](Self::to_json) wrote; `None` if it is not a span of this trace.
    pub fn from_json(trace: &Arc<TraceInfo>, json: &Value) -> Option<Self> {
        let text = |name: &str| json.get(name)?.as_str();
        let is_of_trace = text("trace_id")?.parse() == Ok(trace.id);
        let error = json.get("error").filter(|error| !error.is_null());
        let content = json.get("content").and_then(Value::as_object);
        let content = content.into_iter().flatten().filter_map(|(name, text)| {
            Some((Cow::Owned(name.clone()), SpanContent::text(text.as_str()?)))
        });
        let events = json.get("events").and_then(Value::as_array);
        is_of_trace.then_some(Self {
            trace: Arc::clone(trace),
            id: text("span_id")?.parse().ok()?,
            parent: match json.get("parent_id") {
                Some(Value::String(id)) => Some(id.parse().ok()?),
                _ => None,
            },
            name: Cow::Owned(text("name")?.to_owned()),
            kind: SpanKind::of_name(text("kind")?)?,
            is_root: json
                .get("is_root")
                .and_then(Value::as_bool)
                .unwrap_or_default(),
            status: SpanStatus::of_name(text("status")?)?,
            started_at: parse_rfc3339(text("started_at")?)?,
            ended_at: text("ended_at").and_then(parse_rfc3339),
            attributes: owned(json.get("attributes")),
            events: events
                .into_iter()
                .flatten()
                .filter_map(|event| {
                    Some(SpanEvent {
                        name: Cow::Owned(event.get("name")?.as_str()?.to_owned()),
                        at: parse_rfc3339(event.get("at")?.as_str()?)?,
                        attributes: owned(event.get("attributes")),
                    })
                })
                .collect(),
            error: error.map(|error| {
                let text = |name| {
                    let text = error.get(name).and_then(Value::as_str);
                    text.unwrap_or_default().to_owned()
                };
                SpanError {
                    kind: Cow::Owned(text("kind")),
                    message: text("message"),
                }
            }),
            content: content.collect(),
        })
    }
}

fn push_events(json: &mut Vec<u8>, events: &[SpanEvent]) {
    for (n, event) in events.iter().enumerate() {
        json.extend_from_slice(if n > 0 {
            br#",{"name":"#
        } else {
            br#"[{"name":"#
        });
        push_text(json, &event.name);
        json.extend_from_slice(br#","at":""#);
        push_rfc3339(json, event.at);
        json.extend_from_slice(br#"","attributes":"#);
        push_map(json, &event.attributes, push_value);
        json.push(b'}');
    }
    json.push(b']');
}

fn owned(attributes: Option<&Value>) -> Vec<(Cow<'static, str>, Value)> {
    let attributes = attributes.and_then(Value::as_object).into_iter().flatten();
    let owned = attributes.map(|(name, value)| (Cow::Owned(name.clone()), value.clone()));
    owned.collect()
}

impl TraceInfo {
    /// Writes it as JSON: `trace_id`, `name`, `group_id`, `metadata`.
    pub(crate) fn to_value(&self) -> Map<String, Value> {
        let metadata = self.metadata.iter().cloned().collect();
        let mut json = Map::new();
        json.insert("trace_id".to_owned(), self.id.to_string().into());
        json.insert("name".to_owned(), (*self.name).into());
        json.insert("group_id".to_owned(), self.group.as_deref().into());
        json.insert("metadata".to_owned(), Value::Object(metadata));
        json
    }

    /// Reads what [`to_value`](Self::to_value) wrote.
    pub(crate) fn from_value(json: &Value) -> Option<Self> {
        let text = |name: &str| json.get(name)?.as_str();
        let metadata = json.get("metadata").and_then(Value::as_object);
        let metadata = metadata.into_iter().flatten();
        Some(Self {
            id: text("trace_id")?.parse().ok()?,
            name: text("name")?.into(),
            group: text("group_id").map(Into::into),
            metadata: metadata
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        })
    }
}
