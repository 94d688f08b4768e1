//! Counts the metrics of the conventions for generative AI from spans that ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::encoding::{OtlpMessage, ProtoField};
use super::spans::{key_value, nanos, resource, scope};
use crate::trace::gen_ai;
use crate::trace::metrics::{Attributes, BOUNDS, GenAiMetrics, Series};
use crate::trace::span::{Span, SpanKind, SpanStatus};
use crate::trace::usage::usage_of;

/// Totals since the exporter began. Every report contains all of them, so a lost report is made up
/// for by the next.
pub(super) struct Metrics {
    since: SystemTime,
    totals: GenAiMetrics,
}

impl Metrics {
    pub(super) fn new(since: SystemTime) -> Self {
        Self {
            since,
            totals: GenAiMetrics::default(),
        }
    }

    pub(super) fn count(&mut self, spans: &[Arc<Span>]) {
        for span in spans {
            match span.kind {
                // A replayed call came from a journal: no model was asked.
                SpanKind::Generation if !span.is_replayed() => self.count_generation(span),
                // A call that waits for a decision was not made yet.
                SpanKind::Function if !span.is_replayed() && span.status != SpanStatus::Paused => {
                    self.time(gen_ai::TOOL_DURATION, span, &[gen_ai::TOOL_NAME]);
                }
                SpanKind::Agent => {
                    self.time(gen_ai::AGENT_DURATION, span, &[gen_ai::AGENT_NAME]);
                }
                _ => {}
            }
        }
    }

    fn count_generation(&mut self, span: &Span) {
        let by = [gen_ai::OPERATION, gen_ai::PROVIDER, gen_ai::REQUEST_MODEL];
        self.time(gen_ai::INFERENCE_DURATION, span, &by);
        let attributes = attributes(span, &by);
        let first = span.attribute(gen_ai::TIME_TO_FIRST_CHUNK);
        let first = first.and_then(Value::as_f64);
        if let Some(first) = first.and_then(|first| Duration::try_from_secs_f64(first).ok()) {
            self.totals
                .time(gen_ai::FIRST_CHUNK_TIME, &attributes, first);
        }
        self.totals.count_tokens(&attributes, &usage_of(span));
    }

    /// Adds the duration of a span.
    fn time(&mut self, metric: &'static str, span: &Span, by: &[&'static str]) {
        let took = span
            .ended_at
            .and_then(|end| end.duration_since(span.started_at).ok());
        if let Some(took) = took {
            self.totals.time(metric, &attributes(span, by), took);
        }
    }

    /// Writes an `ExportMetricsServiceRequest`; returns whether it contains anything.
    pub(super) fn write<M: OtlpMessage>(&self, to: &mut M, service: &str, now: SystemTime) -> bool {
        const CUMULATIVE: u32 = 2;
        let times = (nanos(self.since), nanos(now));
        // OTLP lists each metric once, with a data point for every combination of attributes.
        let mut histograms: BTreeMap<&str, Vec<M>> = BTreeMap::new();
        for (series, histogram) in &self.totals.durations {
            let mut point = M::default();
            point.fixed(ProtoField(2, "startTimeUnixNano"), times.0);
            point.fixed(ProtoField(3, "timeUnixNano"), times.1);
            point.fixed(ProtoField(4, "count"), histogram.n);
            point.double(ProtoField(5, "sum"), histogram.sum);
            point.fixed_list(ProtoField(6, "bucketCounts"), &histogram.buckets);
            point.double_list(ProtoField(7, "explicitBounds"), &BOUNDS);
            point.many(ProtoField(9, "attributes"), pairs(series));
            histograms.entry(series.metric).or_default().push(point);
        }
        let mut sums: BTreeMap<&str, Vec<M>> = BTreeMap::new();
        for (series, count) in &self.totals.counts {
            let mut point = M::default();
            point.fixed(ProtoField(2, "startTimeUnixNano"), times.0);
            point.fixed(ProtoField(3, "timeUnixNano"), times.1);
            point.fixed(ProtoField(6, "asInt"), *count);
            point.many(ProtoField(7, "attributes"), pairs(series));
            sums.entry(series.metric).or_default().push(point);
        }
        let mut metrics = Vec::new();
        for (name, points) in histograms {
            let mut data = M::default();
            data.many(ProtoField(1, "dataPoints"), points);
            data.number(ProtoField(2, "aggregationTemporality"), CUMULATIVE);
            let mut metric: M = metric_of(name, "s");
            metric.one(ProtoField(9, "histogram"), data);
            metrics.push(metric);
        }
        for (name, points) in sums {
            let mut data = M::default();
            data.many(ProtoField(1, "dataPoints"), points);
            data.number(ProtoField(2, "aggregationTemporality"), CUMULATIVE);
            data.boolean(ProtoField(3, "isMonotonic"), super::encoding::Switch(true));
            let mut metric: M = metric_of(name, "{token}");
            metric.one(ProtoField(7, "sum"), data);
            metrics.push(metric);
        }
        let is_any = !metrics.is_empty();
        let mut of_scope = M::default();
        of_scope.one(ProtoField(1, "scope"), scope());
        of_scope.many(ProtoField(2, "metrics"), metrics);
        let mut of_resource = M::default();
        of_resource.one(ProtoField(1, "resource"), resource(service));
        of_resource.many(ProtoField(2, "scopeMetrics"), [of_scope]);
        to.many(ProtoField(1, "resourceMetrics"), [of_resource]);
        is_any
    }
}

fn attributes(span: &Span, by: &[&'static str]) -> Attributes {
    let text = |name: &&'static str| Some((*name, span.attribute(name)?.as_str()?.to_owned()));
    let mut attributes: Attributes = by.iter().filter_map(text).collect();
    if let Some(error) = &span.error {
        attributes.push((gen_ai::ERROR_TYPE, error.kind.to_string()));
    }
    attributes
}

fn pairs<M: OtlpMessage>(series: &Series) -> Vec<M> {
    let attributes = series.attributes.iter();
    let pair = |(name, value): &(&str, String)| key_value(name, &Value::from(value.as_str()));
    attributes.map(pair).collect()
}

fn metric_of<M: OtlpMessage>(name: &str, unit: &str) -> M {
    let mut metric = M::default();
    metric.text(ProtoField(1, "name"), name);
    metric.text(ProtoField(3, "unit"), unit);
    metric
}
