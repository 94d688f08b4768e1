//! The memory of `serve`, as the kernel tells it: bounded under what clients and models send, and given back afterwards.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use openai_agents::testing::{FakeServer, Reply};
use serde_json::json;

use crate::memory::{chat, flooding};
use crate::serve::{ServedProgram, command, send};
use crate::support::{Directory, KEY, chunk, whole_text};

const MIB: usize = 1024 * 1024;
/// What may come to what `serve` has when it is idle. A release build has 17 MB then (`scripts/measure-serve idle`) and so stays below
/// 200 MB. The debug build that is tested here has 50 MB, of which 44 are pages of its own code and say nothing about floods.
const MAX_GROWTH_KB: usize = 182_000;
/// What may be left of a flood in memory of the program's own. Pages of its file, of which code that runs for the first time brings 4 MB in
/// a debug build, are the kernel's to drop.
const MAX_LEFT_KB: usize = 20 * 1024;

fn status_of(served: &ServedProgram, field: &str) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", served.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

/// What `serve` has in KB before it is flooded.
struct Idle {
    all: usize,
    /// Without the pages of its file.
    own: usize,
}

impl Idle {
    fn of(served: &ServedProgram) -> Self {
        Self {
            all: status_of(served, "VmRSS:"),
            own: status_of(served, "RssAnon:"),
        }
    }
}

/// Waits until the memory is back, which the allocator gives back some seconds after it is free.
#[track_caller]
fn check(served: &ServedProgram, before: &Idle) {
    let (idle, peak) = (before.all, status_of(served, "VmHWM:"));
    assert!(peak < idle + MAX_GROWTH_KB, "{idle} KB became {peak} KB");
    let started = Instant::now();
    let idle = before.own;
    while status_of(served, "RssAnon:") > idle + MAX_LEFT_KB {
        let now = status_of(served, "RssAnon:");
        assert!(
            started.elapsed() < Duration::from_secs(120),
            "{idle} KB became {now} KB"
        );
        thread::sleep(Duration::from_millis(200));
    }
}

fn streamed(text: &str) -> Reply {
    let pieces = text.as_bytes().chunks(50_000).map(|piece| {
        let piece = std::str::from_utf8(piece).unwrap();
        chunk(&json!({ "content": piece }), None)
    });
    let end = [chunk(&json!({}), Some("stop")), "[DONE]".to_owned()];
    Reply::sse(pieces.chain(end))
}

fn question(n_bytes: usize) -> String {
    let message = json!({"role": "user", "content": "x".repeat(n_bytes)});
    json!({"model": "EchoAgent", "messages": [message]}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_are_over_leave_little() {
    const N_RUNS: usize = 30;
    let directory = Directory::new("serve-memory-runs");
    let large = streamed(&"x".repeat(2_000_000));
    let replies = std::iter::once(whole_text("ok")).chain((0..N_RUNS).map(|_| large.clone()));
    let server = FakeServer::start(replies).await.unwrap();
    let served = ServedProgram::start(command(&server, &directory));
    let chat = "/v1/chat/completions";
    assert_eq!(served.ask("POST", chat, &[], &question(1)).0, 200);
    let before = Idle::of(&served);
    for n in 0..N_RUNS {
        let run = json!({"agent": "EchoAgent", "input": "hi", "session": format!("s{n}"), "stream": true});
        let (status, events) = served.ask("POST", "/run", &[], &run.to_string());
        assert_eq!(status, 200);
        assert!(
            events.contains("\"ok\":true"),
            "{}",
            &events[events.len().saturating_sub(300)..]
        );
    }
    check(&served, &before);
    assert_eq!(served.ask("GET", "/status/s0", &[], "").0, 410);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_of_many_clients_take_turns() {
    const N_CLIENTS: usize = 24;
    let directory = Directory::new("serve-memory-bodies");
    let server = FakeServer::start((0..=N_CLIENTS).map(|_| whole_text("ok")))
        .await
        .unwrap();
    let served = ServedProgram::start(command(&server, &directory));
    let chat = "/v1/chat/completions";
    assert_eq!(served.ask("POST", chat, &[], &question(1)).0, 200);
    let before = Idle::of(&served);
    let address = served.address.clone();
    let body = Arc::new(question(12 * MIB));
    let clients: Vec<_> = (0..N_CLIENTS)
        .map(|_| {
            let (address, body) = (address.clone(), Arc::clone(&body));
            thread::spawn(move || {
                let mut stream = TcpStream::connect(&address).unwrap();
                let head = format!(
                    "POST /v1/chat/completions HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
                     Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes()).unwrap();
                stream.write_all(body.as_bytes()).unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                answer[9..12].to_owned()
            })
        })
        .collect();
    for client in clients {
        let status = client.join().unwrap();
        // On a slow machine the last may have waited for too long.
        assert!(["200", "503"].contains(&&*status), "{status}");
    }
    check(&served, &before);
}

/// A model that floods every front, one after another, up to the limit that an answer has unless told otherwise.
#[test]
fn models_that_flood_every_front_are_bounded_and_leave_little() {
    let directory = Directory::new("serve-memory-floods");
    let base_url = flooding(chat().swap_remove(0));
    let mut command = directory.program();
    command
        .args(["serve", "--bind", "127.0.0.1:0"])
        .env("OPENAI_BASE_URL", base_url)
        .env("OPENAI_MODEL", "m")
        .env("OPENAI_API_KEY", KEY);
    let served = ServedProgram::start(command);
    assert_eq!(served.ask("GET", "/v1/models", &[], "").0, 200);
    let before = Idle::of(&served);
    let message = json!([{"role": "user", "content": "hi"}]);
    let chat = json!({"model": "EchoAgent", "messages": message, "stream": true});
    let response = json!({"model": "EchoAgent", "input": "hi", "stream": true});
    let run = json!({"agent": "EchoAgent", "input": "hi", "session": "s", "stream": true});
    for (path, body) in [
        ("/v1/responses", response),
        ("/v1/chat/completions", chat),
        ("/run", run),
    ] {
        let asked = (path, &*body.to_string());
        assert!(says(&served.address, asked, "limit_exceeded"), "{path}");
        println!("{path}: {} KB at the most", status_of(&served, "VmHWM:"));
    }
    check(&served, &before);
}

/// Asks, and says whether a text stands in the answer: all of it would fill the memory of the test.
fn says(address: &str, (path, body): (&str, &str), text: &str) -> bool {
    let mut stream = send(address, ("POST", path), &[], body);
    let (mut window, mut buffer, mut is_said) = (Vec::new(), vec![0; 1 << 16], false);
    while let Ok(n) = stream.read(&mut buffer)
        && n > 0
    {
        window.extend_from_slice(&buffer[..n]);
        is_said |= String::from_utf8_lossy(&window).contains(text);
        let keep = window.len().saturating_sub(text.len());
        window.drain(..keep);
    }
    is_said
}
