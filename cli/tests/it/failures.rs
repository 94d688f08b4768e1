//! `openai-agents run`, when something is wrong: the message, the exit code, the last line of --json.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use openai_agents::testing::{FakeServer, Reply};
use serde_json::{Value, json};

use crate::support::{
    Directory, KEY, check_output, chunk, lines, on, streamed_call, streamed_text,
};

/// The same failure as text and as JSON; `stderr` is that of both.
#[track_caller]
fn check_both(mut command: impl FnMut(&[&str]) -> Command, code: i32, stderr: &str) -> Value {
    let text = command(&["run", "hi"]).output().unwrap();
    check_output(&text, code, "", stderr);
    let json = command(&["run", "--json", "hi"]).output().unwrap();
    assert_eq!(json.status.code(), Some(code));
    assert_eq!(String::from_utf8_lossy(&json.stderr), stderr);
    check_no_key(&json);
    lines(&json).pop().unwrap()
}

fn check_no_key(output: &Output) {
    for stream in [&output.stdout, &output.stderr] {
        assert!(!String::from_utf8_lossy(stream).contains(KEY));
    }
}

#[test]
fn an_unreachable_server_is_a_wrong_setting() {
    // Bound and closed again, so that nothing listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap()
        .port();
    let directory = Directory::new("fail-unreachable").file(
        "config.yaml",
        &format!("base_url: http://127.0.0.1:{port}/v1\n"),
    );
    let command = |arguments: &[&str]| {
        let mut command = directory.program();
        command.args(arguments).env("OPENAI_MODEL", "m");
        command
    };
    let message = format!("could not connect to 127.0.0.1:{port}: connection refused");
    let result = check_both(
        command,
        2,
        &format!(
            "error: {message}\n\
             hint: is the server running? the base URL is http://127.0.0.1:{port}/v1, from ./config.yaml:1; \
             it can be set by OPENAI_BASE_URL, `base_url` in ./config.yaml, or --base-url\n"
        ),
    );
    assert_eq!(
        result,
        json!({
            "type": "result",
            "ok": false,
            "error": {"kind": "transport", "message": message, "status": null, "retry_after": null},
            "agent": "Assistant",
            "turns": 1,
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_the_servers_answer() {
    let directory = Directory::new("fail-key");
    let body =
        json!({"error": {"message": format!("Incorrect key {KEY}"), "code": "invalid_api_key"}});
    let reply = || Reply::status(401, body.to_string()).header("retry-after", "7");
    let server = FakeServer::start([reply(), reply()]).await.unwrap();
    let result = check_both(
        |arguments| on(&server, &directory, arguments),
        1,
        "error: the server answered 401 Unauthorized: Incorrect key [redacted]\n\
         hint: the key is from OPENAI_API_KEY; it can be set by OPENAI_API_KEY, or `api_key` in ./config.yaml\n",
    );
    assert_eq!(
        result["error"],
        json!({
            "kind": "api_status",
            "message": "the server answered 401 Unauthorized: Incorrect key [redacted]",
            "status": 401,
            "retry_after": 7.0,
        })
    );
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_fails_the_run() {
    let directory = Directory::new("fail-cut");
    let cut = Reply::sse([chunk(&json!({"content": "Half a"}), None)]).close();
    let server = FakeServer::start([cut]).await.unwrap();
    let output = on(&server, &directory, &["run", "hi"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"Half a\n");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("error: the answer of 127.0.0.1:"),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_have_an_exit_code_of_their_own() {
    let directory = Directory::new("fail-limits");
    let call = streamed_call("", "calculator", r#"{"expression":"1"}"#);
    let server = FakeServer::start([call, streamed_text("", "").hang()])
        .await
        .unwrap();
    let arguments = ["run", "--json", "--max-turns", "1", "hi"];
    let output = on(&server, &directory, &arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    let result = lines(&output).pop().unwrap();
    assert_eq!(result["error"]["kind"], "max_turns");
    assert_eq!(result["turns"], 1);

    let silent = FakeServer::start([Reply::event_stream().hang()])
        .await
        .unwrap();
    let output = on(&silent, &directory, &["run", "--timeout", "1", "hi"])
        .output()
        .unwrap();
    check_output(
        &output,
        4,
        "",
        "error: the run took longer than 1s (max_duration)\n\
         hint: --timeout, or `limits` in ./config.yaml, allows more\n",
    );
    silent.peer_closed().await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(unix)]
async fn ctrl_c_closes_the_connection() {
    let directory = Directory::new("fail-interrupt");
    for (arguments, stdout, last) in [
        (&["run", "hi"][..], "Hel\n", json!(null)),
        (
            &["run", "--json", "hi"],
            "",
            json!({
                "type": "result",
                "ok": false,
                "error": {"kind": "cancelled", "message": "interrupted", "status": null, "retry_after": null},
                "agent": "Assistant",
                "turns": 1,
            }),
        ),
    ] {
        let begun = Reply::sse([chunk(&json!({"content": "Hel"}), None)]).hang();
        let server = FakeServer::start([begun]).await.unwrap();
        let mut child = on(&server, &directory, arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The first bytes on stdout tell that the run is in the middle of its stream.
        let mut seen = Vec::new();
        let mut pipe = child.stdout.take().unwrap();
        while !String::from_utf8_lossy(&seen).contains("Hel") {
            let mut byte = [0];
            std::io::Read::read_exact(&mut pipe, &mut byte).unwrap();
            seen.extend(byte);
        }
        let status = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status();
        assert!(status.unwrap().success());
        tokio::time::timeout(Duration::from_secs(20), server.peer_closed())
            .await
            .unwrap();
        std::io::Read::read_to_end(&mut pipe, &mut seen).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130));
        assert_eq!(output.stderr, b"interrupted\n");
        let seen = String::from_utf8(seen).unwrap();
        if last.is_null() {
            assert_eq!(seen, stdout);
        } else {
            let line = seen.lines().last().unwrap();
            assert_eq!(serde_json::from_str::<Value>(line).unwrap(), last);
        }
    }
}

#[test]
fn wrong_settings_are_named_before_a_request() {
    let directory = Directory::new("fail-settings")
        .file("typo.yaml", "modle: x\n")
        .file(
            "agents.yaml",
            "agents: [{name: A, tools: [calculater]}, {name: B, model: b}]\n",
        )
        .file("fine.yaml", "agents: [{name: B, model: b}]\n");
    let cases: [(&[&str], &str); 7] = [
        (
            &["run", "hi"],
            "no base URL: set OPENAI_BASE_URL, `base_url` in ./config.yaml, or --base-url",
        ),
        (
            &["run", "--base-url", "http://localhost:1", "hi"],
            "no model: set OPENAI_MODEL, `model` in ./config.yaml, or --model",
        ),
        (
            &["run", "--config", "typo.yaml", "hi"],
            "unknown setting `modle` (typo.yaml:1); did you mean `model`?",
        ),
        (
            &["run", "--config", "agents.yaml", "hi"],
            "agent `A` (agents.yaml:1) names the tool `calculater`, which does not exist; did you mean `calculator`?",
        ),
        (
            &["run", "--agent", "Assistent", "hi"],
            "there is no agent `Assistent`; did you mean `Assistant`? (there are: Assistant, EchoAgent)",
        ),
        (
            &[
                "run",
                "--config",
                "fine.yaml",
                "--agent",
                "B",
                "--model",
                "c",
                "hi",
            ],
            "agent `B` (fine.yaml:1) has a model of its own, which --model does not replace: change it there",
        ),
        (
            &["run", "--base-url", "http://localhost:1", "--model", "m"],
            "no prompt: give it as an argument, or - to read it from stdin",
        ),
    ];
    for (arguments, expected) in cases {
        let output = directory.program().args(arguments).output().unwrap();
        check_output(&output, 2, "", &format!("error: {expected}\n"));
        let output = directory
            .program()
            .args(arguments)
            .arg("--json")
            .output()
            .unwrap();
        let result = lines(&output).pop().unwrap();
        assert_eq!(result["error"]["kind"], "config");
        assert_eq!(result["error"]["message"], expected);
        assert_eq!(result["turns"], 0);
    }
}

#[test]
fn a_malformed_dotenv_shows_no_value() {
    let directory = Directory::new("fail-dotenv").file(".env", &format!("OPENAI_API_KEY {KEY}\n"));
    check_both(
        |arguments| {
            let mut command = directory.program();
            command.args(arguments);
            command
        },
        2,
        "error: ./.env:1: `=` was expected after the variable name\n",
    );
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn a_full_disk_is_a_failure() {
    let directory = Directory::new("fail-full");
    for arguments in [&["run", "hi"][..], &["run", "--json", "hi"]] {
        let server = FakeServer::start([streamed_text("Hel", "lo")])
            .await
            .unwrap();
        let full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let output = on(&server, &directory, arguments)
            .stdout(full)
            .output()
            .unwrap();
        check_output(
            &output,
            1,
            "",
            "error: cannot write to stdout: No space left on device (os error 28)\n",
        );
    }
}

/// What is sent can be looked at, but not the key.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_shows_the_payload_and_not_the_key() {
    let directory = Directory::new("fail-log");
    let server = FakeServer::start([streamed_text("Hel", "lo")])
        .await
        .unwrap();
    let prompt = format!("is {KEY} a key?");
    let output = on(&server, &directory, &["run", "-vvv", &prompt])
        .env("VLLM_DEBUG_PAYLOAD", "1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is [redacted] a key?"));
    check_no_key(&output);
}
