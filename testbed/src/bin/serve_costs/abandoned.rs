//! MCP sessions that their clients abandon: what one costs, and that the memory comes back when they have been idle.
//!
//! The program refuses those over its limit; all of them at once in a server of the library's are measured by `mcp_sessions`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::ClientConnection;
use crate::program::Program;
use crate::{BoxError, Report};

const N_SESSIONS: usize = 20_000;
/// How many clients shake hands at a time; they share the sessions without a rest.
const N_CLIENTS: usize = 16;
/// How much more memory there may be in the end.
const MAX_KB_LEFT: usize = 20 * 1024;
/// After how long without a message a session of the program ends.
const IDLE: Duration = Duration::from_secs(300);
/// How long after the idle time the memory may take to be back.
const GRACE: Duration = Duration::from_secs(15);

pub(crate) async fn measure() -> Result<Report, BoxError> {
    let program = Program::start("", "http://127.0.0.1:1/v1")?;
    let address = program.address;
    // What is made once should not count.
    let mut client = ClientConnection::open(address).await?;
    let first = shake_hands(&mut client).await?.ok_or("no session")?;
    let before = program.resident_kb()?;
    let started = Instant::now();
    let n_open = abandon(address).await?;
    let opened_in = started.elapsed();
    let open = program.resident_kb()?;
    // The first is there as long as all others are.
    let is_first_open = is_open(address, &first).await?;

    tokio::time::sleep(IDLE + GRACE).await;
    let is_last_open = is_open(address, &first).await?;
    let after = program.resident_kb()?;
    let left = after.saturating_sub(before);
    let mut report = Report::default();
    report.add("attempts", N_SESSIONS);
    report.add("open_at_once", n_open + usize::from(is_first_open));
    report.add_time("ms_to_open", opened_in);
    report.add("idle_seconds", IDLE.as_secs());
    report.add("rss_before_kb", before);
    report.add("rss_open_kb", open);
    report.add("rss_peak_kb", program.peak_kb()?);
    report.add("rss_after_kb", after);
    report.add(
        "kb_per_session",
        open.saturating_sub(before) / n_open.max(1),
    );
    report.add("kb_left", left);
    report.expect("the sessions end", is_first_open && !is_last_open);
    report.expect("memory back within 20 MB", left <= MAX_KB_LEFT);
    Ok(report)
}

/// Begins sessions and forgets them; gives how many were granted.
async fn abandon(address: SocketAddr) -> Result<usize, BoxError> {
    let mut clients = JoinSet::new();
    for _ in 0..N_CLIENTS {
        clients.spawn(async move {
            let mut client = ClientConnection::open(address).await?;
            let mut n_granted = 0;
            for _ in 0..N_SESSIONS / N_CLIENTS {
                n_granted += usize::from(shake_hands(&mut client).await?.is_some());
            }
            Ok::<_, BoxError>(n_granted)
        });
    }
    let mut n_granted = 0;
    while let Some(client) = clients.join_next().await {
        n_granted += client??;
    }
    Ok(n_granted)
}

/// Begins a session and gives its id, if it is granted.
async fn shake_hands(client: &mut ClientConnection) -> Result<Option<String>, BoxError> {
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "abandoner", "version": "1"},
    }});
    client.post("/mcp", "", &hello).await?;
    let answer = client.answer().await?;
    Ok(answer.header("mcp-session-id").map(str::to_owned))
}

async fn is_open(address: SocketAddr, session: &str) -> Result<bool, BoxError> {
    let mut client = ClientConnection::open(address).await?;
    let ping: Value = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let header = format!("mcp-session-id: {session}\r\n");
    client.post("/mcp", &header, &ping).await?;
    match client.answer().await?.status {
        200 => Ok(true),
        404 => Ok(false),
        status => Err(format!("a ping is answered {status}").into()),
    }
}
