//! The tools `shell`, `local_shell` and `apply_patch` of the Responses API, answered by those of a workspace.
//!
//! Items as in OpenAI's documentation of these tools, and in the types of its Python library.

use std::fs;

use openai_agents::testing::FakeServer;
use openai_agents::tools::HostedTool;
use openai_agents::tools::workspace::{CommandOptions, Workspace};
use openai_agents::{
    Agent, ErrorKind, FunctionTool, Item, RunError, RunEvent, RunResult, RunState, Runner,
};
use serde_json::{Value, json};

use crate::folder::Folder;
use crate::support::{SAYS_DONE, bodies, play, response, response_events, responses, value};

fn local_shell_environment() -> HostedTool {
    HostedTool::shell().with("environment", json!({"type": "local"}))
}

fn free(tool: FunctionTool) -> FunctionTool {
    tool.needs_approval_if(|_, _| false)
}

fn workspace(folder: &Folder) -> Workspace {
    Workspace::open(folder.path("")).unwrap()
}

fn engineer(folder: &Folder) -> Agent {
    let workspace = workspace(folder);
    Agent::builder("A")
        .tool(workspace.read_file())
        .tool(free(workspace.run_command(CommandOptions::default())))
        .tool(free(workspace.apply_patch()))
        .hosted_tool(local_shell_environment())
        .hosted_tool(HostedTool::local_shell())
        .hosted_tool(HostedTool::apply_patch())
        .build()
        .unwrap()
}

async fn run(agent: &Agent, items: &[&str]) -> (FakeServer, Result<RunResult, RunError>) {
    let replies = [response("resp_0", items), response("resp_1", &[SAYS_DONE])];
    let server = FakeServer::start(replies).await.unwrap();
    let result = Runner::new(responses(&server)).run(agent, "go").await;
    (server, result)
}

/// The outputs that the server is given for calls.
async fn outputs(folder: &Folder, items: &[&str]) -> Vec<Value> {
    let (server, result) = run(&engineer(folder), items).await;
    assert_eq!(result.unwrap().final_output(), "done");
    let input = bodies(&server)[1]["input"].clone();
    // The question, the calls as they came, and their outputs.
    let input = input.as_array().unwrap();
    let sent: Vec<Value> = items.iter().map(|item| value_of(item)).collect();
    assert_eq!(input[1..=items.len()], sent);
    input[1 + items.len()..].to_vec()
}

fn value_of(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

#[tokio::test]
async fn tools_of_the_responses_api_are_offered_in_place_of_the_functions() {
    let folder = Folder::new();
    let (server, result) = run(&engineer(&folder), &[SAYS_DONE]).await;
    result.unwrap();
    let tools = bodies(&server)[0]["tools"].clone();
    let names = |tool: &Value| match tool["type"].as_str().unwrap() {
        "function" => tool["name"].as_str().unwrap().to_owned(),
        other => format!("<{other}>"),
    };
    let names: Vec<String> = tools.as_array().unwrap().iter().map(names).collect();
    assert_eq!(
        names,
        ["read_file", "<shell>", "<local_shell>", "<apply_patch>"]
    );
    assert_eq!(
        tools[1],
        json!({"type": "shell", "environment": {"type": "local"}})
    );
}

#[tokio::test]
async fn tools_of_the_responses_api_are_not_offered_while_their_function_is_disabled() {
    let folder = Folder::new();
    let command = workspace(&folder).run_command(CommandOptions::default());
    let agent = Agent::builder("A")
        .tool(free(workspace(&folder).apply_patch()))
        .tool(command.enabled_if(|_| false))
        .hosted_tool(local_shell_environment())
        .hosted_tool(HostedTool::apply_patch())
        .build()
        .unwrap();
    let (server, result) = run(&agent, &[SAYS_DONE]).await;
    result.unwrap();
    assert_eq!(
        bodies(&server)[0]["tools"],
        json!([{"type": "apply_patch"}])
    );
    let (_, result) = run(&agent, &[MAKES]).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::DisabledTool);
    assert!(!folder.path("made").exists());
}

