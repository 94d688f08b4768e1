//! `/v1/conversations`: what sessions hold, to clients of the OpenAI API.

use std::sync::Arc;

use openai_agents::server::Server;
use openai_agents::session::{MemorySession, Session, SessionId, SessionTurn};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, Item, Runner};
use serde_json::{Value, json};

use crate::front::{Front, double, inputs};

const PATH: &str = "/v1/conversations";

async fn front() -> Front {
    Front::of(&ScriptedModel::new([])).await
}

/// Creates a conversation with these messages of the user; gives its path.
async fn created(front: &Front, texts: &[&str]) -> String {
    let items: Vec<Value> = texts.iter().map(|text| message(text)).collect();
    let answer = front.post(PATH, &json!({"items": items})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    format!("{PATH}/{}", answer.json()["id"].as_str().unwrap())
}

fn message(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

async fn listed(front: &Front, path: &str, query: &str) -> Value {
    let answer = front.get(&format!("{path}/items?{query}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn texts(list: &Value) -> Vec<&str> {
    let items = list["data"].as_array().unwrap().iter();
    items
        .map(|item| item["content"][0]["text"].as_str().unwrap())
        .collect()
}

fn without_ids(list: &Value) -> Vec<Value> {
    let mut items = list["data"].as_array().unwrap().clone();
    for item in &mut items {
        item["id"].take();
    }
    items
}

#[tokio::test]
async fn a_conversation_is_begun_noted_on_and_forgotten() {
    let front = front().await;
    let answer = front
        .post(PATH, &json!({"metadata": {"topic": "x"}}))
        .await
        .json();
    let id = answer["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("conv_"), "{id}");
    let created_at = answer["created_at"].as_u64().unwrap();
    let conversation = |metadata: Value| json!({"id": id, "object": "conversation", "created_at": created_at, "metadata": metadata});
    assert_eq!(answer, conversation(json!({"topic": "x"})));
    let path = format!("{PATH}/{id}");
    assert_eq!(
        front.get(&path).await.json(),
        conversation(json!({"topic": "x"}))
    );
    let noted = front.post(&path, &json!({"metadata": {"n": "1"}})).await;
    assert_eq!(noted.json(), conversation(json!({"n": "1"})));
    assert_eq!(
        listed(&front, &path, "").await,
        json!({"object": "list", "data": [], "first_id": null, "last_id": null, "has_more": false})
    );
    let gone = front.ask("DELETE", &path, &[], "").await;
    assert_eq!(
        gone.json(),
        json!({"id": id, "object": "conversation.deleted", "deleted": true})
    );
    for method in ["GET", "DELETE"] {
        let answer = front.ask(method, &path, &[], "").await;
        assert_eq!(answer.code(), (404, "not_found".to_owned()), "{method}");
    }
}

#[tokio::test]
async fn items_are_added_and_listed_in_parts() {
    let front = front().await;
    let path = created(&front, &["a", "b"]).await;
    let answer = json!({"type": "message", "role": "assistant", "content": [
        {"type": "output_text", "text": "c", "annotations": []},
    ]});
    let added = front
        .post(
            &format!("{path}/items"),
            &json!({"items": [answer, message("d")]}),
        )
        .await
        .json();
    assert_eq!(texts(&added), ["c", "d"]);
    let all = listed(&front, &path, "order=asc").await;
    assert_eq!(texts(&all), ["a", "b", "c", "d"]);
    assert_eq!(
        all["data"].as_array().unwrap()[2..],
        added["data"].as_array().unwrap()[..]
    );
    assert_eq!(
        (&all["first_id"], &all["last_id"]),
        (&all["data"][0]["id"], &all["data"][3]["id"])
    );
    assert_eq!(
        all["data"][0],
        json!({
            "id": all["first_id"], "type": "message", "role": "user", "status": "completed",
            "content": [{"type": "input_text", "text": "a"}],
        })
    );
    assert_eq!(
        texts(&listed(&front, &path, "").await),
        ["d", "c", "b", "a"]
    );
    let mut seen = Vec::new();
    let mut query = "order=asc&limit=3".to_owned();
    loop {
        let part = listed(&front, &path, &query).await;
        seen.push(texts(&part).concat());
        if part["has_more"] == false {
            break;
        }
        query = format!(
            "order=asc&limit=3&after={}",
            part["last_id"].as_str().unwrap()
        );
    }
    assert_eq!(seen, ["abc", "d"]);
}

#[tokio::test]
async fn an_item_is_found_and_taken_away_by_its_id() {
    let front = front().await;
    let path = created(&front, &["a", "b", "a", "c"]).await;
    let all = listed(&front, &path, "order=asc").await;
    let item = |n: usize| format!("{path}/items/{}", all["data"][n]["id"].as_str().unwrap());
    assert_eq!(front.get(&item(1)).await.json(), all["data"][1]);
    let left = front.ask("DELETE", &item(1), &[], "").await.json();
    assert_eq!(left["object"], "conversation");
    assert_eq!(front.get(&item(1)).await.code().0, 404);
    // The others are still the same.
    let rest = listed(&front, &path, "order=asc").await;
    let expect: Vec<&Value> = [0, 2, 3].map(|n| &all["data"][n]).to_vec();
    assert_eq!(
        rest["data"].as_array().unwrap().iter().collect::<Vec<_>>(),
        expect
    );
    for n in [3, 2, 0] {
        assert_eq!(front.ask("DELETE", &item(n), &[], "").await.status, 200);
    }
    assert_eq!(texts(&listed(&front, &path, "").await), [""; 0]);
    assert_eq!(front.get(&path).await.status, 200);
}

#[tokio::test]
async fn an_agent_goes_on_with_a_conversation_and_its_calls_are_items() {
    let model = ScriptedModel::new([
        ScriptedTurn::tool_call("double", json!({"n": 21})),
        ScriptedTurn::text("42"),
        ScriptedTurn::text("bye"),
    ]);
    let guide = Agent::builder("Guide").tool(double()).build().unwrap();
    let front = Front::with_agent(&model, guide).await;
    let path = created(&front, &["hello"]).await;
    let id = path.rsplit('/').next().unwrap();
    let asked = |input: &str| json!({"model": "Guide", "input": input, "conversation": id});
    front.post("/v1/responses", &asked("double 21")).await;
    let all = listed(&front, &path, "order=asc").await;
    let kinds: Vec<&Value> = all["data"].as_array().unwrap().iter().collect();
    let kinds: Vec<&Value> = kinds.iter().map(|item| &item["type"]).collect();
    assert_eq!(
        kinds,
        [
            "message",
            "message",
            "function_call",
            "function_call_output",
            "message"
        ]
    );
    assert_eq!(
        (&all["data"][2]["name"], &all["data"][3]["output"]),
        (&json!("double"), &json!("42"))
    );
    // What a client reads it can send.
    let copy = front
        .post(PATH, &json!({"items": all["data"]}))
        .await
        .json();
    let copy = format!("{PATH}/{}", copy["id"].as_str().unwrap());
    let copied = listed(&front, &copy, "order=asc").await;
    assert_eq!(without_ids(&copied), without_ids(&all));
    front.post("/v1/responses", &asked("bye")).await;
    assert_eq!(inputs(&model, 2).as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn session_written_elsewhere_is_a_conversation() {
    let session = MemorySession::new(SessionId::new("alice").unwrap());
    session
        .append(SessionTurn::new([
            Item::user("hi"),
            Item::assistant("hello"),
        ]))
        .await
        .unwrap();
    let opened = session.clone();
    let builder = Server::builder(Runner::new(ScriptedModel::new([])))
        .agent(Agent::builder("Guide").build().unwrap())
        .sessions(move |id| {
            let session = if id.as_str() == "alice" {
                opened.clone()
            } else {
                MemorySession::new(id)
            };
            async move { Ok(Arc::new(session) as Arc<dyn Session>) }
        });
    let front = Front::start(builder).await;
    let path = format!("{PATH}/alice");
    // There is no metadata of it, which is not to say that it is empty.
    assert_eq!(front.get(&path).await.json()["metadata"], Value::Null);
    let all = listed(&front, &path, "").await;
    assert_eq!(texts(&all), ["hello", "hi"]);
    front.ask("DELETE", &path, &[], "").await;
    assert_eq!(session.items(None).await.unwrap().items, []);
    // One that nobody wrote to is empty, and can be written to.
    let path = format!("{PATH}/bob");
    assert_eq!(front.get(&path).await.status, 404);
    assert_eq!(texts(&listed(&front, &path, "").await), [""; 0]);
}

const UNSUPPORTED: &str = "unsupported_parameter";

#[tokio::test]
async fn conversation_unsupported_request_is_refused() {
    let front = front().await;
    let path = created(&front, &["a"]).await;
    for (asked, status, code) in [
        ("GET {items}?limit=0", 400, "invalid_value"),
        ("GET {items}?after=msg_x", 404, "not_found"),
        ("GET {items}?include=x", 400, UNSUPPORTED),
        ("GET {items}/msg_x", 404, "not_found"),
        ("DELETE {items}/msg_x", 404, "not_found"),
        ("GET /v1/conversations/resp_1/items", 400, "invalid_value"),
    ] {
        let asked = asked.replace("{items}", &format!("{path}/items"));
        let (method, path) = asked.split_once(' ').unwrap();
        let answer = front.ask(method, path, &[], "").await;
        assert_eq!(answer.code(), (status, code.to_owned()), "{asked}");
    }
    for (path, body, code) in [
        (&*format!("{path}/items?include=x"), json!({}), UNSUPPORTED),
        (&path, json!({}), "missing_required_parameter"),
        (PATH, json!({"x": 1}), UNSUPPORTED),
        (PATH, json!({"metadata": {"a": 1}}), "invalid_value"),
        (
            PATH,
            json!({"metadata": {"a": "x".repeat(513)}}),
            "invalid_value",
        ),
    ] {
        let answer = front.post(path, &body).await;
        assert_eq!(answer.code(), (400, code.to_owned()), "{path} {body}");
    }
}

#[tokio::test]
async fn items_are_added_all_or_none() {
    let front = front().await;
    let path = created(&front, &["a"]).await;
    let items = format!("{path}/items");
    for (item, status, code) in [
        (json!({"type": "mcp_approval_request"}), 400, UNSUPPORTED),
        (json!({"type": "mcp_approval_response"}), 400, UNSUPPORTED),
        (json!({"type": "additional_tools"}), 400, UNSUPPORTED),
        (
            json!({"type": "item_reference", "id": "msg_1_0"}),
            404,
            "not_found",
        ),
        (json!("hi"), 400, "invalid_value"),
    ] {
        let body = json!({"items": [message("b"), item]});
        let answer = front.post(&items, &body).await;
        assert_eq!(answer.code(), (status, code.to_owned()), "{body}");
    }
    let answer = front.post(&items, &json!({})).await;
    assert_eq!(answer.code().1, "missing_required_parameter");
    assert_eq!(texts(&listed(&front, &path, "").await), ["a"]);
}
