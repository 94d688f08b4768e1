//! Signals: one ends the program in order, a second one at once.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Output, Stdio};

use openai_agents::testing::Reply;
use serde_json::json;

use super::{ExitRow, Scene, row};
use crate::support::{chunk, on};

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args([name, &pid]).status();
    assert!(sent.unwrap().success());
}

fn answering() -> Reply {
    Reply::sse([chunk(&json!({"content": "Hel"}), None)]).hang()
}

/// A run that gets a signal in the middle of its answer.
fn run(scene: &Scene, name: &str, arguments: &[&str]) -> Output {
    let server = scene.server([answering()]);
    let child = scene.asking(&server, on(&server, &scene.directory, arguments));
    signal(&child, name);
    child.wait_with_output().unwrap()
}

/// The program while something in it does not end: `begun` is what the first line of stderr begins with.
fn waiting(mut command: Command, begun: &str, names: &[&str]) -> Output {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    stderr.read_line(&mut text).unwrap();
    assert!(text.starts_with(begun), "{text}");
    for name in names {
        signal(&child, name);
    }
    stderr.read_to_string(&mut text).unwrap();
    let mut output = child.wait_with_output().unwrap();
    output.stderr = text.into_bytes();
    output
}

fn reading_stdin(scene: &Scene) -> Output {
    let server = scene.server([]);
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"a line, and no end\n").unwrap();
    let mut command = on(&server, &scene.directory, &["run", "--json", "hi"]);
    command.stdin(reader);
    let output = waiting(command, "still reading stdin to its end", &["-INT"]);
    drop(writer);
    output
}

/// An MCP server that never says a word, but to the program's stderr through its log.
const MUTE: &str = "mcp_servers: { mute: { command: sh, args: [-c, 'echo begun >&2; cat >/dev/null'], connect_timeout_secs: 600 } }";

fn with_mute_server(scene: &Scene, arguments: &[&str]) -> Output {
    scene.directory.write("config.yaml", MUTE);
    let server = scene.server([]);
    let mut command = on(&server, &scene.directory, arguments);
    command.env("RUST_LOG", "openai_agents::mcp=debug");
    waiting(command, "", &["-TERM"])
}

fn serving(scene: &Scene, names: &[&str]) -> Output {
    let server = scene.server([]);
    let command = on(
        &server,
        &scene.directory,
        &["serve", "--bind", "127.0.0.1:0"],
    );
    waiting(command, "serving on http://127.0.0.1:", names)
}

/// A run whose stdout nobody reads, so that it is stuck in a write; the first signal alone is not acted on there.
fn stuck(scene: &Scene) -> Output {
    let long = "x".repeat(1 << 20);
    let server = scene.server([crate::support::streamed_text(&long, "")]);
    let mut child = scene.asking(&server, on(&server, &scene.directory, &["run", "hi"]));
    // What comes behind the first byte is more than the pipe holds.
    let stdout = child.stdout.as_mut().unwrap();
    stdout.read_exact(&mut [0]).unwrap();
    while child.try_wait().unwrap().is_none() {
        signal(&child, "-INT");
    }
    child.wait_with_output().unwrap()
}

pub(super) const ROWS: &[ExitRow] = &[
    row(
        "`serve`, SIGTERM; it ends in order",
        0,
        "-",
        "serving on",
        |scene| serving(scene, &["-TERM"]),
    ),
    row(
        "`serve`, SIGHUP; it ends in order",
        0,
        "-",
        "serving on",
        |scene| serving(scene, &["-HUP"]),
    ),
    row(
        "`run`, SIGHUP: the terminal is closed",
        129,
        "cancelled",
        "hung up",
        |scene| run(scene, "-HUP", &["run", "--json", "hi"]),
    ),
    row("`run`, Ctrl-C", 130, "cancelled", "interrupted", |scene| {
        run(scene, "-INT", &["run", "--json", "hi"])
    }),
    row("`run`, SIGTERM", 143, "cancelled", "terminated", |scene| {
        run(scene, "-TERM", &["run", "--json", "hi"])
    }),
    row(
        "`run --durable`, Ctrl-C; the run can go on",
        130,
        "cancelled",
        "the run is kept; to resume it: ",
        |scene| run(scene, "-INT", &["run", "--durable", "--json", "hi"]),
    ),
    row(
        "`run` reads stdin, Ctrl-C",
        130,
        "cancelled",
        "interrupted",
        reading_stdin,
    ),
    row(
        "`run` is stuck in a write to stdout, Ctrl-C twice",
        130,
        "-",
        "",
        stuck,
    ),
    row(
        "`replay --fork-at`, SIGTERM",
        143,
        "cancelled",
        "terminated",
        |scene| {
            let answer = crate::support::streamed_text("Hel", "lo");
            scene.on([answer], &["run", "--record", "a.jsonl", "hi"]);
            run(
                scene,
                "-TERM",
                &["replay", "a.jsonl", "--fork-at", "1", "--json"],
            )
        },
    ),
    row(
        "`tools` waits for an MCP server, SIGTERM",
        143,
        "cancelled",
        "terminated",
        |scene| with_mute_server(scene, &["tools", "--json"]),
    ),
    row(
        "`check` waits for an MCP server, SIGTERM",
        143,
        "-",
        "terminated",
        |scene| with_mute_server(scene, &["check"]),
    ),
];
