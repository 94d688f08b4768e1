//! Many clients that stream at once: none is starved, and what an idle stream costs.
//!
//! ```text
//! cargo run --release -p testbed --bin server_streams [STREAMS]
//! ```
//!
//! Prints one JSON line. The server and its clients are in this process, so that a stream is counted with both of its sockets and its
//! client's buffers. Each stream gives a word and then idles; when all do, the memory is looked at, and then each gives its end. Fails if
//! a stream is not whole, or an idle one costs 40 KB or more.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use openai_agents::future::BoxError;
use openai_agents::future::BoxStream;
use openai_agents::model::{ModelError, ModelEvent, ModelRequest};
use openai_agents::server::Server;
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, Model, Runner};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How much memory an idle stream may cost.
const MAX_KB: u64 = 40;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the report is one line on stdout")]
async fn main() -> Result<(), BoxError> {
    let n_streams = env::args().nth(1).map_or(Ok(1000), |it| it.parse())?;
    let report = measure(n_streams).await?;
    println!("{report}");
    let cost = report.get("kb_per_stream").and_then(Value::as_u64);
    if report.get("whole") != Some(&json!(n_streams)) || cost.is_none_or(|cost| cost >= MAX_KB) {
        return Err("a stream was starved or cost too much".into());
    }
    Ok(())
}

/// Says a word, and the rest when it may.
struct Halting(Arc<Semaphore>);

impl Model for Halting {
    fn name(&self) -> &'static str {
        "halting"
    }

    fn call(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, ModelError>> {
        let go_on = Arc::clone(&self.0);
        let answer = ScriptedModel::new([ScriptedTurn::text("One two.")]).call(request);
        let halted = answer.enumerate().then(move |(n, event)| {
            let go_on = Arc::clone(&go_on);
            async move {
                if n == 1 {
                    // It is never closed.
                    go_on.acquire().await.ok();
                }
                event
            }
        });
        Box::pin(halted.chain(stream::empty()))
    }
}

async fn measure(n_streams: usize) -> Result<Value, BoxError> {
    let go_on = Arc::new(Semaphore::new(0));
    let agent = Agent::builder("Guide").build()?;
    let server = Server::builder(Runner::new(Halting(Arc::clone(&go_on))))
        .agent(agent)
        .max_runs(n_streams)
        .build()?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    // It ends with the process.
    tokio::spawn(async move { server.serve(listener, std::future::pending()).await });
    let idle_server = resident_kb()?;

    let started = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..n_streams {
        clients.spawn(Client::begin(address));
    }
    let mut idle = Vec::with_capacity(n_streams);
    let mut slowest_first = Duration::ZERO;
    while let Some(client) = clients.join_next().await {
        idle.push(client??);
        slowest_first = started.elapsed();
    }
    let open = resident_kb()?;
    let released = Instant::now();
    go_on.add_permits(1 << 20);
    let mut clients = JoinSet::new();
    for client in idle {
        clients.spawn(client.end());
    }
    let mut whole = 0;
    while let Some(is_whole) = clients.join_next().await {
        whole += usize::from(is_whole??);
    }
    let cost = open.saturating_sub(idle_server).div_ceil(n_streams.max(1));
    Ok(json!({
        "streams": n_streams,
        "whole": whole,
        "ms_until_all_began": slowest_first.as_millis(),
        "ms_until_all_ended": released.elapsed().as_millis(),
        "rss_idle_server_kb": idle_server,
        "rss_open_kb": open,
        "kb_per_stream": cost,
    }))
}

struct Client(TcpStream);

impl Client {
    /// Asks, and reads the first word.
    async fn begin(address: SocketAddr) -> Result<Self, BoxError> {
        let mut stream = TcpStream::connect(address).await?;
        let body = json!({"model": "Guide", "messages": [{"role": "user", "content": "hi"}], "stream": true}).to_string();
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len(),
        );
        stream.write_all(request.as_bytes()).await?;
        let mut client = Self(stream);
        client.read_until("\"One \"").await?;
        Ok(client)
    }

    /// Reads to the end; says whether it is that of a whole answer.
    async fn end(mut self) -> Result<bool, BoxError> {
        self.read_until("[DONE]").await?;
        Ok(true)
    }

    async fn read_until(&mut self, mark: &str) -> Result<(), BoxError> {
        let mut read = Vec::new();
        let mut buffer = [0; 1024];
        loop {
            let n_bytes = self.0.read(&mut buffer).await?;
            let new = buffer.get(..n_bytes).filter(|new| !new.is_empty());
            read.extend_from_slice(new.ok_or("the stream was cut")?);
            if String::from_utf8_lossy(&read).contains(mark) {
                return Ok(());
            }
        }
    }
}

/// The memory of this process, as the kernel counts it.
fn resident_kb() -> Result<usize, BoxError> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("/proc/self/status has no VmRSS")?.parse()?)
}
