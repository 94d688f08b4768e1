//! `openai-agents skills`, and skills in a run.

use std::fs;

use openai_agents::testing::FakeServer;
use serde_json::json;

use crate::support::{Directory, check_output, lines, on, streamed_call, streamed_text};

const CONFIG: &str = "\
skills: [skills]
agents:
  - { name: Writer, skills: [notes] }
";
const SKILL: &str = "---\nname: notes\ndescription: Writes release notes.\nlicense: MIT\n---\n\n# Notes\n\nOne line each.\n";

fn directory(name: &str) -> Directory {
    let directory = Directory::new(name).file("config.yaml", CONFIG);
    fs::create_dir_all(directory.path("skills/notes/references")).unwrap();
    directory.write("skills/notes/SKILL.md", SKILL);
    directory.write("skills/notes/references/style.md", "Short.\n");
    directory
}

#[test]
fn skills_list_names_each_with_its_agents() {
    let directory = directory("skills-list");
    let output = directory
        .program()
        .args(["skills", "list"])
        .output()
        .unwrap();
    let expected = "notes (./skills/notes)\n  Writes release notes.\n  agents: Writer\n";
    check_output(&output, 0, expected, "");
    let output = directory
        .program()
        .args(["skills", "show", "notes"])
        .output()
        .unwrap();
    check_output(&output, 0, "# Notes\n\nOne line each.\n", "");
    let output = directory
        .program()
        .args(["skills", "show", "note"])
        .output()
        .unwrap();
    check_output(
        &output,
        2,
        "",
        "error: there is no skill `note`; there are: notes\n",
    );
}

#[test]
fn skills_list_says_what_is_wrong() {
    let directory = directory("skills-broken");
    fs::create_dir(directory.path("skills/empty")).unwrap();
    directory.write("skills/empty/SKILL.md", "no head");
    let reason =
        "SKILL.md in ./skills/empty does not begin with a head between two lines of three hyphens";
    let output = directory
        .program()
        .args(["skills", "list", "--json"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let expected = [
        json!({"type": "skill", "name": null, "description": null, "license": null, "compatibility": null,
            "folder": "./skills/empty", "ok": false, "error": reason, "agents": []}),
        json!({"type": "skill", "name": "notes", "description": "Writes release notes.", "license": "MIT",
            "compatibility": null, "folder": "./skills/notes", "ok": true, "error": null, "agents": ["Writer"]}),
        json!({"type": "result", "ok": false, "error": {"kind": "config",
            "message": format!("a skill cannot be used: {reason}"), "status": null, "retry_after": null},
            "agent": null, "turns": 0}),
    ];
    assert_eq!(lines(&output), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn run_reads_a_skill_and_its_files() {
    let directory = directory("skills-run");
    let arguments = r#"{"skill": "notes", "file": null}"#;
    let server = FakeServer::start([
        streamed_call("", "read_skill", arguments),
        streamed_text("Do", "ne."),
    ])
    .await
    .unwrap();
    let output = on(
        &server,
        &directory,
        &["run", "--agent", "Writer", "--json", "hi"],
    )
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let requests = server.requests();
    let told = requests[0].json().unwrap()["messages"][0]["content"].clone();
    assert!(
        told.as_str()
            .unwrap()
            .ends_with("\n- notes: Writes release notes."),
        "{told}"
    );
    let read = requests[1].json().unwrap()["messages"][3]["content"].clone();
    assert_eq!(
        read,
        "# Notes\n\nOne line each.\n\nFiles of this skill:\n- references/style.md"
    );
}
