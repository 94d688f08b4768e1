//! `/v1/realtime`: a client of the Realtime API, a served agent, and a realtime model that plays a script.

use std::time::Duration;

use openai_agents::model::OpenAiRealtime;
use openai_agents::realtime::{
    RealtimeAgent, RealtimeEvent, RealtimeSession, RealtimeSessionBuilder,
};
use openai_agents::server::{Server, ServerBuilder};
use openai_agents::testing::ScriptedModel;
use openai_agents::testing::realtime::{RealtimePeer, RealtimeServer};
use openai_agents::{ErrorKind, Runner};
use serde_json::{Value, json};

use crate::front::Front;
use crate::support::instant;

const PATIENCE: Duration = Duration::from_secs(60);
const UPGRADE: [&str; 4] = [
    "connection: Upgrade",
    "upgrade: websocket",
    "sec-websocket-version: 13",
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
];

fn served(upstream: &str) -> ServerBuilder {
    let agent = RealtimeAgent::builder("Clerk")
        .instructions("Sells seats.")
        .tool(instant("look", "seat 7"))
        .build()
        .unwrap();
    let model = OpenAiRealtime::builder(upstream, "gpt-realtime").api_key("sk-upstream");
    let sessions = RealtimeSession::builder(&agent, model.build().unwrap());
    Server::builder(Runner::new(ScriptedModel::new([]))).realtime(sessions)
}

/// A client of another program: it knows the protocol and the name of the agent.
fn client(front: &Front, key: &str) -> RealtimeSessionBuilder {
    let url = format!("http://{}/v1", front.address);
    let model = OpenAiRealtime::builder(url, "Clerk").api_key(key);
    let agent = RealtimeAgent::builder("Anyone")
        .instructions("Be brief.")
        .build()
        .unwrap();
    RealtimeSession::builder(&agent, model.build().unwrap()).voice("marin")
}

/// The next event that the model is sent, of this type.
async fn received(peer: &mut RealtimePeer, name: &str) -> Value {
    loop {
        let event = tokio::time::timeout(PATIENCE, peer.receive())
            .await
            .unwrap();
        let event = event.unwrap().unwrap_or_else(|| panic!("no {name} came"));
        if event["type"] == name {
            return event;
        }
    }
}

/// The events of a client as lines, up to one.
async fn heard(session: &mut RealtimeSession, last: &str) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some(event) = tokio::time::timeout(PATIENCE, session.next())
        .await
        .unwrap()
    {
        if !matches!(event, RealtimeEvent::SessionUpdated { .. }) {
            lines.push(event.to_string());
        }
        if lines.last().is_some_and(|line| line.starts_with(last)) {
            return lines;
        }
    }
    panic!("no {last:?} came: {lines:?}");
}

fn answer(id: &str, status: &str, output: &Value) -> Value {
    json!({"type": format!("response.{}", if status == "in_progress" { "created" } else { "done" }),
        "response": {"id": id, "status": status, "output": output}})
}

#[tokio::test]
async fn settings_are_the_agents_and_what_a_client_may_change() {
    let upstream = RealtimeServer::start().await.unwrap();
    let front = Front::start(served(&upstream.url())).await;
    let (session, peer) = tokio::join!(client(&front, "any").connect(), upstream.accept());
    let (mut session, mut peer) = (session.unwrap(), peer.unwrap());
    assert_eq!(peer.target(), "/v1/realtime?model=gpt-realtime");
    assert_eq!(peer.header("authorization"), Some("Bearer sk-upstream"));

    // The agent's own settings come first, then with what the client changes; its instructions are a message.
    let own = received(&mut peer, "session.update").await;
    assert_eq!(own["session"]["instructions"], "Sells seats.");
    let changed = received(&mut peer, "session.update").await;
    assert_eq!(changed["session"]["audio"]["output"]["voice"], "marin");
    assert_eq!(changed["session"]["instructions"], "Sells seats.");
    assert_eq!(changed["session"]["tools"][0]["name"], "look");
    let told = received(&mut peer, "conversation.item.create").await;
    let words = json!([{"type": "input_text", "text": "Be brief."}]);
    assert_eq!(
        (&told["item"]["role"], &told["item"]["content"]),
        (&json!("system"), &words)
    );
    let described = json!({"type": "session.updated", "session": changed["session"]});
    peer.send(&described).await.unwrap();
    let Some(RealtimeEvent::SessionUpdated { session: seen }) = session.next().await else {
        panic!("the session is described")
    };
    assert_eq!(
        (&seen["model"], &seen["tools"]),
        (&json!("Clerk"), &json!([]))
    );
    assert_eq!(seen.get("instructions"), None);
}

