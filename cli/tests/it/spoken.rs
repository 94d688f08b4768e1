//! Commands that hear and speak, on servers that play what a test says.

use std::io::Write as _;
use std::process::{Output, Stdio};

use openai_agents::testing::realtime::{RealtimePeer, RealtimeServer};
use serde_json::{Value, json};

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
