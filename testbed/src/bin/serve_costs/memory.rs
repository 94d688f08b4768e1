//! What `serve` takes under many large bodies and answers, and what is left of it afterwards.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::program::Program;
use crate::{BoxError, Report, fixed_model};

const MIB: usize = 1024 * 1024;
/// How much memory there may ever be.
const MAX_PEAK_KB: usize = 200 * 1024;
/// How much more there may be afterwards than before, and after how long.
const MAX_LEFT_KB: usize = 20 * 1024;
const PATIENCE: Duration = Duration::from_secs(60);

const N_RUNS: usize = 120;
const ANSWER_BYTES: usize = 2_000_000;
const N_BODIES: usize = 1_000;

/// Runs that are over, with answers of 2 MB, which their readers have read.
pub(crate) async fn runs() -> Result<Report, BoxError> {
    let model = fixed_model::start(ANSWER_BYTES).await?;
    let program = Program::start("", &model)?;
    let before = settled(&program, &warm_up()).await?;
    let mut clients: JoinSet<Result<String, BoxError>> = JoinSet::new();
    let mut answers = AnswerCounts::default();
    for n in 0..N_RUNS {
        if clients.len() == 8
            && let Some(answer) = clients.join_next().await
        {
            answers.count(answer??.as_str());
        }
        let run = json!({"agent": "EchoAgent", "input": "hi", "session": format!("s{n}"), "stream": true});
        clients.spawn(ask(
            program.address,
            "/run",
            Arc::new(run.to_string().into_bytes()),
        ));
    }
    while let Some(answer) = clients.join_next().await {
        answers.count(answer??.as_str());
    }
    let mut report = Report::default();
    report.add("runs", N_RUNS);
    report.expect("all runs end well", answers.ok == N_RUNS);
    finish(report, &program, before, &answers).await
}

/// Clients that all send as much as one may.
pub(crate) async fn bodies() -> Result<Report, BoxError> {
    let model = fixed_model::start(10).await?;
    let program = Program::start("", &model)?;
    let before = settled(&program, &warm_up()).await?;
    let body = question(32 * MIB - 1000);
    let mut clients = JoinSet::new();
    let mut answers = AnswerCounts::default();
    for _ in 0..N_BODIES {
        clients.spawn(ask(
            program.address,
            "/v1/chat/completions",
            Arc::clone(&body),
        ));
    }
    while let Some(answer) = clients.join_next().await {
        match answer? {
            Ok(answer) => answers.count(&answer),
            Err(_) => answers.broken += 1,
        }
    }
    let mut report = Report::default();
    report.add("clients", N_BODIES);
    report.expect("some are answered", answers.ok > 0);
    report.expect("everyone hears an answer", answers.broken == 0);
    finish(report, &program, before, &answers).await
}

#[derive(Default)]
struct AnswerCounts {
    ok: usize,
    busy: usize,
    broken: usize,
}

impl AnswerCounts {
    fn count(&mut self, status: &str) {
        match status {
            "200" => self.ok += 1,
            "503" => self.busy += 1,
            _ => self.broken += 1,
        }
    }
}

async fn finish(
    mut report: Report,
    program: &Program,
    before: usize,
    answers: &AnswerCounts,
) -> Result<Report, BoxError> {
    let after = at_most(program, before + MAX_LEFT_KB).await?;
    let peak = program.peak_kb()?;
    report.add("answered", answers.ok);
    report.add("busy", answers.busy);
    report.add("broken", answers.broken);
    report.add("rss_before_kb", before);
    report.add("rss_peak_kb", peak);
    report.add("rss_after_kb", after);
    report.expect("peak below 200 MB", peak < MAX_PEAK_KB);
    report.expect("memory back within 20 MB", after <= before + MAX_LEFT_KB);
    Ok(report)
}

/// Waits until the memory is below a bound, or for long enough; gives what it is then.
async fn at_most(program: &Program, max_kb: usize) -> Result<usize, BoxError> {
    let started = Instant::now();
    loop {
        let resident = program.resident_kb()?;
        if resident <= max_kb || started.elapsed() > PATIENCE {
            return Ok(resident);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// What is made once should not count.
async fn settled(program: &Program, body: &Arc<Vec<u8>>) -> Result<usize, BoxError> {
    ask(program.address, "/v1/chat/completions", Arc::clone(body)).await?;
    program.resident_kb()
}

fn warm_up() -> Arc<Vec<u8>> {
    question(10)
}

fn question(n_bytes: usize) -> Arc<Vec<u8>> {
    let message = json!({"role": "user", "content": "x".repeat(n_bytes)});
    let body = json!({"model": "EchoAgent", "messages": [message]});
    Arc::new(body.to_string().into_bytes())
}

/// Sends all of a request, and reads all of its answer; gives the status.
pub(crate) async fn ask(
    address: SocketAddr,
    path: &'static str,
    body: Arc<Vec<u8>>,
) -> Result<String, BoxError> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    let mut first = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let n_bytes = stream.read(&mut buffer).await?;
        if n_bytes == 0 {
            break;
        }
        if first.len() < 12 {
            first.extend(buffer.iter().take(n_bytes).take(12));
        }
    }
    let first = String::from_utf8_lossy(&first);
    let status = first.get(9..12).ok_or("no status")?;
    Ok(status.to_owned())
}