#[tokio::test]
async fn shell_call_runs_its_commands_and_gives_what_each_wrote() {
    let folder = Folder::new();
    fs::write(folder.path("a.txt"), "text\n").unwrap();
    let call = r#"{"type":"shell_call","id":"sh_1","call_id":"c1","status":"completed","action":{"commands":["cat a.txt | tr a-z A-Z","echo oops >&2; exit 3","kill -9 $$"],"timeout_ms":60000,"max_output_length":4096}}"#;
    assert_eq!(
        outputs(&folder, &[call]).await,
        [json!({
            "type": "shell_call_output",
            "call_id": "c1",
            "output": [
                {"stdout": "TEXT\n", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}},
                {"stdout": "", "stderr": "oops\n", "outcome": {"type": "exit", "exit_code": 3}},
                {"stdout": "", "stderr": "", "outcome": {"type": "exit", "exit_code": 137}},
            ],
            "max_output_length": 4096,
        })]
    );
}

#[tokio::test]
async fn shell_call_that_takes_too_long_ends_with_a_timeout() {
    let folder = Folder::new();
    let call = r#"{"type":"shell_call","call_id":"c1","action":{"commands":["echo a; sleep 86420","touch made"],"timeout_ms":300,"max_output_length":null}}"#;
    assert_eq!(
        outputs(&folder, &[call]).await,
        [json!({
            "type": "shell_call_output",
            "call_id": "c1",
            "output": [{
                "stdout": "a\n",
                "stderr": "[ended, because it took longer than 0.3 s]",
                "outcome": {"type": "timeout"},
            }],
        })]
    );
    assert!(!folder.path("made").exists());
}

#[tokio::test]
async fn local_shell_call_runs_a_program_with_its_variables() {
    let folder = Folder::new();
    fs::create_dir(folder.path("sub")).unwrap();
    let call = r#"{"type":"local_shell_call","id":"lsh_1","call_id":"c1","status":"completed","action":{"type":"exec","command":["sh","-c","echo $GREETING; pwd | sed 's,.*/,,'"],"env":{"GREETING":"hi"},"timeout_ms":null,"working_directory":"sub"}}"#;
    let other = r#"{"type":"local_shell_call","call_id":"c2","action":{"type":"exec","command":["id"],"env":{},"user":"nobody"}}"#;
    assert_eq!(
        outputs(&folder, &[call, other]).await,
        [
            json!({"type": "local_shell_call_output", "call_id": "c1", "output": "hi\nsub\n[exit code 0]"}),
            json!({
                "type": "local_shell_call_output",
                "call_id": "c2",
                "output": "tool `run_command` failed: commands are run as the user of this program; leave `user` out",
            }),
        ]
    );
}

#[tokio::test]
async fn apply_patch_call_makes_changes_and_deletes_files() {
    let folder = Folder::new();
    fs::write(folder.path("old.txt"), "one\ntwo\n").unwrap();
    fs::write(folder.path("gone.txt"), "x").unwrap();
    let calls = [
        r#"{"type":"apply_patch_call","id":"ap_1","call_id":"c1","status":"completed","operation":{"type":"create_file","path":"new.txt","diff":"+first\n+second\n"}}"#,
        r#"{"type":"apply_patch_call","call_id":"c2","operation":{"type":"update_file","path":"old.txt","diff":"@@\n one\n-two\n+three\n"}}"#,
        r#"{"type":"apply_patch_call","call_id":"c3","operation":{"type":"delete_file","path":"gone.txt"}}"#,
        r#"{"type":"apply_patch_call","call_id":"c4","operation":{"type":"delete_file","path":"../other.txt"}}"#,
        r#"{"type":"apply_patch_call","call_id":"c5","operation":{"type":"create_file","path":"none.txt"}}"#,
    ];
    let output = |id: &str, status: &str, text: &str| json!({"type": "apply_patch_call_output", "call_id": id, "status": status, "output": text});
    let outputs = outputs(&folder, &calls).await;
    assert_eq!(
        outputs[..4],
        [
            output("c1", "completed", "added new.txt"),
            output("c2", "completed", "updated old.txt"),
            output("c3", "completed", "deleted gone.txt"),
            output(
                "c4",
                "failed",
                "tool `apply_patch` failed: `../other.txt` leads out of the workspace",
            ),
        ]
    );
    assert_eq!(outputs[4]["status"], "failed");
    assert_eq!(
        fs::read_to_string(folder.path("new.txt")).unwrap(),
        "first\nsecond\n"
    );
    assert_eq!(
        fs::read_to_string(folder.path("old.txt")).unwrap(),
        "one\nthree\n"
    );
    assert!(!folder.path("gone.txt").exists());
}

const MAKES: &str =
    r#"{"type":"shell_call","id":"sh_1","call_id":"c1","action":{"commands":["touch made"]}}"#;

