//! A model server whose answers begin at once and go on when they may.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::BoxError;

/// What every answer begins with.
pub(crate) const FIRST: &str = "One ";
/// In how many pieces the rest comes, and how far apart.
pub(crate) const N_PIECES: usize = 20;
const BETWEEN: Duration = Duration::from_millis(100);

/// An input with this word is never answered to the end.
pub(crate) const STUCK: &str = "stuck";
/// An input with this word is answered with a call of the calculator at the end.
pub(crate) const CALLING: &str = "calling";

/// The server; it ends with the process.
pub(crate) struct Model {
    pub(crate) url: String,
    shared: Arc<ModelGate>,
}

#[derive(Debug)]
struct ModelGate {
    may_go_on: Semaphore,
    n_requests: AtomicUsize,
}

impl Model {
    pub(crate) async fn start() -> Result<Self, BoxError> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}/v1", listener.local_addr()?);
        let shared = Arc::new(ModelGate {
            may_go_on: Semaphore::new(0),
            n_requests: AtomicUsize::new(0),
        });
        let of_task = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Otherwise the pieces wait for each other's acknowledgement.
                drop(stream.set_nodelay(true));
                tokio::spawn(answer_all(stream, Arc::clone(&of_task)));
            }
        });
        Ok(Self { url, shared })
    }

    /// Lets all answers go on, those that are not begun too.
    pub(crate) fn release(&self) {
        self.shared.may_go_on.add_permits(1);
    }

    pub(crate) fn n_requests(&self) -> usize {
        self.shared.n_requests.load(Ordering::Relaxed)
    }
}

/// Answers the requests of a connection until it closes.
async fn answer_all(mut stream: TcpStream, shared: Arc<ModelGate>) -> Option<()> {
    loop {
        let request = read_request(&mut stream).await?;
        shared.n_requests.fetch_add(1, Ordering::Relaxed);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.ok()?;
        send(&mut stream, &text(FIRST)).await?;
        let mut byte = [0; 1];
        tokio::select! {
            may = shared.may_go_on.acquire() => drop(may.ok()?),
            // Nothing comes but the end.
            _ = stream.read(&mut byte) => return None,
        }
        if request.contains(STUCK) {
            drop(stream.read(&mut byte).await);
            return None;
        }
        for n in 0..N_PIECES {
            tokio::time::sleep(BETWEEN).await;
            send(&mut stream, &text(&format!("piece{n} "))).await?;
        }
        let reason = if request.contains(CALLING) {
            let call = json!({"index": 0, "id": "call_1", "type": "function",
                "function": {"name": "calculator", "arguments": "{\"expression\": \"6*7\"}"}});
            send(&mut stream, &chunk(&json!({"tool_calls": [call]}), None)).await?;
            "tool_calls"
        } else {
            "stop"
        };
        send(&mut stream, &chunk(&json!({}), Some(reason))).await?;
        send(&mut stream, "[DONE]").await?;
        stream.write_all(b"0\r\n\r\n").await.ok()?;
    }
}

fn text(text: &str) -> String {
    chunk(&json!({"content": text}), None)
}

fn chunk(delta: &Value, finish_reason: Option<&str>) -> String {
    json!({"id": "r", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})
    .to_string()
}

async fn send(stream: &mut TcpStream, data: &str) -> Option<()> {
    let event = format!("data: {data}\n\n");
    let chunk = format!("{:x}\r\n{event}\r\n", event.len());
    stream.write_all(chunk.as_bytes()).await.ok()
}

/// Reads a request whole and gives its body.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (key, value) = line.split_once(": ")?;
                let is_length = key.eq_ignore_ascii_case("content-length");
                is_length.then_some(value)?.parse::<usize>().ok()
            });
            if body.len() >= length? {
                return Some(body.to_owned());
            }
        }
        let n_bytes = stream.read_buf(&mut request).await.ok()?;
        if n_bytes == 0 {
            return None;
        }
    }
}
