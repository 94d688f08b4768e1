//! How a connection begins and ends, and the requests beside it.

use std::sync::Arc;
use std::time::Duration;

use openai_agents::future::BoxFuture;
use openai_agents::model::OpenAiRealtime;
use openai_agents::model::realtime::RealtimeSettings;
use openai_agents::realtime::{
    RealtimeAgent, RealtimeError, RealtimeEvent, RealtimeHandoff, RealtimeSession,
};
use openai_agents::testing::realtime::RealtimeServer;
use openai_agents::testing::{FakeServer, Reply};
use openai_agents::tools::{ToolSource, ToolSourceError};
use openai_agents::{ErrorKind, FunctionTool};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::session::{Stage, model};
use crate::support::instant;

fn agent() -> RealtimeAgent {
    RealtimeAgent::builder("Clerk").build().unwrap()
}

async fn refused(answer: &str) -> RealtimeError {
    let server = RealtimeServer::start().await.unwrap();
    let session = RealtimeSession::builder(&agent(), model(&server.url()));
    let refuse = async {
        let mut stream = server.accept_raw().await.unwrap();
        let mut request = [0; 4096];
        let n_bytes = stream.read(&mut request).await.unwrap();
        assert!(n_bytes > 0);
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
    };
    let (session, ()) = tokio::join!(session.connect(), refuse);
    session.unwrap_err()
}

#[tokio::test]
async fn connect_sends_key_and_model_and_no_beta_header() {
    let mut stage = Stage::new(&[]).await;
    assert_eq!(stage.peer.target(), "/v1/realtime?model=gpt-realtime");
    assert_eq!(stage.peer.header("authorization"), Some("Bearer sk-secret"));
    assert_eq!(stage.peer.header("openai-beta"), None);
    let update = stage.received().await.unwrap();
    assert_eq!(update["session"]["type"], "realtime");
    assert_eq!(update["session"]["instructions"], "Sells seats.");
}

#[tokio::test]
async fn connect_refused_tells_status_and_words_without_the_key() {
    let body = r#"{"error":{"message":"bad key sk-secret","code":"invalid_api_key"}}"#;
    let head = "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\n";
    let error = refused(&format!(
        "{head}content-length: {}\r\n\r\n{body}",
        body.len()
    ))
    .await;
    assert_eq!(error.kind(), ErrorKind::ApiStatus);
    let message = error.to_string();
    assert!(
        message.starts_with("the server answered 401 Unauthorized: bad key "),
        "{message}"
    );
    assert!(!message.contains("sk-secret"), "{message}");
}

#[tokio::test]
async fn connect_answered_by_page_or_other_protocol_is_an_error() {
    let page = refused("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>").await;
    assert_eq!(page.to_string(), "the server answered 200 OK: <html>");
    let switched = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: no\r\n\r\n";
    let other = refused(switched).await;
    assert_eq!(
        other.to_string(),
        "the server switched to another protocol than WebSocket"
    );
}

#[tokio::test]
async fn session_dropped_closes_its_connection() {
    let Stage {
        mut peer, session, ..
    } = Stage::new(&[]).await;
    let handle = session.handle();
    drop(session);
    while let Ok(Some(_)) = peer.receive().await {}
    assert!(matches!(
        handle.send_text("Hello").await,
        Err(RealtimeError::Ended)
    ));
}

#[tokio::test]
async fn session_key_split_over_deltas_is_shown_nowhere() {
    let mut stage = Stage::new(&[]).await;
    let delta = |delta: &str| json!({ "type": "response.output_text.delta", "item_id": "item_1", "delta": delta });
    stage
        .serve(&json!({ "type": "response.created", "response": { "id": "resp_1" } }))
        .await;
    for piece in ["It is sk-", "sec", "ret, really.", " sk"] {
        stage.peer.send(&delta(piece)).await.unwrap();
    }
    stage.serve(&json!({ "type": "response.done", "response": { "id": "resp_1", "status": "completed" } })).await;
    let history = stage.session.history().await.unwrap();
    let text = history[0].text();
    assert!(
        text.starts_with("It is ") && text.ends_with(", really. sk"),
        "{text}"
    );
    assert!(!text.contains("sec"), "{text}");
}

