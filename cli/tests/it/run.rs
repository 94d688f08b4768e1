//! `openai-agents run`, when all goes well.

use std::io::Write as _;
use std::process::Stdio;

use openai_agents::testing::FakeServer;
use serde_json::json;

use crate::support::{
    Directory, check_output, lines, on, streamed_call, streamed_text, whole_call, whole_text,
};

const SUM: &str = r#"{"expression":"100 + 250"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_streamed_with_a_tool_call_in_between() {
    let directory = Directory::new("run-streamed");
    let server = FakeServer::start([
        streamed_call("Let me see.", "calculator", SUM),
        streamed_text("It is ", "350."),
    ])
    .await
    .unwrap();
    let output = on(&server, &directory, &["run", "100 + 250?"])
        .output()
        .unwrap();
    check_output(
        &output,
        0,
        "Let me see.\nIt is 350.\n",
        "-> calculator {\"expression\":\"100 + 250\"}\n<- 350\n",
    );
    assert_eq!(server.problems(), [""; 0]);
    let requests = server.requests();
    let asked: Vec<_> = requests
        .iter()
        .map(|request| request.json().unwrap())
        .collect();
    assert_eq!(asked[0]["stream"], true);
    assert_eq!(asked[0]["model"], "m");
    assert_eq!(asked[0]["tools"].as_array().unwrap().len(), 2);
    assert_eq!(
        asked[1]["messages"].as_array().unwrap().last().unwrap()["content"],
        "350"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_can_be_waited_for() {
    let directory = Directory::new("run-whole");
    let server = FakeServer::start([whole_call("calculator", SUM), whole_text("It is 350.\n")])
        .await
        .unwrap();
    let output = on(&server, &directory, &["run", "--no-stream", "100 + 250?"])
        .output()
        .unwrap();
    check_output(
        &output,
        0,
        "It is 350.\n",
        "-> calculator {\"expression\":\"100 + 250\"}\n<- 350\n",
    );
    assert_ne!(server.requests()[0].json().unwrap()["stream"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_one_object_per_line() {
    let directory = Directory::new("run-json");
    let server = FakeServer::start([
        streamed_call("", "calculator", SUM),
        streamed_text("It is ", "\u{9b}350."),
    ])
    .await
    .unwrap();
    let output = on(&server, &directory, &["run", "--json", "100 + 250?"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stderr, b"");
    assert!(!String::from_utf8_lossy(&output.stdout).contains('\u{9b}'));
    let lines = lines(&output);
    let types: Vec<_> = lines
        .iter()
        .map(|line| line["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        types,
        [
            "turn_started",
            "tool_call_started",
            "tool_call_delta",
            "item_done",
            "tool_called",
            "response_done",
            "tool_output",
            "turn_started",
            "text_delta",
            "text_delta",
            "item_done",
            "response_done",
            "result"
        ]
    );
    assert_eq!(
        lines[0],
        json!({"type": "turn_started", "turn": 1, "agent": "Assistant"})
    );
    assert_eq!(
        lines[4],
        json!({"type": "tool_called", "call_id": "call_1", "name": "calculator", "arguments": SUM})
    );
    assert_eq!(
        lines[6],
        json!({"type": "tool_output", "call_id": "call_1", "name": "calculator", "output": "350", "failure": null})
    );
    assert_eq!(lines[8], json!({"type": "text_delta", "delta": "It is "}));
    assert_eq!(
        lines[12],
        json!({
            "type": "result",
            "ok": true,
            "final_output": "It is \u{9b}350.",
            "agent": "Assistant",
            "turns": 2,
            "usage": {
                "requests": 2, "requests_without_usage": 0, "input_tokens": 20, "output_tokens": 10,
                "total_tokens": 30, "cached_tokens": 0, "cache_write_tokens": 0, "reasoning_tokens": 0,
            },
            "deviations": [],
            "session": null,
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_prompt_can_come_from_stdin() {
    let directory = Directory::new("run-stdin");
    let server = FakeServer::start([streamed_text("Hel", "lo")])
        .await
        .unwrap();
    let mut child = on(&server, &directory, &["run", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"two\nlines\n")
        .unwrap();
    check_output(&child.wait_with_output().unwrap(), 0, "Hello\n", "");
    let asked = server.requests()[0].json().unwrap();
    assert_eq!(
        asked["messages"].as_array().unwrap().last().unwrap(),
        &json!({"role": "user", "content": "two\nlines"})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_goes_along() {
    let directory = Directory::new("run-image").file("a.gif", "GIF89a");
    let server = FakeServer::start([streamed_text("A ", "dot.")])
        .await
        .unwrap();
    let output = on(
        &server,
        &directory,
        &["run", "--image", "a.gif", "What is it?"],
    )
    .output()
    .unwrap();
    check_output(&output, 0, "A dot.\n", "");
    let asked = server.requests()[0].json().unwrap();
    let content = &asked["messages"].as_array().unwrap().last().unwrap()["content"];
    assert_eq!(content[0], json!({"type": "text", "text": "What is it?"}));
    assert_eq!(
        content[1]["image_url"]["url"],
        "data:image/gif;base64,R0lGODlh"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_of_the_file_has_its_own_settings() {
    let directory = Directory::new("run-agent").file(
        "config.yaml",
        "agents:
  - name: Guide
    instructions: Guide.
    model: big
    tools: [calculator]
    tool_use_behavior: stop_on_first_tool
    settings: { temperature: 0.5 }
",
    );
    let server = FakeServer::start([streamed_call("", "calculator", SUM)])
        .await
        .unwrap();
    let output = on(&server, &directory, &["run", "--agent", "Guide", "hi"])
        .env_remove("OPENAI_MODEL")
        .output()
        .unwrap();
    check_output(
        &output,
        0,
        "350\n",
        "-> calculator {\"expression\":\"100 + 250\"}\n<- 350\n",
    );
    let asked = server.requests()[0].json().unwrap();
    assert_eq!(asked["model"], "big");
    assert_eq!(asked["temperature"], 0.5);
    assert_eq!(asked["tools"].as_array().unwrap().len(), 1);
    assert_eq!(
        asked["messages"][0],
        json!({"role": "system", "content": "Guide."})
    );
}

/// What goes to a file or another program is not changed; stderr may be a terminal at any time.
#[tokio::test(flavor = "multi_thread")]
async fn control_characters_are_escaped_on_stderr() {
    let directory = Directory::new("run-escapes");
    let server = FakeServer::start([
        streamed_call("", "calculator", "{\"expression\":\"\u{9b}2J\"}"),
        streamed_text("\u{1b}[31m", "red"),
    ])
    .await
    .unwrap();
    let output = on(&server, &directory, &["run", "hi"]).output().unwrap();
    check_output(
        &output,
        0,
        "\u{1b}[31mred\n",
        "-> calculator {\"expression\":\"\\u{9b}2J\"}\n\
         <- failed: tool `calculator` failed: unexpected `\\u{9b}` at position 1\n",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_ends_the_run_quietly() {
    let directory = Directory::new("run-pipe");
    let server = FakeServer::start([streamed_text("Hel", "lo").hang()])
        .await
        .unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = on(&server, &directory, &["run", "hi"])
        .stdout(writer)
        .output()
        .unwrap();
    check_output(&output, 0, "", "");
}
