//! What is fuzzed: each function takes any bytes, and must neither panic, nor hang, nor break what it asserts.

use std::sync::LazyLock;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use openai_agents::__private::fuzz::{
    MCP_METHODS, Wire, decode_body, decode_mcp_answer, decode_stream, play_realtime,
};
use openai_agents::agent::StateKey;
use openai_agents::config::Loader;
use openai_agents::http::SseDecoder;
use openai_agents::journal::Recording;
use openai_agents::realtime::{RealtimeAgent, RealtimeHandoff};
use openai_agents::server::mcp::McpServer;
use openai_agents::testing::ScriptedModel;
use openai_agents::tools::ToolOptions;
use openai_agents::{Agent, FunctionTool, OutputGuardrail, RunState, Runner, Secret, Verdict};
use serde_json::{Value, json};
use tower_service::Service as _;

/// One thing that is fuzzed.
pub(crate) type Target = fn(&[u8]);

/// All of them by their names.
pub(crate) const TARGETS: [(&str, Target); 10] = [
    ("sse", sse),
    ("chat", chat),
    ("responses", responses),
    ("harmony", harmony),
    ("run_state", run_state),
    ("recording", recording),
    ("mcp_server", mcp_server),
    ("mcp_client", mcp_client),
    ("config", config),
    ("realtime", realtime),
];

/// Splits the first byte off, which says how large the pieces are that the rest comes in.
fn pieces(bytes: &[u8]) -> (&[u8], Vec<&[u8]>) {
    let (n_bytes, bytes) = bytes.split_first().unwrap_or((&0, &[]));
    let n_bytes = usize::from(*n_bytes).max(1);
    (bytes, bytes.chunks(n_bytes).collect())
}

/// The events are the same however the bytes are cut, and none is larger than it may be.
fn sse(bytes: &[u8]) {
    const MAX_BYTES: usize = 4096;
    let (whole, pieces) = pieces(bytes);
    let read = |pieces: &[&[u8]]| {
        let mut decoder = SseDecoder::new(MAX_BYTES);
        let mut events = Vec::new();
        for piece in pieces {
            decoder.push(piece.to_vec().into());
            loop {
                match decoder.next_event() {
                    Ok(Some(event)) => {
                        assert!(event.data.len() <= MAX_BYTES);
                        events.push(format!("{event:?}"));
                    }
                    Ok(None) => break,
                    Err(error) => {
                        events.push(format!("{error:?}"));
                        return events;
                    }
                }
            }
        }
        events.push(format!("{:?}", decoder.finish()));
        events
    };
    assert_eq!(read(&pieces), read(&[whole]));
}

fn chat(bytes: &[u8]) {
    wire(Wire::Chat, bytes);
}

fn responses(bytes: &[u8]) {
    wire(Wire::Responses, bytes);
}

fn harmony(bytes: &[u8]) {
    wire(Wire::Harmony, bytes);
}

/// A stream means the same however it is cut; a body is read or refused.
fn wire(wire: Wire, bytes: &[u8]) {
    let (whole, pieces) = pieces(bytes);
    assert_eq!(
        decode_stream(wire, &pieces),
        decode_stream(wire, &[whole]),
        "cut into pieces of {:?} bytes",
        bytes.first()
    );
    decode_body(wire, whole);
}

/// A state that is read is written as it was, and nobody without the key can write one that counts as sealed.
fn run_state(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let key = StateKey::new(Secret::new("a key of enough bytes")).expect("it is long enough");
    assert!(RunState::from_sealed_json(&key, text).is_err());
    let Ok(mut state) = RunState::from_json(text) else {
        return;
    };
    let written = state.to_json().expect("it was read");
    let again = RunState::from_json(&written).expect("it was written");
    assert_eq!(again.to_json().expect("it was read"), written);
    let sealed = state.to_sealed_json(&key).expect("it was read");
    assert!(RunState::from_sealed_json(&key, &sealed).is_ok());
    for call in state.interruptions() {
        // Edited by hand, a state can have two calls under one id, which is an error of its own.
        state.approve(&call.id).ok();
    }
}

