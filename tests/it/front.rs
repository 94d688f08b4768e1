//! A server under test, and a client that sends what it is told, word for word.

use std::net::SocketAddr;

use openai_agents::server::{Server, ServerBuilder};
use openai_agents::testing::ScriptedModel;
use openai_agents::{Agent, FunctionTool, Runner};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A server on a loopback port.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    pub(crate) server: Server,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) served: JoinHandle<()>,
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Front {
    /// Serves the agent `Guide` on this model.
    pub(crate) async fn of(model: &ScriptedModel) -> Self {
        Self::with_agent(model, Agent::builder("Guide").build().unwrap()).await
    }

    pub(crate) async fn with_agent(model: &ScriptedModel, agent: Agent) -> Self {
        Self::start(Server::builder(Runner::new(model.clone())).agent(agent)).await
    }

    pub(crate) async fn start(builder: ServerBuilder) -> Self {
        let server = builder.build().unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = server.clone();
        let served = tokio::spawn(async move {
            let shutdown = async { drop(stopped.await) };
            serving.serve(listener, shutdown).await.unwrap();
        });
        Self {
            address,
            server,
            stop: Some(stop),
            served,
        }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, &[], &body.to_string()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &str,
    ) -> Answer {
        let mut stream = self.send(method, path, headers, body).await;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        Answer::parse(&String::from_utf8(bytes).unwrap())
    }

    /// Sends a request and leaves the answer on the line.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &str,
    ) -> TcpStream {
        let has_host = headers
            .iter()
            .any(|line| line.to_ascii_lowercase().starts_with("host:"));
        let mut lines = vec![
            format!("{method} {path} HTTP/1.1"),
            "connection: close".to_owned(),
        ];
        if !has_host {
            lines.push(format!("host: {}", self.address));
        }
        lines.extend(headers.iter().map(|line| (*line).to_owned()));
        if !body.is_empty() {
            lines.push("content-type: application/json".to_owned());
            lines.push(format!("content-length: {}", body.len()));
        }
        let head = lines.join("\r\n");
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream
            .write_all(format!("{head}\r\n\r\n{body}").as_bytes())
            .await
            .unwrap();
        stream
    }
}

impl Answer {
    pub(crate) fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let head = head.to_ascii_lowercase();
        let body = if head.contains("transfer-encoding: chunked") {
            unchunk(body)
        } else {
            body.to_owned()
        };
        Self {
            status: status.unwrap_or(0),
            head,
            body,
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of an error.
    #[track_caller]
    pub(crate) fn code(&self) -> (u16, String) {
        let code = self.json()["error"]["code"].as_str().map(str::to_owned);
        (
            self.status,
            code.unwrap_or_else(|| panic!("no error: {self:?}")),
        )
    }

    /// The data of an event stream, in order.
    #[track_caller]
    pub(crate) fn data(&self) -> Vec<String> {
        assert!(
            self.body.is_empty() || self.body.ends_with("\n\n"),
            "{self:?}"
        );
        let data = self
            .body
            .lines()
            .filter_map(|line| line.strip_prefix("data: "));
        data.map(str::to_owned).collect()
    }

    /// The JSON of an event stream, without the mark of its end.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Value> {
        let data = self.data().into_iter().filter(|data| data != "[DONE]");
        data.map(|data| serde_json::from_str(&data).unwrap())
            .collect()
    }
}

fn unchunk(body: &str) -> String {
    let mut text = String::new();
    let mut rest = body;
    while let Some((size, after)) = rest.split_once("\r\n") {
        let n_bytes = usize::from_str_radix(size, 16).unwrap();
        text += &after[..n_bytes];
        rest = after[n_bytes..].strip_prefix("\r\n").unwrap();
    }
    text
}

/// Reads until a text has come, and gives what stands between it and the next `end`.
pub(crate) async fn read_until(stream: &mut TcpStream, begin: &str, end: &str) -> String {
    let mut text = String::new();
    loop {
        let found = text
            .split_once(begin)
            .and_then(|(_, rest)| rest.split_once(end));
        if let Some((found, _)) = found {
            return found.to_owned();
        }
        let mut buffer = [0; 4096];
        let n_bytes = stream.read(&mut buffer).await.unwrap();
        assert!(n_bytes > 0, "{text}");
        text += std::str::from_utf8(&buffer[..n_bytes]).unwrap();
    }
}

pub(crate) async fn read_rest(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

/// A tool that doubles, and fails for zero.
pub(crate) fn double() -> FunctionTool {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Doubled {
        n: i64,
    }
    FunctionTool::new(
        "double",
        "Doubles.",
        async |_cx, doubled: Doubled| match doubled.n {
            0 => Err("zero".to_owned()),
            n => Ok(n * 2),
        },
    )
    .unwrap()
}

/// The inputs of a model's request, as JSON.
pub(crate) fn inputs(model: &ScriptedModel, n: usize) -> Value {
    let requests = model.requests();
    let items = requests[n].items.iter();
    items
        .map(|item| serde_json::from_str::<Value>(item.to_json()).unwrap())
        .collect()
}
