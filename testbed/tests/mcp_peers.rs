//! The MCP server and client against other people's programs: the protocol's conformance suites, MCP Inspector, the official Python
//! client, and two official servers.
//!
//! Run by `scripts/test --stage mcp`, or by `scripts/mcp-peers run -- cargo test -p testbed --test mcp_peers`.
#![cfg(test)]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio as Pipe};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openai_agents::mcp::{
    ElicitationAnswer, McpClient, McpClientBuilder, McpContent, McpLogLevel, McpProgress,
    SamplingAnswer, Stdio,
};
use serde_json::{Map, Value, json};

fn variable(name: &str) -> String {
    env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set; this test is for: scripts/test --stage mcp"))
}

fn module(path: &str) -> String {
    let path = Path::new(&variable("MCP_PEERS_MODULES")).join(path);
    path.to_str().unwrap().to_owned()
}

/// Our server over HTTP; it ends when this is dropped.
struct OurMcpServer {
    child: Child,
    url: String,
}

impl OurMcpServer {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mcp_server"))
            .stdin(Pipe::piped())
            .stdout(Pipe::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("LISTENING ").unwrap().to_owned();
        Self { child, url }
    }
}

impl Drop for OurMcpServer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Runs a program to its end and gives what it wrote.
#[track_caller]
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}\n{told}\n{errors}");
    told
}

/// Runs a conformance suite, which must find nothing wrong in this many checks.
#[track_caller]
fn conformance(suite: &str, arguments: &[&str], n_checks: u32) {
    let script = module(&format!("{suite}/dist/index.js"));
    let told = run(
        &variable("MCP_PEERS_NODE"),
        &[&[script.as_str()], arguments].concat(),
    );
    let expect = format!("Total: {n_checks} passed, 0 failed");
    assert!(told.contains(&expect), "{told}");
}

const OLD: &str = "conformance-0.1";
const NEW: &str = "conformance-0.2";
const CLIENT: &str = env!("CARGO_BIN_EXE_mcp_client");
const SERVER: &str = env!("CARGO_BIN_EXE_mcp_server");

#[test]
fn the_first_suite_finds_nothing_wrong_with_the_server() {
    let server = OurMcpServer::start();
    // Three more checks need an event without data, which a client of 2025-03-26 is not sent: so this suite calls itself there,
    // whatever version it has agreed to. The second suite has the same checks and says its version.
    conformance(OLD, &["server", "--url", &server.url, "--suite", "all"], 44);
}

#[test]
fn the_second_suite_finds_nothing_wrong_with_the_server() {
    let server = OurMcpServer::start();
    for (version, n_checks) in [("2025-11-25", 84), ("2026-07-28", 151)] {
        let arguments = ["server", "--url", &server.url, "--suite", "all"];
        let version = ["--spec-version", version];
        conformance(NEW, &[&arguments[..], &version[..]].concat(), n_checks);
    }
}

/// This suite fails a client that comes back 500 ms later than it was told to, which says how busy the machine is. The second
/// suite has the scenario without that; it minds only a client that comes too early.
const BY_THE_CLOCK: &str = "sse-retry";

#[test]
fn the_first_suite_finds_nothing_wrong_with_the_client() {
    let script = module(&format!("{OLD}/dist/index.js"));
    let mut suite = Command::new(variable("MCP_PEERS_NODE"));
    let suite = suite.args([&script, "client", "--command", CLIENT, "--suite", "core"]);
    // Its exit code is about all scenarios.
    let told = String::from_utf8(suite.output().unwrap().stdout).unwrap();
    let (_, summary) = told.split_once("=== SUITE SUMMARY ===").expect(&told);
    let mut n_passed = 0;
    for line in summary.lines().filter(|line| line.starts_with(['✓', '✗'])) {
        let (scenario, counts) = line.split_once(": ").unwrap();
        if scenario.ends_with(&format!(" {BY_THE_CLOCK}")) {
            continue;
        }
        assert!(line.starts_with('✓'), "{told}");
        let (passed, _) = counts.split_once(' ').unwrap();
        n_passed += passed.parse::<u32>().unwrap();
    }
    assert_eq!(n_passed, 232, "{told}");
}

#[test]
fn the_second_suite_finds_nothing_wrong_with_the_client() {
    for (version, n_checks) in [("2025-11-25", 268), ("2026-07-28", 408)] {
        let arguments = ["client", "--command", CLIENT, "--suite", "all"];
        let version = ["--spec-version", version];
        conformance(NEW, &[&arguments[..], &version[..]].concat(), n_checks);
    }
    conformance(
        NEW,
        &["client", "--command", CLIENT, "--suite", "backcompat"],
        19,
    );
}

