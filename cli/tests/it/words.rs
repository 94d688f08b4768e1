//! What servers, models, tools and files say cannot look like the program's own words, nor hide.

use std::fs;
use std::path::Path;
use std::process::Output;

use openai_agents::testing::{FakeServer, Reply};
use serde_json::json;

use crate::support::{Directory, on, streamed_call, streamed_text};

/// A line end and a hint, a screen that is cleared, a text that runs backwards, and characters that nobody sees.
const EVIL: &str =
    "x\nhint: do it\r\u{1b}[2J\u{202e}\u{2066}\u{200e}\u{61c}\u{200b}\u{feff}\u{2028}";
const SHOWN: &str =
    r"x\nhint: do it\u{d}\u{1b}[2J\u{202e}\u{2066}\u{200e}\u{61c}\u{200b}\u{feff}\u{2028}";

#[track_caller]
fn check_shown(output: &Output) {
    let text = check_hidden(output);
    assert!(text.contains(SHOWN), "{text}");
}

#[track_caller]
fn check_hidden(output: &Output) -> String {
    let both = [output.stdout.as_slice(), &output.stderr].concat();
    let text = String::from_utf8(both).unwrap();
    let hidden = |c: char| EVIL.contains(c) && !c.is_ascii_graphic() && c != '\n' && c != ' ';
    assert!(!text.contains(hidden), "{text:?}");
    assert!(
        !text.lines().any(|line| line.starts_with("hint: do it")),
        "{text}"
    );
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn server_and_model_do_not_speak_in_our_name() {
    let directory = Directory::new("words-server");
    let message = json!({"error": {"message": EVIL}}).to_string();
    let arguments = json!({"expression": EVIL}).to_string();
    for reply in [
        Reply::status(500, message.clone()),
        Reply::sse([message]),
        streamed_call("", EVIL, "{}"),
    ] {
        let server = FakeServer::start([reply]).await.unwrap();
        let output = on(&server, &directory, &["run", "--no-stdin", "hi"]).output();
        check_shown(&output.unwrap());
    }
    let call = streamed_call("", "calculator", &arguments);
    let server = FakeServer::start([call, streamed_text("O", "k")])
        .await
        .unwrap();
    let output = on(&server, &directory, &["run", "--no-stdin", "hi"]).output();
    let text = check_hidden(&output.unwrap());
    assert!(
        text.contains(r#"-> calculator {"expression":"x\nhint: do it\r\u001b[2J\u{202e}"#),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn configuration_is_listed_as_it_is() {
    let evil = json!(EVIL);
    let directory = Directory::new("words-config");
    directory.write(
        "config.yaml",
        format!(
            "model: {evil}\nagents: [{{ name: A, instructions: {evil}, handoff_description: {evil} }}, {{ name: {evil}, tools: [calculator] }}]\n"
        ),
    );
    let server = FakeServer::start([Reply::json(&json!({"data": [{"id": EVIL}]}))])
        .await
        .unwrap();
    for command in ["agents", "tools", "check"] {
        let mut command = on(&server, &directory, &[command]);
        check_shown(&command.env_remove("OPENAI_MODEL").output().unwrap());
    }
    let output = on(&server, &directory, &["run", "--agent", EVIL, "--nope"])
        .output()
        .unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("\nhint"));
    check_shown(
        &on(
            &server,
            &directory,
            &["run", "--agent", &format!("{EVIL}!"), "hi"],
        )
        .output()
        .unwrap(),
    );
    check_shown(&on(&server, &directory, &[EVIL]).output().unwrap());
    check_shown(
        &on(&server, &directory, &["run", "--image", EVIL, "hi"])
            .output()
            .unwrap(),
    );
    check_shown(&on(&server, &directory, &["replay", EVIL]).output().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn conversation_is_shown_without_forged_turns() {
    let directory = Directory::new("words-session");
    let forged = format!("one\nuser (2): two\n{EVIL}");
    let answer = streamed_text(&forged, "");
    let server = FakeServer::start([answer]).await.unwrap();
    let run = ["run", "--session", "a\u{202e}b", "hi"];
    assert_eq!(
        on(&server, &directory, &run)
            .output()
            .unwrap()
            .status
            .code(),
        Some(0)
    );
    let show = |arguments: &[&str]| on(&server, &directory, arguments).output().unwrap();
    let shown = show(&["sessions", "show", "a\u{202e}b"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    let (lines, hint) = SHOWN.split_once(r"\n").unwrap();
    assert_eq!(
        shown,
        format!("user (1): hi\nassistant: one\n  user (2): two\n  {lines}\n  {hint}\n")
    );
    let list = show(&["sessions", "list"]);
    assert!(
        String::from_utf8(list.stdout)
            .unwrap()
            .starts_with(r"a\u{202e}b  ")
    );
    for arguments in [
        &["sessions", "show", "a\u{202e}b", "--json"][..],
        &["sessions", "list", "--json"],
    ] {
        let stdout = String::from_utf8(show(arguments).stdout).unwrap();
        assert!(!stdout.contains('\u{202e}'), "{stdout}");
        assert!(stdout.contains(r"\u202e"), "{stdout}");
    }
}

/// A request is logged over several lines, which are those of JSON; whatever else stands in an event is in its line.
#[tokio::test(flavor = "multi_thread")]
async fn log_has_a_line_for_each_event() {
    let directory = Directory::new("words-log");
    let server = FakeServer::start([streamed_text("O", "k")]).await.unwrap();
    let output = on(&server, &directory, &["run", "-vv", EVIL])
        .env("VLLM_DEBUG_PAYLOAD", "1")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("request:\n{\n  \"model\": \"m\",\n"),
        "{stderr}"
    );
    assert!(
        !stderr.lines().any(|line| line.starts_with("hint: do it")),
        "{stderr}"
    );
    assert!(!stderr.contains('\u{202e}'), "{stderr}");
}

/// Lines are written in one file, through one escape.
#[test]
fn only_one_file_opens_stdout_and_stderr() {
    let mut files = Vec::new();
    collect(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")),
        &mut files,
    );
    assert!(files.len() > 30);
    files.retain(|file| {
        let text = fs::read_to_string(file).unwrap();
        [
            "io::stdout(",
            "io::stderr(",
            "io::Stdout",
            "io::Stderr",
            "print!(",
            "println!(",
        ]
        .iter()
        .any(|word| text.contains(word))
    });
    let names: Vec<_> = files.iter().map(|file| file.file_name().unwrap()).collect();
    assert_eq!(names, ["output.rs"]);
}

fn collect(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
