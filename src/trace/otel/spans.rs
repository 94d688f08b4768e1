//! Spans as OTLP messages.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::encoding::{OtlpMessage, ProtoField, Switch};
use crate::trace::gen_ai;
use crate::trace::messages::{items_of, otel_messages};
use crate::trace::span::{Span, SpanKind, SpanStatus};

/// The version of the conventions that the attribute names come from.
const SCHEMA: &str = "https://opentelemetry.io/schemas/gen-ai/0.1.0";

const ATTRIBUTES: ProtoField = ProtoField(9, "attributes");

/// Writes an `ExportTraceServiceRequest`.
pub(super) fn write_spans<'a, M: OtlpMessage>(
    to: &mut M,
    service: &str,
    spans: impl IntoIterator<Item = &'a Span>,
) {
    let mut of_scope = M::default();
    of_scope.one(ProtoField(1, "scope"), scope());
    of_scope.many(ProtoField(2, "spans"), spans.into_iter().map(span));
    of_scope.text(ProtoField(3, "schemaUrl"), SCHEMA);
    let mut of_resource = M::default();
    of_resource.one(ProtoField(1, "resource"), resource(service));
    of_resource.many(ProtoField(2, "scopeSpans"), [of_scope]);
    to.many(ProtoField(1, "resourceSpans"), [of_resource]);
}

pub(super) fn scope<M: OtlpMessage>() -> M {
    let mut scope = M::default();
    scope.text(ProtoField(1, "name"), "openai-agents");
    scope.text(ProtoField(2, "version"), env!("CARGO_PKG_VERSION"));
    scope
}

pub(super) fn resource<M: OtlpMessage>(service: &str) -> M {
    let mut resource = M::default();
    let name = key_value("service.name", &Value::from(service));
    resource.many(ProtoField(1, "attributes"), [name]);
    resource
}

/// Nanoseconds since 1970.
pub(super) fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

pub(super) fn key_value<M: OtlpMessage>(key: &str, value: &Value) -> M {
    let mut pair = M::default();
    pair.text(ProtoField(1, "key"), key);
    pair.one(ProtoField(2, "value"), any_value(value));
    pair
}

fn any_value<M: OtlpMessage>(value: &Value) -> M {
    let mut any = M::default();
    match value {
        // OTLP writes null as a value without content.
        Value::Null => {}
        Value::Bool(is) => any.boolean(ProtoField(2, "boolValue"), Switch(*is)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => any.integer(ProtoField(3, "intValue"), number),
            (None, Some(number)) => any.double(ProtoField(4, "doubleValue"), number),
            (None, None) => {}
        },
        Value::String(text) => any.text(ProtoField(1, "stringValue"), text),
        Value::Array(values) => {
            let mut list = M::default();
            list.many(ProtoField(1, "values"), values.iter().map(any_value));
            any.one(ProtoField(5, "arrayValue"), list);
        }
        Value::Object(fields) => {
            let mut list = M::default();
            let fields = fields.iter().map(|(name, value)| key_value(name, value));
            list.many(ProtoField(1, "values"), fields);
            any.one(ProtoField(6, "kvlistValue"), list);
        }
    }
    any
}

fn span<M: OtlpMessage>(span: &Span) -> M {
    const INTERNAL: u32 = 1;
    const CLIENT: u32 = 3;
    let mut message = M::default();
    message.id(ProtoField(1, "traceId"), &span.trace.id.to_string());
    message.id(ProtoField(2, "spanId"), &span.id.to_string());
    if let Some(parent) = span.parent {
        message.id(ProtoField(4, "parentSpanId"), &parent.to_string());
    }
    message.text(ProtoField(5, "name"), &span.name);
    let kind = match span.kind {
        SpanKind::Generation | SpanKind::McpTools => CLIENT,
        _ => INTERNAL,
    };
    message.number(ProtoField(6, "kind"), kind);
    message.fixed(ProtoField(7, "startTimeUnixNano"), nanos(span.started_at));
    let ended_at = span.ended_at.unwrap_or(span.started_at);
    message.fixed(ProtoField(8, "endTimeUnixNano"), nanos(ended_at));
    let own = span.attributes.iter();
    let own = own.map(|(name, value)| key_value(name, value));
    let more = more_attributes(span);
    let more = more.iter().map(|(name, value)| key_value(name, value));
    message.many(ATTRIBUTES, own.chain(more).collect::<Vec<_>>());
    let events = span.events.iter().map(|event| {
        let mut message = M::default();
        message.fixed(ProtoField(1, "timeUnixNano"), nanos(event.at));
        message.text(ProtoField(2, "name"), &event.name);
        let attributes = event.attributes.iter();
        let attributes = attributes.map(|(name, value)| key_value(name, value));
        message.many(ProtoField(3, "attributes"), attributes.collect::<Vec<_>>());
        message
    });
    message.many(ProtoField(11, "events"), events.collect::<Vec<_>>());
    if let Some(status) = status(span) {
        message.one(ProtoField(15, "status"), status);
    }
    message
}

fn status<M: OtlpMessage>(span: &Span) -> Option<M> {
    const ERROR: u32 = 2;
    if span.status != SpanStatus::Error {
        return None;
    }
    let mut status = M::default();
    if let Some(error) = &span.error {
        status.text(ProtoField(2, "message"), &error.message);
    }
    status.number(ProtoField(3, "code"), ERROR);
    Some(status)
}

/// What OTLP has no field for: the kind, the trace's name and group, unusual ends, and the content.
fn more_attributes(span: &Span) -> Vec<(&'static str, Value)> {
    let mut more = vec![(gen_ai::SPAN_KIND, span.kind.as_str().into())];
    if span.is_root {
        more.push((gen_ai::TRACE_NAME, (*span.trace.name).into()));
        if let Some(group) = &span.trace.group {
            more.push((gen_ai::TRACE_GROUP, (**group).into()));
        }
    }
    if matches!(
        span.status,
        SpanStatus::Cancelled | SpanStatus::Paused | SpanStatus::Lost
    ) {
        more.push((gen_ai::SPAN_STATUS, span.status.as_str().into()));
    }
    if let Some(error) = &span.error
        && span.attribute(gen_ai::ERROR_TYPE).is_none()
    {
        more.push((gen_ai::ERROR_TYPE, (*error.kind).into()));
    }
    if span.kind == SpanKind::Generation {
        for (name, attribute) in [
            ("input", gen_ai::INPUT_MESSAGES),
            ("output", gen_ai::OUTPUT_MESSAGES),
        ] {
            if span.content(name).is_some() {
                let messages = otel_messages(&items_of(span, name));
                more.push((attribute, Value::Array(messages).to_string().into()));
            }
        }
    }
    for (name, attribute) in [
        ("instructions", gen_ai::SYSTEM_INSTRUCTIONS),
        ("arguments", gen_ai::TOOL_ARGUMENTS),
        ("result", gen_ai::TOOL_RESULT),
    ] {
        if let Some(content) = span.content(name) {
            more.push((attribute, content.to_text().into()));
        }
    }
    more
}