fn asking(folder: &Folder) -> Agent {
    let tool = workspace(folder).run_command(CommandOptions::default());
    let agent = Agent::builder("A").tool(tool);
    agent
        .hosted_tool(local_shell_environment())
        .build()
        .unwrap()
}

#[tokio::test]
async fn shell_call_waits_for_approval_and_is_made_once_it_has_it() {
    let folder = Folder::new();
    let agent = asking(&folder);
    for (approves, stdout_or_stderr) in [(false, "stderr"), (true, "stdout")] {
        let (_, result) = run(&agent, &[MAKES]).await;
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ApprovalRequired);
        let saved = error.into_state().unwrap().to_json().unwrap();
        let mut state = RunState::from_json(&saved).unwrap();
        let asked = state.interruptions();
        assert_eq!(asked[0].tool, "run_command");
        assert_eq!(asked[0].arguments, r#"{"commands":["touch made"]}"#);
        assert!(!folder.path("made").exists());
        if approves {
            state.approve(&asked[0].id).unwrap();
        } else {
            state.reject(&asked[0].id).unwrap();
        }
        let server = FakeServer::start([response("resp_1", &[SAYS_DONE])])
            .await
            .unwrap();
        let result = Runner::new(responses(&server)).resume(&agent, state).await;
        assert_eq!(result.unwrap().final_output(), "done");
        let input = bodies(&server)[0]["input"].clone();
        assert_eq!(input[1], value_of(MAKES));
        assert_eq!(input[2]["type"], "shell_call_output");
        let chunk = &input[2]["output"][0];
        assert_eq!(chunk["outcome"]["exit_code"], i32::from(!approves));
        assert_eq!(chunk[stdout_or_stderr] == "", approves);
        assert_eq!(folder.path("made").exists(), approves);
    }
}

#[tokio::test]
async fn shell_call_with_other_arguments_is_the_call_that_the_model_sees() {
    let folder = Folder::new();
    let agent = asking(&folder);
    let (_, result) = run(&agent, &[MAKES]).await;
    let mut state = result.unwrap_err().into_state().unwrap();
    let id = state.interruptions()[0].id.clone();
    let other = r#"{"commands":["touch other"]}"#;
    state.set_arguments(&id, other).unwrap();
    state.approve(&id).unwrap();
    let server = FakeServer::start([response("resp_1", &[SAYS_DONE])])
        .await
        .unwrap();
    let result = Runner::new(responses(&server)).resume(&agent, state).await;
    result.unwrap();
    let mut edited = value_of(MAKES);
    edited["action"] = value_of(other);
    assert_eq!(bodies(&server)[0]["input"][1], edited);
    assert!(folder.path("other").exists() && !folder.path("made").exists());
}

#[tokio::test]
async fn shell_call_that_was_not_offered_is_an_unknown_tool() {
    let folder = Folder::new();
    let tool = free(workspace(&folder).run_command(CommandOptions::default()));
    let without = Agent::builder("A").tool(tool.clone()).build().unwrap();
    // The provider's own shell is not this one.
    let hosted = Agent::builder("A")
        .tool(tool)
        .hosted_tool(HostedTool::shell());
    for agent in [without, hosted.build().unwrap()] {
        let (_, result) = run(&agent, &[MAKES]).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::UnknownTool);
        assert!(!folder.path("made").exists());
    }
}

#[tokio::test]
async fn shell_call_is_seen_as_a_call_of_the_tool_that_does_it() {
    let folder = Folder::new();
    let replies = [
        response_events("resp_0", &[MAKES]),
        response_events("resp_1", &[SAYS_DONE]),
    ];
    let server = FakeServer::start(replies).await.unwrap();
    let request = Runner::new(responses(&server)).run(&engineer(&folder), "go");
    let (events, result) = play(request).await;
    let called = events.iter().find_map(|event| match event {
        RunEvent::ToolCalled {
            call_id,
            name,
            arguments,
        } => Some((call_id.as_str(), name.as_str(), arguments.as_str())),
        _ => None,
    });
    let arguments = r#"{"commands":["touch made"]}"#;
    assert_eq!(called, Some(("c1", "run_command", arguments)));
    let items: Vec<Value> = result
        .unwrap()
        .items()
        .iter()
        .map(|item: &Item| value(item))
        .collect();
    assert_eq!(items[1]["type"], "shell_call_output");
}
