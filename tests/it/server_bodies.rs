//! Bodies of requests: of one type, bounded in size, in time and in sum, and refused so that the client hears it.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use openai_agents::server::{Server, ServerBuilder};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, Runner};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use tokio::time::sleep;

use crate::front::{Answer, Front, read_rest};
use crate::support::tool;

const CHAT: &str = "/v1/chat/completions";
const JSON: &str = "content-type: application/json";

/// Every route that takes a body.
const POSTS: [&str; 11] = [
    CHAT,
    "/v1/responses",
    "/v1/responses/resp_1/cancel",
    "/v1/conversations",
    "/v1/conversations/conv_1",
    "/v1/conversations/conv_1/items",
    "/run",
    "/cancel/s",
    "/approve/s",
    "/reload",
    "/mcp",
];

fn builder(model: &ScriptedModel) -> ServerBuilder {
    let agent = Agent::builder("Guide").build().unwrap();
    Server::builder(Runner::new(model.clone())).agent(agent)
}

/// A question of at least so many bytes.
fn question(n_bytes: usize) -> String {
    let content = "x".repeat(n_bytes);
    json!({"model": "Guide", "messages": [{"role": "user", "content": content}]}).to_string()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Sends all of a body, as most clients do, before it looks for the answer.
async fn post(front: &Front, path: &str, lines: &[&str], body: &[u8]) -> Answer {
    let mut stream = open(front, path, lines, body.len()).await;
    stream.write_all(body).await.unwrap();
    Answer::parse(&read_rest(&mut stream).await)
}

async fn open(front: &Front, path: &str, lines: &[&str], n_bytes: usize) -> TcpStream {
    let lines: String = lines.iter().flat_map(|line| [line, "\r\n"]).collect();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{lines}content-length: {n_bytes}\r\n\r\n",
        front.address
    );
    let mut stream = TcpStream::connect(front.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn body_of_a_photo_is_accepted_by_default() {
    let model = ScriptedModel::text("Nice.");
    let front = Front::of(&model).await;
    let body = question(5 * 1024 * 1024);
    assert_eq!(front.ask("POST", CHAT, &[], &body).await.status, 200);
    assert_eq!(model.requests().len(), 1);
}

#[tokio::test]
async fn body_over_the_limit_is_read_before_the_client_is_told() {
    let front = Front::start(builder(&ScriptedModel::new([])).max_body_bytes(1024 * 1024)).await;
    let body = question(6 * 1024 * 1024).into_bytes();
    let answer = post(&front, CHAT, &[JSON], &body).await;
    assert_eq!(answer.code(), (413, "request_too_large".to_owned()));
    assert_eq!(
        answer.json()["error"]["message"],
        "the body has more than 1048576 bytes (`server.max_body_bytes`)"
    );
    // A refusal for another reason is heard as well.
    let front = Front::start(builder(&ScriptedModel::new([])).token("token-123")).await;
    let answer = post(&front, CHAT, &[JSON], &body).await;
    assert_eq!(answer.code(), (401, "invalid_api_key".to_owned()));
}

#[tokio::test]
async fn body_of_unknown_length_over_the_limit_is_refused() {
    let front = Front::start(builder(&ScriptedModel::new([])).max_body_bytes(1000)).await;
    let mut stream = TcpStream::connect(front.address).await.unwrap();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{JSON}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..3 {
        let chunk = format!("{:x}\r\n{}\r\n", 500, "x".repeat(500));
        stream.write_all(chunk.as_bytes()).await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let answer = Answer::parse(&read_rest(&mut stream).await);
    assert_eq!(answer.code(), (413, "request_too_large".to_owned()));
}

#[tokio::test]
async fn client_that_asks_before_it_sends_is_told_at_once() {
    let front = Front::start(builder(&ScriptedModel::new([])).max_body_bytes(1000)).await;
    let mut stream = open(&front, CHAT, &[JSON, "expect: 100-continue"], 5000).await;
    let answer = Answer::parse(&read_rest(&mut stream).await);
    assert_eq!(answer.code(), (413, "request_too_large".to_owned()));
}

#[tokio::test]
async fn body_that_is_not_json_by_its_head_is_refused_on_every_route() {
    let model = ScriptedModel::new([]);
    let mcp = openai_agents::server::mcp::McpServer::builder(Runner::new(model.clone()));
    let front = Front::start(builder(&model).mcp(mcp.build().unwrap())).await;
    let body = br#"{"agent":"Guide","input":"hi"}"#;
    for path in POSTS {
        for lines in [
            &["content-type: text/plain"][..],
            &["content-type: text/plain;charset=UTF-8"],
            &["content-type: application/x-www-form-urlencoded"],
            &["content-type: multipart/form-data; boundary=x"],
            &["content-type: application/jsonx"],
            &["content-type: text/plain, application/json"],
            &["content-type: application/json", "content-type: text/plain"],
            &[],
        ] {
            let answer = post(&front, path, lines, body).await;
            assert_eq!(
                answer.code(),
                (415, "unsupported_media_type".to_owned()),
                "{path} {lines:?}"
            );
            assert_eq!(answer.header("accept"), Some("application/json"));
        }
    }
    assert_eq!(model.requests().len(), 0);
}

#[tokio::test]
async fn body_in_gzip_is_decoded_and_other_codings_are_named() {
    let model = ScriptedModel::new([ScriptedTurn::text("One."), ScriptedTurn::text("Two.")]);
    let front = Front::of(&model).await;
    let whole = gzip(question(200_000).as_bytes());
    for coding in [
        "content-encoding: gzip",
        "content-encoding: identity, X-GZIP",
    ] {
        let lines = ["content-type: Application/JSON; charset=utf-8", coding];
        let answer = post(&front, CHAT, &lines, &whole).await;
        assert_eq!(answer.status, 200, "{coding}");
    }
    for coding in ["br", "deflate", "zstd", "gzip, gzip"] {
        let line = format!("content-encoding: {coding}");
        let answer = post(&front, CHAT, &[JSON, &line], &whole).await;
        assert_eq!(
            answer.code(),
            (415, "unsupported_encoding".to_owned()),
            "{coding}"
        );
        assert_eq!(answer.header("accept-encoding"), Some("gzip, identity"));
    }
    for broken in [&whole[..whole.len() - 5], &whole[..5], b"{}", b""] {
        let answer = post(&front, CHAT, &[JSON, "content-encoding: gzip"], broken).await;
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    assert_eq!(model.requests().len(), 2);
}

#[tokio::test]
async fn body_that_grows_over_the_limit_when_decoded_is_refused() {
    let front = Front::start(builder(&ScriptedModel::new([])).max_body_bytes(1024 * 1024)).await;
    let bomb = gzip(&vec![b' '; 64 * 1024 * 1024]);
    let many = bomb.repeat(3);
    for bomb in [bomb, many] {
        let answer = post(&front, CHAT, &[JSON, "content-encoding: gzip"], &bomb).await;
        assert_eq!(answer.code(), (413, "request_too_large".to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn body_that_trickles_in_ends_in_its_time() {
    let timeout = Duration::from_secs(20);
    let front = Front::start(builder(&ScriptedModel::new([])).body_timeout(timeout)).await;
    let mut stream = open(&front, CHAT, &[JSON], 1000).await;
    let (mut reading, mut writing) = stream.split();
    let answer = async {
        let mut answer = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut reading, &mut answer)
            .await
            .unwrap();
        answer
    };
    let trickle = async {
        // A byte every nine seconds is never silence for long.
        while writing.write_all(b"{").await.is_ok() {
            sleep(Duration::from_secs(9)).await;
        }
    };
    let answer = tokio::select! {
        answer = answer => Answer::parse(&answer),
        () = trickle => panic!("no answer came"),
    };
    assert_eq!(answer.code(), (408, "request_timeout".to_owned()));
    assert_eq!(
        answer.json()["error"]["message"],
        "the body was not here within 20 seconds (`server.body_timeout_secs`)"
    );
}

/// A server with room for one large body, whose agent waits in a tool until it is let go on.
async fn with_room_for_one() -> (Front, Arc<Notify>, Arc<Semaphore>) {
    let (begun, open) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let wait = {
        let (begun, open) = (Arc::clone(&begun), Arc::clone(&open));
        tool("wait", move |_| {
            let (begun, open) = (Arc::clone(&begun), Arc::clone(&open));
            async move {
                begun.notify_one();
                open.acquire().await.unwrap().forget();
                Ok("done".to_owned())
            }
        })
    };
    let agent = Agent::builder("Guide").tool(wait).build().unwrap();
    let waits = ScriptedTurn::tool_call("wait", json!({}));
    let turns = std::iter::once(waits).chain((0..4).map(|_| ScriptedTurn::text("Done.")));
    let builder = Server::builder(Runner::new(ScriptedModel::new(turns)))
        .agent(agent)
        .max_body_bytes(1024 * 1024)
        .max_bodies_bytes(1024 * 1024)
        .body_timeout(Duration::from_secs(20));
    (Front::start(builder).await, begun, open)
}

#[tokio::test(start_paused = true)]
async fn large_bodies_wait_for_room_and_small_ones_do_not() {
    let (front, begun, open) = with_room_for_one().await;
    let large = question(900_000);
    let mut first = front.send("POST", CHAT, &[], &large).await;
    begun.notified().await;
    // One more waits while the first is answered, and is told so when it has waited for long.
    let refused = front.ask("POST", CHAT, &[], &large).await;
    assert_eq!(refused.code(), (503, "server_busy".to_owned()));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(front.ask("POST", CHAT, &[], &question(1)).await.status, 200);
    open.add_permits(1);
    assert!(read_rest(&mut first).await.starts_with("HTTP/1.1 200"));
    assert_eq!(front.ask("POST", CHAT, &[], &large).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn run_that_goes_on_by_itself_keeps_the_room_of_its_body() {
    let (front, begun, open) = with_room_for_one().await;
    let run = json!({"agent": "Guide", "input": "x".repeat(900_000), "session": "s"}).to_string();
    assert_eq!(front.ask("POST", "/run", &[], &run).await.status, 202);
    begun.notified().await;
    let refused = front.ask("POST", CHAT, &[], &question(900_000)).await;
    assert_eq!(refused.code(), (503, "server_busy".to_owned()));
    open.add_permits(1);
    assert!(front.get("/events/s").await.body.contains("Done."));
    let answer = front.ask("POST", CHAT, &[], &question(900_000)).await;
    assert_eq!(answer.status, 200);
}
