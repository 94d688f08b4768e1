//! The example of a vendor's back end, on bytes of the shapes that the vendor documents.

use futures_util::StreamExt;
use openai_agents::item::{FunctionCall, FunctionCallOutput, ItemKind, Reasoning};
use openai_agents::model::{
    Delivery, Model, ModelError, ModelEvent, ModelRequest, ModelResponse, ResponseAccumulator,
    ToolSet,
};
use openai_agents::testing::{FakeServer, Reply, model_conformance};
use openai_agents::tools::{ToolName, ToolSpec};
use openai_agents::{Agent, ErrorKind, FunctionTool, Item, ModelSettings, Runner, Usage};
use serde_json::{Value, json};

#[expect(dead_code, reason = "its main is for people")]
#[path = "../../examples/anthropic_messages.rs"]
mod anthropic_messages;

use anthropic_messages::{MessagesWire, anthropic};

type Anthropic = openai_agents::model::HttpModel<MessagesWire>;

fn model(server: &FakeServer) -> Anthropic {
    let base_url = server.url() + "/v1";
    anthropic(&base_url, "claude-test")
        .api_key("sk-ant-0123456789")
        .build()
        .unwrap()
}

fn request(items: Vec<Item>, delivery: Delivery) -> ModelRequest {
    let mut request = ModelRequest::new(items);
    request.settings = ModelSettings::default().max_tokens(256).into();
    request.delivery = delivery;
    request
}

/// Events as the documentation has them: the name stands in the event and in its data.
fn stream(events: &[Value]) -> Reply {
    events.iter().fold(Reply::event_stream(), |reply, event| {
        reply.named_event(event["type"].as_str().unwrap(), &event.to_string())
    })
}

fn message_start() -> Value {
    json!({"type": "message_start", "message": {"id": "msg_01", "type": "message", "role": "assistant", "content": [],
        "model": "claude-test-20260101", "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": 25, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 10, "output_tokens": 1}}})
}