/// What the application is told of a text whose pieces come with other events between them.
async fn told_in_pieces(piece: Value, end: Value) -> String {
    let mut stage = Stage::new(&[]).await;
    let mut events = vec![json!({ "type": "response.created", "response": { "id": "resp_1" } })];
    for delta in ["It is sk-", "sec", "ret, really.", " sk"] {
        let mut event = piece.clone();
        event["delta"] = delta.into();
        events.extend([event, json!({ "type": "rate_limits.updated" })]);
    }
    events.extend([end, json!({ "type": "over" })]);
    for event in events {
        stage.peer.send(&event).await.unwrap();
    }
    let mut told = String::new();
    loop {
        match stage.session.next().await.unwrap() {
            RealtimeEvent::TextDelta { delta, .. }
            | RealtimeEvent::UserTranscriptDelta { delta, .. } => told += &delta,
            RealtimeEvent::Other { name, json }
                if name == "response.function_call_arguments.delta" =>
            {
                let event: Value = serde_json::from_str(&json).unwrap();
                told += event["delta"].as_str().unwrap();
            }
            RealtimeEvent::Other { name, .. } if name == "over" => return told,
            _ => {}
        }
    }
}

#[tokio::test]
async fn session_key_split_between_other_events_is_shown_nowhere() {
    let item = "item_1";
    let heard = "conversation.item.input_audio_transcription";
    let texts = [
        (
            json!({ "type": "response.output_audio_transcript.delta", "item_id": item, "content_index": 0 }),
            json!({ "type": "response.done", "response": { "id": "resp_1", "status": "completed" } }),
        ),
        (
            json!({ "type": format!("{heard}.delta"), "item_id": item }),
            json!({ "type": format!("{heard}.completed"), "item_id": item, "transcript": "It." }),
        ),
        (
            json!({ "type": "response.function_call_arguments.delta", "item_id": item }),
            json!({ "type": "response.function_call_arguments.done", "item_id": item, "arguments": "" }),
        ),
    ];
    for (piece, end) in texts {
        // A beginning that many words have tells nothing of a key.
        let told = told_in_pieces(piece, end).await;
        assert_eq!(told, "It is sk-[redacted], really. sk");
    }
}

#[tokio::test]
async fn session_usage_is_that_of_its_responses() {
    let mut stage = Stage::new(&[]).await;
    let usage = json!({ "total_tokens": 7, "input_tokens": 5, "output_tokens": 2, "input_token_details": { "cached_tokens": 4, "audio_tokens": 1 } });
    for id in ["resp_1", "resp_2"] {
        stage
            .serve(&json!({ "type": "response.created", "response": { "id": id } }))
            .await;
        stage.serve(&json!({ "type": "response.done", "response": { "id": id, "status": "completed", "output": [], "usage": usage } })).await;
    }
    let used = stage.session.usage();
    assert_eq!(
        (
            used.requests,
            used.input_tokens,
            used.cached_tokens,
            used.total_tokens
        ),
        (2, 10, 8, 14)
    );
}

#[tokio::test]
async fn session_image_is_an_item_with_its_question() {
    let mut stage = Stage::new(&[]).await;
    stage
        .session
        .send_image("data:image/png;base64,AA==", "What is it?")
        .await
        .unwrap();
    drop(stage.received().await);
    let item = stage.received().await.unwrap();
    assert_eq!(
        item["item"]["content"],
        json!([
            { "type": "input_image", "image_url": "data:image/png;base64,AA==" },
            { "type": "input_text", "text": "What is it?" },
        ])
    );
    let too_large = stage.session.send_text("x".repeat(9 * 1024 * 1024)).await;
    assert_eq!(too_large.unwrap_err().kind(), ErrorKind::LimitExceeded);
}

