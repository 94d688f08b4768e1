//! What an answer does not need cannot lose it: fields that are there twice, null, of another type or new.

use openai_agents::item::{Item, ItemKind};
use openai_agents::model::{
    Delivery, Deviation, Model, ModelError, ModelRequest, ModelResponse, ResponseAccumulator,
};
use openai_agents::testing::{FakeServer, Reply};
use serde_json::{Value, json};

use crate::support::{chat, responses};

/// What a model is asked for and gives.
async fn ask<M: Model>(
    reply: Reply,
    delivery: Delivery,
    model: impl Fn(&FakeServer) -> M,
) -> Result<ModelResponse, ModelError> {
    use futures_util::StreamExt as _;
    let server = FakeServer::start([reply]).await.unwrap();
    let mut request = ModelRequest::new(vec![Item::user("go")]);
    request.delivery = delivery;
    let mut events = model(&server).call(request);
    let mut fold = ResponseAccumulator::default();
    while let Some(event) = events.next().await {
        fold.push(event?);
    }
    fold.finish()
}

/// The answer as far as it is one: texts, and calls with their arguments.
fn said(response: &ModelResponse) -> Vec<Value> {
    let said = |item: &Item| match item.kind() {
        ItemKind::Message(message) => Some(json!([message.text(""), message.refusal()])),
        ItemKind::FunctionCall(call) => Some(json!([call.name, call.arguments])),
        _ => None,
    };
    response.items.iter().filter_map(said).collect()
}

async fn whole(body: &str) -> Result<ModelResponse, ModelError> {
    ask(Reply::status(200, body.to_owned()), Delivery::Whole, chat).await
}

fn codes(deviations: &[Deviation]) -> Vec<(&str, Option<&str>)> {
    deviations
        .iter()
        .map(|deviation| (&*deviation.code, deviation.received.as_deref()))
        .collect()
}

