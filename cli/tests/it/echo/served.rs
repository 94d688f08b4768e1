//! The same through `serve`: every front, what is kept, metrics, resources, and the commands that talk to it.

use std::fs::{self, File};
use std::process::{Child, Command};

use openai_agents::testing::{FakeServer, Reply};
use serde_json::{Value, json};

use super::{LEVELS, files, forms, leak, replies};
use crate::serve::{answer, request, send};
use crate::support::{Directory, on, streamed_text};

/// The program, which writes its log into a file.
struct Serving {
    child: Child,
    address: String,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Serving {
    fn start(mut command: Command, directory: &Directory) -> Self {
        let log = directory.path("stderr.log");
        let child = command.stderr(File::create(&log).unwrap()).spawn();
        let mut serving = Self {
            child: child.unwrap(),
            address: String::new(),
        };
        while serving.address.is_empty() {
            assert_eq!(serving.child.try_wait().unwrap(), None);
            let text = fs::read_to_string(&log).unwrap();
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix("serving on http://"));
            let address = line.and_then(|line| line.split_once(": "));
            serving.address = address.map_or_else(String::new, |(address, _)| address.to_owned());
            std::thread::yield_now();
        }
        serving
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let headers = ["Accept: application/json, text/event-stream"];
        let (status, text) = answer(send(&self.address, (method, path), &headers, body));
        format!("{status} {text}")
    }

    fn mcp(&self, method: &str, params: Value) -> String {
        let (headers, body) = request(method, params);
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        answer(send(&self.address, ("POST", "/mcp"), &headers, &body)).1
    }
}

/// The fronts, and whether they stream; the number makes sessions of their own.
fn fronts(n: usize) -> Vec<(&'static str, bool, Value)> {
    let chat = |stream: bool| {
        let messages = json!([{"role": "user", "content": "go"}]);
        json!({"model": "Assistant", "messages": messages, "stream": stream})
    };
    let response = |stream: bool| json!({"model": "Assistant", "input": "go", "stream": stream});
    let run =
        json!({"agent": "Assistant", "input": "go", "session": format!("s{n}"), "stream": true});
    let ask =
        json!({"name": "ask_assistant", "arguments": {"input": "go", "session": format!("m{n}")}});
    vec![
        ("/v1/chat/completions", true, chat(true)),
        ("/v1/chat/completions", false, chat(false)),
        ("/v1/responses", true, response(true)),
        ("/v1/responses", false, response(false)),
        ("/run", true, run),
        ("/mcp", true, ask),
    ]
}

/// What is kept, and what is shown of all.
fn shown(serving: &Serving, n_sessions: usize, responses: &[String]) -> Vec<(String, String)> {
    let mut paths: Vec<String> = ["/metrics", "/healthz", "/v1/models", "/openapi.json"]
        .map(str::to_owned)
        .into();
    paths.extend((0..n_sessions).map(|n| format!("/status/s{n}")));
    paths.extend(responses.iter().map(|id| format!("/v1/responses/{id}")));
    let mut told: Vec<_> = paths
        .into_iter()
        .map(|path| (path.clone(), serving.ask("GET", &path, "")))
        .collect();
    for method in ["tools/list", "prompts/list", "resources/templates/list"] {
        told.push((method.to_owned(), serving.mcp(method, json!({}))));
    }
    let list = serving.mcp("resources/list", json!({}));
    let is_uri = |part: &&str| part.starts_with("trace://") || part.starts_with("session://");
    let uris: Vec<String> = list.split('"').filter(is_uri).map(str::to_owned).collect();
    assert!(uris.iter().any(|uri| uri.starts_with("trace://")), "{list}");
    told.push(("resources/list".to_owned(), list));
    for uri in uris {
        let read = serving.mcp("resources/read", json!({"uri": uri}));
        told.push((uri, read));
    }
    told
}

/// The ids of the responses that an answer names.
fn response_ids(text: &str) -> Vec<String> {
    let mut ids: Vec<String> = text
        .split('"')
        .filter(|part| part.starts_with("resp_"))
        .map(str::to_owned)
        .collect();
    ids.dedup();
    ids
}

async fn all_that_is_told(form: &str, level: &str) -> Vec<(String, String)> {
    let directory = Directory::new("echo-served");
    let server = FakeServer::start(Vec::<Reply>::new()).await.unwrap();
    let mut command = on(&server, &directory, &["serve", "--bind", "127.0.0.1:0"]);
    command.env("RUST_LOG", level);
    let serving = Serving::start(command, &directory);
    let (mut told, mut responses) = (Vec::new(), Vec::new());
    let places = replies(form);
    let n_places = places.len();
    for (n, (place, is_streamed, reply)) in places.into_iter().enumerate() {
        for (front, streams, body) in fronts(n) {
            let fits =
                streams == is_streamed || matches!(place, "a status" | "a page" | "a redirect");
            if !fits {
                continue;
            }
            let n_before = server.requests().len();
            server.push(reply.clone());
            let calls_tool = place == "arguments";
            if calls_tool {
                server.push(streamed_text("Hi", "."));
            }
            let text = if front == "/mcp" {
                serving.mcp("tools/call", body)
            } else {
                serving.ask("POST", front, &body.to_string())
            };
            let n_asked = server.requests().len() - n_before;
            assert_eq!(
                n_asked,
                1 + usize::from(calls_tool),
                "{front} {place}: {text}"
            );
            if place == "a text" {
                // What keeps the test honest: something was taken out.
                assert!(text.contains("[redacted]"), "{front}: {text}");
            }
            if front == "/v1/responses" {
                responses.extend(response_ids(&text));
            }
            told.push((format!("{front} {place}"), text));
        }
    }
    told.extend(shown(&serving, n_places, &responses));
    let reload = ["reload", "--bind", &serving.address];
    for arguments in [
        &reload[..],
        &["sessions", "list"],
        &["sessions", "show", "s0"],
    ] {
        let mut command = on(&server, &directory, arguments);
        let output = command.env("RUST_LOG", level).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        told.push((
            arguments.join(" "),
            String::from_utf8_lossy(&text).into_owned(),
        ));
    }
    drop(serving);
    files(&directory.path("."), &mut told);
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_with_model_server_that_repeats_key_tells_it_to_nobody() {
    let mut leaks = Vec::new();
    for (idx, (name, form)) in forms().into_iter().enumerate() {
        // The key as it is at the level that says most, the other forms at one each, in turn.
        let level = LEVELS[idx % LEVELS.len()];
        for (what, text) in all_that_is_told(&form, level).await {
            if let Some(part) = leak(&text, &form) {
                leaks.push(format!("{name} at {level}, {what}: {part}"));
            }
        }
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}
