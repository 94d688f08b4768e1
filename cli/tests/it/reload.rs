//! `openai-agents reload`: what is served changes, and nothing that goes on.

use std::fs;
use std::process::Output;

use openai_agents::testing::{FakeServer, Reply};
use serde_json::json;

use crate::serve::{ServedProgram, command};
use crate::support::{Directory, check_output, chunk, on, whole_text};

fn reload(server: &FakeServer, directory: &Directory, served: &ServedProgram) -> Output {
    let arguments = ["reload", "--bind", &served.address];
    on(server, directory, &arguments).output().unwrap()
}

/// The processes that the program started and that are not over.
#[cfg(target_os = "linux")]
fn children(served: &ServedProgram) -> String {
    let id = served.child.id();
    let mut found = String::new();
    for task in fs::read_dir(format!("/proc/{id}/task")).unwrap() {
        found += &fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default();
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_is_read_again_and_a_wrong_one_changes_nothing() {
    let program = env!("CARGO_BIN_EXE_openai-agents");
    let with_server = format!(
        "mcp_servers:
  sums:
    command: {program}
    args: [serve, --stdio]
    env: {{ OPENAI_BASE_URL: 'http://127.0.0.1:1/v1', OPENAI_MODEL: m, OPENAI_AGENTS_CONFIG: none.yaml }}
agents:
  - {{ name: Sum, mcp_servers: [sums] }}
"
    );
    let directory = Directory::new("reload")
        .file("config.yaml", &with_server)
        .file("none.yaml", "log_level: warn");
    let server = FakeServer::start(Vec::<Reply>::new()).await.unwrap();
    let served = ServedProgram::start(command(&server, &directory));
    #[cfg(target_os = "linux")]
    assert_ne!(children(&served), "");

    let directory = directory.file("config.yaml", "agents: [{name: Guide, colour: red}]");
    let output = reload(&server, &directory, &served);
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("`agents[0].colour`"), "{stderr}");
    assert!(served.ask("GET", "/v1/models", &[], "").1.contains("Sum"));

    let missing =
        "mcp_servers: {gone: {command: ./nowhere}}\nagents: [{name: Guide, mcp_servers: [gone]}]\n";
    let directory = directory.file("config.yaml", missing);
    let output = reload(&server, &directory, &served);
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("error: MCP server `gone`")
            && stderr.ends_with("hint: the server continues with its old configuration\n"),
        "{stderr}"
    );
    assert!(served.ask("GET", "/v1/models", &[], "").1.contains("Sum"));

    let text = "agents: [{name: Guide}]\nserver: {allowed_hosts: [a.example]}\n";
    let directory = directory.file("config.yaml", text);
    for _ in 0..2 {
        let output = reload(&server, &directory, &served);
        check_output(
            &output,
            0,
            "serves Assistant, EchoAgent, Guide\n",
            "note: `server` has changed: restart the server to apply it\n",
        );
    }
    let models = served.ask("GET", "/v1/models", &[], "").1;
    assert!(
        models.contains("Guide") && !models.contains("Sum"),
        "{models}"
    );
    // Nobody has the server of the file before any more.
    #[cfg(target_os = "linux")]
    while !children(&served).is_empty() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_changes_what_answers_may_hold_in_sum_and_forgets_none_of_them() {
    let config = |max_bytes: u64| format!("limits: {{ max_answers_bytes: {max_bytes} }}\n");
    let directory = Directory::new("reload-answers").file("config.yaml", &config(100_000));
    let large = "x".repeat(150_000);
    let begun = Reply::sse([chunk(&json!({ "content": large }), None)]).hang();
    let server = FakeServer::start([begun, whole_text(&large), whole_text(&large)])
        .await
        .unwrap();
    let served = ServedProgram::start(command(&server, &directory));
    let json = ["Content-Type: application/json"];
    let run = r#"{"agent": "EchoAgent", "input": "hi", "session": "s"}"#;
    assert_eq!(served.ask("POST", "/run", &json, run).0, 202);
    let numbers = || {
        let metrics = served.ask("GET", "/metrics", &[], "").1;
        ["answers_bytes", "answers_max_bytes"].map(|name| {
            let name = format!("openai_agents_{name} ");
            let line = metrics.lines().find_map(|line| line.strip_prefix(&*name));
            line.unwrap().trim().parse::<u64>().unwrap()
        })
    };
    while numbers()[0] == 0 {}
    let [held, _] = numbers();
    let ask = || {
        let body = r#"{"model": "EchoAgent", "messages": [{"role": "user", "content": "hi"}]}"#;
        served.ask("POST", "/v1/chat/completions", &json, body).0
    };
    assert_eq!((ask(), numbers()), (503, [held, 100_000]));
    let directory = directory.file("config.yaml", &config(1_000_000));
    assert_eq!(reload(&server, &directory, &served).status.code(), Some(0));
    assert_eq!(numbers(), [held, 1_000_000]);
    assert_eq!(ask(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_without_server_says_so() {
    let directory = Directory::new("reload-nobody");
    let server = FakeServer::start(Vec::<Reply>::new()).await.unwrap();
    let output = on(&server, &directory, &["reload", "--bind", "127.0.0.1:1"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("error: no server answers at 127.0.0.1:1: "),
        "{stderr}"
    );
}
