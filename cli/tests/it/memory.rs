//! Peak memory of the program, as the kernel counts it (`ru_maxrss` of `wait4`), while a model server floods it: bounded by the limit of an
//! answer.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;

use serde_json::{Value, json};

use crate::support::{Directory, KEY};

/// No answer of the default limits may take more, in a debug build.
const MAX_PEAK_KIB: u64 = 200 * 1024;

/// What a flooding server sends before it gives up.
const MAX_SENT: usize = 512 * 1024 * 1024;

/// What the server floods with.
#[derive(Clone)]
pub(crate) enum Flood {
    /// An event stream that begins with the first text and goes on with the second for ever.
    Events(String, String),
    /// A whole body that goes on with the second text for ever.
    Body(String, String),
    /// Audio that goes on for ever.
    Audio(String),
}

/// A server that answers every request by the flood; gives its address.
pub(crate) fn flooding(flood: Flood) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let flood = flood.clone();
            thread::spawn(move || answer(stream.unwrap(), &flood));
        }
    });
    format!("http://{address}/v1")
}

fn answer(mut stream: TcpStream, flood: &Flood) {
    let mut request = BufReader::new(stream.try_clone().unwrap());
    let mut length = 0;
    for line in request.by_ref().lines() {
        let line = line.unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    request.read_exact(&mut vec![0; length]).unwrap();
    let (content_type, first, then) = match flood {
        Flood::Events(first, then) => ("text/event-stream", first, then),
        Flood::Body(first, then) => ("application/json", first, then),
        Flood::Audio(then) => ("audio/pcm", then, then),
    };
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nConnection: close\r\n\r\n");
    let mut send = |text: &str| stream.write_all(text.as_bytes()).is_ok();
    if !send(&head) || !send(first) {
        return;
    }
    let mut n_sent = 0;
    while n_sent < MAX_SENT && send(then) {
        n_sent += then.len();
    }
}

fn event(value: &Value) -> String {
    format!("data: {value}\n\n")
}

fn delta(delta: &Value) -> String {
    event(&json!({"choices": [{"index": 0, "delta": delta}]}))
}

fn call(arguments: &str) -> Value {
    json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "calculator", "arguments": arguments}}]})
}

fn megabyte() -> String {
    "x".repeat(1024 * 1024)
}

