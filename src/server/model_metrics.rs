//! How long models and tools took, and how many tokens they used, by the names of the conventions for generative AI.
//!
//! A layer around the steps of each run measures it: so it is there without a tracer, which would also tell MCP servers of a trace.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures_util::StreamExt as _;

use crate::agent::runner::{RunLayer, RunStep, StepKind, StepOutcome, StepOutcomes};
use crate::model::{Delivery, ModelEvent};
use crate::trace::gen_ai;
use crate::trace::metrics::{Attributes, BOUNDS, GenAiMetrics, Histogram};
use crate::usage::Usage;

/// Totals of all runs of a server; a cheap handle.
#[derive(Debug, Clone, Default)]
pub(super) struct ModelMetrics(Arc<Mutex<GenAiMetrics>>);

impl RunLayer for ModelMetrics {
    fn perform(&self, step: &RunStep, outcomes: StepOutcomes) -> StepOutcomes {
        match &step.kind {
            StepKind::CallModel {
                request,
                model,
                provider,
            } => {
                let attributes = vec![
                    (gen_ai::OPERATION, gen_ai::CHAT.to_owned()),
                    (gen_ai::PROVIDER, provider.to_string()),
                    (gen_ai::REQUEST_MODEL, model.to_string()),
                ];
                let mut call = ModelCall {
                    metrics: self.clone(),
                    attributes,
                    start: Instant::now(),
                    has_begun: request.delivery != Delivery::Stream,
                };
                Box::pin(outcomes.inspect(move |outcome| call.take(outcome)))
            }
            StepKind::CallTool { call } => {
                let attributes = vec![(gen_ai::TOOL_NAME, call.tool_name().to_string())];
                let (metrics, start) = (self.clone(), Instant::now());
                Box::pin(outcomes.inspect(move |outcome| {
                    metrics.take_tool(attributes.clone(), start, outcome);
                }))
            }
            _ => outcomes,
        }
    }
}

struct ModelCall {
    metrics: ModelMetrics,
    attributes: Attributes,
    start: Instant,
    /// Whether its first piece was seen, if there are pieces.
    has_begun: bool,
}

impl ModelCall {
    fn take(&mut self, outcome: &StepOutcome) {
        let took = self.start.elapsed();
        match outcome {
            StepOutcome::Model(event) => {
                if !std::mem::replace(&mut self.has_begun, true) {
                    let mut totals = self.metrics.lock();
                    totals.time(gen_ai::FIRST_CHUNK_TIME, &self.attributes, took);
                }
                if let ModelEvent::ResponseDone(meta) = event {
                    let mut totals = self.metrics.lock();
                    totals.time(gen_ai::INFERENCE_DURATION, &self.attributes, took);
                    let usage = meta.usage.unwrap_or(Usage::UNREPORTED);
                    totals.count_tokens(&self.attributes, &usage);
                }
            }
            StepOutcome::Failed(failure) => {
                let mut attributes = self.attributes.clone();
                attributes.push((gen_ai::ERROR_TYPE, failure.kind().as_str().to_owned()));
                let mut totals = self.metrics.lock();
                totals.time(gen_ai::INFERENCE_DURATION, &attributes, took);
            }
            _ => {}
        }
    }
}

impl ModelMetrics {
    fn take_tool(&self, mut attributes: Attributes, start: Instant, outcome: &StepOutcome) {
        let error = match outcome {
            StepOutcome::ToolCalled(end) => match end.outcome() {
                Some(outcome) => outcome.failure.as_ref().map(|_| gen_ai::TOOL_ERROR),
                // It waits for a decision.
                None => return,
            },
            StepOutcome::Failed(failure) => Some(failure.kind().as_str()),
            _ => return,
        };
        attributes.extend(error.map(|error| (gen_ai::ERROR_TYPE, error.to_owned())));
        let took = start.elapsed();
        self.lock().time(gen_ai::TOOL_DURATION, &attributes, took);
    }

    /// Writes them in the text format of Prometheus.
    pub(super) fn write(&self, text: &mut String) {
        let totals = self.lock();
        let mut latest = "";
        for (series, histogram) in &totals.durations {
            let name = format!("{}_seconds", prometheus_name(series.metric));
            head(text, &mut latest, series.metric, (&name, "histogram"));
            write_histogram(text, &name, &labels(&series.attributes), histogram);
        }
        for (series, count) in &totals.counts {
            let name = format!("{}_total", prometheus_name(series.metric));
            head(text, &mut latest, series.metric, (&name, "counter"));
            // Writing to a string cannot fail.
            writeln!(text, "{name}{{{}}} {count}", labels(&series.attributes)).ok();
        }
    }

    fn lock(&self) -> MutexGuard<'_, GenAiMetrics> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What stands before the first of the series of a metric; they are in order.
fn head<'a>(text: &mut String, latest: &mut &'a str, metric: &'a str, (name, kind): (&str, &str)) {
    if std::mem::replace(latest, metric) != metric {
        writeln!(
            text,
            "# HELP {name} {metric} of OpenTelemetry\n# TYPE {name} {kind}"
        )
        .ok();
    }
}

fn write_histogram(text: &mut String, name: &str, labels: &str, histogram: &Histogram) {
    let mut n_below = 0;
    let bounds = BOUNDS.iter().map(ToString::to_string);
    let bounds = bounds.chain(["+Inf".to_owned()]);
    for (bound, n) in bounds.zip(&histogram.buckets) {
        n_below += n;
        writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {n_below}").ok();
    }
    writeln!(text, "{name}_sum{{{labels}}} {}", histogram.sum).ok();
    writeln!(text, "{name}_count{{{labels}}} {}", histogram.n).ok();
}

fn prometheus_name(name: &str) -> String {
    name.replace('.', "_")
}

fn labels(attributes: &Attributes) -> String {
    let labels = attributes.iter().map(|(name, value)| {
        let value = value.replace('\\', "\\\\");
        let value = value.replace('"', "\\\"").replace('\n', "\\n");
        format!("{}=\"{value}\"", prometheus_name(name))
    });
    labels.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn metrics_are_written_with_their_labels_escaped() {
        let metrics = ModelMetrics::default();
        let attributes = vec![(gen_ai::REQUEST_MODEL, "a\"b\\c\nd".to_owned())];
        let took = Duration::from_millis(15);
        metrics
            .lock()
            .time(gen_ai::INFERENCE_DURATION, &attributes, took);
        let usage = Usage::of_request(7, 2, 9);
        metrics.lock().count_tokens(&attributes, &usage);
        let mut text = String::new();
        metrics.write(&mut text);
        let label = r#"gen_ai_request_model="a\"b\\c\nd""#;
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..4],
            [
                "# HELP gen_ai_client_inference_duration_seconds gen_ai.client.inference.duration of OpenTelemetry".to_owned(),
                "# TYPE gen_ai_client_inference_duration_seconds histogram".to_owned(),
                format!("gen_ai_client_inference_duration_seconds_bucket{{{label},le=\"0.01\"}} 0"),
                format!("gen_ai_client_inference_duration_seconds_bucket{{{label},le=\"0.02\"}} 1"),
            ]
        );
        let counted = format!("gen_ai_client_inference_usage_input_tokens_total{{{label}}} 7");
        assert!(lines.contains(&&*counted), "{text}");
    }
}