/// A recording that is read can be played back and differs in nothing from itself.
fn recording(bytes: &[u8]) {
    let Ok(recording) = Recording::parse(bytes, "fuzz") else {
        return;
    };
    for turn in 0..=recording.turns().min(3) {
        drop(recording.fork_at(turn));
    }
    drop((recording.journal(), recording.model()));
    assert!(recording.diff(&recording).is_empty());
}

/// The first byte says which protocol the rest is a message of.
fn mcp_server(bytes: &[u8]) {
    let (first, body) = bytes.split_first().unwrap_or((&0, &[]));
    let version = ["2025-06-18", "2025-11-25", "2026-07-28"][usize::from(*first) % 3];
    let message: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut request = Request::post("/mcp")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", version);
    // The heads must say what the body says, or it is not looked at.
    for (header, pointer) in [("mcp-method", "/method"), ("mcp-name", "/params/name")] {
        if let Some(text) = message.pointer(pointer).and_then(Value::as_str) {
            request = request.header(header, text);
        }
    }
    let Ok(request) = request.body(Body::from(body.to_vec())) else {
        return;
    };
    block_on(async {
        let agent = Agent::builder("Guide").build().expect("it is one");
        let server = McpServer::builder(Runner::new(ScriptedModel::text("Paris.")))
            .agent(agent)
            .tool(echo())
            .build()
            .expect("it can be served");
        let Ok(response) = server.router().call(request).await;
        drop(response.into_body().collect().await);
        server.close();
    });
}

/// The first byte says which answer the client waits for; the rest is what the server sends.
fn mcp_client(bytes: &[u8]) {
    let (first, message) = bytes.split_first().unwrap_or((&0, &[]));
    let method = MCP_METHODS[usize::from(*first) % MCP_METHODS.len()];
    let read = decode_mcp_answer(method, message);
    assert_eq!(decode_mcp_answer(method, message), read);
}

fn echo() -> FunctionTool {
    let schema = json!({"type": "object", "properties": {"text": {"type": "string"}}});
    let options = ToolOptions::default().strict(false);
    let tool = FunctionTool::dynamic("echo", "Echoes.", schema, options, |cx, _| {
        let arguments = cx.arguments().to_owned();
        async move { Ok::<_, String>(arguments) }
    });
    tool.expect("it is one")
}

/// The clock stands while anything can be done and then jumps: what waits for something that never comes is over at once.
fn block_on(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("there is one");
    // A client may ask for a stream that has no end.
    let limited = async { tokio::time::timeout(Duration::from_secs(60), future).await };
    runtime.block_on(limited).ok();
}

/// The file, and behind a zero byte the lines of `.env`.
fn config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (file, dotenv) = text.split_once('\0').unwrap_or((&text, ""));
    let loader = Loader::new().home("/home").file("./config.yaml", file);
    if let Ok(loader) = loader.dotenv("./.env", dotenv)
        && let Ok(config) = loader.load()
    {
        let shown = format!("{:?}", config.origins());
        assert!(!shown.is_empty());
    }
}

/// Two agents that hand off to each other.
static SPEAKERS: LazyLock<[RealtimeAgent; 2]> = LazyLock::new(|| {
    let tool = |name: &str| {
        let schema = json!({"type": "object", "properties": {}});
        let options = ToolOptions::default().strict(false);
        let tool = FunctionTool::dynamic(name, "Does it.", schema, options, |_, _| async {
            Ok::<_, String>("done")
        });
        tool.expect("it is one")
    };
    let guardrail =
        OutputGuardrail::new("no secrets", |_| async { Ok::<_, String>(Verdict::pass()) });
    let billing = RealtimeAgent::builder("Billing")
        .tool(tool("refund"))
        .handoff(RealtimeHandoff::to_name("Clerk"))
        .build()
        .expect("it is one");
    let clerk = RealtimeAgent::builder("Clerk")
        .tool(tool("book"))
        .tool(tool("pay"))
        .handoff(&billing)
        .output_guardrail(guardrail)
        .build()
        .expect("it is one");
    [clerk, billing]
});

/// A session does nothing that it must not, and the same each time.
fn realtime(bytes: &[u8]) {
    let (log, complaints) = play_realtime(&*SPEAKERS, bytes);
    assert!(complaints.is_empty(), "{complaints:?} in\n{log}");
    assert_eq!(play_realtime(&*SPEAKERS, bytes).0, log);
}
