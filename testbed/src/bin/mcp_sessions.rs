//! Many MCP sessions that their clients abandon: what one costs, and that the memory comes back when they have been idle.
//!
//! ```text
//! cargo run --release -p testbed --bin mcp_sessions [SESSIONS] [IDLE_SECONDS]
//! ```
//!
//! Prints one JSON line. The server is in this process; its clients shake hands and never come back. Fails if the memory after the
//! idle time is more than 20 MB above that before the sessions.
//!
//! What the sessions held is freed, but the allocator of glibc keeps pages that lie below others; it is asked for them before the
//! memory is looked at the last time, as a server would that wants them to go back. Both numbers are in the report.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use openai_agents::future::BoxError;
use openai_agents::server::mcp::McpServer;
use openai_agents::testing::ScriptedModel;
use openai_agents::{Agent, Runner};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How many clients shake hands at a time.
const N_CLIENTS: usize = 16;
/// How much more memory there may be in the end.
const MAX_KB_LEFT: usize = 20 * 1024;
/// How long after the idle time the sessions may take to be gone.
const GRACE: Duration = Duration::from_secs(2);

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the report is one line on stdout")]
async fn main() -> Result<(), BoxError> {
    let mut arguments = env::args().skip(1);
    let n_sessions = arguments.next().map_or(Ok(20_000), |it| it.parse())?;
    let idle = arguments.next().map_or(Ok(30), |it| it.parse())?;
    let report = measure(n_sessions, Duration::from_secs(idle)).await?;
    println!("{report}");
    let left = report.get("kb_left").and_then(Value::as_u64);
    if left.is_none_or(|left| left > MAX_KB_LEFT as u64) {
        return Err("the memory did not come back".into());
    }
    Ok(())
}

async fn measure(n_sessions: usize, idle: Duration) -> Result<Value, BoxError> {
    let address = serve(n_sessions + 1, idle).await?;
    // What is made once should not count.
    let session = Client::connect(address).await?.shake_hands().await?;
    let before = resident_kb()?;

    let started = Instant::now();
    let mut clients = JoinSet::new();
    for n in 0..N_CLIENTS {
        let n_own = n_sessions / N_CLIENTS + usize::from(n < n_sessions % N_CLIENTS);
        clients.spawn(async move {
            let mut client = Client::connect(address).await?;
            for _ in 0..n_own {
                client.shake_hands().await?;
            }
            Ok::<_, BoxError>(())
        });
    }
    while let Some(client) = clients.join_next().await {
        client??;
    }
    let opened_in = started.elapsed();
    let open = resident_kb()?;
    let mut client = Client::connect(address).await?;
    // The first is there as long as all others are.
    let first_is_open = client.ask(&ping(), Some(&session)).await?.status == 200;

    tokio::time::sleep(idle + GRACE).await;
    let last_is_closed = client.ask(&ping(), Some(&session)).await?.status == 404;
    let kept = resident_kb()?;
    trim();
    let after = resident_kb()?;
    Ok(json!({
        "sessions": n_sessions,
        "idle_seconds": idle.as_secs(),
        "ms_to_open": opened_in.as_millis(),
        "all_open_at_once": first_is_open,
        "all_closed": last_is_closed,
        "rss_before_kb": before,
        "rss_open_kb": open,
        "rss_idle_kb": kept,
        "rss_after_kb": after,
        "kb_per_session": open.saturating_sub(before) / n_sessions.max(1),
        "kb_left": after.saturating_sub(before),
    }))
}

async fn serve(max_sessions: usize, idle: Duration) -> Result<SocketAddr, BoxError> {
    let agent = Agent::builder("Guide").instructions("Be brief.").build()?;
    let server = McpServer::builder(Runner::new(ScriptedModel::new([])))
        .agent(agent)
        .max_sessions(max_sessions)
        .session_timeout(idle)
        .build()?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    // It ends with the process.
    tokio::spawn(async move { axum::serve(listener, server.router()).await });
    Ok(address)
}

fn hello() -> Value {
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "abandoner", "version": "1"},
    }})
}

fn ping() -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "ping"})
}

/// One connection, over which requests go one after the other.
struct Client {
    address: SocketAddr,
    stream: TcpStream,
}

struct HttpAnswer {
    status: u16,
    session: Option<String>,
}

impl Client {
    async fn connect(address: SocketAddr) -> Result<Self, BoxError> {
        let stream = TcpStream::connect(address).await?;
        Ok(Self { address, stream })
    }

    /// Begins a session and gives its id.
    async fn shake_hands(&mut self) -> Result<String, BoxError> {
        let answer = self.ask(&hello(), None).await?;
        let session = answer.session.filter(|_| answer.status == 200);
        Ok(session.ok_or_else(|| format!("no session, status {}", answer.status))?)
    }

    async fn ask(
        &mut self,
        message: &Value,
        session: Option<&str>,
    ) -> Result<HttpAnswer, BoxError> {
        let body = message.to_string();
        let session = session.map_or_else(String::new, |id| format!("mcp-session-id: {id}\r\n"));
        let request = format!(
            "POST /mcp HTTP/1.1\r\nhost: {}\r\n{session}content-type: application/json\r\n\
             accept: application/json, text/event-stream\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len(),
        );
        self.stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        let mut buffer = [0; 4096];
        while !is_whole(&answer) {
            let n_bytes = self.stream.read(&mut buffer).await?;
            let read = buffer.get(..n_bytes).filter(|read| !read.is_empty());
            answer.push_str(std::str::from_utf8(read.ok_or("cut")?)?);
        }
        let status = answer.split(' ').nth(1).ok_or("no status")?.parse()?;
        let header = |line: &str| Some(line.strip_prefix("mcp-session-id: ")?.to_owned());
        Ok(HttpAnswer {
            status,
            session: answer.lines().find_map(header),
        })
    }
}

/// Whether an answer in chunks, or of a given length, is there to its end.
fn is_whole(answer: &str) -> bool {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    length.map_or_else(
        || body.ends_with("0\r\n\r\n"),
        |length: usize| body.len() >= length,
    )
}

/// Asks the allocator to give back the pages that it does not need.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(
    unsafe_code,
    reason = "glibc has no safe way, and without it its caches are measured"
)]
fn trim() {
    // SAFETY: it takes no pointer, and locks what it looks at; it may be called at any time from any thread.
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators are taken as they are.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
const fn trim() {}

/// The memory of this process, as the kernel counts it.
fn resident_kb() -> Result<usize, BoxError> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("/proc/self/status has no VmRSS")?.parse()?)
}
