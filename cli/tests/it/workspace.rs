//! Tools of a workspace in runs of the program.

use std::fs;

use openai_agents::testing::FakeServer;

use crate::support::{Directory, check_output, on, streamed_call, streamed_text};

const FILE: &str = "\
workspace: { root: project }
agents:
  - { name: Engineer, tools: [read_file, write_file] }
";

fn directory(name: &str) -> Directory {
    let directory = Directory::new(name).file("config.yaml", FILE);
    fs::create_dir(directory.path("project")).unwrap();
    directory.write("project/notes.txt", "forty-two\n");
    directory
}

#[tokio::test(flavor = "multi_thread")]
async fn run_reads_a_file_of_the_workspace() {
    let directory = directory("workspace-read");
    let arguments = r#"{"path": "notes.txt", "first_line": null, "n_lines": null}"#;
    let server = FakeServer::start([
        streamed_call("", "read_file", arguments),
        streamed_text("It is ", "forty-two."),
    ])
    .await
    .unwrap();
    let output = on(&server, &directory, &["run", "--agent", "Engineer", "hi"])
        .output()
        .unwrap();
    let stderr = format!("-> read_file {arguments}\n<- forty-two\\n\n");
    check_output(&output, 0, "It is forty-two.\n", &stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn run_waits_for_approval_of_a_write() {
    let directory = directory("workspace-write");
    let arguments = r#"{"path": "made", "content": ""}"#;
    let server = FakeServer::start([
        streamed_call("", "write_file", arguments),
        streamed_text("Do", "ne."),
    ])
    .await
    .unwrap();
    let run = [
        "run",
        "--agent",
        "Engineer",
        "--save-state",
        "run.json",
        "hi",
    ];
    let output = on(&server, &directory, &run).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert!(!directory.path("project/made").exists());
    let go_on = ["run", "--resume", "run.json", "--approve", "call_1"];
    let output = on(&server, &directory, &go_on).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(directory.path("project/made").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_of_a_workspace_name_it_and_are_not_served() {
    let directory = directory("workspace-tools");
    let output = directory.program().arg("tools").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    let root = directory.path("project");
    let expected = format!(
        "read_file(path, first_line, n_lines) (workspace {})\n",
        root.display()
    );
    assert!(text.contains(&expected), "{text}");
    assert!(text.contains("\n  agents: Engineer\n"), "{text}");
}
