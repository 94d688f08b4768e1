//! `openai-agents reload`: what is served changes, and nothing that goes on.

use std::fs;
use std::process::Output;

use openai_agents::testing::{FakeServer, Reply};

use crate::serve::{Served, command};
use crate::support::{Directory, check_output, on};

fn reload(server: &FakeServer, directory: &Directory, served: &Served) -> Output {
    let arguments = ["reload", "--bind", &served.address];
    on(server, directory, &arguments).output().unwrap()
}

/// The processes that the program started and that are not over.
#[cfg(target_os = "linux")]
fn children(served: &Served) -> String {
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
    let served = Served::start(command(&server, &directory));
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
            && stderr.ends_with("hint: what was served before goes on being served\n"),
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
            "note: `server` is changed by a restart only\n",
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
async fn reload_without_server_says_so() {
    let directory = Directory::new("reload-nobody");
    let server = FakeServer::start(Vec::<Reply>::new()).await.unwrap();
    let output = on(&server, &directory, &["reload", "--bind", "127.0.0.1:1"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("error: nobody serves at 127.0.0.1:1: "),
        "{stderr}"
    );
}
