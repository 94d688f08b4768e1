//! `openai-agents serve`: the MCP server, who may connect, and the end.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStderr, Command, Stdio};

use openai_agents::testing::{FakeServer, Reply};
use serde_json::{Value, json};

use crate::support::{Directory, check_output, chunk, on, streamed_text, whole_text};

/// The program, serving at a port of its own.
pub(crate) struct ServedProgram {
    pub(crate) child: Child,
    pub(crate) address: String,
    stderr: BufReader<ChildStderr>,
}

impl Drop for ServedProgram {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl ServedProgram {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        let address = line
            .strip_prefix("serving on http://")
            .and_then(|rest| Some(rest.split_once(": ")?.0));
        let address = address.unwrap_or_else(|| panic!("{line}")).to_owned();
        Self {
            child,
            address,
            stderr,
        }
    }

    /// Waits for the next line of the log.
    pub(crate) fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).unwrap();
        line
    }

    /// Sends a request and gives the connection, on which the answer comes.
    fn send(&self, method: &str, path: &str, headers: &[&str], body: &str) -> TcpStream {
        send(&self.address, (method, path), headers, body)
    }

    /// The status and everything after it.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &str,
    ) -> (u16, String) {
        answer(self.send(method, path, headers, body))
    }

    /// Calls a method without a session, as the protocol of 2026-07-28 has it.
    fn call(&self, method: &str, params: Value) -> TcpStream {
        let (headers, body) = request(method, params);
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        self.send("POST", "/mcp", &headers, &body)
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }
}

/// Sends a request and gives the connection, on which the answer comes.
pub(crate) fn send(
    address: &str,
    (method, path): (&str, &str),
    headers: &[&str],
    body: &str,
) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let has_host = headers.iter().any(|header| header.starts_with("Host:"));
    let host = if has_host {
        String::new()
    } else {
        format!("Host: {address}\r\n")
    };
    let has_type = headers
        .iter()
        .any(|header| header.starts_with("Content-Type:"));
    let json = ["Content-Type: application/json"];
    let json = if has_type || body.is_empty() {
        &[][..]
    } else {
        &json
    };
    let headers = headers
        .iter()
        .chain(json)
        .flat_map(|header| [header, "\r\n"]);
    let headers: String = headers.collect();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\n{host}{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    stream
        .write_all(format!("{head}{body}").as_bytes())
        .unwrap();
    stream
}

pub(crate) fn request(method: &str, mut params: Value) -> (Vec<String>, String) {
    const VERSION: &str = "2026-07-28";
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let mut headers = vec![
        "Content-Type: application/json".to_owned(),
        "Accept: application/json, text/event-stream".to_owned(),
        format!("MCP-Protocol-Version: {VERSION}"),
        format!("Mcp-Method: {method}"),
    ];
    if let Some(name) = params["name"].as_str() {
        headers.push(format!("Mcp-Name: {name}"));
    }
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    (headers, body.to_string())
}

pub(crate) fn answer(mut stream: TcpStream) -> (u16, String) {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (status, rest) = text.split_at(12);
    (status[9..].parse().unwrap(), rest.to_owned())
}

/// The result of a call, from JSON or from the last event of a stream.
#[track_caller]
fn result(stream: TcpStream) -> Value {
    let (status, text) = answer(stream);
    assert_eq!(status, 200, "{text}");
    let json = text
        .lines()
        .map(|line| line.strip_prefix("data: ").unwrap_or(line));
    let json = json.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let last = json.rev().find(|value| value.get("id").is_some());
    last.unwrap_or_else(|| panic!("{text}"))["result"].clone()
}

