//! How much a server takes on at once, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use openai_agents::server::Server;
use openai_agents::session::{MemorySession, Session, SessionId};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, FunctionTool, Runner};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::sync::{Notify, Semaphore};

use crate::front::{Front, read_rest, read_until};
use crate::support::NoArgs;

const CHAT: &str = "/v1/chat/completions";

/// A tool that tells that it began, and waits.
fn gate(begun: &Arc<Notify>, open: &Arc<Semaphore>) -> FunctionTool {
    let (begun, open) = (Arc::clone(begun), Arc::clone(open));
    FunctionTool::new("gate", "Waits.", move |_cx, _args: NoArgs| {
        let (begun, open) = (Arc::clone(&begun), Arc::clone(&open));
        async move {
            begun.notify_one();
            open.acquire().await.unwrap().forget();
            Ok::<_, String>("open")
        }
    })
    .unwrap()
}

fn guide(begun: &Arc<Notify>, open: &Arc<Semaphore>) -> Agent {
    Agent::builder("Guide")
        .tool(gate(begun, open))
        .build()
        .unwrap()
}

fn script() -> ScriptedModel {
    ScriptedModel::new([
        ScriptedTurn::tool_call("gate", json!({})),
        ScriptedTurn::text("Done."),
        ScriptedTurn::text("Done."),
    ])
}

fn asked() -> String {
    json!({"model": "Guide", "messages": [{"role": "user", "content": "hi"}]}).to_string()
}

#[tokio::test]
async fn a_full_server_says_so_and_the_next_in_line_is_served() {
    let (begun, open) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let builder = Server::builder(Runner::new(script()))
        .agent(guide(&begun, &open))
        .max_runs(1)
        .max_waiting_runs(1);
    let front = Front::start(builder).await;
    let mut first = front.send("POST", CHAT, &[], &asked()).await;
    begun.notified().await;
    let mut second = front.send("POST", CHAT, &[], &asked()).await;
    while !front
        .get("/metrics")
        .await
        .body
        .contains("openai_agents_runs_waiting 1")
    {}
    let third = front.ask("POST", CHAT, &[], &asked()).await;
    assert_eq!(third.code(), (429, "rate_limit_exceeded".to_owned()));
    assert_eq!(
        (third.header("retry-after"), third.header("x-should-retry")),
        (Some("1"), None)
    );
    open.add_permits(1);
    for stream in [&mut first, &mut second] {
        assert!(read_rest(stream).await.contains("Done."));
    }
    let metrics = front.get("/metrics").await.body;
    for line in [
        "openai_agents_runs_total{outcome=\"completed\"} 2",
        "openai_agents_model_requests_total 3",
        "openai_agents_runs_active 0",
        "openai_agents_http_requests_total{status=\"4xx\"} 1",
        "openai_agents_run_errors_total{kind=\"max_turns\"} 0",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}\n{metrics}"
        );
    }
}

#[tokio::test]
async fn a_server_that_ends_finishes_turns_and_begins_nothing() {
    let (begun, open) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let session = MemorySession::new(SessionId::new("s").unwrap());
    let (model, kept) = (script(), session.clone());
    let builder = Server::builder(Runner::new(model.clone()))
        .agent(guide(&begun, &open))
        .sessions(move |_| {
            let session = kept.clone();
            async move { Ok(Arc::new(session) as Arc<dyn Session>) }
        });
    let mut front = Front::start(builder).await;
    let run = json!({"agent": "Guide", "input": "hi", "session": "s"});
    assert_eq!(front.post("/run", &run).await.status, 202);
    begun.notified().await;
    let mut events = front.send("GET", "/events/s", &[], "").await;
    read_until(&mut events, "tool_called", "\n").await;
    front.stop.take().unwrap().send(()).unwrap();
    while front.get("/healthz").await.status == 200 {}
    let refused = front.post("/run", &run).await;
    assert_eq!(refused.code(), (503, "server_closing".to_owned()));
    open.add_permits(1);
    assert!(read_rest(&mut events).await.contains("\"cancelled\""));
    front.served.await.unwrap();
    // The turn is whole, and no other began.
    assert_eq!(
        (
            session.items(None).await.unwrap().items.len(),
            model.n_left()
        ),
        (3, 2)
    );
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_takes_too_long_is_cancelled() {
    let (begun, open) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let builder = Server::builder(Runner::new(script()))
        .agent(guide(&begun, &open))
        .grace(Duration::from_secs(3));
    let mut front = Front::start(builder).await;
    let mut stream = front.send("POST", CHAT, &[], &asked()).await;
    begun.notified().await;
    front.stop.take().unwrap().send(()).unwrap();
    let answer = read_rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 499"), "{answer}");
    front.served.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn silent_connection_is_closed() {
    let front = Front::start(Server::builder(Runner::new(ScriptedModel::new([])))).await;
    for (sent, told) in [
        ("", ""),
        ("GET /healthz HTTP/1.1\r\n", ""),
        (
            "POST /run HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{",
            "HTTP/1.1 408",
        ),
        (
            "POST /run HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nno number\r\n",
            "HTTP/1.1 400",
        ),
    ] {
        let mut stream = tokio::net::TcpStream::connect(front.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let answer = read_rest(&mut stream).await;
        assert!(answer.starts_with(told), "{sent}: {answer}");
        assert_eq!(answer.is_empty(), told.is_empty(), "{sent}: {answer}");
    }
}

#[tokio::test]
async fn connections_and_requests_are_bounded() {
    let (begun, open) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let builder = Server::builder(Runner::new(script()))
        .agent(guide(&begun, &open))
        .max_connections(2)
        .max_requests(1);
    let front = Front::start(builder).await;
    let mut first = front.send("POST", CHAT, &[], &asked()).await;
    begun.notified().await;
    assert_eq!(front.server.n_in_flight(), 1);
    let refused = front.ask("POST", CHAT, &[], &asked()).await;
    assert_eq!(refused.code(), (503, "server_busy".to_owned()));
    assert_eq!(front.get("/healthz").await.status, 200);
    // The second connection is taken and says nothing; the third waits for it.
    let silent = tokio::net::TcpStream::connect(front.address).await.unwrap();
    let mut third = front.send("GET", "/healthz", &[], "").await;
    let waiting = tokio::time::timeout(Duration::from_millis(50), read_rest(&mut third));
    assert!(waiting.await.is_err());
    drop(silent);
    assert!(read_rest(&mut third).await.starts_with("HTTP/1.1 200"));
    open.add_permits(1);
    assert!(read_rest(&mut first).await.contains("Done."));
}

#[tokio::test]
async fn connections_close_when_serving_is_given_up() {
    let front = Front::start(Server::builder(Runner::new(ScriptedModel::new([])))).await;
    let mut idle = tokio::net::TcpStream::connect(front.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut idle, "\"ok\"", "}").await;
    front.served.abort();
    assert_eq!(read_rest(&mut idle).await, "");
}
