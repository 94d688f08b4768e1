//! Spans as JSON, for the local store, JSON lines and the HTTP API.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::id::{SpanId, TraceId};
use super::span::{Span, SpanContent, SpanError, SpanEvent, SpanKind, SpanStatus, TraceInfo};
use super::time::{parse_rfc3339, rfc3339};

/// A span in JSON form.
#[derive(Serialize)]
struct SpanJson<'a, C> {
    trace_id: ShownId<TraceId>,
    span_id: ShownId<SpanId>,
    parent_id: Option<ShownId<SpanId>>,
    name: &'a str,
    kind: &'static str,
    is_root: bool,
    status: &'static str,
    started_at: String,
    ended_at: Option<String>,
    #[serde(serialize_with = "pairs")]
    attributes: &'a [(Cow<'static, str>, Value)],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    events: Vec<EventJson<'a>>,
    error: Option<ErrorJson<'a>>,
    content: C,
}

/// An id, written as its digits.
struct ShownId<T>(T);

impl<T: fmt::Display> Serialize for ShownId<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[derive(Serialize)]
struct EventJson<'a> {
    name: &'a str,
    at: String,
    #[serde(serialize_with = "pairs")]
    attributes: &'a [(Cow<'static, str>, Value)],
}

#[derive(Serialize)]
struct ErrorJson<'a> {
    kind: &'a str,
    message: &'a str,
}

/// Where a part of a span's content stands, when it is stored apart.
#[cfg(feature = "sqlite")]
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ContentPlace {
    #[serde(skip)]
    pub(crate) name: Cow<'static, str>,
    /// Its length in bytes.
    pub(crate) size: u64,
    /// Offset and size of each piece that makes it up.
    pub(crate) pieces: Vec<(u64, u64)>,
}

fn pairs<S: Serializer>(
    pairs: &&[(Cow<'static, str>, Value)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

/// The content itself, by name.
struct Whole<'a>(&'a [(Cow<'static, str>, SpanContent)]);

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, content) in self.0 {
            map.serialize_entry(name, &content.to_text())?;
        }
        map.end()
    }
}

/// The places of the content, by name.
#[cfg(feature = "sqlite")]
struct Places<'a>(&'a [ContentPlace]);

#[cfg(feature = "sqlite")]
impl Serialize for Places<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|place| (&place.name, place)))
    }
}

impl Span {
    /// Writes it as JSON, with all of its content.
    ///
    /// ```text
    /// {"trace_id", "span_id", "parent_id", "name", "kind", "is_root", "status", "started_at", "ended_at",
    ///  "attributes": {..}, "events": [..], "error": {"kind", "message"}, "content": {"request": "..", ..}}
    /// ```
    pub fn to_json(&self) -> String {
        self.to_json_with_content(Whole(&self.content))
    }

    /// Appends the span as JSON, with the places of its content instead of the content.
    #[cfg(feature = "sqlite")]
    pub(crate) fn write_json_with(&self, places: &[ContentPlace], to: &mut Vec<u8>) {
        self.write_json(Places(places), to);
    }

    /// Writes the span as JSON, with the given value as its content.
    pub(crate) fn to_json_with_content(&self, content: impl Serialize) -> String {
        let mut json = Vec::with_capacity(1024);
        self.write_json(content, &mut json);
        String::from_utf8(json).unwrap_or_default()
    }

    fn write_json(&self, content: impl Serialize, to: &mut Vec<u8>) {
        let events = self.events.iter().map(|event| EventJson {
            name: &event.name,
            at: rfc3339(event.at),
            attributes: &event.attributes,
        });
        let json = SpanJson {
            trace_id: ShownId(self.trace.id),
            span_id: ShownId(self.id),
            parent_id: self.parent.map(ShownId),
            name: &self.name,
            kind: self.kind.as_str(),
            is_root: self.is_root,
            status: self.status.as_str(),
            started_at: rfc3339(self.started_at),
            ended_at: self.ended_at.map(rfc3339),
            attributes: &self.attributes,
            events: events.collect(),
            error: self.error.as_ref().map(|error| ErrorJson {
                kind: &error.kind,
                message: &error.message,
            }),
            content,
        };
        // Fails only for keys that are not texts and for numbers that are not finite; there are none.
        let _written = serde_json::to_writer(to, &json);
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
