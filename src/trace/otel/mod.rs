//! OpenTelemetry: OTLP over HTTP, with the names of the conventions for generative AI.
//!
//! Messages are written here field by field. The two that traces and metrics need fill a page each; the crates that implement the whole
//! protocol would add about thirty dependencies.

mod encoding;
mod metrics;
mod spans;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use super::post::Collector;
use super::processor::Exporter;
use super::span::{Span, SpanStatus};
use crate::future::BoxError;
use crate::http::{BaseUrl, HttpClient, HttpError, Url};
use encoding::{JsonMessage, Protobuf};
use metrics::Metrics;
use spans::write_spans;

/// Sends spans and metrics to an OpenTelemetry collector: OTLP over HTTP, in protobuf.
///
/// Spans go to `{endpoint}/v1/traces`, metrics to `{endpoint}/v1/metrics`, with the names of the conventions for generative AI 0.1.0. A
/// batch that fails is not sent again; the queue counts its spans as lost.
///
/// ```no_run
/// use openai_agents::trace::{ExportQueue, OtlpExporter, Tracer};
///
/// let exporter = OtlpExporter::new("http://127.0.0.1:4318")?.service_name("support-desk");
/// let tracer = Tracer::builder().processor(ExportQueue::new(exporter)).build();
/// # let _ = tracer;
/// # Ok::<(), openai_agents::http::HttpError>(())
/// ```
pub struct OtlpExporter {
    collector: Collector,
    traces: Url,
    metrics_url: Url,
    service: String,
    metrics: Metrics,
}

impl OtlpExporter {
    /// Sends to the collector at this URL, such as `http://127.0.0.1:4318`.
    ///
    /// # Errors
    ///
    /// [`HttpError`] when the URL is invalid or no HTTP client can be made.
    pub fn new(endpoint: &str) -> Result<Self, HttpError> {
        Self::with_client(endpoint, None)
    }

    /// Sends to the collector at this URL with the given client.
    ///
    /// The client brings its time-outs and proxies.
    ///
    /// Without a client a default one is made, with a time-out of 10 seconds.
    ///
    /// # Errors
    ///
    /// [`HttpError`] when the URL is invalid or no HTTP client can be made.
    pub fn with_client(endpoint: &str, client: Option<HttpClient>) -> Result<Self, HttpError> {
        let base = BaseUrl::parse(endpoint)?;
        let (traces, metrics_url) = (base.join("v1/traces")?, base.join("v1/metrics")?);
        Ok(Self {
            collector: Collector::new(endpoint, "application/x-protobuf", client)?,
            traces,
            metrics_url,
            service: "openai-agents".to_owned(),
            metrics: Metrics::new(SystemTime::now()),
        })
    }

    /// Sets the `service.name` under which collectors show the program; `openai-agents` by default.
    #[must_use]
    pub fn service_name(mut self, name: impl Into<String>) -> Self {
        self.service = name.into();
        self
    }

    /// Adds a header to every request, such as a key.
    ///
    /// # Errors
    ///
    /// [`HttpError`] when the name or value is not valid in a header.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, HttpError> {
        self.collector.header(name, value)?;
        Ok(self)
    }
}

impl Exporter for OtlpExporter {
    fn export(&mut self, spans: &[Arc<Span>]) -> Result<(), BoxError> {
        let mut body = Protobuf::default();
        write_spans(&mut body, &self.service, spans.iter().map(|span| &**span));
        let (traces, metrics) = (self.traces.clone(), self.metrics_url.clone());
        // Counted before sending: totals stay right even if this batch of spans is lost.
        self.metrics.count(spans);
        let sent = self.collector.post(&traces, body.into_bytes());
        let mut body = Protobuf::default();
        if self
            .metrics
            .write(&mut body, &self.service, SystemTime::now())
            && let Err(error) = self.collector.post(&metrics, body.into_bytes())
        {
            tracing::debug!(target: "openai_agents::trace", "the collector did not accept metrics, the next report repeats them: {error}");
        }
        sent
    }

    fn target(&self) -> String {
        self.traces.host_port().to_owned()
    }
}

/// Writes spans as OTLP/JSON, one `ExportTraceServiceRequest`, which collectors can read from
/// files.
pub fn otlp_json<'a>(service: &str, spans: impl IntoIterator<Item = &'a Span>) -> String {
    // The format requires an end time, which a running span does not have yet. A lost one ended, though
    // nobody knows when; it is written with its start as its end.
    let spans = spans.into_iter();
    let spans = spans.filter(|span| span.status != SpanStatus::Running);
    let mut json = JsonMessage::default();
    write_spans(&mut json, service, spans);
    json.into_value().to_string()
}

impl fmt::Debug for OtlpExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpExporter")
            .field("traces", &self.traces)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}
