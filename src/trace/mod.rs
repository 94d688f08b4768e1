//! Traces: what a run did, span by span.
//!
//! A [`Tracer`] records the runs of every runner that it is given to. Without one nothing is recorded; recording never changes a result.
//! Its spans go to [`Processor`]s. One that takes time, such as [`JsonLines`], is an [`Exporter`] behind an [`ExportQueue`].
//!
//! The spans of a run form a tree: the task (the run), its agents, their turns, and in those the model calls, tool calls and handoffs. A
//! run inside a tool call stands below that call. [`span()`] adds spans of your own; [`Tracer::trace`] joins several runs in one trace.
//!
//! Secrets that a model's endpoint was given never appear in a span. One switch decides whether inputs and outputs are recorded or
//! [withheld](ContentRecording).

mod id;
pub(crate) mod time;
mod span;
mod record;
#[cfg_attr(
    not(feature = "http"),
    expect(dead_code, reason = "only calls of HTTP servers have exchanges")
)]
mod exchange;
mod response;
mod active;
mod processor;
mod scope;
mod tracer;
mod queue;
mod json;
mod json_text;
mod lines;
mod custom;
#[cfg(any(feature = "realtime", feature = "voice"))]
mod open;
#[cfg(feature = "sqlite")]
mod store;
mod usage;
#[cfg(any(feature = "http", feature = "server"))]
pub(crate) mod metrics;
#[cfg(feature = "http")]
mod post;
#[cfg(feature = "http")]
mod messages;
#[cfg(feature = "http")]
mod openai;
#[cfg(feature = "http")]
mod otel;
pub(crate) mod gen_ai;

pub use active::ActiveSpan;
pub use custom::{CustomSpan, span};
pub use id::{ParseIdError, SpanContext, SpanId, TraceId};
pub use lines::{JsonLines, ReadTracesError, read_lines};
#[cfg(feature = "http")]
pub use openai::OpenAiIngest;
#[cfg(feature = "http")]
pub use otel::{OtlpExporter, otlp_json};
pub use processor::{Exporter, MemorySpans, Processor};
pub use queue::{ExportQueue, QueueLimits};
pub use record::SpanRecord;
pub use scope::{InScope, TraceScope, current_span};
pub use span::{Span, SpanContent, SpanError, SpanEvent, SpanKind, SpanStatus, TraceInfo};
#[cfg(feature = "sqlite")]
pub use store::{
    StoredTrace, TraceFilter, TraceList, TraceRetention, TraceStore, TraceStoreError, TraceSummary,
    UsageFilter, UsageKey, UsageTotal,
};
pub use tracer::{ContentRecording, PausedTrace, Propagation, TraceBuilder, Tracer, TracerBuilder};

pub(crate) use id::fnv;
#[cfg(any(feature = "realtime", feature = "voice"))]
pub(crate) use open::OpenSpan;
#[cfg(feature = "http")]
pub(crate) use record::Description;
pub(crate) use record::{SpanDraft, SpanStart};
pub(crate) use response::ResponseTexts;
#[cfg(feature = "mcp-client")]
pub(crate) use scope::current_context;
pub(crate) use scope::{Entered, with_current};
#[cfg(feature = "mcp-server")]
pub(crate) use time::rfc3339;

/// Notes in the current span that its side effect begins, so its outcome does not come from a
/// journal.
pub(crate) fn note_effect() {
    with_current(ActiveSpan::note_effect);
}

/// Notes in the current span that its outcome came from a journal, unless its side effect has
/// begun.
pub(crate) fn note_replay() {
    with_current(|span| {
        if !span.has_effect() {
            span.set(gen_ai::REPLAYED, true);
        }
    });
}