#[tokio::test]
async fn handoff_to_absent_agent_is_refused_before_connecting() {
    let clerk = RealtimeAgent::builder("Clerk").handoff(RealtimeHandoff::to_name("Nobody"));
    let session = RealtimeSession::builder(&clerk.build().unwrap(), model("http://127.0.0.1:9/v1"));
    assert_eq!(
        session.connect().await.unwrap_err().to_string(),
        "agent `Clerk` hands off to `Nobody`, which is not among the agents of this session (Clerk)"
    );
}

#[tokio::test]
async fn session_silent_server_ends_by_idle_timeout() {
    let server = RealtimeServer::start().await.unwrap();
    let client = openai_agents::http::HttpClient::builder().idle_timeout(Duration::from_millis(50));
    let model = OpenAiRealtime::builder(server.url(), "m").http_client(client.build().unwrap());
    let session = RealtimeSession::builder(&agent(), model.build().unwrap());
    // The peer is held and never read: its end of the connection is there, and nobody is behind it.
    let (session, _peer) = tokio::join!(session.connect(), server.accept());
    let mut session = session.unwrap();
    let mut last = None;
    while let Some(event) = session.next().await {
        last = Some(event.to_string());
    }
    assert_eq!(
        last.unwrap(),
        "ended: the server was silent for 50ms (`timeouts.idle_secs`)"
    );
}

#[tokio::test]
async fn calls_are_answered_by_requests() {
    let replies = (0..4).map(|_| Reply::json(&json!({})));
    let server = FakeServer::start(replies).await.unwrap();
    let model = OpenAiRealtime::builder(format!("{}/v1", server.url()), "gpt-realtime")
        .api_key("sk-secret");
    let calls = model.build().unwrap().calls();
    calls
        .accept("rtc_1", &RealtimeSettings::default())
        .await
        .unwrap();
    calls.reject("rtc/2", 486).await.unwrap();
    calls.refer("rtc_3", "tel:+15550100").await.unwrap();
    calls.hang_up("rtc_4").await.unwrap();
    let requests: Vec<(String, String)> = server
        .requests()
        .iter()
        .map(|request| {
            (
                request.path.clone(),
                String::from_utf8_lossy(&request.body).into_owned(),
            )
        })
        .collect();
    let paths: Vec<&str> = requests.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/v1/realtime/calls/rtc_1/accept",
            "/v1/realtime/calls/rtc%2F2/reject",
            "/v1/realtime/calls/rtc_3/refer",
            "/v1/realtime/calls/rtc_4/hangup",
        ]
    );
    assert!(
        requests[0].1.contains(r#""model":"gpt-realtime""#),
        "{}",
        requests[0].1
    );
    assert_eq!(requests[1].1, r#"{"status_code":486}"#);
    assert_eq!(requests[2].1, r#"{"target_uri":"tel:+15550100"}"#);
}

#[tokio::test]
async fn call_session_sends_no_audio_and_truncates_nothing() {
    let server = RealtimeServer::start().await.unwrap();
    let model = OpenAiRealtime::builder(server.url(), "m")
        .call_id("rtc_1")
        .build()
        .unwrap();
    let session = RealtimeSession::builder(&agent(), model);
    let (session, peer) = tokio::join!(session.connect(), server.accept());
    let (session, mut peer) = (session.unwrap(), peer.unwrap());
    assert_eq!(peer.target(), "/v1/realtime?call_id=rtc_1");
    let refused = session.send_audio(vec![0; 480]).await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "audio cannot be sent into a telephone call"
    );
    session.close().await;
    assert_eq!(
        peer.receive().await.unwrap().unwrap()["type"],
        "session.update"
    );
    assert_eq!(peer.receive().await.unwrap(), None);
}

#[tokio::test]
async fn deleted_item_is_named_to_the_server() {
    let mut stage = Stage::new(&[]).await;
    stage.session.delete_item("item_1").await.unwrap();
    // The settings come first.
    stage.received().await.unwrap();
    let event = stage.received().await.unwrap();
    assert_eq!(
        (&event["type"], &event["item_id"]),
        (&json!("conversation.item.delete"), &json!("item_1"))
    );
}

/// A source with these tools; without any it fails.
struct ToolShelf(Option<Arc<[FunctionTool]>>);

impl ToolSource for ToolShelf {
    fn name(&self) -> &'static str {
        "shelf"
    }

    fn tools(&self) -> BoxFuture<'_, Result<Arc<[FunctionTool]>, ToolSourceError>> {
        let tools = self.0.clone();
        Box::pin(async move {
            tools.ok_or_else(|| ToolSourceError::new("shelf", ErrorKind::Mcp, "it fell"))
        })
    }
}

