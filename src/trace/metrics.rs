//! The metrics of the OpenTelemetry conventions for generative AI, for collectors and for
//! `/metrics`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::gen_ai;
use crate::usage::Usage;

/// The bucket bounds that the conventions advise for durations, in seconds.
pub(crate) const BOUNDS: [f64; 14] = [
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];

/// How many combinations of attributes are kept apart. Names of models and tools can come from
/// outside, and each would take memory for good.
const MAX_SERIES: usize = 2000;

/// The attribute under which OpenTelemetry counts all combinations beyond the limit.
const OVERFLOW: (&str, &str) = ("otel.metric.overflow", "true");

/// Totals of all measurements.
#[derive(Debug, Default)]
pub(crate) struct GenAiMetrics {
    pub(crate) durations: BTreeMap<Series, Histogram>,
    pub(crate) counts: BTreeMap<Series, u64>,
}

/// A metric with one combination of attributes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Series {
    pub(crate) metric: &'static str,
    pub(crate) attributes: Attributes,
}

pub(crate) type Attributes = Vec<(&'static str, String)>;

#[derive(Debug, Clone, Default)]
pub(crate) struct Histogram {
    pub(crate) n: u64,
    pub(crate) sum: f64,
    pub(crate) buckets: [u64; BOUNDS.len() + 1],
}

impl GenAiMetrics {
    /// Adds a duration.
    pub(crate) fn time(&mut self, metric: &'static str, attributes: &Attributes, took: Duration) {
        let seconds = took.as_secs_f64();
        let histogram = entry(&mut self.durations, metric, attributes);
        histogram.n += 1;
        histogram.sum += seconds;
        let at = BOUNDS.iter().position(|bound| seconds <= *bound);
        if let Some(bucket) = histogram.buckets.get_mut(at.unwrap_or(BOUNDS.len())) {
            *bucket += 1;
        }
    }

    /// Adds the tokens of a model call.
    pub(crate) fn count_tokens(&mut self, attributes: &Attributes, usage: &Usage) {
        for (metric, n_tokens) in [
            (gen_ai::INPUT_TOKEN_COUNT, usage.input_tokens),
            (gen_ai::OUTPUT_TOKEN_COUNT, usage.output_tokens),
            (gen_ai::CACHE_READ_TOKEN_COUNT, usage.cached_tokens),
            (gen_ai::CACHE_WRITE_TOKEN_COUNT, usage.cache_write_tokens),
            (gen_ai::REASONING_TOKEN_COUNT, usage.reasoning_tokens),
        ] {
            if n_tokens > 0 {
                let count = entry(&mut self.counts, metric, attributes);
                *count = count.saturating_add(n_tokens);
            }
        }
    }
}

fn entry<'a, T: Default>(
    totals: &'a mut BTreeMap<Series, T>,
    metric: &'static str,
    attributes: &Attributes,
) -> &'a mut T {
    let mut series = Series {
        metric,
        attributes: attributes.clone(),
    };
    if totals.len() >= MAX_SERIES && !totals.contains_key(&series) {
        series.attributes = vec![(OVERFLOW.0, OVERFLOW.1.to_owned())];
    }
    totals.entry(series).or_default()
}
