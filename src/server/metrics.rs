//! Counters in the text format of Prometheus.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::kind::ErrorKind;
use crate::model::MemoryLimit;
use crate::usage::Usage;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunOutcome {
    Completed,
    Failed(ErrorKind),
    /// Nobody waited for its end.
    Dropped,
}

/// Counts since the start of the server.
#[derive(Debug)]
pub(super) struct Metrics {
    requests: [AtomicU64; STATUSES.len()],
    completed: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    errors: Vec<AtomicU64>,
    model_requests: AtomicU64,
    tokens: [AtomicU64; TOKENS.len()],
}

const STATUSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
const TOKENS: [&str; 4] = ["input", "output", "cached", "reasoning"];

impl Metrics {
    pub(super) fn new() -> Self {
        Self {
            requests: Default::default(),
            completed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            errors: ErrorKind::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
            model_requests: AtomicU64::new(0),
            tokens: Default::default(),
        }
    }

    /// Counts an answer.
    pub(super) fn answered(&self, status: u16) {
        let class = usize::from(status / 100).saturating_sub(1);
        if let Some(count) = self.requests.get(class) {
            add(count, 1);
        }
    }

    /// Counts a run that is over.
    pub(super) fn ran(&self, outcome: RunOutcome, usage: &Usage) {
        match outcome {
            RunOutcome::Completed => add(&self.completed, 1),
            RunOutcome::Dropped => add(&self.dropped, 1),
            RunOutcome::Failed(kind) => {
                add(&self.failed, 1);
                let at = ErrorKind::ALL.iter().position(|known| *known == kind);
                if let Some(count) = at.and_then(|at| self.errors.get(at)) {
                    add(count, 1);
                }
            }
        }
        add(&self.model_requests, usage.requests);
        let used = [
            usage.input_tokens,
            usage.output_tokens,
            usage.cached_tokens,
            usage.reasoning_tokens,
        ];
        for (count, used) in self.tokens.iter().zip(used) {
            add(count, used);
        }
    }

    /// Writes all counts, and how many runs go on and wait.
    pub(super) fn to_text(&self, n_active: usize, n_waiting: usize) -> String {
        let mut text = String::new();
        let requests = STATUSES.iter().copied().zip(&self.requests);
        family(
            &mut text,
            "http_requests_total",
            "Answers by class of status.",
            "status",
            requests,
        );
        let runs = [
            ("completed", &self.completed),
            ("failed", &self.failed),
            ("dropped", &self.dropped),
        ];
        family(
            &mut text,
            "runs_total",
            "Runs that are over, by how they ended.",
            "outcome",
            runs,
        );
        let errors = ErrorKind::ALL
            .iter()
            .map(|kind| kind.as_str())
            .zip(&self.errors);
        family(
            &mut text,
            "run_errors_total",
            "Runs that failed, by kind of error.",
            "kind",
            errors,
        );
        let tokens = TOKENS.iter().copied().zip(&self.tokens);
        family(
            &mut text,
            "tokens_total",
            "Tokens as the model's server counts them.",
            "type",
            tokens,
        );
        let n_requests = self.model_requests.load(Ordering::Relaxed);
        single(
            &mut text,
            ("model_requests_total", "counter"),
            "Requests to models that ended.",
            n_requests,
        );
        single(
            &mut text,
            ("runs_active", "gauge"),
            "Runs that go on.",
            n_active as u64,
        );
        single(
            &mut text,
            ("runs_waiting", "gauge"),
            "Runs that wait for their turn.",
            n_waiting as u64,
        );
        text
    }
}

/// Writes what the answers of models hold that are under way.
pub(super) fn answers(text: &mut String, limit: &MemoryLimit) {
    single(
        text,
        ("answers_bytes", "gauge"),
        "Bytes of the answers of models that are under way.",
        limit.n_bytes() as u64,
    );
    single(
        text,
        ("answers_max_bytes", "gauge"),
        "How many bytes these may have.",
        limit.max_bytes() as u64,
    );
}

fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
}

fn family<'a>(
    text: &mut String,
    name: &str,
    help: &str,
    label: &str,
    counts: impl IntoIterator<Item = (&'a str, &'a AtomicU64)>,
) {
    head(text, (name, "counter"), help);
    for (value, count) in counts {
        let count = count.load(Ordering::Relaxed);
        // Writing to a string cannot fail.
        writeln!(text, "openai_agents_{name}{{{label}=\"{value}\"}} {count}").ok();
    }
}

fn single(text: &mut String, (name, kind): (&str, &str), help: &str, count: u64) {
    head(text, (name, kind), help);
    writeln!(text, "openai_agents_{name} {count}").ok();
}

fn head(text: &mut String, (name, kind): (&str, &str), help: &str) {
    writeln!(
        text,
        "# HELP openai_agents_{name} {help}\n# TYPE openai_agents_{name} {kind}"
    )
    .ok();
}
