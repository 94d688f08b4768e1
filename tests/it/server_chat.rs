//! `/v1/chat/completions`: what clients of the chat API see of an agent.

use std::sync::Arc;

use openai_agents::model::{ModelError, ToolChoice};
use openai_agents::server::Server;
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, ErrorKind, FunctionTool, Item, ModelSettings, Runner, Usage};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::front::Front;
use crate::support::NoArgs;

const PATH: &str = "/v1/chat/completions";

fn asked(more: &Value) -> Value {
    let mut body = json!({"model": "Guide", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    body
}

fn double() -> FunctionTool {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Doubled {
        n: i64,
    }
    FunctionTool::new("double", "Doubles.", async |_cx, doubled: Doubled| {
        Ok::<_, String>(doubled.n * 2)
    })
    .unwrap()
}

#[tokio::test]
async fn an_answer_is_whole() {
    let turn = ScriptedTurn::text("Paris it is.").with_usage(Usage::of_request(7, 3, 10));
    let model = ScriptedModel::new([turn]);
    let front = Front::of(&model).await;
    let answer = front.post(PATH, &asked(&json!({}))).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("x-request-id").unwrap().starts_with("req_"));
    let mut body = answer.json();
    assert!(body["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert!(body["created"].is_u64());
    body["id"] = json!("");
    body["created"] = json!(0);
    assert_eq!(
        body,
        json!({
            "id": "", "object": "chat.completion", "created": 0, "model": "Guide",
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": "Paris it is.", "refusal": null, "annotations": []},
                "logprobs": null,
                "finish_reason": "stop",
            }],
            "usage": {
                "prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "completion_tokens_details": {
                    "reasoning_tokens": 0, "audio_tokens": 0,
                    "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
                },
            },
        })
    );
}

#[tokio::test]
async fn a_stream_has_the_chunks_of_the_api() {
    let turn = ScriptedTurn::text("Paris it is.").with_usage(Usage::of_request(7, 3, 10));
    let model = ScriptedModel::new([turn]);
    let front = Front::of(&model).await;
    let body = asked(&json!({"stream": true, "stream_options": {"include_usage": true}}));
    let answer = front.post(PATH, &body).await;
    assert_eq!(
        answer.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    assert_eq!(answer.data().last().unwrap(), "[DONE]");
    let events = answer.events();
    assert!(
        events
            .iter()
            .all(|event| event["object"] == "chat.completion.chunk")
    );
    assert!(
        events
            .iter()
            .all(|event| event["id"] == events[0]["id"] && event["model"] == "Guide")
    );
    let choices: Vec<&Value> = events.iter().map(|event| &event["choices"]).collect();
    let chunk = |delta: Value, reason: Value| json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": reason}]);
    assert_eq!(
        choices,
        [
            &chunk(
                json!({"role": "assistant", "content": "", "refusal": null}),
                Value::Null
            ),
            &chunk(json!({"content": "Paris "}), Value::Null),
            &chunk(json!({"content": "it "}), Value::Null),
            &chunk(json!({"content": "is."}), Value::Null),
            &chunk(json!({}), json!("stop")),
            &json!([]),
        ]
    );
    let (last, others) = events.split_last().unwrap();
    assert_eq!(last["usage"]["total_tokens"], 10);
    assert!(
        others
            .iter()
            .all(|event| event.get("usage") == Some(&Value::Null))
    );
}

#[tokio::test]
async fn tools_run_on_the_server_and_only_text_is_shown() {
    let script = || {
        let call = Item::from(openai_agents::item::FunctionCall::new(
            "call_1",
            "double",
            r#"{"n":21}"#,
        ));
        [
            ScriptedTurn::items([Item::assistant("I look."), call])
                .with_usage(Usage::of_request(1, 1, 2)),
            ScriptedTurn::text("It is 42.").with_usage(Usage::of_request(2, 2, 4)),
        ]
    };
    let model = ScriptedModel::new(script().into_iter().chain(script()));
    let agent = Agent::builder("Guide").tool(double()).build().unwrap();
    let front = Front::with_agent(&model, agent).await;
    let whole = front.post(PATH, &asked(&json!({}))).await.json();
    assert_eq!(
        whole["choices"][0]["message"]["content"],
        "I look.\n\nIt is 42."
    );
    assert_eq!(whole["usage"]["total_tokens"], 6);
    let events = front
        .post(PATH, &asked(&json!({"stream": true})))
        .await
        .events();
    let text: String = events
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(text, "I look.\n\nIt is 42.");
    assert!(events.iter().all(|event| event.get("usage").is_none()));
}

#[tokio::test]
async fn a_conversation_reaches_the_model_as_it_was_sent() {
    let model = ScriptedModel::text("ok");
    let front = Front::of(&model).await;
    let body = json!({"model": "Guide", "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}},
        ]},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}},
        ]},
        {"role": "tool", "tool_call_id": "call_1", "content": "a cat"},
        {"role": "assistant", "content": "A cat.", "refusal": null, "annotations": []},
        {"role": "user", "content": "Sure?"},
    ]});
    assert_eq!(front.post(PATH, &body).await.status, 200);
    let items: Vec<Value> = model.requests()[0]
        .items
        .iter()
        .map(|item| serde_json::from_str(item.to_json()).unwrap())
        .collect();
    assert_eq!(
        Value::Array(items),
        json!([
            {"type": "message", "role": "system", "content": "Be brief."},
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "What is this?"},
                {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"},
            ]},
            {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call_1", "output": "a cat"},
            {"type": "message", "role": "assistant", "content": [
                {"type": "output_text", "text": "A cat.", "annotations": []},
            ]},
            {"type": "message", "role": "user", "content": "Sure?"},
        ])
    );
}

