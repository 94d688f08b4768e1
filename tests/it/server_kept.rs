//! What a server keeps for later requests: bounded in bytes, and who asks for what was dropped is told why.

use openai_agents::server::mcp::McpServer;
use openai_agents::server::{Server, ServerBuilder};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, Runner};
use serde_json::{Value, json};

use crate::front::{Answer, Front};

const ROOM: usize = 500_000;

/// Answers of so many bytes, and room for half a megabyte of whatever is kept.
fn builder(n_bytes: usize) -> ServerBuilder {
    let turns = (0..9).map(move |_| ScriptedTurn::text("x".repeat(n_bytes)));
    let agent = Agent::builder("Guide").build().unwrap();
    Server::builder(Runner::new(ScriptedModel::new(turns)))
        .agent(agent)
        .max_kept_bytes(ROOM)
}

async fn run(front: &Front, session: &str) -> Answer {
    let body = json!({"agent": "Guide", "input": "hi", "session": session, "stream": true});
    front.post("/run", &body).await
}

fn reason(answer: &Answer) -> (u16, Value, Value) {
    let error = &answer.json()["error"];
    (
        answer.status,
        error["code"].clone(),
        error["message"].clone(),
    )
}

#[tokio::test]
async fn runs_make_room_for_newer_ones_and_say_so() {
    let front = Front::start(builder(50_000)).await;
    for n in 0..4 {
        let events = run(&front, &format!("s{n}")).await.events();
        assert_eq!(events.last().unwrap()["type"], "result", "{n}");
    }
    let status = front.get("/status/s3").await.json();
    assert_eq!(status["status"], "completed");
    assert_eq!(status["final_output"].as_str().unwrap().len(), 50_000);
    assert_eq!(
        front.get("/events/s3").await.events()[0]["type"],
        "run_started"
    );
    for path in ["/status/s0", "/events/s0"] {
        let told = "run of the session `s0` is not kept any more: it made room for newer ones (`server.max_kept_bytes`)";
        assert_eq!(
            reason(&front.get(path).await),
            (410, json!("gone"), json!(told)),
            "{path}"
        );
    }
    let told = "there is no run of the session `other`";
    assert_eq!(
        reason(&front.get("/status/other").await),
        (404, json!("not_found"), json!(told))
    );
}

#[tokio::test]
async fn reader_who_is_further_behind_than_there_is_room_is_told_so() {
    let front = Front::start(builder(600_000)).await;
    let events = run(&front, "s").await.events();
    assert_eq!(events.last().unwrap()["code"], "events_gone");
    assert_eq!(front.get("/status/s").await.status, 410);
}

#[tokio::test]
async fn responses_and_conversations_in_memory_share_the_room() {
    let front = Front::start(builder(150_000)).await;
    let ask = async |body: &Value| front.post("/v1/responses", body).await.json();
    let first = ask(&json!({"model": "Guide", "input": "hi"})).await;
    let id = first["id"].as_str().unwrap();
    let path = format!("/v1/responses/{id}");
    assert_eq!(front.get(&path).await.json(), first);
    for n in 0..3 {
        ask(&json!({"model": "Guide", "input": "hi", "conversation": format!("conv_{n}")})).await;
    }
    let gone = reason(&front.get(&path).await);
    let told = format!(
        "response `{id}` is not kept any more: it made room for newer ones (`server.max_kept_bytes`)"
    );
    assert_eq!(gone, (410, json!("gone"), json!(told)));
    // Nor does a conversation begin anew, as if nothing had been said.
    let next = json!({"model": "Guide", "input": "hi", "previous_response_id": id});
    let answer = front.post("/v1/responses", &next).await;
    assert_eq!(answer.code(), (410, "session".to_owned()));
    let answer = run(&front, "conv_0").await;
    let told = "session `conv_0` is not kept any more: it made room for newer ones (`server.max_kept_bytes`)";
    assert_eq!(reason(&answer), (410, json!("session"), json!(told)));
    let items = front.get("/v1/conversations/conv_2/items").await.json();
    assert_eq!(items["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn runs_of_mcp_clients_share_the_room() {
    let turns = (0..4).map(|_| ScriptedTurn::text("x".repeat(200_000)));
    let runner = Runner::new(ScriptedModel::new(turns));
    let agent = Agent::builder("Guide").build().unwrap();
    let mcp = McpServer::builder(runner).agent(agent).build().unwrap();
    let front = Front::start(builder(1).mcp(mcp)).await;
    let mut runs = Vec::new();
    for _ in 0..3 {
        let result = call(
            &front,
            "tools/call",
            json!({"name": "ask_guide", "arguments": {"input": "hi"}}),
        )
        .await;
        let run = result["result"]["structuredContent"]["run"]
            .as_str()
            .unwrap();
        runs.push(format!("trace://{run}"));
    }
    let read = async |uri: &str| call(&front, "resources/read", json!({ "uri": uri })).await;
    let told = read(&runs[0]).await.to_string();
    assert!(
        told.contains("is not kept any more: it made room for newer ones"),
        "{told}"
    );
    let shown = read(&runs[2]).await.to_string();
    assert!(
        shown.contains("invoke_agent Guide") && shown.contains("xxxx"),
        "{shown}"
    );
}

/// Calls a method without a session, as the protocol of 2026-07-28 has it.
async fn call(front: &Front, method: &str, mut params: Value) -> Value {
    const VERSION: &str = "2026-07-28";
    let name = params.get("name").or_else(|| params.get("uri")).cloned();
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let lines = [
        "accept: application/json, text/event-stream".to_owned(),
        format!("mcp-protocol-version: {VERSION}"),
        format!("mcp-method: {method}"),
        format!(
            "mcp-name: {}",
            name.as_ref().and_then(Value::as_str).unwrap()
        ),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let answer = front.ask("POST", "/mcp", &lines, &body.to_string()).await;
    let texts = answer
        .body
        .lines()
        .map(|line| line.strip_prefix("data: ").unwrap_or(line));
    let mut messages = texts.filter_map(|text| serde_json::from_str::<Value>(text).ok());
    let last = messages.rfind(|message| message.get("id").is_some());
    last.unwrap_or_else(|| panic!("{answer:?}"))
}
