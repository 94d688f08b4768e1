//! A server that repeats the key in every form and every place: nothing that the program writes has it.

mod mcp;
mod served;
mod speech;

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use openai_agents::testing::{FakeServer, Reply};
use serde_json::{Value, json};

use crate::support::{
    Directory, KEY, chunk, on, streamed_call, streamed_text, whole_call, whole_text,
};

/// The key as others may write it.
fn forms() -> Vec<(&'static str, String)> {
    let each = |write: fn(u8) -> String| -> String { KEY.bytes().map(write).collect() };
    vec![
        ("plain", KEY.to_owned()),
        ("in capitals", KEY.to_uppercase()),
        ("in hex", each(|byte| format!("{byte:02x}"))),
        ("in hex, in capitals", each(|byte| format!("{byte:02X}"))),
        ("as a URL", each(|byte| format!("%{byte:02x}"))),
        ("in part as a URL", KEY.replace('-', "%2D")),
        ("in JSON", each(|byte| format!("\\u{byte:04x}"))),
        ("in base64", base64(KEY.as_bytes())),
        (
            "behind one byte in base64",
            base64(format!(":{KEY}").as_bytes()),
        ),
        (
            "behind two bytes in base64",
            base64(format!("u:{KEY}").as_bytes()),
        ),
        (
            "in base64 as a URL",
            base64(KEY.as_bytes()).replace('=', "%3D"),
        ),
    ]
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group
            .iter()
            .fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        for n in 0..4 {
            if n <= group.len() {
                text.push(char::from(ALPHABET[bits >> (18 - 6 * n) & 63]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

/// Half of a key is too much: every part of a form of this length counts.
const N_TELLING: usize = 10;

/// What of a form stands in a text; in base64, what does not depend on its neighbours.
fn leak(text: &str, form: &str) -> Option<String> {
    let parts: HashSet<&str> = (4..form.len().saturating_sub(N_TELLING + 4))
        .filter_map(|begin| form.get(begin..begin + N_TELLING))
        .collect();
    parts
        .into_iter()
        .find(|part| text.contains(part))
        .map(str::to_owned)
}

/// Every file below a folder, as text.
fn files(folder: &Path, texts: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, texts);
        } else {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            texts.push((path.display().to_string(), text));
        }
    }
}

fn error(form: &str) -> String {
    json!({ "error": { "message": format!("bad key {form}!"), "code": form, "type": form } })
        .to_string()
}

/// Replies that repeat a text, streamed and whole.
fn replies(form: &str) -> Vec<(&'static str, bool, Reply)> {
    let (half, rest) = form.split_at(form.len() / 2);
    let arguments = json!({ "expression": form }).to_string();
    let mut deltas = vec![chunk(
        &json!({ "role": "assistant", "reasoning_content": form }),
        None,
    )];
    for letter in form.chars() {
        deltas.push(chunk(&json!({ "content": letter.to_string() }), None));
    }
    deltas.push(chunk(&json!({}), Some("stop")));
    deltas.push("[DONE]".to_owned());
    let ids = json!({ "id": form, "model": form, "x": { form: form }, "choices": [{
        "index": 0, "message": { "role": "assistant", "content": form, "x": form }, "finish_reason": "stop" }] });
    vec![
        (
            "a status",
            true,
            Reply::status(401, error(form)).header("x-request-id", form),
        ),
        ("a status of text", true, Reply::status(500, form)),
        (
            "a page",
            true,
            Reply::new(200)
                .header("content-type", format!("text/html; {form}"))
                .bytes(form.to_owned()),
        ),
        (
            "a redirect",
            true,
            Reply::new(302).header("location", format!("/{form}?{form}")),
        ),
        (
            "an encoding",
            false,
            whole_text("Hi.").header("content-encoding", form),
        ),
        ("no JSON", true, Reply::sse([form])),
        ("a text", true, streamed_text(half, rest)),
        ("letters", true, Reply::sse(deltas)),
        (
            "a text, cut",
            true,
            Reply::event_stream()
                .event(&chunk(&json!({ "content": format!("x{half}") }), None))
                .close(),
        ),
        ("a name", true, streamed_call("", form, "{}")),
        (
            "arguments",
            true,
            streamed_call(form, "calculator", &arguments),
        ),
        (
            "a finish reason",
            true,
            Reply::sse([
                chunk(&json!({ "content": "Hi." }), Some(form)),
                "[DONE]".to_owned(),
            ]),
        ),
        ("all, whole", false, Reply::json(&ids)),
        ("a name, whole", false, whole_call(form, &arguments)),
    ]
}

/// Runs a command and those that read what it left, and gives all that can be read of them.
async fn told(name: &str, arguments: &[&str], level: &str, reply: Reply) -> Vec<(String, String)> {
    let directory = Directory::new(name);
    // A second turn, if the first asks for a tool.
    let server = FakeServer::start([reply.clone(), streamed_text("Hi", "."), whole_text("Hi.")])
        .await
        .unwrap();
    let mut told = Vec::new();
    let readers = AFTERWARDS
        .iter()
        .filter(|_| arguments.contains(&"--record"));
    for arguments in [arguments].iter().chain(readers) {
        let mut command = on(&server, &directory, arguments);
        if arguments.first() == Some(&"chat") {
            let (reader, mut writer) = std::io::pipe().unwrap();
            writer.write_all(b"go\n").unwrap();
            command.stdin(reader);
        }
        let output = command.env("RUST_LOG", level).output().unwrap();
        for (what, bytes) in [("stdout", output.stdout), ("stderr", output.stderr)] {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            told.push((format!("{what} of {arguments:?}"), text));
        }
    }
    files(&directory.path("."), &mut told);
    told
}

/// In turn, so that each form and place meets several.
const LEVELS: [&str; 5] = ["trace", "debug", "info", "warn", "error"];

/// Commands that read what a run left.
const AFTERWARDS: [&[&str]; 9] = [
    &["replay", "r.jsonl"],
    &["replay", "r.jsonl", "--json"],
    &["replay", "r.jsonl", "--diff", "r.jsonl"],
    &["sessions", "list", "--json"],
    &["sessions", "show", "s"],
    &["sessions", "show", "s", "--json"],
    &["resume", "--json"],
    &["agents", "--json"],
    &["tools", "--json"],
];

const COMMANDS: [(&str, &[&str]); 6] = [
    ("text", &["run", "go"]),
    ("json", &["run", "--json", "go"]),
    (
        "kept",
        &[
            "run",
            "--session",
            "s",
            "--record",
            "r.jsonl",
            "-o",
            "answer.txt",
            "go",
        ],
    ),
    ("durable", &["run", "--durable", "--json", "go"]),
    ("chat", &["chat", "--session", "c"]),
    ("check", &["check"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_repeated_is_in_no_output_log_or_file() {
    let mut leaks = Vec::new();
    for (form_idx, (form_name, form)) in forms().into_iter().enumerate() {
        for (place_idx, (place, is_streamed, reply)) in replies(&form).into_iter().enumerate() {
            for (idx, (command, arguments)) in COMMANDS.into_iter().enumerate() {
                // The key as it is by every command, the other forms by one each, in turn.
                if form_idx > 0 && idx != (form_idx + place_idx) % COMMANDS.len() {
                    continue;
                }
                let mut arguments = arguments.to_vec();
                if !is_streamed && arguments.first() != Some(&"check") {
                    arguments.push("--no-stream");
                }
                let level = LEVELS[(form_idx + place_idx + idx) % LEVELS.len()];
                for (what, text) in told("echo", &arguments, level, reply.clone()).await {
                    if let Some(part) = leak(&text, &form) {
                        leaks.push(format!("{form_name}, {place}, {command}, {what}: {part}"));
                    }
                }
            }
        }
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}

/// What keeps the test above honest: without a key to be kept, the same is shown.
#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_is_no_secret_is_shown() {
    let text = "sk-other-9876543210";
    let shown = told(
        "echo-other",
        &["run", "--json", "go"],
        "warn",
        streamed_text("It is ", text),
    )
    .await;
    assert!(
        shown
            .iter()
            .any(|(what, said)| what.starts_with("stdout") && said.contains(text))
    );
    let found: Value = json!(leak(&shown[0].1, text));
    assert!(found.is_string());
}