#[tokio::test]
async fn parameters_become_settings_over_those_of_runner_and_agent() {
    let model = ScriptedModel::text("ok");
    let agent = Agent::builder("Guide")
        .model_settings(ModelSettings::default().temperature(0.1).seed(1))
        .build()
        .unwrap();
    let runner =
        Runner::new(model.clone()).model_settings(ModelSettings::default().top_p(0.3).seed(2));
    let front = Front::start(Server::builder(runner).agent(agent)).await;
    let body = asked(&json!({
        "temperature": 0.7, "max_completion_tokens": 9, "stop": "END", "presence_penalty": 0.5,
        "frequency_penalty": 0.25, "tool_choice": "none", "parallel_tool_calls": false, "reasoning_effort": "low",
        "verbosity": "low", "user": "u1", "metadata": {"a": "b"}, "n": 1, "store": false, "tools": [], "seed": null,
    }));
    assert_eq!(front.post(PATH, &body).await.status, 200);
    let expect = ModelSettings::default()
        .temperature(0.7)
        .top_p(0.3)
        .seed(1)
        .max_tokens(9)
        .stop(vec!["END".to_owned()])
        .presence_penalty(0.5)
        .frequency_penalty(0.25)
        .tool_choice(ToolChoice::None)
        .parallel_tool_calls(false)
        .reasoning_effort("low")
        .verbosity("low")
        .metadata(json!({"a": "b"}).as_object().unwrap().clone())
        .extra_body("user", "u1");
    assert_eq!(*model.requests()[0].settings, expect);
}

#[tokio::test]
async fn chat_unsupported_field_is_refused() {
    let model = ScriptedModel::new([]);
    let front = Front::of(&model).await;
    for (more, param) in [
        (json!({"functions": [{}]}), "functions"),
        (json!({"n": 2}), "n"),
        (json!({"modalities": ["text", "audio"]}), "modalities"),
        (json!({"moderation": {"model": "x"}}), "moderation"),
        (json!({"input": "hi"}), "input"),
        (
            json!({"response_format": {"type": "grammar"}}),
            "response_format.type",
        ),
        (
            json!({"tool_choice": {"type": "allowed_tools"}}),
            "tool_choice",
        ),
        (
            json!({"messages": [{"role": "critic", "content": "a"}]}),
            "messages[0].role",
        ),
    ] {
        let answer = front.post(PATH, &asked(&more)).await;
        assert_eq!(
            answer.code(),
            (400, "unsupported_parameter".to_owned()),
            "{answer:?}"
        );
        assert_eq!(answer.json()["error"]["param"], param);
        assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    }
    assert_eq!(model.requests().len(), 0);
}

