//! Agents behind the OpenAI API, for other people's clients of it, none of them changed.
//!
//! Run by `scripts/test --stage openai-clients`, or by `scripts/openai-clients run -- cargo test -p testbed --test server_peers`.
#![cfg(test)]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

fn variable(name: &str) -> String {
    let stage = "this test is for: scripts/test --stage openai-clients";
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set; {stage}"))
}

/// Our agents over HTTP; they end when this is dropped.
struct OurServer {
    child: Child,
    url: String,
}

impl OurServer {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_openai_server"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line.trim().strip_prefix("LISTENING ").unwrap();
        Self {
            child,
            url: format!("{url}/v1"),
        }
    }
}

impl Drop for OurServer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl OurServer {
    /// Counts the runs that failed.
    fn n_failed(&self) -> usize {
        let address = self
            .url
            .strip_prefix("http://")
            .unwrap()
            .strip_suffix("/v1")
            .unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        let head = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let count = |line: &str| {
            line.strip_prefix("openai_agents_runs_total{outcome=\"failed\"} ")?
                .parse()
                .ok()
        };
        answer.lines().find_map(count).unwrap()
    }
}

/// Runs a client to its end and gives its last line.
#[track_caller]
fn told(mut command: Command) -> Value {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{errors}");
    let lines = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(lines.lines().last().unwrap_or_default()).unwrap()
}

/// The command that runs a script where the packages of Node.js are, and the copy of the script that is to be removed.
fn node(name: &str) -> (Command, PathBuf) {
    let modules = variable("OPENAI_CLIENTS_MODULES");
    // Node.js looks for packages where the script is.
    let copy = Path::new(&modules).join(format!("{}-{name}", std::process::id()));
    fs::copy(script(name), &copy).unwrap();
    let mut command = Command::new(variable("OPENAI_CLIENTS_NODE"));
    command.arg(&copy);
    (command, copy)
}

fn script(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/openai-clients.d");
    path.join(name).to_str().unwrap().to_owned()
}

const ANSWER: &str = "The answer is 42.";

fn city() -> Value {
    json!({"city": "Paris", "population": 7})
}

#[test]
fn the_python_client_and_the_python_agents_sdk() {
    let served = OurServer::start();
    let mut command = Command::new(variable("OPENAI_CLIENTS_PYTHON"));
    command.args([&script("client.py"), &served.url]);
    let told = told(command);
    assert_eq!(
        (&told["models"], &told["model"]),
        (&json!(["Guide", "Slow", "Careful"]), &json!("Guide"))
    );
    assert_eq!(
        told["chat"],
        json!({
            "whole": "All is well.", "total_tokens": 10, "request_id": true, "stream": ANSWER, "stream_tokens": 20,
            "parsed": city(),
            "refused": [
                ["NotFoundError", "model_not_found", 404],
                ["BadRequestError", "unsupported_parameter", 400],
                ["InternalServerError", "api_status", 502],
                ["InternalServerError", "api_status", 502],
                ["APIError", "transport", null],
            ],
        })
    );
    let responses = &told["responses"];
    assert_eq!(responses["items"], json!(["mcp_call", "message"]));
    assert_eq!(responses["tool"], json!(["double", "{\"n\":21}", "42"]));
    for field in ["text", "stream", "kept"] {
        assert_eq!(responses[field], ANSWER, "{field}");
    }
    assert_eq!(responses["following"], "5 items.");
    assert_eq!(responses["conversation"], json!(["1 items.", "3 items."]));
    assert_eq!(
        (&responses["parsed"], &responses["total_tokens"]),
        (&city(), &json!(20))
    );
    assert_eq!(
        responses["refused"],
        json!([
            ["NotFoundError", "not_found", 404],
            ["BadRequestError", "unsupported_parameter", 400],
            ["InternalServerError", "api_status", 502],
            ["APIError", "api_status", null],
        ])
    );
    assert_eq!(
        responses["kinds"].as_array().unwrap().last().unwrap(),
        "response.completed"
    );
    conversations_of_the_python_client(&told["conversations"]);
    assert_eq!(told["invalid"], json!([]));
    for api in ["responses", "chat"] {
        let sdk = &told["sdk"][api];
        assert_eq!(
            (&sdk["whole"], &sdk["stream"], &sdk["parsed"]),
            (&json!(ANSWER), &json!(ANSWER), &city()),
            "{api}"
        );
        assert_eq!(sdk["failed"], json!(["InternalServerError", "api_status"]));
    }
    session_of_the_python_agents_sdk(&told["sdk"]["session"]);
    // On one API the client has the call and its output too, on the other its own instructions as a message.
    assert_eq!(told["sdk"]["responses"]["again"], "5 items.");
    assert_eq!(told["sdk"]["chat"]["again"], "4 items.");
}

