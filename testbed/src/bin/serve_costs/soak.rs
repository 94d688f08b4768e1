//! Requests at a steady rate for a long time: memory and descriptors must not grow.

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use crate::program::Program;
use crate::{BoxError, Report, fixed_model, memory};

/// How often memory and descriptors are looked at.
const BETWEEN_SAMPLES: Duration = Duration::from_secs(5);
/// The part of the time in which caches and stores fill up, which is not looked at.
const WARM_UP: f64 = 0.4;
/// Growth that is too small to matter, in each minute.
const MAX_KB_PER_MINUTE: f64 = 30.0;
const MAX_FILES_PER_MINUTE: f64 = 0.5;

pub(crate) async fn measure() -> Result<Report, BoxError> {
    let minutes = setting("SOAK_MINUTES", 30.0)?;
    let rate = setting("SOAK_RATE", 50.0)?;
    let model = fixed_model::start(500).await?;
    let program = Program::start("", &model)?;
    let duration = Duration::from_secs_f64(minutes * 60.0);
    let (n_ok, n_failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let started = Instant::now();
    let mut ticks = interval(Duration::from_secs_f64(1.0 / rate));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut samples, mut n_begun, mut sampled) = (Vec::new(), 0, started);
    while started.elapsed() < duration {
        ticks.tick().await;
        let (path, body) = request(n_begun);
        n_begun += 1;
        let (address, n_ok, n_failed) = (program.address, Arc::clone(&n_ok), Arc::clone(&n_failed));
        tokio::spawn(async move {
            let body = Arc::new(body.to_string().into_bytes());
            let answered = memory::ask(address, path, body).await;
            let is_ok = answered.is_ok_and(|status| status == "200" || status == "202");
            let count = if is_ok { n_ok } else { n_failed };
            count.fetch_add(1, Ordering::Relaxed);
        });
        if sampled.elapsed() >= BETWEEN_SAMPLES {
            sampled = Instant::now();
            let at = started.elapsed().as_secs_f64() / 60.0;
            samples.push((at, program.resident_kb()?, program.n_files()?));
        }
    }
    samples.retain(|(at, ..)| *at >= minutes * WARM_UP);
    let memory = Slope::of(samples.iter().map(|(at, kb, _)| (*at, *kb)));
    let files = Slope::of(samples.iter().map(|(at, _, files)| (*at, *files)));
    let mut report = Report::default();
    report.add("minutes", minutes);
    report.add("requests_begun", n_begun);
    report.add("answered", n_ok.load(Ordering::Relaxed));
    report.add("not_answered", n_failed.load(Ordering::Relaxed));
    report.add(
        "requests_per_second",
        f64::from(n_begun) / duration.as_secs_f64(),
    );
    report.add("samples", samples.len());
    report.add("rss_first_kb", samples.first().map(|sample| sample.1));
    report.add("rss_last_kb", samples.last().map(|sample| sample.1));
    report.add("rss_peak_kb", program.peak_kb()?);
    report.add("rss_kb_per_minute", memory.slope);
    report.add("rss_kb_per_minute_noise", memory.noise);
    report.add("files_per_minute", files.slope);
    report.add("files_per_minute_noise", files.noise);
    report.expect("all are answered", n_failed.load(Ordering::Relaxed) == 0);
    report.expect("memory does not grow", memory.is_flat(MAX_KB_PER_MINUTE));
    report.expect(
        "descriptors do not grow",
        files.is_flat(MAX_FILES_PER_MINUTE),
    );
    Ok(report)
}

/// Each kind of request in turn; sessions and stored responses are new ones.
fn request(n: u32) -> (&'static str, Value) {
    let messages = json!([{"role": "user", "content": "hi"}]);
    match n % 5 {
        0 => (
            "/v1/chat/completions",
            json!({"model": "EchoAgent", "messages": messages}),
        ),
        1 => (
            "/v1/chat/completions",
            json!({"model": "EchoAgent", "messages": messages, "stream": true}),
        ),
        2 => (
            "/v1/responses",
            json!({"model": "EchoAgent", "input": "hi"}),
        ),
        3 => ("/run", json!({"agent": "EchoAgent", "input": "hi"})),
        _ => (
            "/run",
            json!({"agent": "EchoAgent", "input": "hi", "stream": true}),
        ),
    }
}

fn setting(name: &str, default: f64) -> Result<f64, BoxError> {
    Ok(env::var(name).map_or(Ok(default), |text| text.parse())?)
}

/// How fast something grows, by least squares, and the standard error of that.
struct Slope {
    slope: f64,
    noise: f64,
}

impl Slope {
    #[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
    fn of(samples: impl Iterator<Item = (f64, usize)>) -> Self {
        let samples: Vec<(f64, f64)> = samples.map(|(at, number)| (at, number as f64)).collect();
        let n = samples.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| samples.iter().map(of).sum::<f64>() / n;
        let (mean_at, mean_number) = (mean(|sample| sample.0), mean(|sample| sample.1));
        let spread: f64 = samples.iter().map(|(at, _)| (at - mean_at).powi(2)).sum();
        let both: f64 = samples
            .iter()
            .map(|(at, number)| (at - mean_at) * (number - mean_number))
            .sum();
        let slope = both / spread;
        let left: f64 = samples
            .iter()
            .map(|(at, number)| (number - mean_number - slope * (at - mean_at)).powi(2))
            .sum();
        let noise = (left / (n - 2.0) / spread).sqrt();
        Self { slope, noise }
    }

    /// Whether it grows no faster than what its noise explains, or what does not matter.
    fn is_flat(&self, negligible: f64) -> bool {
        self.slope <= (3.0 * self.noise).max(negligible)
    }
}
