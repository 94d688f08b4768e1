//! What fails once the server has answered, and outputs that cannot be written.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use openai_agents::testing::Reply;
use serde_json::json;

use super::{ExitRow, Scene, row};
use crate::support::{chunk, on, streamed_call, streamed_text};

const SUM: &str = r#"{"expression":"1+1"}"#;

fn run(scene: &Scene, reply: Reply) -> std::process::Output {
    scene.on([reply], &["run", "--json", "hi"])
}

fn ended_by(reason: &str) -> Reply {
    let text = chunk(&json!({"content": "Half"}), None);
    Reply::sse([text, chunk(&json!({}), Some(reason)), "[DONE]".to_owned()])
}

/// A server that takes one connection, and has stopped listening before it answers.
fn answering_once(body: &str) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let answer = format!("{head}{body}");
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        drop(listener);
        assert!(stream.read(&mut [0; 8 * 1024]).unwrap() > 0);
        stream.write_all(answer.as_bytes()).unwrap();
    });
    (url, serving)
}

fn streamed_call_events() -> String {
    let call = json!([{"index": 0, "id": "c", "type": "function", "function": {"name": "calculator", "arguments": SUM}}]);
    let call = chunk(&json!({"tool_calls": call}), None);
    let end = chunk(&json!({}), Some("tool_calls"));
    format!("data: {call}\n\ndata: {end}\n\ndata: [DONE]\n\n")
}

pub(super) const ROWS: &[ExitRow] = &[
    row(
        "the server refuses the key (401)",
        1,
        "api_status",
        "the key is from OPENAI_API_KEY",
        |scene| run(scene, Reply::status(401, r#"{"error":{"message":"no"}}"#)),
    ),
    row(
        "the server answers 500",
        1,
        "api_status",
        "500 Internal Server Error",
        |scene| run(scene, Reply::status(500, "oops")),
    ),
    row(
        "the server redirects",
        1,
        "redirect",
        "it usually ends in /v1",
        |scene| {
            run(
                scene,
                Reply::status(302, "").header("location", "http://127.0.0.1:1/"),
            )
        },
    ),
    row(
        "the server answers in HTML",
        1,
        "content_type",
        "it usually ends in /v1",
        |scene| {
            run(
                scene,
                Reply::raw(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>",
                ),
            )
        },
    ),
    row(
        "the answer breaks off",
        1,
        "transport",
        "broke off",
        |scene| {
            run(
                scene,
                Reply::sse([chunk(&json!({"content": "Half"}), None)]).close(),
            )
        },
    ),
    row(
        "the answer ends by a content filter",
        1,
        "content_filter",
        "content",
        |scene| run(scene, ended_by("content_filter")),
    ),
    row(
        "the answer ends by a word that nobody knows",
        1,
        "unknown_finish_reason",
        "because",
        |scene| run(scene, ended_by("because")),
    ),
    row(
        "the model calls a tool that is not there",
        1,
        "unknown_tool",
        "`rocket`",
        |scene| run(scene, streamed_call("", "rocket", "{}")),
    ),
    row(
        "the answer does not fit `--schema`",
        1,
        "invalid_output",
        "not what was asked for",
        |scene| {
            let schema = r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#;
            scene.directory.write("s.json", schema);
            scene.on(
                [streamed_text("Hel", "lo")],
                &["run", "--schema", "s.json", "--json", "hi"],
            )
        },
    ),
    row(
        "the server is gone in the second turn",
        1,
        "transport",
        "could not connect",
        |scene| {
            let (url, serving) = answering_once(&streamed_call_events());
            let arguments = ["run", "--json", "--model", "m", "--base-url", &url, "hi"];
            let output = scene.bare(&arguments);
            serving.join().unwrap();
            output
        },
    ),
    #[cfg(target_os = "linux")]
    row(
        "stdout is full",
        1,
        "-",
        "cannot write to stdout: No space left on device",
        |scene| {
            let full = std::fs::OpenOptions::new()
                .write(true)
                .open("/dev/full")
                .unwrap();
            let server = scene.server([streamed_text("Hel", "lo")]);
            let mut command = on(&server, &scene.directory, &["run", "--json", "hi"]);
            command.stdout(full).output().unwrap()
        },
    ),
    #[cfg(target_os = "linux")]
    row(
        "`-o FILE` is full; the answer is given",
        1,
        "config",
        "cannot write the answer to /dev/full: No space left",
        |scene| {
            let arguments = ["run", "-o", "/dev/full", "--json", "hi"];
            scene.on([streamed_text("Hel", "lo")], &arguments)
        },
    ),
    #[cfg(unix)]
    row(
        "`--record FILE` is full; the answer is given",
        1,
        "journal",
        "the recording is not complete: the journal a.jsonl",
        |scene| {
            let arguments = ["run", "--record", "a.jsonl", "--json", "hi"];
            scene.on_full_disk([streamed_text("Hel", "lo")], &arguments)
        },
    ),
    #[cfg(unix)]
    row(
        "calls wait, and no file can be written; the run is in the result",
        1,
        "config",
        "cannot save the run in run.json: ",
        |scene| {
            scene.directory.write("config.yaml", super::stopped::CONFIG);
            let prompt = "long ".repeat(1_000);
            let arguments = [
                "run",
                "--agent",
                "Careful",
                "--save-state",
                "run.json",
                "--json",
                &prompt,
            ];
            scene.on_full_disk([streamed_call("", "calculator", SUM)], &arguments)
        },
    ),
    row(
        "`replay --diff` of two that differ",
        1,
        "inconsistent",
        "",
        |scene| {
            scene.on(
                [streamed_text("Hel", "lo")],
                &["run", "--record", "a.jsonl", "hi"],
            );
            scene.on(
                [streamed_text("Go", "od")],
                &["run", "--record", "b.jsonl", "hi"],
            );
            scene.bare(&["replay", "a.jsonl", "--diff", "b.jsonl", "--json"])
        },
    ),
    row(
        "`check`, the server answers with an error",
        1,
        "-",
        "",
        |scene| scene.on([Reply::status(401, "no")], &["check"]),
    ),
];
