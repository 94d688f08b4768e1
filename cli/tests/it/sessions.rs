//! `openai-agents run --session` and `openai-agents sessions`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;

use openai_agents::testing::{FakeServer, Reply};
use serde_json::{Value, json};

use crate::support::{
    Directory, check_output, lines, on, streamed_call, streamed_text, whole_text,
};

const STORE: &str = ".local/share/openai_agents/sessions.db";
const SUM: &str = r#"{"expression":"100 + 250"}"#;

fn path(name: &str, file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(name)
        .join(file)
}

/// A directory with the session `alice`, in which two questions were answered.
async fn with_session(name: &str) -> (Directory, FakeServer) {
    let directory = Directory::new(name);
    let server = FakeServer::start([
        streamed_text("It is ", "Paris."),
        streamed_call("", "calculator", SUM),
        streamed_text("It is ", "350."),
    ])
    .await
    .unwrap();
    for question in ["The capital of France?", "100 + 250?"] {
        let output = on(
            &server,
            &directory,
            &["run", "--session", "alice", question],
        )
        .output()
        .unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    (directory, server)
}

fn sessions(directory: &Directory, arguments: &[&str], code: i32, stdout: &str, stderr: &str) {
    let output = directory
        .program()
        .arg("sessions")
        .args(arguments)
        .output()
        .unwrap();
    check_output(&output, code, stdout, stderr);
}

fn inputs(server: &FakeServer, n: usize) -> Vec<Value> {
    let body = server.requests()[n].json().unwrap();
    let messages = body["messages"].as_array().unwrap();
    messages
        .iter()
        .map(|message| message["content"].clone())
        .collect()
}

const ALICE: &str = "user (1): The capital of France?
assistant: It is Paris.
user (2): 100 + 250?
-> calculator {\"expression\":\"100 + 250\"}
<- 350
assistant: It is 350.
";

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_goes_on_in_other_processes() {
    const NAME: &str = "session-goes-on";
    let (directory, server) = with_session(NAME).await;
    server.push(whole_text("Yes."));
    let run = [
        "run",
        "--session",
        "alice",
        "--json",
        "--no-stream",
        "Sure?",
    ];
    let output = on(&server, &directory, &run).output().unwrap();
    let result = lines(&output).pop().unwrap();
    assert_eq!(
        (&result["ok"], &result["session"]),
        (&json!(true), &json!("alice"))
    );
    assert_eq!(
        inputs(&server, 3)[1..],
        [
            json!("The capital of France?"),
            json!("It is Paris."),
            json!("100 + 250?"),
            json!(null),
            json!("350"),
            json!("It is 350."),
            json!("Sure?"),
        ],
    );
    let shown = format!("{ALICE}user (3): Sure?\nassistant: Yes.\n");
    sessions(&directory, &["show", "alice"], 0, &shown, "");
    let latest = "user (3): Sure?\nassistant: Yes.\n";
    sessions(
        &directory,
        &["show", "alice", "--limit", "2"],
        0,
        latest,
        "",
    );
    // The tables are those of the Python Agents SDK, in the file itself.
    let file = fs::read(path(NAME, STORE)).unwrap();
    for table in ["CREATE TABLE agent_sessions", "CREATE TABLE agent_messages"] {
        assert!(
            file.windows(table.len())
                .any(|bytes| bytes == table.as_bytes()),
            "{table}"
        );
    }
    check_is_private(NAME);
}

#[cfg(unix)]
fn check_is_private(name: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let file = path(name, STORE);
    assert_eq!(
        (mode(file.parent().unwrap().to_owned()), mode(file)),
        (0o700, 0o600)
    );
}

#[cfg(not(unix))]
fn check_is_private(_: &str) {}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_and_cleared() {
    let (directory, _server) = with_session("session-list").await;
    let output = directory
        .program()
        .args(["sessions", "list", "--json"])
        .output()
        .unwrap();
    let line = &lines(&output)[0];
    assert_eq!((&line["id"], &line["items"]), (&json!("alice"), &json!(6)));
    let output = directory
        .program()
        .args(["sessions", "show", "alice", "--json"])
        .output()
        .unwrap();
    let items = lines(&output);
    assert_eq!(items.len(), 6 + 1);
    assert_eq!(
        items[4],
        json!({"type": "function_call_output", "call_id": "call_1", "output": "350"})
    );
    sessions(&directory, &["clear", "alice"], 0, "", "");
    sessions(&directory, &["list"], 0, "", "");
    let store = path("session-list", STORE);
    let error = format!(
        "error: there is no session `alice` in sqlite:{}\n",
        store.display()
    );
    sessions(&directory, &["clear", "alice"], 2, "", &error);
    sessions(&directory, &["show", "alice"], 2, "", &error);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_goes_another_way() {
    let (directory, server) = with_session("session-fork").await;
    sessions(
        &directory,
        &["fork", "alice", "--branch", "b", "--before-turn", "2"],
        0,
        "",
        "",
    );
    server.push(streamed_text("The ", "Seine."));
    let run = ["run", "--session", "alice", "--branch", "b", "Its river?"];
    let output = on(&server, &directory, &run).output().unwrap();
    check_output(&output, 0, "The Seine.\n", "");
    assert_eq!(
        inputs(&server, 3)[1..],
        [
            json!("The capital of France?"),
            json!("It is Paris."),
            json!("Its river?")
        ],
    );
    let branches = "[branch b: 4 items, 2 of them from main]\n";
    sessions(
        &directory,
        &["show", "alice"],
        0,
        &format!("{ALICE}{branches}"),
        "",
    );
    sessions(&directory, &["clear", "alice", "--branch", "b"], 0, "", "");
    sessions(&directory, &["show", "alice"], 0, ALICE, "");
    for (arguments, error) in [
        (
            &["fork", "alice", "--branch", "main"][..],
            "session `alice` has a branch `main` already",
        ),
        (
            &["fork", "alice", "--branch", "c", "--before-turn", "3"],
            "session `alice` has 2 turns of the user; there is no turn 3",
        ),
        (
            &["clear", "alice", "--branch", "b"],
            "session `alice` has no branch `b`",
        ),
    ] {
        sessions(&directory, arguments, 2, "", &format!("error: {error}\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_do_not_mix_their_turns() {
    let directory = Directory::new("session-conflict");
    let slow = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut first = directory.program();
    first
        .args([
            "run",
            "--session",
            "alice",
            "--no-stream",
            "--json",
            "first",
        ])
        .env(
            "OPENAI_BASE_URL",
            format!("http://{}/v1", slow.local_addr().unwrap()),
        )
        .env("OPENAI_MODEL", "m")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let first = first.spawn().unwrap();
    // It has read the session, and its model thinks.
    let (mut connection, _) = slow.accept().unwrap();
    assert!(connection.read(&mut [0; 1024]).unwrap() > 0);
    let server = FakeServer::start([whole_text("two")]).await.unwrap();
    let second = ["run", "--session", "alice", "--no-stream", "second"];
    let output = on(&server, &directory, &second).output().unwrap();
    check_output(&output, 0, "two\n", "");
    let body = json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": "one"}, "finish_reason": "stop"}]});
    let body = body.to_string();
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length";
    connection
        .write_all(format!("{head}: {}\r\n\r\n{body}", body.len()).as_bytes())
        .unwrap();
    let output = first.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let kind = &lines(&output).pop().unwrap()["error"]["kind"];
    assert_eq!(kind, "session_conflict");
    let stderr = String::from_utf8(output.stderr).unwrap();
    let hint = "hint: another run or program wrote to the session at the same time, and nothing of this run was kept in it; ask again\n";
    assert!(
        stderr.contains("was changed by another run or program in between")
            && stderr.ends_with(hint),
        "{stderr}"
    );
    let won = "user (1): second\nassistant: two\n";
    sessions(&directory, &["show", "alice"], 0, won, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_goes_on_in_its_session() {
    let config = "agents: [{name: A, tools: [calculator], needs_approval: always}]";
    let directory = Directory::new("session-approval").file("config.yaml", config);
    let server = FakeServer::start([
        streamed_call("", "calculator", SUM),
        streamed_text("It is ", "350."),
    ])
    .await
    .unwrap();
    let run = [
        "run",
        "--agent",
        "A",
        "--session",
        "alice",
        "--save-state",
        "s.json",
        "100 + 250?",
    ];
    assert_eq!(
        on(&server, &directory, &run)
            .output()
            .unwrap()
            .status
            .code(),
        Some(5)
    );
    let go_on = ["run", "--resume", "s.json", "--approve-all", "--json"];
    let output = on(&server, &directory, &go_on).output().unwrap();
    assert_eq!(lines(&output).pop().unwrap()["session"], "alice");
    let shown = "user (1): 100 + 250?\n-> calculator {\"expression\":\"100 + 250\"}\n<- 350\nassistant: It is 350.\n";
    sessions(&directory, &["show", "alice"], 0, shown, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_used_is_told_before_the_model_is_asked() {
    let directory = Directory::new("session-stores")
        .file("text.db", "this is no database, and long enough to see");
    let server = FakeServer::start(Vec::<Reply>::new()).await.unwrap();
    for (url, code, kind) in [
        ("sqlite:/nowhere/at/all.db", 2, "session"),
        ("sqlite:text.db", 2, "session"),
        #[cfg(feature = "postgres")]
        ("postgres://me:pass@127.0.0.1:1/db", 2, "session"),
        #[cfg(feature = "redis")]
        ("redis://:pass@127.0.0.1:1", 2, "session"),
        ("mysql://me:pass@127.0.0.1/db", 2, "config"),
        ("sqlite:", 2, "config"),
    ] {
        let run = ["run", "--session", "alice", "--json", "hi"];
        let mut command = on(&server, &directory, &run);
        let output = command
            .env("OPENAI_AGENTS__SESSIONS__URL", url)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{url}: {stderr}");
        assert_eq!(lines(&output).pop().unwrap()["error"]["kind"], kind);
        assert!(!stderr.contains("pass"), "{stderr}");
    }
    assert!(server.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_use_is_an_error() {
    let directory = Directory::new("session-usage");
    let server = FakeServer::start(Vec::<Reply>::new()).await.unwrap();
    for (arguments, error) in [
        (
            &["run", "--branch", "b", "hi"][..],
            "--branch needs --session",
        ),
        (
            &["run", "--session", "", "hi"],
            "a session id cannot be empty",
        ),
    ] {
        let output = on(&server, &directory, arguments).output().unwrap();
        check_output(&output, 2, "", &format!("error: {error}\n"));
    }
    let output = directory
        .program()
        .args(["sessions", "clear"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_key_nothing_is_readable_in_the_file() {
    const NAME: &str = "session-key";
    let key = "sessions: {url: 'sqlite:s.db', encryption_key: 0123456789abcdef0123456789abcdef}";
    let directory = Directory::new(NAME).file("config.yaml", key);
    let server = FakeServer::start([streamed_text("the code ", "is 1234")])
        .await
        .unwrap();
    let run = ["run", "--session", "alice", "Which code?"];
    assert_eq!(
        on(&server, &directory, &run)
            .output()
            .unwrap()
            .status
            .code(),
        Some(0)
    );
    let shown = "user (1): Which code?\nassistant: the code is 1234\n";
    sessions(&directory, &["show", "alice"], 0, shown, "");
    let file = fs::read(path(NAME, "s.db")).unwrap();
    assert!(!file.windows(4).any(|bytes| bytes == b"1234"));
    let other =
        "sessions: {url: 'sqlite:s.db', encryption_key: 0000000000000000000000000000000000}";
    let directory = directory.file("config.yaml", other);
    let output = directory
        .program()
        .args(["sessions", "show", "alice"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    sessions(&directory, &["clear", "alice"], 0, "", "");
}