pub(crate) fn command(server: &FakeServer, directory: &Directory) -> Command {
    on(server, directory, &["serve", "--bind", "127.0.0.1:0"])
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_and_tools_are_served() {
    let directory = Directory::new("serve-mcp").file("config.yaml", "agents: [{name: My Guide}]");
    let server = FakeServer::start([streamed_text("Par", "is.")])
        .await
        .unwrap();
    let served = ServedProgram::start(command(&server, &directory));
    assert_eq!(served.ask("GET", "/healthz", &[], "").0, 200);
    let tools = result(served.call("tools/list", json!({})));
    let names: Vec<&str> = tools["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "calculator",
            "current_time",
            "ask_assistant",
            "ask_echoagent",
            "ask_my_guide"
        ]
    );
    let sum = json!({"name": "calculator", "arguments": {"expression": "1+1"}});
    assert_eq!(
        result(served.call("tools/call", sum))["content"][0]["text"],
        "2"
    );
    let ask = json!({"name": "ask_echoagent", "arguments": {"input": "The capital of France?"}});
    assert_eq!(
        result(served.call("tools/call", ask))["content"][0]["text"],
        "Paris."
    );
}

/// Every route that the program says that it has, with its methods.
fn routes(served: &ServedProgram) -> Vec<(String, String)> {
    let (status, answer) = served.ask("GET", "/openapi.json", &[], "");
    assert_eq!(status, 200);
    let (_, document) = answer.split_once("\r\n\r\n").unwrap();
    let document: Value = serde_json::from_str(document).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let documented = paths.iter().flat_map(|(path, methods)| {
        let path = path.replace(['{', '}'], "");
        let methods = methods.as_object().unwrap().keys();
        methods.map(move |method| (method.to_uppercase(), path.clone()))
    });
    let others = ["GET", "POST", "DELETE"].map(|method| (method.to_owned(), "/mcp".to_owned()));
    let missing = ("GET".to_owned(), "/nowhere".to_owned());
    documented.chain(others).chain([missing]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_host_is_refused_on_every_route() {
    let directory = Directory::new("serve-guard");
    let server = FakeServer::start(Vec::<Reply>::new()).await.unwrap();
    let served = ServedProgram::start(command(&server, &directory));
    let ask = json!({"name": "ask_echoagent", "arguments": {"input": "hi"}});
    let (headers, body) = request("tools/call", ask);
    let routes = routes(&served);
    assert!(routes.len() > 15, "{routes:?}");
    for (method, path) in routes {
        for foreign in [
            "Host: evil.example",
            "Host: 127.0.0.1.evil.example:80",
            "Origin: https://evil.example",
            "Origin: null",
            "Origin: http://localhost.evil.example",
            "Origin: http://localhost:9999",
        ] {
            let mut headers: Vec<&str> = headers.iter().map(String::as_str).collect();
            headers.push(foreign);
            assert_eq!(
                served.ask(&method, &path, &headers, &body).0,
                403,
                "{method} {path} {foreign}"
            );
        }
    }
    let origin = format!("Origin: http://{}", served.address);
    for own in [
        "Host: localhost",
        "Host: host.docker.internal:8080",
        &origin,
    ] {
        assert_eq!(served.ask("GET", "/healthz", &[own], "").0, 200, "{own}");
    }
    assert!(server.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_are_behind_the_openai_api_and_their_conversations_are_kept() {
    let directory = Directory::new("serve-openai").file("config.yaml", "agents: [{name: Guide}]");
    let server = FakeServer::start([whole_text("Paris."), streamed_text("Ro", "me.")])
        .await
        .unwrap();
    let served = ServedProgram::start(command(&server, &directory));
    let (status, models) = served.ask("GET", "/v1/models", &[], "");
    assert_eq!(status, 200);
    for agent in ["EchoAgent", "Assistant", "Guide"] {
        assert!(models.contains(&format!("\"id\":\"{agent}\"")), "{models}");
    }
    let chat = json!({"model": "Guide", "messages": [{"role": "user", "content": "France?"}]});
    let (status, answer) = served.ask("POST", "/v1/chat/completions", &[], &chat.to_string());
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("\"content\":\"Paris.\""), "{answer}");
    let run = json!({"agent": "Guide", "input": "Italy?", "session": "trip", "stream": true});
    let (status, events) = served.ask("POST", "/run", &[], &run.to_string());
    assert_eq!(status, 200, "{events}");
    assert!(events.contains("\"final_output\":\"Rome.\""), "{events}");
    drop(served);
    let shown = on(&server, &directory, &["sessions", "show", "trip"])
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(
        shown.contains("Italy?") && shown.contains("Rome."),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_asked_for() {
    let directory =
        Directory::new("serve-token").file("config.yaml", "server: {token: 0123456789abcdef}");
    let server = FakeServer::start(Vec::<Reply>::new()).await.unwrap();
    let served = ServedProgram::start(command(&server, &directory));
    let (headers, body) = request("tools/list", json!({}));
    assert_eq!(served.ask("GET", "/v1/models", &[], "").0, 401);
    for (token, expected) in [
        (None, 401),
        (Some("Authorization: Bearer 0123456789abcdee"), 401),
        (Some("Authorization: Bearer "), 401),
        (Some("Authorization: Basic 0123456789abcdef"), 401),
        (Some("Authorization: Bearer 0123456789abcdef"), 200),
    ] {
        let headers: Vec<&str> = headers.iter().map(String::as_str).chain(token).collect();
        assert_eq!(
            served.ask("POST", "/mcp", &headers, &body).0,
            expected,
            "{token:?}"
        );
    }
    assert_eq!(
        served
            .ask("POST", "/mcp?token=0123456789abcdef", &[], &body)
            .0,
        401
    );
    assert_eq!(served.ask("GET", "/healthz", &[], "").0, 200);
}

/// A call of an agent whose model thinks.
fn thinking(name: &str) -> (ServedProgram, TcpStream, TcpStream) {
    let model = TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = Directory::new(name);
    let mut command = directory.program();
    command
        .args(["serve", "--bind", "127.0.0.1:0"])
        .env(
            "OPENAI_BASE_URL",
            format!("http://{}/v1", model.local_addr().unwrap()),
        )
        .env("OPENAI_MODEL", "m");
    let served = ServedProgram::start(command);
    let ask = json!({"name": "ask_echoagent", "arguments": {"input": "hi"}});
    let call = served.call("tools/call", ask);
    let (mut connection, _) = model.accept().unwrap();
    assert!(connection.read(&mut [0; 1024]).unwrap() > 0);
    (served, call, connection)
}

#[test]
#[cfg(unix)]
fn at_the_end_what_is_under_way_is_finished_and_nothing_else_begun() {
    let (mut served, call, mut model) = thinking("serve-end");
    served.signal("-TERM");
    let mut line = String::new();
    served.stderr.read_line(&mut line).unwrap();
    assert_eq!(
        line,
        "ending: waiting for 1 under way; another signal ends at once\n"
    );
    assert_eq!(answer(served.call("tools/list", json!({}))).0, 503);
    assert_eq!(served.ask("GET", "/healthz", &[], "").0, 503);
    let events = [
        chunk(&json!({"content": "one"}), None),
        chunk(&json!({}), Some("stop")),
        "[DONE]".to_owned(),
    ];
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let body = events.iter().flat_map(|event| ["data: ", event, "\n\n"]);
    let body: String = body.collect();
    model.write_all(format!("{head}{body}").as_bytes()).unwrap();
    drop(model);
    assert_eq!(result(call)["content"][0]["text"], "one");
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
}

#[test]
#[cfg(unix)]
fn a_second_signal_ends_it_at_once() {
    let (mut served, call, model) = thinking("serve-twice");
    served.signal("-INT");
    let mut line = String::new();
    served.stderr.read_line(&mut line).unwrap();
    served.signal("-INT");
    assert_eq!(served.child.wait().unwrap().code(), Some(130));
    drop((call, model));
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_with_wrong_setting_says_so() {
    let directory = Directory::new("serve-wrong");
    let server = FakeServer::start(Vec::<Reply>::new()).await.unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = on(&server, &directory, &["serve", "--bind", &address])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with(&format!(
            "error: cannot listen on {address} (from --bind): "
        )),
        "{stderr}"
    );
    let output = on(&server, &directory, &["serve", "--bind", "0.0.0.0:1"])
        .output()
        .unwrap();
    let expected = "error: `server.bind` (--bind) must be an address of this machine's loopback, unless `server.token` says who may connect\n";
    check_output(&output, 2, "", expected);
    // No command means the same.
    let output = directory.program().output().unwrap();
    let expected =
        "error: no base URL: set OPENAI_BASE_URL, `base_url` in ./config.yaml, or --base-url\n";
    check_output(&output, 2, "", expected);
}
