//! Metrics of the conventions for generative AI, counted from spans that ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;

use super::encoding::{OtlpMessage, ProtoField};
use super::spans::{key_value, nanos, resource, scope};
use crate::trace::gen_ai;
use crate::trace::span::{Span, SpanKind};
use crate::trace::usage::usage_of;

/// The bounds of durations, in seconds, as the conventions advise.
const BOUNDS: [f64; 14] = [
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];

/// Totals since the exporter began; each report has all of them, so that one that is lost is made up for by the next.
pub(super) struct Metrics {
    since: SystemTime,
    durations: BTreeMap<Series, Histogram>,
    counts: BTreeMap<Series, u64>,
}

/// A metric with the attributes that it is counted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Series {
    metric: &'static str,
    attributes: Vec<(&'static str, String)>,
}

#[derive(Debug, Clone, Default)]
struct Histogram {
    n: u64,
    sum: f64,
    buckets: [u64; BOUNDS.len() + 1],
}

impl Metrics {
    pub(super) const fn new(since: SystemTime) -> Self {
        Self {
            since,
            durations: BTreeMap::new(),
            counts: BTreeMap::new(),
        }
    }

    pub(super) fn count(&mut self, spans: &[Arc<Span>]) {
        for span in spans {
            match span.kind {
                // Nothing was asked when a journal remembered.
                SpanKind::Generation if !span.is_replayed() => self.count_generation(span),
                SpanKind::Function if !span.is_replayed() => {
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
        if let Some(first) = span.attribute(gen_ai::TIME_TO_FIRST_CHUNK) {
            let seconds = first.as_f64().unwrap_or_default();
            self.add(gen_ai::FIRST_CHUNK_TIME, span, (&by, seconds));
        }
        let usage = usage_of(span);
        for (metric, n_tokens) in [
            (gen_ai::INPUT_TOKEN_COUNT, usage.input_tokens),
            (gen_ai::OUTPUT_TOKEN_COUNT, usage.output_tokens),
            (gen_ai::CACHE_READ_TOKEN_COUNT, usage.cached_tokens),
            (gen_ai::CACHE_WRITE_TOKEN_COUNT, usage.cache_write_tokens),
            (gen_ai::REASONING_TOKEN_COUNT, usage.reasoning_tokens),
        ] {
            if n_tokens > 0 {
                let series = series(metric, span, &by);
                *self.counts.entry(series).or_default() += n_tokens;
            }
        }
    }

    /// Counts how long a span took.
    fn time(&mut self, metric: &'static str, span: &Span, by: &[&'static str]) {
        let took = span
            .ended_at
            .and_then(|end| end.duration_since(span.started_at).ok());
        if let Some(took) = took {
            self.add(metric, span, (by, took.as_secs_f64()));
        }
    }

    fn add(&mut self, metric: &'static str, span: &Span, (by, seconds): (&[&'static str], f64)) {
        let histogram = self.durations.entry(series(metric, span, by)).or_default();
        histogram.n += 1;
        histogram.sum += seconds;
        let at = BOUNDS.iter().position(|bound| seconds <= *bound);
        if let Some(bucket) = histogram.buckets.get_mut(at.unwrap_or(BOUNDS.len())) {
            *bucket += 1;
        }
    }

    /// Writes an `ExportMetricsServiceRequest`; says whether there is anything in it.
    pub(super) fn write<M: OtlpMessage>(&self, to: &mut M, service: &str, now: SystemTime) -> bool {
        const CUMULATIVE: u32 = 2;
        let times = (nanos(self.since), nanos(now));
        let mut metrics = Vec::new();
        for (series, histogram) in &self.durations {
            let mut point = M::default();
            point.fixed(ProtoField(2, "startTimeUnixNano"), times.0);
            point.fixed(ProtoField(3, "timeUnixNano"), times.1);
            point.fixed(ProtoField(4, "count"), histogram.n);
            point.double(ProtoField(5, "sum"), histogram.sum);
            point.fixed_list(ProtoField(6, "bucketCounts"), &histogram.buckets);
            point.double_list(ProtoField(7, "explicitBounds"), &BOUNDS);
            point.many(ProtoField(9, "attributes"), series.attributes());
            let mut data = M::default();
            data.many(ProtoField(1, "dataPoints"), [point]);
            data.number(ProtoField(2, "aggregationTemporality"), CUMULATIVE);
            let mut metric: M = series.metric("s");
            metric.one(ProtoField(9, "histogram"), data);
            metrics.push(metric);
        }
        for (series, count) in &self.counts {
            let mut point = M::default();
            point.fixed(ProtoField(2, "startTimeUnixNano"), times.0);
            point.fixed(ProtoField(3, "timeUnixNano"), times.1);
            point.fixed(ProtoField(6, "asInt"), *count);
            point.many(ProtoField(7, "attributes"), series.attributes());
            let mut data = M::default();
            data.many(ProtoField(1, "dataPoints"), [point]);
            data.number(ProtoField(2, "aggregationTemporality"), CUMULATIVE);
            data.boolean(ProtoField(3, "isMonotonic"), super::encoding::Switch(true));
            let mut metric: M = series.metric("{token}");
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

fn series(metric: &'static str, span: &Span, by: &[&'static str]) -> Series {
    let text = |name: &&'static str| Some((*name, span.attribute(name)?.as_str()?.to_owned()));
    let mut attributes: Vec<_> = by.iter().filter_map(text).collect();
    if let Some(error) = &span.error {
        attributes.push((gen_ai::ERROR_TYPE, error.kind.to_string()));
    }
    Series { metric, attributes }
}

impl Series {
    fn attributes<M: OtlpMessage>(&self) -> Vec<M> {
        let attributes = self.attributes.iter();
        let pair = |(name, value): &(&str, String)| key_value(name, &Value::from(value.as_str()));
        attributes.map(pair).collect()
    }

    fn metric<M: OtlpMessage>(&self, unit: &str) -> M {
        let mut metric = M::default();
        metric.text(ProtoField(1, "name"), self.metric);
        metric.text(ProtoField(3, "unit"), unit);
        metric
    }
}
