//! `openai-agents chat`: a conversation line by line, its end, and what is asked in between.

use std::io::{BufRead as _, BufReader, PipeReader, Read as _, Write as _};
use std::process::{Command, Output, Stdio};

use openai_agents::testing::{FakeServer, Reply};
use serde_json::{Value, json};

use crate::support::{Directory, check_output, chunk, on, streamed_call, streamed_text};

const SUM: &str = r#"{"expression":"100 + 250"}"#;
const CONFIG: &str = "agents:
  - name: Careful
    tools: [calculator]
    needs_approval: [calculator]
  - { name: Desk, handoffs: [Billing] }
  - { name: Billing, instructions: You know invoices. }
";

/// What a program writes into stdin, whole.
fn typed(text: &str) -> PipeReader {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(text.as_bytes()).unwrap();
    reader
}

fn chat(server: &FakeServer, directory: &Directory, stdin: &str, arguments: &[&str]) -> Output {
    let arguments = [&["chat"], arguments].concat();
    let mut command = on(server, directory, &arguments);
    command.stdin(typed(stdin)).output().unwrap()
}

/// What each request asked, without the instructions.
fn conversations(server: &FakeServer) -> Vec<Vec<Value>> {
    let requests = server.requests();
    let asked = requests.iter().map(|request| {
        let body = request.json().unwrap();
        let messages = body["messages"].as_array().unwrap().clone();
        let said = messages.into_iter().filter(|each| each["role"] != "system");
        said.map(|each| each["content"].clone()).collect()
    });
    asked.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_of_two_lines_remembers_the_first() {
    let directory = Directory::new("chat-remembers");
    let replies = [streamed_text("O", "ne."), streamed_text("Tw", "o.")];
    let server = FakeServer::start(replies).await.unwrap();
    let output = chat(&server, &directory, "first\n\n  \nsecond", &[]);
    check_output(&output, 0, "One.\nTwo.\n", "");
    assert_eq!(
        conversations(&server),
        [
            vec![json!("first")],
            vec![json!("first"), json!("One."), json!("second")]
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_with_a_session_goes_on_the_next_time() {
    let directory = Directory::new("chat-session");
    let replies = [streamed_text("O", "ne."), streamed_text("Tw", "o.")];
    let server = FakeServer::start(replies).await.unwrap();
    let output = chat(&server, &directory, "first\n", &["--session", "trip"]);
    check_output(&output, 0, "One.\n", "");
    let output = chat(&server, &directory, "second\n", &["--continue"]);
    check_output(&output, 0, "Two.\n", "");
    assert_eq!(
        conversations(&server).last().unwrap(),
        &[json!("first"), json!("One."), json!("second")]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_after_a_handoff_goes_on_with_the_other_agent() {
    let directory = Directory::new("chat-handoff").file("config.yaml", CONFIG);
    let server = FakeServer::start([
        streamed_call("", "transfer_to_billing", "{}"),
        streamed_text("Which ", "one?"),
        streamed_text("It is ", "paid."),
    ])
    .await
    .unwrap();
    let output = chat(
        &server,
        &directory,
        "my invoice\nnumber 7\n",
        &["--agent", "Desk"],
    );
    check_output(&output, 0, "Which one?\nIt is paid.\n", "=> Billing\n");
    let last = server.requests().last().unwrap().json().unwrap();
    assert_eq!(last["messages"][0]["content"], "You know invoices.");
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_without_a_terminal_rejects_calls_unless_all_are_approved() {
    let directory = Directory::new("chat-approval").file("config.yaml", CONFIG);
    for (flag, stdout, stderr, told) in [
        (
            &[][..],
            "Let me see.\nNo.\n",
            "-> calculator {\"expression\":\"100 + 250\"}
rejected, since nobody can be asked (--approve-all approves): Careful: calculator {\"expression\":\"100 + 250\"}
<- failed: the call was not approved
",
            "Tool execution was not approved.",
        ),
        (
            &["--approve-all"],
            "Let me see.\nNo.\n",
            "-> calculator {\"expression\":\"100 + 250\"}\n<- 350\n",
            "350",
        ),
    ] {
        let replies = [
            streamed_call("Let me see.", "calculator", SUM),
            streamed_text("N", "o."),
        ];
        let server = FakeServer::start(replies).await.unwrap();
        let arguments = [&["--agent", "Careful"], flag].concat();
        let output = chat(&server, &directory, "add\n", &arguments);
        check_output(&output, 0, stdout, stderr);
        assert_eq!(conversations(&server)[1].last().unwrap(), told);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_without_a_terminal_ends_with_the_answer_that_failed() {
    let directory = Directory::new("chat-failed");
    let server = FakeServer::start([Reply::status(500, "{}")]).await.unwrap();
    let output = chat(&server, &directory, "first\nsecond\n", &[]);
    assert_eq!((output.status.code(), &*output.stdout), (Some(1), &b""[..]));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("500 Internal Server Error"), "{stderr}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_that_cannot_begin_ends_with_2_and_asks_nothing() {
    let directory = Directory::new("chat-wrong");
    let server = FakeServer::start([]).await.unwrap();
    for (arguments, words) in [
        (&["--agent", "Nobody"][..], "Nobody"),
        (&["--branch", "b"], "--branch needs --session"),
        (&["--continue"], "there is no conversation to continue"),
        (&["--session", ""], "session"),
    ] {
        let output = chat(&server, &directory, "hi\n", arguments);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(words), "{stderr}");
    }
    assert!(server.requests().is_empty());
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn interrupt_stops_the_answer_and_without_one_the_program() {
    let hanging = || Reply::sse([chunk(&json!({"content": "Hel"}), None)]).hang();
    let directory = Directory::new("chat-interrupt");
    let replies = [hanging(), streamed_text("Tw", "o."), hanging()];
    let server = FakeServer::start(replies).await.unwrap();
    let mut command = on(&server, &directory, &["chat"]);
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = pipes.stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id().to_string();
    let interrupt = || {
        assert!(
            Command::new("kill")
                .args(["-INT", &pid])
                .status()
                .unwrap()
                .success()
        );
    };
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut begun = [0; 3];
    let mut said = String::new();

    stdin.write_all(b"first\n").unwrap();
    stdout.read_exact(&mut begun).unwrap();
    interrupt();
    stderr.read_line(&mut said).unwrap();
    assert_eq!((&begun, &*said), (b"Hel", "stopped\n"));

    stdin.write_all(b"second\nthird\n").unwrap();
    let mut answer = [0; 9];
    stdout.read_exact(&mut answer).unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), "\nTwo.\nHel");
    interrupt();
    said.clear();
    stderr.read_line(&mut said).unwrap();
    assert_eq!(said, "stopped\n");
    interrupt();
    said.clear();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(
        (child.wait().unwrap().code(), &*said),
        (Some(130), "interrupted\n")
    );
    assert_eq!(conversations(&server)[1].last().unwrap(), "second");
}

/// In a terminal there is a prompt, a failed answer is not the end, and calls are asked about.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn chat_in_a_terminal_goes_on_after_a_failure_and_asks_about_calls() {
    let directory = Directory::new("chat-terminal").file("config.yaml", CONFIG);
    let server = FakeServer::start([
        Reply::status(500, "{}"),
        streamed_call("", "calculator", SUM),
        streamed_text("It is ", "350."),
    ])
    .await
    .unwrap();
    let program = on(&server, &directory, &[]);
    let line = format!(
        "'{}' chat --agent Careful",
        env!("CARGO_BIN_EXE_openai-agents")
    );
    let mut command = Command::new("script");
    command
        .args(["-qec", &line, "/dev/null"])
        .current_dir(directory.path("."));
    command
        .env_clear()
        .env("TERM", "dumb")
        .env("NO_COLOR", "1")
        .env("PATH", env!("PATH"));
    for (name, value) in program.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    // What is typed is echoed when it is typed, so the answers decide where it stands; only the order of ours is checked.
    let output = command.stdin(typed("first\nadd\ny\n")).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    let mut rest = &*shown;
    for words in [
        "> ",
        "500 Internal Server Error",
        "> ",
        "-> calculator {\"expression\":\"100 + 250\"}\n",
        "Careful: calculator {\"expression\":\"100 + 250\"}\n",
        "approve? [y/a/N] ",
        "<- 350\n",
        "It is 350.\n",
        "> ",
    ] {
        let at = rest.find(words);
        let at = at.unwrap_or_else(|| panic!("no {words:?} in {rest:?} of {shown:?}"));
        rest = &rest[at + words.len()..];
    }
    assert_eq!(output.status.code(), Some(0), "{shown}");
}
