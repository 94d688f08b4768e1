//! Commands that hear and speak, on servers that play what a test says.

use std::io::Write as _;
use std::process::{Output, Stdio};

use openai_agents::model::OpenAiRealtime;
use openai_agents::realtime::{RealtimeAgent, RealtimeEvent, RealtimeSession};
use openai_agents::testing::realtime::{RealtimePeer, RealtimeServer};
use serde_json::{Value, json};

use crate::serve::ServedProgram;
use crate::support::Directory;

const CONFIG: &str = "{ voice: { stt_model: s }, realtime: { model: r }, agents: [{ name: RealtimeAgent, instructions: Help., \
    tools: [calculator], needs_approval: always }] }";

/// Runs the program on this server with this stdin.
async fn run(server: &RealtimeServer, arguments: &[&str], stdin: Vec<u8>) -> Output {
    let name = format!(
        "spoken-{}",
        server.url().replace(|c: char| !c.is_alphanumeric(), "-")
    );
    let directory = Directory::new(&name).file("config.yaml", CONFIG);
    let mut command = directory.program();
    command
        .args(arguments)
        .env("OPENAI_BASE_URL", server.url())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let run = move || {
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(&stdin).ok();
        child.wait_with_output().unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// The next event of this type.
async fn received(peer: &mut RealtimePeer, name: &str) -> Value {
    loop {
        let event = peer.receive().await.unwrap().unwrap();
        if event["type"] == name {
            return event;
        }
    }
}

async fn send(peer: &mut RealtimePeer, events: &[Value]) {
    for event in events {
        peer.send(event).await.unwrap();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn listen_live_writes_down_what_comes_on_stdin() {
    let server = RealtimeServer::start().await.unwrap();
    let serve = async {
        let mut peer = server.accept().await.unwrap();
        assert_eq!(peer.target(), "/v1/realtime?intent=transcription");
        let update = received(&mut peer, "session.update").await;
        let transcription = &update["session"]["audio"]["input"]["transcription"];
        assert_eq!(*transcription, json!({"model": "s", "language": "en"}));
        received(&mut peer, "input_audio_buffer.commit").await;
        let item = "conversation.item.input_audio_transcription";
        let answer = [
            json!({"type": "input_audio_buffer.committed", "item_id": "i"}),
            json!({"type": format!("{item}.delta"), "item_id": "i", "delta": "Go "}),
            json!({"type": format!("{item}.delta"), "item_id": "i", "delta": "home."}),
            json!({"type": format!("{item}.completed"), "item_id": "i", "transcript": "Go home."}),
        ];
        send(&mut peer, &answer).await;
    };
    let arguments = ["listen", "--live", "-", "--language", "en"];
    let (output, ()) = tokio::join!(run(&server, &arguments, vec![0; 20_001]), serve);
    assert_eq!(
        (text(&output.stdout).as_str(), output.status.code()),
        ("Go home.\n", Some(0)),
        "{}",
        text(&output.stderr)
    );
}

/// A session in which the model calls the calculator; gives what it is told of the call, and what the program wrote.
async fn call(arguments: &[&str]) -> (Value, Output) {
    let server = RealtimeServer::start().await.unwrap();
    let serve = async {
        let mut peer = server.accept().await.unwrap();
        received(&mut peer, "response.create").await;
        let call = json!({"id": "item_1", "type": "function_call", "call_id": "call_1", "name": "calculator",
            "arguments": "{\"expression\":\"12*11\"}", "status": "completed"});
        let answer = |id: &str, output: Value| {
            [
                json!({"type": "response.created", "response": {"id": id}}),
                json!({"type": "response.done", "response": {"id": id, "status": "completed", "output": output}}),
            ]
        };
        send(&mut peer, &answer("resp_1", json!([call]))).await;
        let output = received(&mut peer, "conversation.item.create").await;
        received(&mut peer, "response.create").await;
        send(&mut peer, &answer("resp_2", json!([]))).await;
        output["item"]["output"].clone()
    };
    let (output, told) = tokio::join!(run(&server, arguments, b"y\n".to_vec()), serve);
    (told, output)
}

#[tokio::test(flavor = "multi_thread")]
async fn realtime_call_is_approved_by_the_flag_and_by_nobody_without_a_terminal() {
    let (told, output) = call(&["realtime", "hi", "--no-stdin", "--approve-all"]).await;
    assert_eq!(told, "132", "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(0));
    // What is piped in is what the user says, and no decision.
    let (told, output) = call(&["realtime", "hi", "--no-stdin"]).await;
    assert_eq!(told, "Tool execution was not approved.");
    assert_eq!(output.status.code(), Some(0));
}

/// The MCP server is the program itself, in a process of its own.
fn config_with_mcp_server() -> String {
    let program = env!("CARGO_BIN_EXE_openai-agents");
    format!(
        "{{ mcp_servers: {{ sums: {{ command: {program}, args: [serve, --stdio], allow_tools: [calculator],
            env: {{ OPENAI_BASE_URL: 'http://127.0.0.1:1/v1', OPENAI_MODEL: m, OPENAI_AGENTS_CONFIG: none.yaml }} }} }},
          model: m, realtime: {{ model: r }}, agents: [{{ name: RealtimeAgent, mcp_servers: [sums] }}] }}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn served_realtime_agent_calls_the_tool_of_an_mcp_server() {
    let server = RealtimeServer::start().await.unwrap();
    let directory = Directory::new("spoken-mcp")
        .file("config.yaml", &config_with_mcp_server())
        .file("none.yaml", "log_level: warn");
    let mut command = directory.program();
    command
        .args(["serve", "--bind", "127.0.0.1:0"])
        .env("OPENAI_BASE_URL", server.url());
    let served = tokio::task::spawn_blocking(move || ServedProgram::start(command));
    let served = served.await.unwrap();

    let url = format!("ws://{}/v1", served.address);
    let model = OpenAiRealtime::builder(url, "RealtimeAgent").build();
    let agent = RealtimeAgent::builder("Anyone").build().unwrap();
    let session = RealtimeSession::builder(&agent, model.unwrap());
    let (session, peer) = tokio::join!(session.connect(), server.accept());
    let (mut session, mut peer) = (session.unwrap(), peer.unwrap());
    let update = received(&mut peer, "session.update").await;
    assert_eq!(update["session"]["tools"][0]["name"], "calculator");
    session.send_text("100 + 250?").await.unwrap();
    received(&mut peer, "response.create").await;
    let call = json!({"id": "item_1", "type": "function_call", "call_id": "call_1", "name": "calculator",
        "arguments": "{\"expression\":\"100 + 250\"}", "status": "completed"});
    let answer = [
        json!({"type": "response.created", "response": {"id": "resp_1"}}),
        json!({"type": "response.done", "response": {"id": "resp_1", "status": "completed", "output": [call]}}),
    ];
    send(&mut peer, &answer).await;
    loop {
        let item = received(&mut peer, "conversation.item.create").await;
        if item["item"]["type"] == "function_call_output" {
            assert_eq!(item["item"]["output"], "350");
            break;
        }
    }
    received(&mut peer, "response.create").await;
    let answer = [
        json!({"type": "response.created", "response": {"id": "resp_2"}}),
        json!({"type": "response.output_text.done", "item_id": "item_2", "content_index": 0, "text": "It is 350."}),
        json!({"type": "response.done", "response": {"id": "resp_2", "status": "completed", "output": []}}),
    ];
    send(&mut peer, &answer).await;
    loop {
        if let RealtimeEvent::TextDone { text, .. } = session.next().await.unwrap() {
            assert_eq!(text, "It is 350.");
            break;
        }
    }
}
