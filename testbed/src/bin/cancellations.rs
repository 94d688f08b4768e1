//! Runs that are cancelled at random points: how long the model's connection outlives them, and what is left.
//!
//! ```text
//! cargo run --release -p testbed --bin cancellations [RUNS]
//! ```
//!
//! Prints one JSON line. Each run streams an answer with a tool call and then a text from a server in this process, a piece a
//! millisecond, and is dropped, cancelled at once or cancelled after its turn. Fails if a call is left without its output or a task
//! without its run.

use openai_agents::item::ItemKind;
use openai_agents::model::OpenAiChat;
use openai_agents::{Agent, Cancel, FunctionTool, Item, RunStream, Runner};
use serde_json::json;
use std::collections::HashSet;
use std::env;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct NoArguments {}

/// When the server saw connections end in the middle of an answer.
type Ends = Arc<Mutex<Vec<Instant>>>;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "the report is one line on stdout")]
async fn main() -> Result<(), Box<dyn Error>> {
    let n_runs = env::args().nth(1).map_or(Ok(600), |n| n.parse())?;
    let ends = Ends::default();
    let url = serve(Arc::clone(&ends)).await?;
    let runner = Runner::new(OpenAiChat::builder(url, "m").build()?);
    let tool = FunctionTool::new("slow", "Takes a while.", async |_cx, _: NoArguments| {
        tokio::time::sleep(Duration::from_millis(3)).await;
        Ok::<_, String>("done")
    })?;
    let agent = Agent::builder("A").tool(tool).build()?;
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let (mut n_cut, mut n_orphans, mut slowest) = (0, 0, Duration::ZERO);
    for n in 0..n_runs {
        // Xorshift: the same numbers in each execution.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let stream = runner.run(&agent, "go").stream();
        let n_before = lock(&ends).len();
        let (ended, items) = cancel(stream, random % 24, n % 3).await?;
        n_orphans += n_open_calls(&items);
        if let Some(lag) = closed(&ends, n_before, ended).await {
            n_cut += 1;
            slowest = slowest.max(lag);
        }
    }
    drop(runner);
    let n_tasks = settled().await;
    println!(
        "{}",
        json!({
            "runs": n_runs, "cut_inside_an_answer": n_cut, "orphan_calls": n_orphans,
            "slowest_close_us": slowest.as_micros(), "tasks_left": n_tasks,
        })
    );
    if n_orphans > 0 || n_tasks > 0 {
        return Err("something is left".into());
    }
    Ok(())
}

/// Reads so many events and cancels; gives when that was, and the items that the run says it has.
async fn cancel(
    mut stream: RunStream,
    n_events: u64,
    how: usize,
) -> Result<(Instant, Vec<Item>), Box<dyn Error>> {
    for _ in 0..n_events {
        if stream.next().await.is_none() {
            return Ok((Instant::now(), Vec::new()));
        }
    }
    let when = match how {
        0 => {
            let now = Instant::now();
            drop(stream);
            return Ok((now, Vec::new()));
        }
        1 => Cancel::Now,
        _ => Cancel::AfterTurn,
    };
    let asked = Instant::now();
    stream.cancel(when);
    let mut items = Vec::new();
    while let Some(event) = stream.next().await {
        if let Err(error) = event {
            items.clone_from(&error.progress().items);
        }
    }
    Ok((asked, items))
}

fn n_open_calls(items: &[Item]) -> usize {
    let mut open = HashSet::new();
    for item in items {
        match item.kind() {
            ItemKind::FunctionCall(call) => drop(open.insert(call.call_id.clone())),
            ItemKind::FunctionCallOutput(output) => drop(open.remove(&output.call_id)),
            _ => {}
        }
    }
    open.len()
}

/// How long after a moment the server saw the connection end, if it was in the middle of an answer.
async fn closed(ends: &Ends, n_before: usize, since: Instant) -> Option<Duration> {
    for _ in 0..20 {
        if let Some(end) = lock(ends).get(n_before) {
            return Some(end.saturating_duration_since(since));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    None
}

/// Waits for what was let go; gives the tasks that are left beside the server's own.
async fn settled() -> usize {
    for _ in 0..200 {
        if Handle::current().metrics().num_alive_tasks() <= 1 {
            return 0;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Handle::current().metrics().num_alive_tasks() - 1
}

fn lock(ends: &Ends) -> std::sync::MutexGuard<'_, Vec<Instant>> {
    ends.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(ends: Ends) -> Result<String, Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}/v1", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Otherwise the pieces wait for each other's acknowledgement.
            drop(stream.set_nodelay(true));
            tokio::spawn(answer(stream, Arc::clone(&ends)));
        }
    });
    Ok(url)
}

/// Answers requests until the client closes; notes when it did inside an answer.
async fn answer(mut stream: TcpStream, ends: Ends) -> Option<()> {
    loop {
        let is_second = read_request(&mut stream).await?;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.ok()?;
        for piece in pieces(is_second) {
            let mut byte = [0; 1];
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(1)) => {}
                _ = stream.read(&mut byte) => {
                    lock(&ends).push(Instant::now());
                    return None;
                }
            }
            let event = format!("data: {piece}\n\n");
            let chunk = format!("{:x}\r\n{event}\r\n", event.len());
            stream.write_all(chunk.as_bytes()).await.ok()?;
        }
        stream.write_all(b"0\r\n\r\n").await.ok()?;
    }
}

fn pieces(is_second: bool) -> Vec<String> {
    let delta = |delta| json!({ "choices": [{ "index": 0, "delta": delta }] }).to_string();
    let end = |reason| {
        json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] }).to_string()
    };
    let mut pieces = Vec::new();
    if is_second {
        pieces.extend((0..12).map(|n| delta(json!({ "content": format!("word{n} ") }))));
        pieces.push(end("stop"));
    } else {
        let call = json!({ "index": 0, "id": "c1", "type": "function", "function": { "name": "slow", "arguments": "" } });
        pieces.push(delta(json!({ "role": "assistant", "tool_calls": [call] })));
        for part in ["{", "}"] {
            let call = json!({ "index": 0, "function": { "arguments": part } });
            pieces.push(delta(json!({ "tool_calls": [call] })));
        }
        pieces.push(end("tool_calls"));
    }
    pieces.push("[DONE]".to_owned());
    pieces
}

/// Reads a request whole; says whether it has a tool's output.
async fn read_request(stream: &mut TcpStream) -> Option<bool> {
    let mut request = String::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some((_, body)) = request.split_once("\r\n\r\n")
            && serde_json::from_str::<serde_json::Value>(body).is_ok()
        {
            return Some(body.contains(r#""role":"tool""#));
        }
        let n_bytes = stream.read(&mut buffer).await.ok().filter(|n| *n > 0)?;
        request.push_str(std::str::from_utf8(buffer.get(..n_bytes)?).ok()?);
    }
}