fn start(index: u64, block: &Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn delta(index: u64, delta: &Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn stop(index: u64) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn message_delta(reason: &str) -> Value {
    json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": {"output_tokens": 15}})
}

fn message_stop() -> Value {
    json!({"type": "message_stop"})
}

/// A thought, a text in two pieces, and a call whose input comes in pieces.
fn full_stream() -> Vec<Value> {
    vec![
        message_start(),
        start(
            0,
            &json!({"type": "thinking", "thinking": "", "signature": ""}),
        ),
        json!({"type": "ping"}),
        delta(
            0,
            &json!({"type": "thinking_delta", "thinking": "They want "}),
        ),
        delta(0, &json!({"type": "thinking_delta", "thinking": "a sum."})),
        delta(
            0,
            &json!({"type": "signature_delta", "signature": "EqQBCg"}),
        ),
        stop(0),
        start(1, &json!({"type": "text", "text": ""})),
        delta(1, &json!({"type": "text_delta", "text": "Let me "})),
        delta(1, &json!({"type": "text_delta", "text": "add."})),
        stop(1),
        start(
            2,
            &json!({"type": "tool_use", "id": "toolu_01", "name": "add", "input": {}}),
        ),
        delta(2, &json!({"type": "input_json_delta", "partial_json": ""})),
        delta(
            2,
            &json!({"type": "input_json_delta", "partial_json": "{\"a\": 1,"}),
        ),
        delta(
            2,
            &json!({"type": "input_json_delta", "partial_json": " \"b\": 2}"}),
        ),
        stop(2),
        message_delta("tool_use"),
        message_stop(),
    ]
}

fn full_body() -> Value {
    json!({"id": "msg_01", "type": "message", "role": "assistant", "model": "claude-test-20260101",
        "content": [
            {"type": "thinking", "thinking": "They want a sum.", "signature": "EqQBCg"},
            {"type": "text", "text": "Let me add."},
            {"type": "tool_use", "id": "toolu_01", "name": "add", "input": {"a": 1, "b": 2}}],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {"input_tokens": 25, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 10, "output_tokens": 15}})
}

async fn answer(reply: Reply, delivery: Delivery) -> Result<ModelResponse, ModelError> {
    let server = FakeServer::start([reply]).await.unwrap();
    let mut events = model(&server).call(request(vec![Item::user("1 + 2?")], delivery));
    let mut response = ResponseAccumulator::default();
    while let Some(event) = events.next().await {
        response.push(event?);
    }
    response.finish()
}

#[tokio::test]
async fn streamed_and_whole_answer_give_the_same_items() {
    let streamed = answer(stream(&full_stream()), Delivery::Stream).await;
    let whole = answer(Reply::json(&full_body()), Delivery::Whole).await;
    for (response, arguments) in [
        (streamed.unwrap(), r#"{"a": 1, "b": 2}"#),
        (whole.unwrap(), r#"{"a":1,"b":2}"#),
    ] {
        let mut thought = Reasoning::from_content("They want a sum.");
        thought.extra.insert(
            "anthropic_block".to_owned(),
            full_body()["content"][0].clone(),
        );
        assert_eq!(
            response.items,
            [
                thought.into(),
                Item::assistant("Let me add."),
                FunctionCall::new("toolu_01", "add", arguments).into(),
            ]
        );
        assert_eq!(response.meta.response_id.as_deref(), Some("msg_01"));
        assert_eq!(response.meta.model.as_deref(), Some("claude-test-20260101"));
        assert_eq!(response.meta.finish_reason.as_deref(), Some("tool_use"));
        let usage = Usage::of_request(135, 15, 150)
            .with_cached_tokens(100)
            .with_cache_write_tokens(10);
        assert_eq!(response.meta.usage, Some(usage));
        assert_eq!(response.meta.deviations, []);
    }
}

#[tokio::test]
async fn model_keeps_the_promises_of_the_trait() {
    let server = FakeServer::answering(|request| {
        if request.json().unwrap()["stream"] == true {
            stream(&full_stream())
        } else {
            Reply::json(&full_body())
        }
    })
    .await
    .unwrap();
    let request = request(vec![Item::user("1 + 2?")], Delivery::Whole);
    model_conformance(&model(&server), request).await.unwrap();
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Addition {
    a: i64,
    b: i64,
}

#[tokio::test]
async fn run_with_a_tool_sends_blocks_back_as_they_came() {
    let text = json!([
        message_start(),
        start(0, &json!({"type": "text", "text": ""})),
        delta(0, &json!({"type": "text_delta", "text": "3"})),
        stop(0),
        message_delta("end_turn"),
        message_stop()
    ]);
    let server = FakeServer::start([stream(&full_stream()), stream(text.as_array().unwrap())])
        .await
        .unwrap();
    let add = FunctionTool::new("add", "Adds.", async |_cx, sum: Addition| {
        Ok::<_, String>(sum.a + sum.b)
    })
    .unwrap();
    let agent = Agent::builder("Guide")
        .instructions("Be brief.")
        .model_settings(ModelSettings::default().max_tokens(256))
        .tool(add)
        .build()
        .unwrap();
    let result = Runner::new(model(&server))
        .run(&agent, "1 + 2?")
        .delivery(Delivery::Stream)
        .await
        .unwrap();
    assert_eq!(result.final_output(), "3");

    let requests = server.requests();
    let first = &requests[0];
    assert_eq!(
        (first.method.as_str(), first.path.as_str()),
        ("POST", "/v1/messages")
    );
    assert_eq!(first.header("x-api-key"), Some("sk-ant-0123456789"));
    assert_eq!(first.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(first.header("authorization"), None);
    let body: Value = serde_json::from_slice(&requests[1].body).unwrap();
    assert_eq!(body["system"], "Be brief.");
    assert_eq!(body["max_tokens"], 256);
    assert_eq!(body["tools"][0]["name"], "add");
    assert_eq!(body["tools"][0]["strict"], true);
    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": [{"type": "text", "text": "1 + 2?"}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "They want a sum.", "signature": "EqQBCg"},
                {"type": "text", "text": "Let me add."},
                {"type": "tool_use", "id": "toolu_01", "name": "add", "input": {"a": 1, "b": 2}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_01", "content": "3"}]},
        ])
    );
}

/// Streams that are no whole answer, and what each is.
fn broken_streams() -> Vec<(&'static str, Vec<Value>, ErrorKind)> {
    let text = |reason: &str| {
        vec![
            message_start(),
            start(0, &json!({"type": "text", "text": ""})),
            delta(0, &json!({"type": "text_delta", "text": "Par"})),
            stop(0),
            message_delta(reason),
            message_stop(),
        ]
    };
    let error =
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let with_call = |events: &[Value]| [&[message_start()], events].concat();
    let call = json!({"type": "tool_use", "id": "toolu_01", "name": "add", "input": {}});
    let nameless = json!({"type": "tool_use", "id": "toolu_01", "input": {}});
    vec![
        (
            "cut",
            text("end_turn")[..3].to_vec(),
            ErrorKind::NoTerminalEvent,
        ),
        (
            "no reason",
            [&text("end_turn")[..4], &[message_stop()]].concat(),
            ErrorKind::NoTerminalEvent,
        ),
        ("length", text("max_tokens"), ErrorKind::Truncated),
        ("pause", text("pause_turn"), ErrorKind::Truncated),
        ("refusal", text("refusal"), ErrorKind::ContentFilter),
        ("new word", text("bored"), ErrorKind::UnknownFinishReason),
        ("no call", text("tool_use"), ErrorKind::Inconsistent),
        (
            "error",
            [&text("end_turn")[..3], &[error]].concat(),
            ErrorKind::StreamError,
        ),
        (
            "nothing",
            vec![message_start(), message_delta("end_turn"), message_stop()],
            ErrorKind::EmptyResponse,
        ),
        (
            "open call",
            with_call(&[start(0, &call), message_delta("tool_use"), message_stop()]),
            ErrorKind::Inconsistent,
        ),
        (
            "no name",
            with_call(&[start(0, &nameless)]),
            ErrorKind::MissingField,
        ),
        (
            "doubled id",
            with_call(&[start(0, &call), stop(0), start(1, &call)]),
            ErrorKind::DuplicateToolCallId,
        ),
        (
            "stray piece",
            with_call(&[delta(3, &json!({"type": "text_delta", "text": "x"}))]),
            ErrorKind::AmbiguousToolDelta,
        ),
        (
            "out of order",
            with_call(&[start(1, &call)]),
            ErrorKind::Inconsistent,
        ),
    ]
}

#[tokio::test]
async fn answer_that_is_not_whole_is_an_error() {
    for (case, events, kind) in broken_streams() {
        let error = answer(stream(&events), Delivery::Stream).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{case}: {error}");
        if case == "cut" {
            assert_eq!(error.received().text, "Par");
        }
    }
}

#[tokio::test]
async fn error_status_has_the_servers_words_and_ids() {
    let words = json!({"type": "error", "error": {"type": "rate_limit_error", "message": "slow down, sk-ant-0123456789"}, "request_id": "req_01"});
    let reply = Reply::status(429, words.to_string())
        .header("request-id", "req_01")
        .header("retry-after", "7");
    let error = answer(reply, Delivery::Stream).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ApiStatus);
    assert_eq!(
        error.to_string(),
        "the server answered 429 Too Many Requests: slow down, [redacted]"
    );
    assert_eq!(error.code(), Some("rate_limit_error"));
    assert_eq!(error.request_id(), Some("req_01"));
    assert_eq!(error.retry_after(), Some(std::time::Duration::from_secs(7)));
}

#[tokio::test]
async fn unknown_events_deltas_and_blocks_do_not_lose_the_answer() {
    let block = json!({"type": "novel_block", "x": 1});
    let events = [
        message_start(),
        json!({"type": "novel_event"}),
        start(0, &json!({"type": "text", "text": ""})),
        delta(0, &json!({"type": "text_delta", "text": "3"})),
        delta(0, &json!({"type": "novel_delta", "x": 1})),
        stop(0),
        start(1, &block),
        stop(1),
        message_delta("end_turn"),
        message_stop(),
    ];
    let response = answer(stream(&events), Delivery::Stream).await.unwrap();
    assert_eq!(response.items[0], Item::assistant("3"));
    assert_eq!(
        response.items[1].to_json(),
        r#"{"type":"anthropic_block","block":{"type":"novel_block","x":1}}"#
    );
    let codes: Vec<_> = response
        .meta
        .deviations
        .iter()
        .map(|it| &*it.code)
        .collect();
    assert_eq!(codes, ["unknown_event", "unknown_delta"]);

    let server = FakeServer::start([stream(&events)]).await.unwrap();
    let mut again = model(&server).call(request(response.items, Delivery::Stream));
    while again.next().await.is_some() {}
    let body: Value = serde_json::from_slice(&server.requests()[0].body).unwrap();
    assert_eq!(body["messages"][0]["content"][1], block);
}

#[tokio::test]
async fn request_that_the_api_has_no_word_for_is_refused_unsent() {
    let server = FakeServer::start([]).await.unwrap();
    let settings = |settings: ModelSettings| {
        let mut request = request(vec![Item::user("hi")], Delivery::Whole);
        request.settings = settings.into();
        request
    };
    let hosted = {
        let mut request = request(vec![Item::user("hi")], Delivery::Whole);
        request.items = vec![Item::other("web_search_call", serde_json::Map::new())].into();
        request
    };
    for (request, kind) in [
        (settings(ModelSettings::default()), ErrorKind::Config),
        (
            settings(ModelSettings::default().max_tokens(1).seed(1)),
            ErrorKind::Unsupported,
        ),
        (
            settings(
                ModelSettings::default()
                    .max_tokens(1)
                    .extra_body("model", "x"),
            ),
            ErrorKind::Config,
        ),
        (hosted, ErrorKind::Unsupported),
    ] {
        let error = model(&server)
            .call(request)
            .next()
            .await
            .unwrap()
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn conversation_of_all_kinds_is_written_in_turns() {
    let server = FakeServer::start([Reply::json(&full_body())])
        .await
        .unwrap();
    let mut foreign = Reasoning::from_content("of another model");
    foreign.extra.insert("id".to_owned(), json!("rs_1"));
    let mut asked = request(
        vec![
            Item::user("look"),
            foreign.into(),
            FunctionCall::new("c1", "look", "not json").into(),
            FunctionCallOutput::new("c1", "seen".into()).into(),
            Item::user("go on"),
        ],
        Delivery::Whole,
    );
    let spec = ToolSpec::new(
        ToolName::new("look").unwrap(),
        "Looks.",
        json!({"type": "object"}),
    );
    asked.tools = ToolSet::new(vec![spec]).into();
    let events: Vec<_> = model(&server).call(asked).collect().await;
    let Some(Ok(ModelEvent::ResponseDone(meta))) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!(meta.deviations[0].code, "foreign_reasoning");
    let body: Value = serde_json::from_slice(&server.requests()[0].body).unwrap();
    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": [{"type": "text", "text": "look"}]},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "c1", "name": "look", "input": {"INVALID_JSON": "not json"}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "seen"},
                {"type": "text", "text": "go on"}]},
        ])
    );
    let kinds = events.iter().filter(|event| matches!(event, Ok(ModelEvent::ItemDone { item }) if !matches!(item.kind(), ItemKind::Unknown { .. })));
    assert_eq!(kinds.count(), 3);
}
