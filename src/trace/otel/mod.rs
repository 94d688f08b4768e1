//! OpenTelemetry: OTLP over HTTP, with the names of the conventions for generative AI.
//!
//! What is sent is written here field by field: the two messages that traces and metrics need are a page each, where the crates that have
//! all of the protocol are thirty.

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
/// Spans go to `{endpoint}/v1/traces`, metrics to `{endpoint}/v1/metrics`, with the names of the conventions for generative AI 0.1.0. Nothing is sent
/// twice: what a collector does not take is lost and counted.
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
    /// Sends to the collector at this address.
    ///
    /// # Errors
    ///
    /// When it is no URL.
    pub fn new(endpoint: &str) -> Result<Self, HttpError> {
        Self::with_client(endpoint, None)
    }

    /// Sends to the collector at this address by this client, with its time-outs and proxies.
    ///
    /// # Errors
    ///
    /// When it is no URL.
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

    /// Sets the name under which the program is shown.
    #[must_use]
    pub fn service_name(mut self, name: impl Into<String>) -> Self {
        self.service = name.into();
        self
    }

    /// Sends a header, such as a key.
    ///
    /// # Errors
    ///
    /// When it cannot be sent.
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
        // The counts go on, whether this batch is taken or not.
        self.metrics.count(spans);
        let sent = self.collector.post(&traces, body.into_bytes());
        let mut body = Protobuf::default();
        if self
            .metrics
            .write(&mut body, &self.service, SystemTime::now())
            && let Err(error) = self.collector.post(&metrics, body.into_bytes())
        {
            tracing::debug!(target: "openai_agents::trace", "metrics were not taken: {error}");
        }
        sent
    }

    fn target(&self) -> String {
        self.traces.host_port().to_owned()
    }
}

/// Writes spans as the JSON that collectors read from files: one `ExportTraceServiceRequest`.
pub fn otlp_json<'a>(service: &str, spans: impl IntoIterator<Item = &'a Span>) -> String {
    // What goes on has no end yet, which the format wants; what was lost ended nobody knows when.
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