/// Floods of the chat API.
pub(crate) fn chat() -> Vec<Flood> {
    let (first, x) = (delta(&json!({"content": "Hi"})), megabyte());
    let then = |then: String| Flood::Events(first.clone(), then);
    vec![
        then(delta(&json!({"content": x}))),
        then(delta(&json!({"reasoning_content": x}))),
        then(delta(&call(&x))),
        then(delta(&json!({"x_unknown": [x]}))),
        then(format!("event: ping\ndata: {x}\n\n")),
        then(format!(": {x}\n")),
        Flood::Events("data: ".to_owned(), x.clone()),
        Flood::Body(r#"{"choices":[{"message":{"content":""#.to_owned(), x),
        Flood::Body(r#"{"choices":["#.to_owned(), "[],".repeat(100_000)),
        Flood::Body("{".to_owned(), r#""":0,"#.repeat(100_000)),
    ]
}

/// Floods of the Responses API.
fn responses() -> Vec<Flood> {
    let x = megabyte();
    let then = |then: &Value| Flood::Events(String::new(), event(then));
    let begun = json!({"type": "response.output_item.added", "item": {"type": "function_call", "id": "f", "name": "calculator"}});
    let arguments =
        json!({"type": "response.function_call_arguments.delta", "item_id": "f", "delta": x});
    let item = json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": x}]});
    vec![
        then(&json!({"type": "response.output_text.delta", "delta": x})),
        then(&json!({"type": "response.reasoning_text.delta", "delta": x})),
        Flood::Events(event(&begun), event(&arguments)),
        then(&json!({"type": "response.unknown", "x": x})),
        then(&json!({"type": "response.output_item.done", "item": item})),
        Flood::Body(
            r#"{"status":"completed","output":[{"type":"message","content":""#.to_owned(),
            x,
        ),
    ]
}

/// Runs a program, and writes what the kernel says of its memory into a file: only who waits for a process is told its peak.
const MEASURED: &str = "
import os, sys
pid = os.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
_, status, usage = os.wait4(pid, 0)
with open(sys.argv[1], 'w') as file:
    file.write(str(usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status))
";

/// Gives the peak of a program, and the end of what it wrote.
fn watch(directory: &Directory, program: &Command) -> (u64, Vec<u8>) {
    let file = directory.path("peak");
    let mut command = Command::new("python3");
    command
        .args(["-c", MEASURED])
        .arg(&file)
        .arg(program.get_program())
        .args(program.get_args())
        .current_dir(directory.path("."))
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    for (name, value) in program.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    // Where the search for python3 would begin without an environment.
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let mut child = command.spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    // Only the last line is of interest; the text that was streamed before it would fill the memory of the test.
    let (mut last, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    while let Ok(n) = stdout.read(&mut buffer)
        && n > 0
    {
        last.extend_from_slice(&buffer[..n]);
        let keep = last.len().saturating_sub(1 << 22);
        last.drain(..keep);
    }
    child.wait().unwrap();
    let peak = fs::read_to_string(file).unwrap();
    (peak.parse().unwrap(), last)
}

fn command(directory: &Directory, base_url: &str, api: &str, arguments: &[&str]) -> Command {
    let mut command = directory.program();
    command
        .args(arguments)
        .env("OPENAI_BASE_URL", base_url)
        .env("OPENAI_MODEL", "m")
        .env("OPENAI_API_KEY", KEY)
        .env("OPENAI_AGENTS__MODEL_API", api);
    command
}

/// Runs the program against a flood: its peak, and the kind of its error.
fn run(directory: &Directory, api: &str, flood: Flood, limit: Option<u64>) -> (u64, String) {
    let is_whole = matches!(flood, Flood::Body(..));
    let stream = if is_whole { &["--no-stream"][..] } else { &[] };
    let arguments = [&["run", "--json", "hi"], stream].concat();
    let mut command = command(directory, &flooding(flood), api, &arguments);
    if let Some(limit) = limit {
        command.env("OPENAI_AGENTS__LIMITS__MAX_ANSWER_BYTES", limit.to_string());
    }
    measured(directory, &command)
}

/// Runs a program that fails: its peak, and the kind of its error.
fn measured(directory: &Directory, command: &Command) -> (u64, String) {
    let (peak, stdout) = watch(directory, command);
    let last = stdout
        .rsplit(|byte| *byte == b'\n')
        .find(|line| !line.is_empty());
    let result: Value = serde_json::from_slice(last.unwrap()).unwrap();
    assert_eq!(result["type"], "result");
    (peak, result["error"]["kind"].as_str().unwrap().to_owned())
}

#[test]
fn run_that_is_flooded_ends_and_stays_small() {
    const LIMIT: u64 = 8 * 1024 * 1024;
    let directory = Directory::new("memory-run");
    for (api, floods) in [("chat", chat()), ("responses", responses())] {
        for (n, flood) in floods.into_iter().enumerate() {
            let (peak, kind) = run(&directory, api, flood, Some(LIMIT));
            println!("{api} {n}: {peak} KiB, {kind}");
            // Comments are no part of an answer: they end with the stream that they keep alive.
            let ended = if (api, n) == ("chat", 5) {
                "no_terminal_event"
            } else {
                "limit_exceeded"
            };
            assert_eq!(kind, ended, "{api} {n}");
            // What one event may have is bounded apart from that, and larger here.
            assert!(peak < MAX_PEAK_KIB, "{api} {n}: {peak} KiB");
        }
    }
}

#[test]
fn run_that_is_flooded_stays_small_by_default() {
    let directory = Directory::new("memory-default");
    // One of each kind: reasoning in pieces, a whole body, texts that come whole. Each takes seconds.
    let floods = [
        ("chat", chat().swap_remove(1)),
        ("chat", chat().swap_remove(7)),
        ("responses", responses().swap_remove(4)),
    ];
    for (api, flood) in floods {
        let (peak, kind) = run(&directory, api, flood, None);
        println!("{api}: {peak} KiB, {kind}");
        assert_eq!(kind, "limit_exceeded");
        assert!(peak < MAX_PEAK_KIB, "{api}: {peak} KiB");
    }
}

#[test]
fn speech_that_is_flooded_ends_and_stays_small() {
    let config = "voice: { stt_model: s, tts_model: t, voice: v }";
    let directory = Directory::new("memory-speech")
        .file("config.yaml", config)
        .file("q.wav", "RIFF");
    let spoken = Flood::Audio(megabyte());
    let heard = Flood::Body(r#"{"text":""#.to_owned(), megabyte());
    for (arguments, flood) in [
        (&["speak", "hi", "-o", "a.pcm", "--json"][..], spoken),
        (&["listen", "q.wav", "--json"], heard),
    ] {
        let command = command(&directory, &flooding(flood), "chat", arguments);
        let (peak, kind) = measured(&directory, &command);
        println!("{}: {peak} KiB, {kind}", arguments[0]);
        assert_eq!(kind, "limit_exceeded");
        assert!(peak < MAX_PEAK_KIB, "{}: {peak} KiB", arguments[0]);
    }
}