#[tokio::test]
async fn client_talks_with_an_agent_whose_tools_run_here() {
    let upstream = RealtimeServer::start().await.unwrap();
    let front = Front::start(served(&upstream.url())).await;
    let (session, peer) = tokio::join!(client(&front, "any").connect(), upstream.accept());
    let (mut session, mut peer) = (session.unwrap(), peer.unwrap());
    // The client's instructions.
    received(&mut peer, "conversation.item.create").await;
    session.send_text("Which seat?").await.unwrap();
    let asked = received(&mut peer, "conversation.item.create").await;
    assert_eq!(asked["item"]["content"][0]["text"], "Which seat?");
    received(&mut peer, "response.create").await;
    let call = json!({"id": "item_1", "type": "function_call", "call_id": "call_1", "name": "look",
        "arguments": "{}", "status": "completed"});
    for event in [
        answer("resp_1", "in_progress", &json!([])),
        json!({"type": "response.output_item.added", "response_id": "resp_1", "output_index": 0, "item": call}),
        json!({"type": "response.function_call_arguments.done", "response_id": "resp_1", "item_id": "item_1",
            "output_index": 0, "call_id": "call_1", "name": "look", "arguments": "{}"}),
        json!({"type": "response.output_item.done", "response_id": "resp_1", "output_index": 0, "item": call}),
        answer("resp_1", "completed", &json!([call])),
    ] {
        peer.send(&event).await.unwrap();
    }
    let output = received(&mut peer, "conversation.item.create").await;
    assert_eq!(output["item"]["output"], "seat 7");
    received(&mut peer, "response.create").await;
    for event in [
        answer("resp_2", "in_progress", &json!([])),
        json!({"type": "response.output_audio_transcript.delta", "response_id": "resp_2", "item_id": "item_3",
            "output_index": 0, "content_index": 0, "delta": "Seat 7."}),
        json!({"type": "response.output_audio.delta", "response_id": "resp_2", "item_id": "item_3",
            "output_index": 0, "content_index": 0, "delta": "AAAAAA=="}),
        answer("resp_2", "completed", &json!([])),
    ] {
        peer.send(&event).await.unwrap();
    }
    assert_eq!(
        heard(&mut session, "answer completed").await,
        ["Anyone answers", "answer completed"]
    );
    assert_eq!(
        heard(&mut session, "answer completed").await,
        [
            "Anyone answers",
            "text of item_3: Seat 7.",
            "audio of item_3: 4 bytes",
            "answer completed"
        ]
    );

    session.send_audio(vec![0; 480]).await.unwrap();
    let audio = received(&mut peer, "input_audio_buffer.append").await;
    assert_eq!(audio["audio"].as_str().unwrap().len(), 640);
    session.close().await;
    // The model's session ends with the client's.
    assert!(
        tokio::time::timeout(PATIENCE, peer.receive())
            .await
            .unwrap()
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn tools_of_a_client_are_refused_and_the_session_goes_on() {
    let upstream = RealtimeServer::start().await.unwrap();
    let front = Front::start(served(&upstream.url())).await;
    let url = format!("http://{}/v1", front.address);
    let agent = RealtimeAgent::builder("Anyone")
        .tool(instant("own", "x"))
        .build()
        .unwrap();
    let model = OpenAiRealtime::builder(url, "Clerk").build().unwrap();
    let connecting = RealtimeSession::builder(&agent, model);
    let (session, peer) = tokio::join!(connecting.connect(), upstream.accept());
    let (mut session, mut peer) = (session.unwrap(), peer.unwrap());
    let lines = heard(&mut session, "server error").await;
    assert_eq!(
        lines,
        [
            "server error: unsupported_parameter: the tools are those of the agent that is served; a client can add none"
        ]
    );
    session.send_text("Hi.").await.unwrap();
    received(&mut peer, "response.create").await;
}

#[tokio::test]
async fn end_of_the_model_and_of_the_server_are_told() {
    let upstream = RealtimeServer::start().await.unwrap();
    let mut front = Front::start(served(&upstream.url())).await;
    let (session, peer) = tokio::join!(client(&front, "any").connect(), upstream.accept());
    let (mut session, mut peer) = (session.unwrap(), peer.unwrap());
    peer.close(1011, "out of memory").await.unwrap();
    let lines = heard(&mut session, "ended").await;
    let words = "the server closed the session (code 1011): out of memory";
    assert_eq!(
        lines,
        [
            format!("server error: session_ended: {words}"),
            format!("ended: the server closed the session (code 1001): {words}"),
        ]
    );
    let (session, peer) = tokio::join!(client(&front, "any").connect(), upstream.accept());
    let (mut session, _peer) = (session.unwrap(), peer.unwrap());
    front.stop.take().unwrap().send(()).unwrap();
    let lines = heard(&mut session, "ended").await;
    assert_eq!(
        lines,
        ["ended: the server closed the session (code 1001): the server is shutting down"]
    );
    front.served.await.unwrap();
}

#[tokio::test]
async fn session_that_cannot_be_is_refused_by_a_status() {
    let upstream = RealtimeServer::start().await.unwrap();
    let url = upstream.url();
    let builder = served(&url).token("token-123").max_realtime_sessions(1);
    let front = Front::start(builder).await;
    let token = "authorization: Bearer token-123";
    let with = |lines: &[&'static str]| [&UPGRADE[..], lines].concat();
    for (path, lines, status, code) in [
        (
            "/v1/realtime?model=Clerk",
            with(&[]),
            401,
            "invalid_api_key",
        ),
        (
            "/v1/realtime?model=Clerk",
            vec![token],
            426,
            "upgrade_required",
        ),
        (
            "/v1/realtime?model=Nobody",
            with(&[token]),
            404,
            "model_not_found",
        ),
        (
            "/v1/realtime?call_id=1",
            with(&[token]),
            400,
            "unsupported_parameter",
        ),
        (
            "/v1/realtime?intent=transcription",
            with(&[token]),
            400,
            "unsupported_parameter",
        ),
        (
            "/v1/realtime?model=Clerk",
            with(&["sec-websocket-protocol: openai-insecure-api-key.token-12"]),
            401,
            "invalid_api_key",
        ),
    ] {
        let answer = front.ask("GET", path, &lines, "").await;
        assert_eq!(answer.code(), (status, code.to_owned()), "{path} {lines:?}");
    }
    let (session, _peer) = tokio::join!(client(&front, "token-123").connect(), upstream.accept());
    let session = session.unwrap();
    let answer = front.ask("GET", "/v1/realtime", &with(&[token]), "").await;
    assert_eq!(answer.code(), (503, "server_busy".to_owned()));
    drop(session);
    drop(upstream);
    let gone = Front::start(served(&url)).await;
    let answer = gone.ask("GET", "/v1/realtime", &UPGRADE, "").await;
    assert_eq!(
        answer.code(),
        (502, ErrorKind::Transport.as_str().to_owned())
    );
    let none = Front::of(&ScriptedModel::new([])).await;
    let answer = none.ask("GET", "/v1/realtime", &UPGRADE, "").await;
    assert_eq!(answer.code(), (404, "not_found".to_owned()));
}

#[tokio::test]
async fn browser_brings_the_token_as_a_protocol() {
    let upstream = RealtimeServer::start().await.unwrap();
    let front = Front::start(served(&upstream.url()).token("token-123")).await;
    let protocols = "sec-websocket-protocol: realtime, openai-insecure-api-key.token-123";
    let lines = [&UPGRADE[..], &[protocols]].concat();
    let (mut stream, peer) = tokio::join!(
        front.send("GET", "/v1/realtime?model=Clerk", &lines, ""),
        upstream.accept()
    );
    let head = crate::front::read_until(&mut stream, "HTTP/1.1 ", "\r\n\r\n")
        .await
        .to_ascii_lowercase();
    assert!(head.starts_with("101 "), "{head}");
    assert!(head.contains("sec-websocket-protocol: realtime"), "{head}");
    assert!(
        head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="),
        "{head}"
    );
    drop(peer);
}
