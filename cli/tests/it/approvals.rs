//! `openai-agents run`, when calls wait for approval: exit code 5, the saved run, and going on from it.

use std::fs;
use std::process::{Command, Output, Stdio};

use openai_agents::testing::{FakeServer, Reply};
use serde_json::{Value, json};

use crate::support::{Directory, check_output, chunk, lines, on, streamed_call, streamed_text};

const SUM: &str = r#"{"expression":"100 + 250"}"#;
const CONFIG: &str = "agents:
  - name: Careful
    tools: [calculator]
    needs_approval: [calculator]
";
const RUN: [&str; 6] = [
    "run",
    "--agent",
    "Careful",
    "--save-state",
    "run.json",
    "hi",
];

/// The program's own path stands in the command to go on.
fn stderr_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).replace(env!("CARGO_BIN_EXE_openai-agents"), "PROGRAM")
}

fn path(name: &str, file: &str) -> String {
    format!("{}/{name}/{file}", env!("CARGO_TARGET_TMPDIR"))
}

fn read(name: &str, file: &str) -> Option<String> {
    fs::read_to_string(path(name, file)).ok()
}

fn two_calls() -> Reply {
    let call = |index: usize, expression: &str| {
        json!({"index": index, "id": format!("call_{index}"), "type": "function",
            "function": {"name": "calculator", "arguments": format!("{{\"expression\":\"{expression}\"}}")}})
    };
    Reply::sse([
        chunk(
            &json!({"tool_calls": [call(0, "1+1"), call(1, "2+2")]}),
            None,
        ),
        chunk(&json!({}), Some("tool_calls")),
        "[DONE]".to_owned(),
    ])
}