#[tokio::test]
async fn chat_invalid_request_names_the_field() {
    let front = Front::of(&ScriptedModel::new([])).await;
    for (body, code) in [
        ("{".to_owned(), (400, "invalid_json")),
        ("[]".to_owned(), (400, "invalid_json")),
        (
            json!({"messages": []}).to_string(),
            (400, "missing_required_parameter"),
        ),
        (
            json!({"model": "Guide"}).to_string(),
            (400, "missing_required_parameter"),
        ),
        (
            json!({"model": "Guide", "messages": []}).to_string(),
            (400, "invalid_value"),
        ),
        (
            asked(&json!({"model": "gpt-9"})).to_string(),
            (404, "model_not_found"),
        ),
        (
            asked(&json!({"temperature": "hot"})).to_string(),
            (400, "invalid_value"),
        ),
        (
            asked(&json!({"max_tokens": 1, "max_completion_tokens": 2})).to_string(),
            (400, "invalid_value"),
        ),
        (
            asked(&json!({"stream_options": {"include_usage": true}})).to_string(),
            (400, "invalid_value"),
        ),
    ] {
        let answer = front.ask("POST", PATH, &[], &body).await;
        assert_eq!(answer.code(), (code.0, code.1.to_owned()), "{body}");
    }
    let small = Server::builder(Runner::new(ScriptedModel::new([]))).max_body_bytes(10);
    let front = Front::start(small).await;
    let answer = front.post(PATH, &asked(&json!({}))).await;
    assert_eq!(answer.code(), (413, "request_too_large".to_owned()));
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Report {
    #[expect(dead_code, reason = "only its schema counts")]
    summary: String,
}

#[tokio::test]
async fn a_schema_holds_the_model_to_it() {
    let model = ScriptedModel::new([
        ScriptedTurn::text(r#"{"city":"Paris"}"#),
        ScriptedTurn::text("Paris"),
        ScriptedTurn::text(r#"{"city":"Rome"}"#),
    ]);
    let front = Front::of(&model).await;
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false});
    let format = json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": true}});
    let body = asked(&json!({"response_format": format}));
    let answer = front.post(PATH, &body).await.json();
    assert_eq!(
        answer["choices"][0]["message"]["content"],
        r#"{"city":"Paris"}"#
    );
    assert_eq!(model.requests()[0].output.as_ref().unwrap().schema, schema);
    let answer = front.post(PATH, &body).await;
    assert_eq!(answer.code(), (502, "invalid_output".to_owned()));
    let answer = front
        .post(
            PATH,
            &asked(&json!({"response_format": format, "stream": true})),
        )
        .await;
    let text = answer.events()[1]["choices"][0]["delta"]["content"].clone();
    assert_eq!(text, r#"{"city":"Rome"}"#);

    let typed = Agent::builder("Guide").output::<Report>().build().unwrap();
    let front = Front::with_agent(&ScriptedModel::new([]), typed).await;
    let answer = front
        .post(PATH, &asked(&json!({"response_format": format})))
        .await;
    assert_eq!(answer.code(), (400, "unsupported_parameter".to_owned()));
}

#[tokio::test]
async fn failures_have_statuses_and_are_not_to_be_tried_again() {
    let upstream = |kind, status: Option<u16>| {
        let error = ModelError::new(kind, "the model's server said: no");
        let error = status.map_or(error, |_| {
            ModelError::new(kind, "the model's server said: no").with_status(status.unwrap())
        });
        ScriptedModel::new([ScriptedTurn::error(error)])
    };
    for (kind, status, expect) in [
        (ErrorKind::ApiStatus, Some(500), 502),
        (ErrorKind::ApiStatus, Some(401), 502),
        (ErrorKind::ApiStatus, Some(429), 429),
        (ErrorKind::Transport, None, 502),
        (ErrorKind::TimeoutIdle, None, 504),
        (ErrorKind::Unsupported, None, 400),
        (ErrorKind::Config, None, 500),
    ] {
        for streams in [false, true] {
            let front = Front::of(&upstream(kind, status)).await;
            let answer = front.post(PATH, &asked(&json!({"stream": streams}))).await;
            assert_eq!(answer.code(), (expect, kind.as_str().to_owned()));
            assert_eq!(
                answer.json()["error"]["message"],
                "the model's server said: no"
            );
            assert_eq!(answer.header("x-should-retry"), Some("false"));
        }
    }
}

#[tokio::test]
async fn a_failure_inside_a_stream_is_an_error_event_and_no_end() {
    let error = ModelError::new(ErrorKind::Transport, "the connection broke");
    let model = ScriptedModel::new([ScriptedTurn::text("Half an ").with_error(error)]);
    let front = Front::of(&model).await;
    let answer = front.post(PATH, &asked(&json!({"stream": true}))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.events().last().unwrap(),
        &json!({"error": {"message": "the connection broke", "type": "upstream_error", "param": null, "code": "transport"}})
    );
    assert!(!answer.body.contains("[DONE]"));
}

#[tokio::test]
async fn ends_that_the_api_has_words_for_are_no_errors() {
    use openai_agents::item::{Message, Part, Role};
    use openai_agents::model::Received;
    let cut = |kind| {
        let mut received = Received::default();
        received.text = "So far".to_owned();
        ScriptedTurn::error(ModelError::new(kind, "cut").with_received(received))
    };
    let refusal = Message::from_parts(
        Role::Assistant,
        vec![Part::Refusal {
            refusal: "No.".to_owned(),
        }],
    );
    let model = ScriptedModel::new([
        cut(ErrorKind::Truncated),
        cut(ErrorKind::ContentFilter),
        ScriptedTurn::items([refusal.into()]),
    ]);
    let front = Front::of(&model).await;
    for (reason, content, refusal) in [
        ("length", json!("So far"), Value::Null),
        ("content_filter", json!("So far"), Value::Null),
        ("stop", Value::Null, json!("No.")),
    ] {
        let answer = front.post(PATH, &asked(&json!({}))).await.json();
        let choice = &answer["choices"][0];
        assert_eq!(choice["finish_reason"], reason);
        assert_eq!(choice["message"]["content"], content);
        assert_eq!(choice["message"]["refusal"], refusal);
    }
}

#[tokio::test]
async fn a_call_that_needs_approval_is_an_error_of_this_api() {
    let model = ScriptedModel::new([ScriptedTurn::tool_call("double", json!({"n": 1}))]);
    let agent = Agent::builder("Guide")
        .tool(double().needs_approval())
        .build()
        .unwrap();
    let front = Front::with_agent(&model, agent).await;
    let answer = front.post(PATH, &asked(&json!({}))).await;
    assert_eq!(answer.code(), (409, "approval_required".to_owned()));
}

#[tokio::test]
async fn a_client_that_goes_cancels_its_run() {
    for streams in [false, true] {
        let dropped = Arc::new(tokio::sync::Notify::new());
        let begun = Arc::new(tokio::sync::Notify::new());
        let (told, started) = (Arc::clone(&dropped), Arc::clone(&begun));
        let wait = FunctionTool::new("wait", "Waits.", move |_cx, _args: NoArgs| {
            let (told, started) = (Arc::clone(&told), Arc::clone(&started));
            async move {
                let _guard = OnDrop(told);
                started.notify_one();
                std::future::pending::<()>().await;
                Ok::<_, String>(1)
            }
        });
        let agent = Agent::builder("Guide").tool(wait.unwrap()).build().unwrap();
        let model = ScriptedModel::new([ScriptedTurn::tool_call("wait", json!({}))]);
        let front = Front::with_agent(&model, agent).await;
        let body = asked(&json!({"stream": streams})).to_string();
        let mut stream = front.send("POST", PATH, &[], &body).await;
        begun.notified().await;
        if streams {
            let mut begin = [0; 12];
            stream.read_exact(&mut begin).await.unwrap();
        }
        drop(stream);
        dropped.notified().await;
        let metrics = front.get("/metrics").await.body;
        assert!(
            metrics.contains("openai_agents_runs_total{outcome=\"dropped\"} 1"),
            "{metrics}"
        );
    }
}

struct OnDrop(Arc<tokio::sync::Notify>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}
