//! Many runs that wait for a few places at the model: how many the server saw at once, in which order, and what waiting costs.
//!
//! ```text
//! cargo run --release -p testbed --bin queued_runs [RUNS] [LIMIT]
//! ```
//!
//! Prints one JSON line. The server is in this process and holds every answer back until all runs wait, so that what memory they
//! add is theirs. Fails if the server ever saw more than the limit.

use std::env;
use std::error::Error;
use std::fs;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use openai_agents::model::{ConcurrencyLimit, OpenAiChat};
use openai_agents::{Agent, RunRequest, RunStream, Runner};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const QUESTION: &str = "question ";
const ANSWER: &str = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"done"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6}}"#;

/// What the server has seen.
#[derive(Default)]
struct Seen {
    n_running: AtomicUsize,
    max_running: AtomicUsize,
    /// The numbers of the questions, in the order of their arrival.
    order: Mutex<Vec<usize>>,
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "the report is one line on stdout")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let mut argument = |default: usize| {
        arguments
            .next()
            .map_or(Ok(default), |argument| argument.parse())
    };
    let (n_runs, limit) = (argument(10_000)?, argument(64)?);
    let limit = NonZeroUsize::new(limit).ok_or("the limit is 0")?;
    let report = measure(n_runs, limit).await?;
    println!("{report}");
    if report.get("max_at_server").and_then(Value::as_u64) > Some(limit.get() as u64) {
        return Err("the server saw more requests at once than allowed".into());
    }
    Ok(())
}

async fn measure(n_runs: usize, limit: NonZeroUsize) -> Result<Value, Box<dyn Error>> {
    let seen = Arc::new(Seen::default());
    let gate = watch::Sender::new(true);
    let url = serve(Arc::clone(&seen), &gate).await?;
    let model = OpenAiChat::builder(url, "m").build()?;
    let runner = Runner::new(ConcurrencyLimit::new(limit).wrap(model));
    let agent = Agent::builder("Guide")
        .instructions("Answer in one word.")
        .build()?;
    // What is made once should not count.
    runner.run(&agent, "question 0").await?;
    seen.order().clear();
    seen.order().reserve(n_runs);
    gate.send_replace(false);

    let before = resident_kb()?;
    let mut runs = Vec::with_capacity(n_runs);
    for n in 0..n_runs {
        let request = runner.run(&agent, format!("{QUESTION}{n}"));
        runs.push(tokio::spawn(async move { request.await.map(drop) }));
    }
    let at_work = limit.get().min(n_runs);
    while seen.order().len() < at_work {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let waiting = resident_kb()?;

    let started = Instant::now();
    gate.send_replace(true);
    for run in runs {
        run.await??;
    }
    let elapsed = started.elapsed();
    let order = seen.order();
    let displacement = order.iter().enumerate().map(|(at, n)| at.abs_diff(*n));
    let kb_per_run = waiting.saturating_sub(before) * 100 / n_runs.max(1);
    Ok(json!({
        "runs": n_runs,
        "limit": limit,
        "max_at_server": seen.max_running.load(Ordering::SeqCst),
        "max_displacement": displacement.max(),
        "rss_before_kb": before,
        "rss_waiting_kb": waiting,
        "kb_per_waiting_run": format!("{}.{:02}", kb_per_run / 100, kb_per_run % 100),
        "ms_to_finish": elapsed.as_millis(),
        "bytes_of_run_request": size_of::<RunRequest>(),
        "bytes_of_run_stream": size_of::<RunStream>(),
    }))
}

impl Seen {
    fn order(&self) -> std::sync::MutexGuard<'_, Vec<usize>> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The memory of this process, as the kernel counts it.
fn resident_kb() -> Result<usize, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("/proc/self/status has no VmRSS")?.parse()?)
}

/// Starts the server; it answers while the gate is open.
async fn serve(seen: Arc<Seen>, gate: &watch::Sender<bool>) -> Result<String, Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}/v1", listener.local_addr()?);
    let gate = gate.subscribe();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // It ends when the client closes the connection.
            tokio::spawn(answer(stream, Arc::clone(&seen), gate.clone()));
        }
    });
    Ok(url)
}

async fn answer(
    mut stream: TcpStream,
    seen: Arc<Seen>,
    mut gate: watch::Receiver<bool>,
) -> Option<()> {
    loop {
        let number = read_question(&mut stream).await?;
        let n_running = seen.n_running.fetch_add(1, Ordering::SeqCst) + 1;
        seen.max_running.fetch_max(n_running, Ordering::SeqCst);
        seen.order().push(number);
        gate.wait_for(|is_open| *is_open).await.ok()?;
        tokio::time::sleep(Duration::from_millis(2)).await;
        // Before the client can know of the answer, and so send its next request.
        seen.n_running.fetch_sub(1, Ordering::SeqCst);
        let n_bytes = ANSWER.len();
        let reply = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {n_bytes}\r\n\r\n{ANSWER}"
        );
        stream.write_all(reply.as_bytes()).await.ok()?;
    }
}

/// Reads a request whole and gives the number in its question; `None` when the connection is over.
async fn read_question(stream: &mut TcpStream) -> Option<usize> {
    let mut request = String::new();
    let mut buffer = [0; 4096];
    loop {
        // Nothing follows the body, whose last byte closes the only object of this depth.
        if let Some((_, body)) = request.split_once("\r\n\r\n")
            && serde_json::from_str::<Value>(body).is_ok()
        {
            let (_, rest) = body.split_once(QUESTION)?;
            return rest.split('"').next()?.parse().ok();
        }
        let n_bytes = stream.read(&mut buffer).await.ok().filter(|n| *n > 0)?;
        request.push_str(std::str::from_utf8(buffer.get(..n_bytes)?).ok()?);
    }
}