/// A run that waits in `run.json`, and the server that it goes on with.
async fn paused(name: &str, replies: impl IntoIterator<Item = Reply>) -> (Directory, FakeServer) {
    let directory = Directory::new(name).file("config.yaml", CONFIG);
    let server = FakeServer::start(replies).await.unwrap();
    let output = on(&server, &directory, &RUN).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", stderr_of(&output));
    (directory, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_pauses_and_goes_on_once() {
    const NAME: &str = "approve-text";
    let directory = Directory::new(NAME).file("config.yaml", CONFIG);
    let server = FakeServer::start([
        streamed_call("Let me see.", "calculator", SUM),
        streamed_text("It is ", "350."),
    ])
    .await
    .unwrap();
    let output = on(&server, &directory, &RUN).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(output.stdout, b"Let me see.\n");
    assert_eq!(
        stderr_of(&output),
        "-> calculator {\"expression\":\"100 + 250\"}
1 call waits for approval: calculator
  call_1  Careful: calculator {\"expression\":\"100 + 250\"}
the run is saved in run.json; to approve and resume it:
  PROGRAM run --resume run.json --approve call_1
to reject a call instead, which the model is told: --reject call_1 or --reject call_1=WHY
"
    );
    check_is_private(NAME, "run.json");
    let go_on = ["run", "--resume", "run.json", "--approve", "call_1"];
    let output = on(&server, &directory, &go_on).output().unwrap();
    check_output(&output, 0, "It is 350.\n", "<- 350\n");
    assert_eq!(server.requests().len(), 2);
    assert_eq!(read(NAME, "run.json"), None);
    assert_eq!(read(NAME, "run.json.used").as_deref(), Some(""));
    let output = on(&server, &directory, &go_on).output().unwrap();
    check_output(
        &output,
        2,
        "",
        "error: the run in run.json was already resumed\n",
    );
    assert_eq!(kind(on(&server, &directory, &go_on)), "already_resumed");
    assert_eq!(server.requests().len(), 2);
}

#[cfg(unix)]
fn check_is_private(name: &str, file: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path(name, file)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[cfg(not(unix))]
fn check_is_private(_: &str, _: &str) {}

/// The kind of the error in the last line of `--json`.
fn kind(mut command: Command) -> String {
    let output = command.arg("--json").output().unwrap();
    let result = lines(&output).pop().unwrap();
    assert_eq!(result["ok"], false);
    result["error"]["kind"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn json_lists_what_waits_and_where_the_run_is() {
    const NAME: &str = "approve-json";
    let directory = Directory::new(NAME).file("config.yaml", CONFIG);
    let server = FakeServer::start([streamed_call("", "calculator", SUM)])
        .await
        .unwrap();
    let arguments = ["run", "--agent", "Careful", "--json", "hi"];
    let output = on(&server, &directory, &arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    let mut lines = lines(&output);
    let result = lines.pop().unwrap();
    let state = result["state"].as_str().unwrap().to_owned();
    // The home directory of the test is its working directory.
    let folder = path(NAME, ".local/state/openai-agents/runs/run-");
    assert!(state.starts_with(&folder), "{state}");
    let waits = json!({
        "id": "call_1", "agent": "Careful", "tool": "calculator", "call_id": "call_1", "arguments": SUM, "path": [],
        "may_have_run": false,
    });
    assert_eq!(
        lines.pop().unwrap(),
        json!({"type": "approval_required", "interruption": waits})
    );
    assert_eq!(
        result,
        json!({
            "type": "result",
            "ok": false,
            "error": {
                "kind": "approval_required", "message": "1 call waits for approval: calculator",
                "status": null, "retry_after": null,
            },
            "interruptions": [waits],
            "state": state,
            "run": null,
            "agent": "Careful",
            "turns": 1,
        })
    );
    let stderr = stderr_of(&output);
    let command = format!("\n  PROGRAM run --json --resume {state} --approve call_1\n");
    assert!(stderr.contains(&command), "{stderr}");
    // Who waits is known from the saved run.
    let arguments = ["run", "--json", "--resume", &state];
    let shown = on(&server, &directory, &arguments).output().unwrap();
    assert_eq!(crate::support::lines(&shown), [result]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_call_is_told_to_the_model() {
    for (name, flags, told) in [
        ("reject", "call_1", "Tool execution was not approved."),
        ("reject-why", "call_1=Too = dear.", "Too = dear."),
    ] {
        let replies = [
            streamed_call("", "calculator", SUM),
            streamed_text("I may", " not."),
        ];
        let (directory, server) = paused(name, replies).await;
        let go_on = ["run", "--resume", "run.json", "--reject", flags];
        let output = on(&server, &directory, &go_on).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr_of(&output));
        assert_eq!(output.stdout, b"I may not.\n");
        let asked = server.requests()[1].json().unwrap();
        let last = asked["messages"].as_array().unwrap().last().unwrap();
        assert_eq!(last["content"], told);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn undecided_call_waits_in_the_same_file() {
    const NAME: &str = "approve-some";
    let (directory, server) = paused(NAME, [two_calls(), streamed_text("2 and", " no.")]).await;
    let before = read(NAME, "run.json").unwrap();
    let shown = on(&server, &directory, &["run", "--resume", "run.json"]);
    assert_eq!(kind(shown), "approval_required");
    assert_eq!(read(NAME, "run.json").as_ref(), Some(&before));

    let go_on = ["run", "--resume", "run.json", "--approve", "call_0"];
    let output = on(&server, &directory, &go_on).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    let stderr = stderr_of(&output);
    assert!(
        stderr.starts_with("<- 2\n1 call waits for approval: calculator\n  call_1 "),
        "{stderr}"
    );
    assert_ne!(read(NAME, "run.json").as_ref(), Some(&before));
    assert_eq!(read(NAME, "run.json.used"), None);

    let go_on = ["run", "--resume", "run.json", "--reject", "call_1"];
    let output = on(&server, &directory, &go_on).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, b"2 and no.\n");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_can_hold_for_later_calls() {
    let replies = [
        two_calls(),
        streamed_call("", "calculator", SUM),
        streamed_text("Do", "ne."),
    ];
    let (directory, server) = paused("approve-always", replies).await;
    let go_on = ["run", "--resume", "run.json", "--approve-all", "--always"];
    let output = on(&server, &directory, &go_on).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr_of(&output));
    assert_eq!(output.stdout, b"Done.\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_decisions_leave_the_run_as_it_was() {
    const NAME: &str = "approve-wrong";
    let (directory, server) = paused(NAME, [two_calls()]).await;
    let before = read(NAME, "run.json");
    let waiting = "(waiting: call_0, call_1)";
    for (flags, expected) in [
        (
            &["--approve", "call_2"][..],
            format!("no call waits under the id call_2 {waiting}"),
        ),
        (
            &["--reject", "nothing=x"],
            format!("no call waits under the id nothing {waiting}"),
        ),
        (
            &["--approve", "call_0", "--reject", "call_0=no"],
            "the call call_0 is decided about twice".to_owned(),
        ),
        (
            &["--always"],
            "--always needs --approve, --approve-all or --reject".to_owned(),
        ),
        (
            &["--approve-all", "--save-state", "config.yaml"],
            "--save-state config.yaml: the file exists already, and would be overwritten"
                .to_owned(),
        ),
        (
            &["--approve-all", "--save-state", "none/a.json"],
            "--save-state none/a.json: its folder does not exist".to_owned(),
        ),
    ] {
        let go_on = [&["run", "--resume", "run.json"], flags].concat();
        let output = on(&server, &directory, &go_on).output().unwrap();
        check_output(&output, 2, "", &format!("error: {expected}\n"));
        assert_eq!(read(NAME, "run.json"), before);
    }
    let output = on(&server, &directory, &["run", "--approve", "call_0", "hi"])
        .output()
        .unwrap();
    let expected = "error: --approve, --reject, --approve-all and --always need --resume\n";
    check_output(&output, 2, "", expected);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_saved_runs_are_refused() {
    const NAME: &str = "approve-files";
    let (directory, server) = paused(NAME, [two_calls()]).await;
    let state = read(NAME, "run.json").unwrap();
    let newer = state.replacen("\"version\":7", "\"version\":8", 1);
    let directory = directory
        .file("newer.json", &newer)
        .file("half.json", &state[..state.len() / 2])
        .file("foreign.json", "{\"type\":\"message\"}")
        .file("empty.json", "")
        .file("other.yaml", "");
    let cases: [(&[&str], &str); 6] = [
        (
            &["none.json"],
            "cannot read the saved run none.json: No such file or directory (os error 2)",
        ),
        (
            &["."],
            "cannot read the saved run .: it is a folder, and only a regular file is read here",
        ),
        (
            &["newer.json"],
            "cannot resume newer.json: the run state has version 8; this library reads up to version 7",
        ),
        (
            &["foreign.json"],
            "cannot resume foreign.json: this is not a saved run state: missing field `version`",
        ),
        (
            &["empty.json"],
            "cannot resume empty.json: this is not a saved run state: EOF while parsing",
        ),
        (
            &["run.json", "--config", "other.yaml"],
            "cannot resume run.json: its agent `Careful` is not in the settings",
        ),
    ];
    for (arguments, expected) in cases {
        let go_on = [&["run", "--approve-all", "--resume"], arguments].concat();
        let output = on(&server, &directory, &go_on).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let stderr = stderr_of(&output);
        assert!(
            stderr.starts_with(&format!("error: {expected}")),
            "{stderr}"
        );
        assert_eq!(kind(on(&server, &directory, &go_on)), "state_invalid");
    }
    let output = on(&server, &directory, &["run", "--resume", "half.json"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_is_gone_leaves_the_run_as_it_was() {
    const NAME: &str = "approve-gone";
    let (directory, server) = paused(NAME, [two_calls()]).await;
    let before = read(NAME, "run.json");
    let directory = directory.file("other.yaml", "agents: [{name: Careful}]");
    let go_on = [
        "run",
        "--config",
        "other.yaml",
        "--resume",
        "run.json",
        "--approve-all",
    ];
    let output = on(&server, &directory, &go_on).output().unwrap();
    check_output(
        &output,
        2,
        "",
        "error: the run state needs the tool `calculator` of agent `Careful`, which is not there\n",
    );
    assert_eq!(read(NAME, "run.json"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn resumed_run_that_fails_keeps_its_state() {
    const NAME: &str = "approve-failed";
    let replies = [
        streamed_call("", "calculator", SUM),
        Reply::status(500, "no"),
    ];
    let (directory, server) = paused(NAME, replies).await;
    let before = read(NAME, "run.json");
    let go_on = ["run", "--resume", "run.json", "--approve-all"];
    let output = on(&server, &directory, &go_on).output().unwrap();
    check_output(
        &output,
        1,
        "",
        "<- 350\nerror: the server answered 500 Internal Server Error: no\n\
         hint: the run was resumed from run.json, which is run.json.used now; approved calls may have been made\n",
    );
    assert_eq!(read(NAME, "run.json.used"), before);
    let output = on(&server, &directory, &go_on).output().unwrap();
    check_output(
        &output,
        2,
        "",
        "error: the run in run.json was already resumed\n\
         hint: if that run has failed, its saved state is run.json.used; approved calls may have been made\n",
    );
}

/// Of several that go on at the same time, one does.
#[tokio::test(flavor = "multi_thread")]
async fn saved_run_resumed_by_several_continues_once() {
    const N_TRIES: usize = 8;
    let text = || streamed_text("It is ", "350.");
    let replies = std::iter::once(streamed_call("", "calculator", SUM))
        .chain(std::iter::repeat_with(text).take(N_TRIES));
    let (directory, server) = paused("approve-race", replies).await;
    let go_on = ["run", "--resume", "run.json", "--approve-all"];
    let tries: Vec<_> = (0..N_TRIES)
        .map(|_| {
            on(&server, &directory, &go_on)
                .stderr(Stdio::null())
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut codes: Vec<_> = tries
        .into_iter()
        .map(|mut child| child.wait().unwrap().code().unwrap())
        .collect();
    codes.sort_unstable();
    let mut expected = vec![2; N_TRIES];
    expected[0] = 0;
    assert_eq!(codes, expected);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_seals_the_saved_run() {
    const NAME: &str = "approve-sealed";
    const STATE_KEY: &str = "a state key of some length";
    let directory = Directory::new(NAME).file("config.yaml", CONFIG);
    let replies = [two_calls(), two_calls(), streamed_text("Do", "ne.")];
    let server = FakeServer::start(replies).await.unwrap();
    let sealed = |arguments: &[&str], key: &str| -> (i32, String, Value) {
        let mut command = on(&server, &directory, arguments);
        let command = command.arg("--json").env("OPENAI_AGENTS__STATE_KEY", key);
        let output = command.output().unwrap();
        assert!(!stderr_of(&output).contains(STATE_KEY));
        let result = lines(&output).pop().unwrap();
        (output.status.code().unwrap(), stderr_of(&output), result)
    };
    let (code, _, _) = sealed(&RUN, STATE_KEY);
    assert_eq!(code, 5);
    let unsealed = [
        "run",
        "--agent",
        "Careful",
        "--save-state",
        "open.json",
        "hi",
    ];
    let (code, _, _) = sealed(&unsealed, "");
    assert_eq!(code, 5);
    let state = read(NAME, "run.json").unwrap();
    assert!(!state.contains(STATE_KEY));
    let edited = state.replace("2+2", "9+9");
    fs::write(path(NAME, "edited.json"), edited).unwrap();
    for (file, key, kind) in [
        ("edited.json", STATE_KEY, "state_tampered"),
        ("open.json", STATE_KEY, "state_tampered"),
        ("run.json", "another key of some length", "state_tampered"),
        ("run.json", "", "state_invalid"),
        ("run.json", "short", "config"),
    ] {
        let (code, stderr, result) = sealed(&["run", "--resume", file, "--approve-all"], key);
        assert_eq!(code, 2, "{stderr}");
        assert_eq!(result["error"]["kind"], kind, "{file} {stderr}");
        assert!(stderr.contains("STATE_KEY"), "{stderr}");
    }
    let (code, stderr, _) = sealed(&["run", "--resume", "run.json", "--approve-all"], STATE_KEY);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(server.requests().len(), 3);
}

/// The identifiers are a server's, and the arguments a model's.
#[tokio::test(flavor = "multi_thread")]
async fn waiting_call_is_shown_unchanged() {
    let directory = Directory::new("approve-escapes").file("config.yaml", CONFIG);
    let call = json!([{"index": 0, "id": "$(id)\u{1b}", "type": "function",
        "function": {"name": "calculator", "arguments": "{\"expression\":\"1\u{202e}+\u{9b}2\"}"}}]);
    let reply = Reply::sse([
        chunk(&json!({"tool_calls": call}), None),
        chunk(&json!({}), Some("tool_calls")),
        "[DONE]".to_owned(),
    ]);
    let server = FakeServer::start([reply]).await.unwrap();
    let output = on(&server, &directory, &RUN).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    let stderr = stderr_of(&output);
    let (_, pause) = stderr.split_once('\n').unwrap();
    assert_eq!(
        pause,
        "1 call waits for approval: calculator
  $(id)\\u{1b}  Careful: calculator {\"expression\":\"1\\u{202e}+\\u{9b}2\"}
the run is saved in run.json; to approve and resume it:
  PROGRAM run --resume run.json --approve-all
to reject a call instead, which the model is told: --reject ID or --reject ID=WHY
"
    );
}

/// Where no file can be written, the run goes out with the error, the name stays free, and the run can go on.
#[tokio::test(flavor = "multi_thread")]
#[cfg(unix)]
async fn full_disk_loses_no_run_and_takes_no_name() {
    const NAME: &str = "approve-full";
    let directory = Directory::new(NAME).file("config.yaml", CONFIG);
    let replies = [
        streamed_call("", "calculator", SUM),
        streamed_text("It is ", "350."),
    ];
    let server = FakeServer::start(replies).await.unwrap();
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
    let mut command = crate::support::on_full_disk(&server, &directory, &arguments);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr_of(&output));
    let result = crate::support::lines(&output).pop().unwrap();
    let message = result["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("cannot save the run in run.json: "),
        "{message}"
    );
    for folder in [".", ".local/state/openai-agents/runs"] {
        let entries = fs::read_dir(directory.path(folder)).unwrap();
        let mut names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let is_of_run = |name: &String| name.contains("run.json") || name.contains("run-");
        assert_eq!(names.find(is_of_run), None);
    }
    directory.write("run.json", result["run_state"].to_string());
    let go_on = ["run", "--resume", "run.json", "--approve-all"];
    let output = on(&server, &directory, &go_on).output().unwrap();
    check_output(&output, 0, "It is 350.\n", "<- 350\n");
}
