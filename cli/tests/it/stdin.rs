//! `openai-agents run` with a pipe, with files, and with what they may not be.

use std::io::{BufRead as _, BufReader, PipeReader, Write as _};
use std::process::{Output, Stdio};

use openai_agents::testing::FakeServer;
use serde_json::{Value, json};

use crate::support::{Directory, check_output, on, streamed_text};

/// What the user said in the last request.
fn asked(server: &FakeServer) -> Value {
    let requests = server.requests();
    let body = requests.last().unwrap().json().unwrap();
    body["messages"].as_array().unwrap().last().unwrap()["content"].clone()
}

fn pipe(bytes: &[u8]) -> PipeReader {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(bytes).unwrap();
    reader
}

fn run(
    server: &FakeServer,
    directory: &Directory,
    stdin: impl Into<Stdio>,
    arguments: &[&str],
) -> Output {
    let arguments = [&["run"], arguments].concat();
    let mut command = on(server, directory, &arguments);
    command.stdin(stdin).output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn prompt_and_pipe_are_asked_together() {
    let directory = Directory::new("stdin-together");
    for (prompt, piped, expected) in [
        (&["Summarise"][..], &b"a\nb\n"[..], "Summarise\n\na\nb"),
        (&["Summarise"], b"", "Summarise"),
        (&["Summarise"], b"\n\n", "Summarise"),
        (&["-"], b"a\nb\r\n", "a\nb"),
        (&[], b"a\n", "a"),
        (&["--no-stdin", "Summarise"], b"a", "Summarise"),
    ] {
        let server = FakeServer::start([streamed_text("O", "k")]).await.unwrap();
        let output = run(&server, &directory, pipe(piped), prompt);
        check_output(&output, 0, "Ok\n", "");
        assert_eq!(asked(&server), expected, "{prompt:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stdin_that_cannot_be_asked_is_refused() {
    let directory = Directory::new("stdin-refused");
    let server = FakeServer::start([]).await.unwrap();
    let large = vec![b'x'; (4 << 20) + 1];
    directory.write("large", large);
    directory.write("latin", b"caf\xe9");
    for (file, arguments, error) in [
        (
            "large",
            &["hi"][..],
            "cannot read stdin: it is larger than 4 MiB; --max-input-bytes allows more",
        ),
        (
            "latin",
            &["-"],
            "cannot read stdin: it is not UTF-8 text: byte 3 is not part of a character",
        ),
        (
            "latin",
            &["--max-input-bytes", "3", "hi"],
            "cannot read stdin: it is larger than 3 bytes; --max-input-bytes allows more",
        ),
        (
            "latin",
            &["--no-stdin", "-"],
            "- reads the prompt from stdin, which --no-stdin forbids: leave out one of the two",
        ),
    ] {
        let stdin = std::fs::File::open(directory.path(file)).unwrap();
        let output = run(&server, &directory, stdin, arguments);
        check_output(&output, 2, "", &format!("error: {error}\n"));
    }
    assert!(server.requests().is_empty());
}

/// It has no end, and the program has not more of it in memory than it may.
#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn endless_input_is_refused_in_little_memory() {
    let directory = Directory::new("stdin-endless");
    let server = FakeServer::start([]).await.unwrap();
    let fifo = directory.path("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    let device = "it is a device, and only a regular file is read here";
    for (arguments, error) in [
        (
            &["run", "hi"][..],
            "cannot read stdin: it is larger than 4 MiB; --max-input-bytes allows more".to_owned(),
        ),
        (
            &["run", "--no-stdin", "--file", "/dev/zero", "hi"],
            format!("cannot read /dev/zero: {device}"),
        ),
        (
            &["run", "--no-stdin", "--image", "/dev/zero", "hi"],
            format!("cannot read /dev/zero: {device}"),
        ),
        (
            &["run", "--schema", "/dev/zero", "hi"],
            format!("cannot use the schema /dev/zero: {device}"),
        ),
        (
            &["run", "--resume", "/dev/zero"],
            format!("cannot read the saved run /dev/zero: {device}"),
        ),
        (
            &["run", "--config", "/dev/zero", "hi"],
            format!("cannot read /dev/zero: {device}"),
        ),
        (
            &["replay", "/dev/zero"],
            format!("the journal /dev/zero cannot be reached: {device}"),
        ),
        (
            &["run", "--no-stdin", "--file", "fifo", "hi"],
            "cannot read fifo: it is a pipe, and only a regular file is read here".to_owned(),
        ),
    ] {
        let program = on(&server, &directory, arguments);
        // 400 MiB of address space hold the program, and not much beside it.
        let mut command = std::process::Command::new("sh");
        command
            .args(["-c", r#"ulimit -v 1000000; exec "$0" "$@""#])
            .arg(program.get_program())
            .args(program.get_args())
            .current_dir(directory.path("."))
            .stdin(std::fs::File::open("/dev/zero").unwrap());
        command.env_clear();
        for (name, value) in program.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        let output = command.output().unwrap();
        check_output(&output, 2, "", &format!("error: {error}\n"));
    }
}

/// A pipe that nobody ends looks like one that is slow: it is waited for, and that is said.
#[tokio::test(flavor = "multi_thread")]
async fn pipe_that_does_not_end_is_named_and_waited_for() {
    let directory = Directory::new("stdin-slow");
    let server = FakeServer::start([streamed_text("O", "k")]).await.unwrap();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut child = on(&server, &directory, &["run", "Summarise"])
        .stdin(reader)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert_eq!(
        line,
        "still reading stdin to its end (nothing in it? use --no-stdin or < /dev/null)\n"
    );
    writer.write_all(b"late").unwrap();
    drop(writer);
    check_output(&child.wait_with_output().unwrap(), 0, "Ok\n", "");
    assert_eq!(asked(&server), "Summarise\n\nlate");
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(unix)]
async fn closed_stdin_is_an_empty_one() {
    let directory = Directory::new("stdin-closed");
    let server = FakeServer::start([streamed_text("O", "k")]).await.unwrap();
    let program = on(&server, &directory, &["run", "hi"]);
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", r#"exec "$0" "$@" <&-"#])
        .arg(program.get_program())
        .args(program.get_args())
        .current_dir(directory.path("."));
    for (name, value) in program.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    check_output(&command.output().unwrap(), 0, "Ok\n", "");
    assert_eq!(asked(&server), "hi");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_along_as_text_or_pdf() {
    let directory = Directory::new("stdin-files")
        .file("a.txt", "one\ntwo\n")
        .file("b.pdf", "%PDF-1")
        .file("c.gif", "GIF89a")
        .file("d.bin", "MZ");
    directory.write("d.bin", b"MZ\xff");
    let server = FakeServer::start([streamed_text("O", "k")]).await.unwrap();
    let arguments = [
        "--file", "a.txt", "--file", "b.pdf", "--image", "c.gif", "Compare",
    ];
    let output = run(&server, &directory, Stdio::null(), &arguments);
    check_output(&output, 0, "Ok\n", "");
    assert_eq!(
        asked(&server),
        json!([
            {"type": "text", "text": "Compare"},
            {"type": "text", "text": "a.txt:\n\none\ntwo\n"},
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0x", "filename": "b.pdf"}},
            {"type": "image_url", "image_url": {"url": "data:image/gif;base64,R0lGODlh", "detail": "auto"}},
        ])
    );
    for (arguments, error) in [
        (
            &["--file", "d.bin", "hi"][..],
            "cannot send d.bin: it is neither UTF-8 text nor a PDF",
        ),
        (
            &["--file", "a.txt", "--max-input-bytes", "3", "hi"],
            "cannot read a.txt: it is larger than 3 bytes; --max-input-bytes allows more",
        ),
        (
            &["--file", "none.txt", "hi"],
            "cannot read none.txt: No such file or directory (os error 2)",
        ),
    ] {
        let output = run(&server, &directory, Stdio::null(), arguments);
        check_output(&output, 2, "", &format!("error: {error}\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_goes_to_a_file_too_and_fits_a_schema() {
    let directory = Directory::new("run-schema").file("answer.json", "old").file(
        "s.json",
        r#"{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"],"additionalProperties":false}"#,
    );
    let server = FakeServer::start([streamed_text(r#"{"a""#, ":1}"), streamed_text("No", ".")])
        .await
        .unwrap();
    let arguments = ["--schema", "s.json", "-o", "answer.json", "hi"];
    let output = run(&server, &directory, Stdio::null(), &arguments);
    check_output(&output, 0, "{\"a\":1}\n", "");
    let schema = &server.requests()[0].json().unwrap()["response_format"]["json_schema"]["schema"];
    assert_eq!(schema["required"], json!(["a"]));
    let read = || std::fs::read_to_string(directory.path("answer.json")).unwrap();
    assert_eq!(read(), "{\"a\":1}\n");
    let output = run(&server, &directory, Stdio::null(), &arguments);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(read(), "{\"a\":1}\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn latest_conversation_is_continued() {
    let directory = Directory::new("run-continue");
    let answers = ["one", "two", "three"].map(|answer| streamed_text(answer, ""));
    let server = FakeServer::start(answers).await.unwrap();
    for session in ["a", "b"] {
        let arguments = ["--session", session, "Who?"];
        let output = run(&server, &directory, Stdio::null(), &arguments);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    let arguments = ["--continue", "--json", "And?"];
    let output = run(&server, &directory, Stdio::null(), &arguments);
    let result = crate::support::lines(&output).pop().unwrap();
    assert_eq!(
        (&result["session"], &result["ok"]),
        (&json!("b"), &json!(true))
    );
    assert_eq!(asked(&server), "And?");
}