/// Asks the server something through MCP Inspector.
#[track_caller]
fn inspect(target: &[&str], question: &[&str]) -> Value {
    let script = module("@modelcontextprotocol/inspector/clients/launcher/build/index.js");
    let arguments = [&[script.as_str(), "--cli"], target, question].concat();
    let told = run(&variable("MCP_PEERS_NODE"), &arguments);
    serde_json::from_str(&told).unwrap()
}

#[test]
fn the_inspector_sees_and_calls_everything() {
    let server = OurMcpServer::start();
    let http = [server.url.as_str(), "--transport", "http"];
    let stdio = [SERVER, "--stdio"];
    for target in [&http[..], &stdio[..]] {
        let tools = inspect(target, &["--method", "tools/list"]);
        let names: Vec<_> = tools["tools"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tool| &tool["name"])
            .collect();
        assert!(
            names.iter().any(|name| *name == "ask_test_guide"),
            "{names:?}"
        );

        let call = ["--method", "tools/call", "--tool-name", "ask_test_guide"];
        let asked = inspect(
            target,
            &[&call[..], &["--tool-arg", "input=Hello"]].concat(),
        );
        assert_eq!(asked["structuredContent"]["final_output"], "All is well.");
        assert_eq!(asked["content"][0]["text"], "All is well.");

        let prompts = inspect(target, &["--method", "prompts/list"]);
        assert_eq!(prompts["prompts"].as_array().unwrap().len(), 6);
        let read = ["--method", "resources/read", "--uri", "test://static-text"];
        let read = inspect(target, &read);
        assert_eq!(read["contents"][0]["mimeType"], "text/plain");
    }
}

#[test]
fn the_python_client_works_in_both_eras_and_over_both_transports() {
    let server = OurMcpServer::start();
    let python = variable("MCP_PEERS_PYTHON");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/mcp-peers.d/client.py");
    let script = script.to_str().unwrap();
    for (mode, version) in [("auto", "2026-07-28"), ("legacy", "2025-11-25")] {
        for target in [&[server.url.as_str()][..], &[SERVER, "--stdio"][..]] {
            let told = run(&python, &[&[script, mode], target].concat());
            let found: Value = serde_json::from_str(&told).unwrap();
            assert_eq!(found["protocol_version"], version);
            assert_eq!(found["n_prompts"], 6);
            assert_eq!(found["asked"]["final_output"], "All is well.");
            let progress = json!(["Test Guide: turn 1", "All ", "is ", "well."]);
            assert_eq!(found["progress"], progress);
            assert_eq!(found["failed"][0], true);
            assert_eq!(found["prompt"], json!(["Answer in three words.", "Hello."]));
            assert_eq!(found["read"]["data"], "Data for ID: 7");
        }
    }
}

/// One of the official servers, as a child process.
fn official(name: &str) -> Stdio {
    let script = module(&format!("@modelcontextprotocol/{name}/dist/index.js"));
    Stdio::new(variable("MCP_PEERS_NODE")).arg(script)
}

fn patient(builder: McpClientBuilder) -> McpClientBuilder {
    // Node.js may share its cores with a compiler.
    builder.connect_timeout(Duration::from_secs(60))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other}"),
    }
}

async fn text(server: &McpClient, tool: &str, arguments: Value) -> String {
    let result = server.call_tool(tool, object(arguments)).await.unwrap();
    let texts: Vec<_> = result
        .content
        .iter()
        .filter_map(McpContent::as_text)
        .collect();
    assert!(!result.is_error, "{texts:?}");
    texts.join("\n")
}

