//! The official Python MCP client against the program: conversations, decisions about calls, and what runs did.
//!
//! Run by `scripts/test --stage mcp`, or by `scripts/mcp-peers run -- cargo test -p openai-agents-cli --all-features --test mcp_peers`.
#![cfg(test)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use openai_agents::testing::FakeServer;
use serde_json::{Value, json};

// The same parts as those of the other tests of the program, of which this one needs some.
#[path = "../it/support.rs"]
#[expect(dead_code, reason = "it has what all tests of the program need")]
mod support;

use support::{Directory, on, streamed_call, streamed_text};

const SUM: &str = r#"{"expression":"100 + 250"}"#;
const CONFIG: &str = "agents:
  - name: Careful
    tools: [calculator]
    needs_approval: [calculator]
";

fn variable(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set; this test is for: scripts/test --stage mcp"))
}

async fn model() -> FakeServer {
    let replies = [
        streamed_call("", "calculator", SUM),
        streamed_text("It is ", "350."),
        streamed_call("", "calculator", SUM),
        streamed_text("As you ", "say."),
        streamed_call("", "calculator", SUM),
    ];
    FakeServer::start(replies).await.unwrap()
}

/// The program over HTTP; it ends when this is dropped.
struct HttpProgram {
    child: Child,
    url: String,
}

impl HttpProgram {
    fn start(program: &mut Command) -> Self {
        let mut child = program.stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let stderr = child.stderr.take().unwrap();
        BufReader::new(stderr).read_line(&mut line).unwrap();
        let rest = line.strip_prefix("serving on ").unwrap();
        let url = rest.split_once(": ").unwrap().0.to_owned();
        Self { child, url }
    }
}

impl Drop for HttpProgram {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Has the client ask, in the environment of this command.
fn converse(program: &Command, arguments: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/mcp-peers.d/program.py");
    let mut client = Command::new(variable("MCP_PEERS_PYTHON"));
    client
        .arg(script)
        .args(arguments)
        .current_dir(program.get_current_dir().unwrap());
    let environment = program.get_envs();
    client.envs(environment.filter_map(|(name, value)| Some((name, value?))));
    let output = client.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}\n{errors}");
    check(&serde_json::from_slice(&output.stdout).unwrap());
}

fn check(found: &Value) {
    let question = format!("Careful wants to call calculator with {SUM}");
    assert_eq!(found["questions"], json!([question, question]));
    assert_eq!(found["asked"][0]["final_output"], "It is 350.");
    assert_eq!(found["asked"][1]["final_output"], "As you say.");
    assert_eq!(found["asked"][1]["session"], "sums/1");
    assert_eq!(
        found["templates"],
        json!(["session://{+id}", "trace://{run}"])
    );
    assert_eq!(found["completed"], json!(["sums%2F1"]));
    assert_eq!(found["changed"], "session://sums%2F1");
    assert_eq!(found["uris"][0], "session://sums%2F1");
    assert_eq!(found["session"]["items"].as_array().unwrap().len(), 8);
    assert_eq!(found["trace"]["run"], found["asked"][1]["run"]);
    assert_eq!(found["trace"]["status"], "ok");
    let refused =
        format!("approval_required: Careful: calculator {SUM} (the client cannot ask its user)");
    assert_eq!(found["refused"], json!([true, refused]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_converses_and_decides_over_http() {
    for (mode, name) in [("auto", "peers-http"), ("legacy", "peers-http-old")] {
        let directory = Directory::new(name).file("config.yaml", CONFIG);
        let model = model().await;
        let mut program = on(&model, &directory, &["serve", "--bind", "127.0.0.1:0"]);
        let served = HttpProgram::start(&mut program);
        let url = format!("{}/mcp", served.url);
        converse(&program, &[mode, &url]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_converses_and_decides_over_stdio() {
    for (mode, name) in [("auto", "peers-stdio"), ("legacy", "peers-stdio-old")] {
        let directory = Directory::new(name).file("config.yaml", CONFIG);
        let model = model().await;
        let program = on(&model, &directory, &[]);
        converse(
            &program,
            &[
                mode,
                env!("CARGO_BIN_EXE_openai-agents"),
                "serve",
                "--stdio",
            ],
        );
    }
}
