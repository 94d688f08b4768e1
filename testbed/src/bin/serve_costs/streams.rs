//! Many clients that stream at once: what one that waits for the model costs, and that none is starved.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use crate::client::ClientConnection;
use crate::model::{FIRST, Model, N_PIECES};
use crate::program::Program;
use crate::{BoxError, Report};

const N_STREAMS: usize = 1_000;
/// How much memory one that waits may cost; it has a connection of the client and one to the model.
const MAX_KB: usize = 40;
/// How long a client may wait for the next piece while the model gives ten a second to each.
const MAX_WAIT: Duration = Duration::from_secs(5);

pub(crate) async fn measure() -> Result<Report, BoxError> {
    let model = Model::start().await?;
    let program = Program::start("", &model.url)?;
    // What is made once should not count; the client goes away.
    drop(begin(program.address).await?);
    let before = program.resident_kb()?;

    let started = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..N_STREAMS {
        clients.spawn(begin(program.address));
    }
    let mut waiting = Vec::with_capacity(N_STREAMS);
    while let Some(client) = clients.join_next().await {
        waiting.push(client??);
    }
    let begun_in = started.elapsed();
    let open = program.resident_kb()?;

    let started = Instant::now();
    model.release();
    let mut clients = JoinSet::new();
    for client in waiting {
        clients.spawn(end(client));
    }
    let (mut n_whole, mut longest_wait) = (0, Duration::ZERO);
    while let Some(client) = clients.join_next().await {
        let (is_whole, wait) = client??;
        n_whole += usize::from(is_whole);
        longest_wait = longest_wait.max(wait);
    }
    let cost = open.saturating_sub(before);
    let mut report = Report::default();
    report.add("streams", N_STREAMS);
    report.add("whole", n_whole);
    report.add_time("ms_until_all_began", begun_in);
    report.add_time("ms_until_all_ended", started.elapsed());
    report.add_time("ms_longest_wait", longest_wait);
    report.add("rss_before_kb", before);
    report.add("rss_open_kb", open);
    report.add("rss_peak_kb", program.peak_kb()?);
    report.add("bytes_per_stream", cost * 1024 / N_STREAMS);
    report.expect("all are whole", n_whole == N_STREAMS);
    report.expect("none is starved", longest_wait < MAX_WAIT);
    report.expect("below 40 KB each", cost < MAX_KB * N_STREAMS);
    Ok(report)
}

/// Asks, and reads the first word.
async fn begin(address: SocketAddr) -> Result<ClientConnection, BoxError> {
    let mut client = ClientConnection::open(address).await?;
    let message = json!({"role": "user", "content": "hi"});
    let body = json!({"model": "EchoAgent", "messages": [message], "stream": true});
    client.post("/v1/chat/completions", "", &body).await?;
    if client.read_until(&format!("{FIRST:?}")).await? {
        return Ok(client);
    }
    Err(format!("no stream begins: {}", client.text()).into())
}

/// Reads to the end; says whether the answer is whole, and the longest wait for a piece of it.
async fn end(mut client: ClientConnection) -> Result<(bool, Duration), BoxError> {
    let (mut n_read, mut longest) = (1, Duration::ZERO);
    while n_read > 0 && !client.text().contains("[DONE]") {
        let asked = Instant::now();
        n_read = client.read_more().await?;
        longest = longest.max(asked.elapsed());
    }
    let text = client.text();
    let n_pieces = text.matches("\"piece").count();
    Ok((n_read > 0 && n_pieces == N_PIECES, longest))
}