#[track_caller]
fn conversations_of_the_python_client(told: &Value) {
    let (topic_x, topic_y) = (json!({"topic": "x"}), json!({"topic": "y"}));
    assert_eq!(
        *told,
        json!({
            "metadata": [topic_x, topic_y, topic_y], "created": true, "paged": ["a", "b", "c"], "one": ["b"],
            "answered": "3 items.", "latest": ANSWER,
            "kinds": [
                "message", "function_call_output", "function_call", "message", "message", "message", "message",
                "message",
            ],
            "deleted": ["conversation.deleted", true],
            "refused": [
                ["NotFoundError", "not_found", 404],
                ["NotFoundError", "not_found", 404],
                ["BadRequestError", "unsupported_parameter", 400],
            ],
        })
    );
}

/// Its conversation is kept by the server; its agent and the loop are its own.
#[track_caller]
fn session_of_the_python_agents_sdk(told: &Value) {
    assert_eq!(
        *told,
        json!({
            "whole": ANSWER, "again": "5 items.",
            "kinds": [
                "message", "function_call", "function_call_output", "message", "message", "message",
            ],
            "popped": "5 items.", "many": true, "n_many": 49, "latest": ["48", "49"], "cleared": [[], [], true],
        })
    );
}

#[test]
fn ag_ui_client_and_use_chat_transport_run_text_tools_approval_and_error() {
    let served = OurServer::start();
    let (mut command, copy) = node("ui.mjs");
    command.arg(&served.url);
    let told = told(command);
    fs::remove_file(copy).unwrap();
    let call = json!([["double", "{\"n\":21}"]]);
    let (asked, called, doubled) = (
        json!(["user", "double"]),
        json!(["assistant", call]),
        json!(["tool", "42"]),
    );
    assert_eq!(
        told["ag_ui"],
        json!({
            "result": ANSWER, "following": "5 items.",
            "messages": [
                asked, called, doubled, ["assistant", ANSWER], ["user", "how long"], ["assistant", "5 items."],
            ],
            "n_interrupts": 1, "resumed": ANSWER, "after": [asked, called, doubled, ["assistant", ANSWER]],
            "failed": "api_status",
        })
    );
    let part = |state: &str, output: Value| json!(["double", state, {"n": 21}, output]);
    let done = part("output-available", json!("42"));
    let errors = &told["use_chat"]["failed"];
    assert!(
        errors[0]
            .as_str()
            .is_some_and(|text| text.starts_with("api_status: ")),
        "{errors}"
    );
    assert_eq!(
        told["use_chat"],
        json!({
            "double": ["step-start", done, "step-start", ANSWER],
            "waits": ["step-start", part("approval-requested", Value::Null)],
            "approved": ["step-start", done, "step-start", ANSWER],
            "is_same": true, "failed": errors,
        })
    );
}