#[tokio::test]
async fn the_client_uses_everything_of_the_everything_server() {
    let progress: Arc<Mutex<Vec<McpProgress>>> = Arc::default();
    let heard = Arc::clone(&progress);
    let server = patient(McpClient::builder(
        "everything",
        official("server-everything"),
    ))
    .on_progress(move |progress| heard.lock().unwrap().push(progress))
    .on_sampling(|request| async move {
        assert_eq!(request.max_tokens, 20);
        Ok(SamplingAnswer::new("tiny", "Sampled."))
    })
    .on_elicitation(|request| async move { Ok(ElicitationAnswer::accept(request.defaults())) })
    .build()
    .unwrap();
    server.connect().await.unwrap();

    // Some of its tools come when it has seen what this client can do; it tells of them.
    let has = async |name: &str| {
        let tools = server.function_tools().await.unwrap();
        tools.iter().any(|tool| tool.name() == name)
    };
    assert!(has("get-sum").await);
    while !has("trigger-sampling-request").await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(
        text(&server, "echo", json!({"message": "hi"})).await,
        "Echo: hi"
    );
    assert!(
        text(&server, "get-sum", json!({"a": 2, "b": 40}))
            .await
            .contains("42")
    );
    let weather = json!({"location": "New York"});
    let weather = server
        .call_tool("get-structured-content", object(weather))
        .await
        .unwrap();
    assert!(weather.structured_content.unwrap()["temperature"].is_number());
    let image = server
        .call_tool("get-tiny-image", Map::new())
        .await
        .unwrap();
    let is_image = |content: &McpContent| matches!(content, McpContent::Image { .. });
    assert!(image.content.iter().any(is_image));

    let long = json!({"duration": 0.2, "steps": 4});
    text(&server, "trigger-long-running-operation", long).await;
    assert_eq!(progress.lock().unwrap().len(), 4);
    let sampled = json!({"prompt": "Hello?", "maxTokens": 20});
    let sampled = text(&server, "trigger-sampling-request", sampled).await;
    assert!(sampled.contains("Sampled."), "{sampled}");
    let elicited = text(&server, "trigger-elicitation-request", json!({})).await;
    assert!(elicited.contains("provided"), "{elicited}");

    assert!(!server.resources().await.unwrap().is_empty());
    assert!(!server.resource_templates().await.unwrap().is_empty());
    let uri = "demo://resource/dynamic/text/1";
    assert_eq!(server.read_resource(uri).await.unwrap()[0].uri, uri);
    let prompts = server.prompts().await.unwrap();
    assert!(prompts.iter().any(|prompt| prompt.name == "simple-prompt"));
    let prompt = server.prompt("simple-prompt", Map::new()).await.unwrap();
    assert_eq!(prompt.messages.len(), 1);
    server.close().await;
}

/// What the server must not be given: it says what its environment is.
#[tokio::test]
async fn a_child_sees_the_allowed_environment_only() {
    let stdio = official("server-everything")
        .env("PEER_NAME", "for-the-peer")
        .env("PEER_TOKEN", "not-for-the-model");
    let server = patient(McpClient::builder("everything", stdio))
        .build()
        .unwrap();
    server.connect().await.unwrap();
    let told = text(&server, "get-env", json!({})).await;
    let environment: Map<String, Value> = serde_json::from_str(&told).unwrap();
    assert_eq!(environment["PEER_NAME"], "for-the-peer");
    // It has the token, and repeats it: what a model is told has it not.
    assert_eq!(environment["PEER_TOKEN"], "[redacted]");
    for name in environment.keys() {
        let is_allowed = Stdio::INHERITED.contains(&name.as_str()) || name.starts_with("PEER_");
        assert!(is_allowed, "{name}");
    }
    // Cargo sets it for this process.
    assert!(env::var("CARGO_MANIFEST_DIR").is_ok());
    server.close().await;
}

#[tokio::test]
async fn the_filesystem_server_keeps_to_its_folder() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("mcp-files");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.canonicalize().unwrap().join("note.txt");
    let stdio = official("server-filesystem").arg(folder.to_str().unwrap());
    let server = patient(McpClient::builder("files", stdio).prefix_tools())
        .build()
        .unwrap();
    server.connect().await.unwrap();

    let tools = server.function_tools().await.unwrap();
    assert!(
        tools
            .iter()
            .any(|tool| tool.name() == "mcp_files__write_file")
    );
    let note = json!({"path": path, "content": "A note."});
    text(&server, "write_file", note).await;
    assert_eq!(fs::read_to_string(&path).unwrap(), "A note.");
    let read = text(&server, "read_text_file", json!({"path": path})).await;
    assert_eq!(read, "A note.");
    let outside = json!({"path": "/etc/hostname"});
    let refused = server
        .call_tool("read_text_file", object(outside))
        .await
        .unwrap();
    assert!(refused.is_error);
    server.close().await;
}

#[tokio::test]
async fn log_messages_of_a_server_are_heard() {
    let levels: Arc<Mutex<Vec<McpLogLevel>>> = Arc::default();
    let heard = Arc::clone(&levels);
    let stdio = Stdio::new(SERVER).arg("--stdio");
    let server = McpClient::builder("ours", stdio)
        .protocol(openai_agents::mcp::McpProtocol::Handshake)
        .on_log(move |log| heard.lock().unwrap().push(log.level))
        .build()
        .unwrap();
    server.connect().await.unwrap();
    text(&server, "test_tool_with_logging", json!({})).await;
    assert_eq!(*levels.lock().unwrap(), [McpLogLevel::Info; 3]);
    server.close().await;
}
