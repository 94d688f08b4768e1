//! SIGTERM while turns go on: what is begun ends whole or leaves nothing, and nothing is left behind.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use openai_agents::Item;
use openai_agents::item::ItemKind;
use openai_agents::session::{Session, SessionId, SqliteSessions};
use serde_json::json;

use crate::client::ClientConnection;
use crate::model::{CALLING, FIRST, Model, STUCK};
use crate::program::{Program, beside_this, is_alive};
use crate::{BoxError, Report};

const N_RUNS: usize = 50;
/// How long the end may take.
const MAX_TIME: Duration = Duration::from_secs(10);

/// What a model does once the end is asked for, and how many items its session must have then.
const KINDS: [(&str, usize); 3] = [
    // Asked and answered.
    ("quick", 2),
    // And called and its output, but no second turn.
    (CALLING, 4),
    // Only asked.
    (STUCK, 1),
];

pub(crate) async fn measure() -> Result<Report, BoxError> {
    let model = Model::start().await?;
    let peer = beside_this("mcp_server")?;
    // Its tools come from a process that must not be left behind.
    let config = json!({
        "mcp_servers": {"peer": {"command": peer, "args": ["--stdio"], "prefix_tools": true}},
        "agents": [{"name": "Worker", "tools": ["calculator"], "mcp_servers": ["peer"]}],
        "sessions": {"url": "sqlite:sessions.db"},
    });
    let mut program = Program::start(&config.to_string(), &model.url)?;
    let mut runs = Vec::with_capacity(N_RUNS);
    for n in 0..N_RUNS {
        runs.push(begin(program.address, n).await?);
    }
    let children = program.children()?;

    let started = Instant::now();
    program.terminate()?;
    model.release();
    let ended = program.ended(2 * MAX_TIME).await?;
    let ended_in = started.elapsed();
    let n_left = children.iter().filter(|id| is_alive(**id)).count();
    let n_torn = n_torn(&program).await?;
    drop(runs);

    let mut report = Report::default();
    report.add("running_turns", N_RUNS);
    report.add("model_requests", model.n_requests());
    report.add("torn_turns", n_torn);
    report.add("children", children.len());
    report.add("children_left", n_left);
    report.add_time("ms_to_end", ended_in);
    report.add("exit_code", ended.and_then(|status| status.code()));
    report.expect("no half turn", n_torn == 0);
    report.expect("no turn after the signal", model.n_requests() == N_RUNS);
    report.expect("no orphan process", !children.is_empty() && n_left == 0);
    report.expect("ends within 10 s", ended.is_some() && ended_in < MAX_TIME);
    report.expect("exit code 0", ended.is_some_and(|status| status.success()));
    Ok(report)
}

fn kind(n: usize) -> (&'static str, usize) {
    KINDS.get(n % KINDS.len()).copied().unwrap_or(("quick", 2))
}

/// Begins a run in a session of its own, and reads the first word of its turn.
async fn begin(address: SocketAddr, n: usize) -> Result<ClientConnection, BoxError> {
    let mut client = ClientConnection::open(address).await?;
    let body = json!({"agent": "Worker", "input": kind(n).0, "session": name(n), "stream": true});
    client.post("/run", "", &body).await?;
    if client.read_until(&format!("{FIRST:?}")).await? {
        return Ok(client);
    }
    Err(format!("no run begins: {}", client.text()).into())
}

fn name(n: usize) -> String {
    format!("run-{n}")
}

/// How many sessions have more or less than whole turns.
async fn n_torn(program: &Program) -> Result<usize, BoxError> {
    let sessions = SqliteSessions::open(program.home().join("sessions.db")).await?;
    let mut n_torn = 0;
    for n in 0..N_RUNS {
        let session = sessions.session(SessionId::new(name(n))?);
        let items = session.items(None).await?.items;
        let is_whole = items.len() == kind(n).1 && n_open_calls(&items) == 0;
        n_torn += usize::from(!is_whole);
    }
    Ok(n_torn)
}

/// How many calls have no output.
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