/// A realtime model that says what it was told to; it ends when this is dropped.
fn realtime_model() -> OurServer {
    let mut child = Command::new(variable("OPENAI_CLIENTS_PYTHON"))
        .arg(script("realtime_model.py"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let url = line.trim().strip_prefix("LISTENING ").unwrap().to_owned();
    OurServer { child, url }
}

/// Text, a tool that runs in the server, and audio; the clients see nothing of the call.
#[test]
fn realtime_clients_of_both_agents_sdks_talk_with_a_served_agent() {
    let model = realtime_model();
    let served = OurServer::start_with(&["--realtime", &model.url]);
    let url = served.url.replacen("http", "ws", 1);
    let url = format!("{url}/realtime?model=Guide");
    let (mut javascript, copy) = node("realtime.mjs");
    javascript.arg(&url);
    let mut python = Command::new(variable("OPENAI_CLIENTS_PYTHON"));
    python.args([&script("realtime.py"), &url]);
    let told = [told(javascript), told(python)];
    fs::remove_file(copy).unwrap();
    let expected = json!({
        "text": ["All is well.", 4800], "tool": [ANSWER, 4800], "audio": ["I heard you.", 4800],
        "errors": [], "calls": [],
    });
    assert_eq!(told, [expected.clone(), expected]);
}

#[test]
fn the_node_client_and_the_vercel_ai_sdk() {
    let served = OurServer::start();
    let (mut command, copy) = node("client.mjs");
    command.arg(&served.url);
    let told = told(command);
    fs::remove_file(copy).unwrap();
    assert_eq!(served.n_failed(), 5);
    assert_eq!(
        told["official"],
        json!({
            "whole": "All is well.", "stream": ANSWER, "items": ["mcp_call", "message"], "text": ANSWER, "last": ANSWER,
            "following": "5 items.", "parsed": city(),
            "refused": [
                ["NotFoundError", "model_not_found", 404],
                ["BadRequestError", "unsupported_parameter", 400],
                ["InternalServerError", "api_status", 502],
                ["APIError", "transport", null],
            ],
        })
    );
    let conversations = &told["conversations"];
    assert_eq!(
        *conversations,
        json!({
            "metadata": [{"topic": "x"}, {"topic": "y"}], "paged": ["a", "b", "c"], "one": "b", "answered": "3 items.",
            "deleted": {"id": conversations["id"], "object": "conversation.deleted", "deleted": true}, "empty": {},
            "refused": ["NotFoundError", "not_found", 404], "id": conversations["id"],
        })
    );
    for api in ["responses", "chat", "compatible"] {
        let sdk = &told[api];
        assert_eq!(sdk["whole"], "All is well.", "{api}");
        assert_eq!(
            (&sdk["total_tokens"], &sdk["finish"]),
            (&json!(10), &json!("stop")),
            "{api}"
        );
        assert_eq!(
            (&sdk["tools"], &sdk["stream"]),
            (&json!(ANSWER), &json!(ANSWER)),
            "{api}"
        );
        assert_eq!(
            (&sdk["again"], &sdk["parsed"]),
            (&json!("3 items."), &city()),
            "{api}"
        );
        assert_eq!(sdk["failed"], json!([]), "{api}");
        assert_eq!(
            sdk["refused"],
            json!(["APICallError", "api_status", 502]),
            "{api}"
        );
    }
}

/// The page that shows what each client makes of each feature.
const DOCS: &str = include_str!("../../docs/openai-api.md");

const FEATURES: [&str; 12] = [
    "answer",
    "stream",
    "output",
    "other output",
    "json",
    "image",
    "tool",
    "key",
    "model",
    "429",
    "500",
    "refusal",
];

/// A row of the table; the version is that of this machine.
fn row(client: &str, version: &str, outcomes: &Value) -> String {
    let cell = |feature: &&str| outcomes[*feature].as_str().unwrap_or("-").to_owned();
    let cells: Vec<String> = FEATURES.iter().map(cell).collect();
    format!("| {client} | {version} | {} |\n", cells.join(" | "))
}

#[test]
fn every_client_and_feature_is_as_the_table_says() {
    let served = OurServer::start_with(&["--token", "key-1"]);
    let python = |variable_name: &str, clients: &str| {
        let mut command = Command::new(variable(variable_name));
        command.args([&script("table.py"), clients, &served.url]);
        told(command)
    };
    let (mut command, copy) = node("table.mjs");
    command.arg(&served.url);
    let all = [
        python("OPENAI_CLIENTS_PYTHON", "openai-3"),
        python("OPENAI_CLIENTS_PYTHON_2", "openai-2"),
        told(command),
    ];
    fs::remove_file(copy).unwrap();
    let rows = all.iter().flat_map(|told| told.as_object().unwrap());
    let rows: Vec<(&String, &Value)> = rows.collect();
    let table: String = rows
        .iter()
        .map(|(client, outcomes)| row(client, outcomes["version"].as_str().unwrap(), outcomes))
        .collect();
    // The harness keeps what is printed to itself; the stage is to show the table.
    std::io::stderr().write_all(table.as_bytes()).unwrap();
    let documented: Vec<&str> = DOCS
        .lines()
        .skip_while(|line| *line != "## Clients")
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .collect();
    assert_eq!(documented.len(), rows.len());
    for ((client, outcomes), documented) in rows.iter().zip(documented) {
        let version = documented.split(" | ").nth(1).unwrap();
        assert_eq!(documented.trim(), row(client, version, outcomes).trim());
    }
}