#[tokio::test]
async fn session_has_the_tools_of_its_agents_sources_also_after_a_handoff() {
    let server = RealtimeServer::start().await.unwrap();
    let shelf = |name: &str| ToolShelf(Some([instant(name, "booked")].into()));
    let billing = RealtimeAgent::builder("Billing").tool_source(shelf("refund"));
    let billing = billing.build().unwrap();
    let clerk = RealtimeAgent::builder("Clerk")
        .tool(instant("own", "mine"))
        .tool_source(shelf("book"))
        .handoff(&billing)
        .build()
        .unwrap();
    let session = RealtimeSession::builder(&clerk, model(&server.url()));
    let (session, peer) = tokio::join!(session.connect(), server.accept());
    let (session, mut peer) = (session.unwrap(), peer.unwrap());
    let update = peer.receive().await.unwrap().unwrap();
    let names = |update: &serde_json::Value| -> Vec<String> {
        let tools = update["session"]["tools"].as_array().unwrap().iter();
        tools
            .map(|tool| tool["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&update), ["own", "book", "transfer_to_billing"]);
    let call = |n: u8, name: &str| {
        json!({"id": format!("item_{n}"), "type": "function_call", "call_id": format!("call_{n}"), "name": name,
            "arguments": "{}", "status": "completed"})
    };
    let created = json!({"type": "response.created", "response": {"id": "resp_1"}});
    let output = [call(1, "book"), call(2, "transfer_to_billing")];
    let done = json!({"type": "response.done", "response": {"id": "resp_1", "status": "completed", "output": output}});
    peer.send(&created).await.unwrap();
    peer.send(&done).await.unwrap();
    let (mut outputs, mut offered) = (Vec::new(), Vec::new());
    while outputs.len() < 2 || offered.is_empty() {
        let event = peer.receive().await.unwrap().unwrap();
        match event["type"].as_str().unwrap() {
            "session.update" => offered = names(&event),
            "conversation.item.create" => outputs.push(event["item"]["output"].clone()),
            _ => {}
        }
    }
    assert_eq!(offered, ["refund"]);
    assert!(outputs.contains(&json!("booked")), "{outputs:?}");
    drop(session);
}

#[tokio::test]
async fn session_whose_tools_cannot_be_had_is_refused_before_connecting() {
    let same = |name: &str| ToolShelf(Some([instant(name, "")].into()));
    let cases = [
        (
            ToolShelf(None),
            ErrorKind::Mcp,
            "the tools of `shelf` cannot be listed: it fell",
        ),
        (
            same("own"),
            ErrorKind::Config,
            "agent `Clerk` cannot have the tools of `shelf`: ",
        ),
    ];
    for (shelf, kind, words) in cases {
        let clerk = RealtimeAgent::builder("Clerk").tool(instant("own", "mine"));
        let clerk = clerk.tool_source(shelf).build().unwrap();
        // Nobody listens there.
        let session = RealtimeSession::builder(&clerk, model("http://127.0.0.1:9/v1"));
        let error = session.connect().await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(words), "{error}");
    }
}