/// NVIDIA NIM, integrate.api.nvidia.com with stepfun-ai/step-3.7-flash, June 2026 (tinyhumansai/openhuman#4204).
#[tokio::test]
async fn reasoning_that_is_there_twice_is_taken_once() {
    let message = r#"{"role":"assistant","content":"42","reasoning_content":"Hm.","reasoning_content":"Hm."}"#;
    let body = format!(
        r#"{{"id":"r","choices":[{{"index":0,"message":{message},"finish_reason":"stop"}}]}}"#
    );
    let answer = whole(&body).await.unwrap();
    assert_eq!(answer.items[1].assistant_text().unwrap(), "42");
    assert!(answer.items[0].to_json().contains(r#""text":"Hm.""#));
    assert_eq!(
        codes(&answer.meta.deviations),
        [("repeated_field", Some(r#""Hm." "Hm.""#))]
    );
}

#[tokio::test]
async fn needed_field_that_is_wrong_is_an_error_that_names_it() {
    for (message, finish, says) in [
        (
            r#"{"content":5}"#,
            r#""stop""#,
            "`message.content` is not a text: 5",
        ),
        (
            r#"{"content":"a","content":"b"}"#,
            r#""stop""#,
            "`message.content` is there twice",
        ),
        (
            r#"{"content":["a"]}"#,
            r#""stop""#,
            "`message.content[]` is not an object",
        ),
        (
            r#"{"content":[{"type":"text","text":[]}]}"#,
            r#""stop""#,
            "`message.content[].text` is not a text",
        ),
        (
            r#"{"content":"a"}"#,
            "5",
            "`choices[0].finish_reason` is not a text: 5",
        ),
        (
            r#"{"content":"a","tool_calls":{"0":{}}}"#,
            r#""stop""#,
            "`message.tool_calls` is not a list",
        ),
        (
            r#"{"tool_calls":[5]}"#,
            r#""stop""#,
            "`tool_calls[]` is not an object: 5",
        ),
        (
            r#"{"tool_calls":[{"function":"f"}]}"#,
            r#""stop""#,
            "`tool_calls[].function` is not an object",
        ),
        (
            r#"{"tool_calls":[{"function":{"name":"f","arguments":{}}}]}"#,
            r#""stop""#,
            "`tool_calls[].function.arguments` is not a text: {}",
        ),
        (
            r#"{"tool_calls":[{"function":{"name":"f","name":"g"}}]}"#,
            r#""stop""#,
            "`tool_calls[].function.name` is there twice",
        ),
    ] {
        let body = format!(r#"{{"choices":[{{"message":{message},"finish_reason":{finish}}}]}}"#);
        let error = whole(&body).await.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[tokio::test]
async fn unreadable_id_usage_and_error_of_nothing_are_deviations() {
    let body = r#"{"id":5,"model":null,"error":{"message":"","code":0},"usage":{"prompt_tokens":-1,"completion_tokens":"2","total_tokens":7.0},
        "choices":[{"index":"0","message":{"content":null,"tool_calls":[{"id":7,"index":null,"type":[],"function":{"name":"f","arguments":"{}"}}]},
        "finish_reason":"tool_calls","logprobs":"none"}]}"#;
    let answer = whole(body).await.unwrap();
    let call = json!([["f", "{}"]]);
    assert_eq!(json!(said(&answer)), call);
    assert_eq!(answer.meta.usage.unwrap().total_tokens, 7);
    let deviations = answer.meta.deviations;
    let fields: Vec<&str> = deviations
        .iter()
        .filter_map(|deviation| deviation.detail.split('`').nth(1))
        .collect();
    assert_eq!(
        fields,
        [
            "error",
            "choices[0].index",
            "tool_calls[].id",
            "tool_calls[].type",
            "choices[0].logprobs",
            "id",
            "usage.prompt_tokens",
            "usage.completion_tokens",
        ]
    );
    assert_eq!(deviations.last().unwrap().code, "missing_tool_call_id");
}

#[tokio::test]
async fn annotations_and_log_probabilities_stand_at_the_text() {
    let note = json!({"type":"url_citation","url_citation":{"url":"https://a.example","title":"A","start_index":0,"end_index":2}});
    let token =
        |text: &str| json!({"token": text, "logprob": -0.5, "bytes": null, "top_logprobs": []});
    let flat = json!({"type":"url_citation","url":"https://a.example","title":"A","start_index":0,"end_index":2});
    let message = json!({"role":"assistant","content":"42","annotations":[note],"x_mood":"calm"});
    let whole_body = json!({"choices":[{"message":message,"finish_reason":"stop","logprobs":{"content":[token("4"), token("2")]}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 2}, "x": 1},
        "system_fingerprint": "fp"});
    let chunk = |delta: Value, logprobs: Value| {
        json!({"choices":[{"delta":delta,"logprobs":logprobs}],"system_fingerprint":"fp"})
            .to_string()
    };
    let events = [
        chunk(
            json!({"content":"4","x_mood":"calm"}),
            json!({"content":[token("4")]}),
        ),
        chunk(json!({"content":"2"}), json!({"content":[token("2")]})),
        chunk(json!({"annotations":[note]}), Value::Null),
        json!({"choices":[{"delta":{},"finish_reason":"stop"}], "usage": whole_body["usage"]})
            .to_string(),
        "[DONE]".to_owned(),
    ];
    for (reply, delivery) in [
        (Reply::json(&whole_body), Delivery::Whole),
        (Reply::sse(events), Delivery::Stream),
    ] {
        let answer = ask(reply, delivery, chat).await.unwrap();
        let item: Value = serde_json::from_str(answer.items[0].to_json()).unwrap();
        assert_eq!(
            item["content"],
            json!([{"type":"output_text","text":"42","annotations":[flat],"logprobs":[token("4"), token("2")]}])
        );
        assert_eq!(
            item["provider_data"],
            json!({"message": {"x_mood": "calm"}})
        );
        let extra = answer.meta.extra.unwrap();
        assert_eq!(extra.get("system_fingerprint"), Some("fp".into()));
        assert_eq!(answer.meta.usage_json.unwrap().get("x"), Some(1.into()));
        assert_eq!(answer.meta.usage.unwrap().cache_write_tokens, 2);
        assert_eq!(answer.meta.deviations, []);
    }
}

#[tokio::test]
async fn response_items_with_odd_fields_are_read() {
    let items = [
        r#"{"type":"reasoning","id":"rs","summary":null,"content":[{"type":"reasoning_text","text":"Hm."},5]}"#,
        r#"{"type":"message","id":7,"id":8,"role":null,"status":"completed","content":[{"text":"Hi","annotations":null},{"type":"output_hologram"}]}"#,
        r#"{"type":"function_call","id":"fc","call_id":9,"name":"f","arguments":null}"#,
        r#"{"type":"web_search_call","type":"web_search_call","action":{"q":1}}"#,
    ];
    let body = format!(
        r#"{{"id":"r","status":"completed","output":[{}]}}"#,
        items.join(",")
    );
    let answer = ask(Reply::status(200, body), Delivery::Whole, responses)
        .await
        .unwrap();
    assert_eq!(json!(said(&answer)), json!([["Hi", null], ["f", ""]]));
    assert_eq!(answer.items.len(), 4);
    assert!(answer.items[1].to_json().contains("output_hologram"));
    assert!(
        answer.items[2].to_json().contains("call_1_2"),
        "{:?}",
        answer.items[2]
    );
    for (item, says) in [
        (
            r#"{"type":"message","content":[{"type":"output_text","text":5}]}"#,
            "`output[].content[].text` is not a text: 5",
        ),
        (
            r#"{"type":"function_call","call_id":"c","name":"f","arguments":{}}"#,
            "`output[].arguments` is not a text: {}",
        ),
        ("5", "`output[]` is not an object: 5"),
        (r#"{"id":"x"}"#, "`output[].type` is missing"),
    ] {
        let body = format!(r#"{{"status":"completed","output":[{item}]}}"#);
        let error = ask(Reply::status(200, body), Delivery::Whole, responses)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn fields_that_no_value_can_hold_are_kept_as_text() {
    let deep = format!("{}{}", "[".repeat(3000), "]".repeat(3000));
    for odd in [deep.as_str(), "1e999", r#""\ud800""#] {
        let message =
            format!(r#"{{"role":"assistant","content":"42","x":{odd},"annotations":{odd}}}"#);
        let body =
            format!(r#"{{"x":{odd},"choices":[{{"message":{message},"finish_reason":"stop"}}]}}"#);
        let answer = whole(&body).await.unwrap();
        assert_eq!(answer.items[0].assistant_text().unwrap(), "42");
        assert!(
            answer
                .meta
                .deviations
                .iter()
                .any(|deviation| deviation.received.as_deref() == Some(odd))
        );
        let item = format!(
            r#"{{"type":"message","role":"assistant","x":{odd},"content":[{{"type":"output_text","text":"42","x":{odd}}}]}}"#
        );
        let body = format!(r#"{{"status":"completed","x":{odd},"output":[{item}]}}"#);
        let answer = ask(Reply::status(200, body), Delivery::Whole, responses)
            .await
            .unwrap();
        assert_eq!(answer.items[0].assistant_text().unwrap(), "42");
    }
}
