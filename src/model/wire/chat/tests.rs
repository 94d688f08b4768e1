use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::item::{FunctionCall, FunctionCallOutput, Item};
use crate::kind::ErrorKind;
use crate::model::wire::tests::{response, whole};
use crate::model::wire::{DecodeContext, ResponseDecoder, ResponseLimits};
use crate::model::{
    Delivery, Dialect, ModelError, ModelEvent, ModelRequest, ModelResponse, ModelSettings,
    ToolChoice, ToolChoiceOverride, ToolSet,
};
use crate::tools::{ToolName, ToolSpec};

thread_local! {
    /// How many items were encoded in this thread; their copies are not counted.
    pub(super) static N_ENCODED: Cell<usize> = const { Cell::new(0) };
}

fn context() -> DecodeContext {
    DecodeContext::new(3, Arc::default(), ResponseLimits::default())
}

fn fixture(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/python-parity")
        .join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn lines(name: &str) -> Vec<Value> {
    fixture(name)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn body(request: &ModelRequest, dialect: &Dialect) -> Value {
    serde_json::from_slice(&encode(request, "m", dialect).unwrap()).unwrap()
}

fn messages(items: Vec<Item>, dialect: &Dialect) -> Result<Value, ModelError> {
    let encoded = encode(&ModelRequest::new(items), "m", dialect)?;
    Ok(serde_json::from_slice::<Value>(&encoded).unwrap()["messages"].take())
}

fn items(json: &Value) -> Vec<Item> {
    json.as_array()
        .unwrap()
        .iter()
        .map(|item| Item::from_json(&item.to_string()).unwrap())
        .collect()
}

/// Arguments are compared as JSON, as the Python comparison does.
fn with_parsed_arguments(mut value: Value) -> Value {
    match &mut value {
        Value::Object(object) => {
            for (key, inner) in object.iter_mut() {
                let parsed = inner
                    .as_str()
                    .filter(|_| key == "arguments")
                    .and_then(|text| serde_json::from_str(text).ok());
                *inner = parsed.unwrap_or_else(|| with_parsed_arguments(inner.take()));
            }
        }
        Value::Array(list) => list
            .iter_mut()
            .for_each(|inner| *inner = with_parsed_arguments(inner.take())),
        _ => {}
    }
    value
}

#[test]
fn items_become_the_messages_of_the_python_sdk() {
    let intended: Value = serde_json::from_str(&fixture("intended-differences.json")).unwrap();
    for (n, case) in lines("items_golden.jsonl").into_iter().enumerate() {
        let ours = messages(items(&case["in"]), &Dialect::default());
        let equal = match (&ours, case.get("messages")) {
            (Ok(ours), Some(theirs)) => {
                with_parsed_arguments(ours.clone()) == with_parsed_arguments(theirs.clone())
            }
            (Err(error), None) => error.kind() == ErrorKind::Unsupported,
            _ => false,
        };
        let listed = intended["items"].get(n.to_string()).is_some();
        assert_ne!(equal, listed, "case {n}: {case} gave {ours:?}");
    }
}

fn decode_stream(chunks: &[Value]) -> Result<ModelResponse, ModelError> {
    let mut decoder = ChatDecoder::new(context());
    let mut events = VecDeque::new();
    for chunk in chunks {
        decoder.on_event("", chunk.to_string().as_bytes(), &mut events)?;
    }
    decoder.on_event("", b"[DONE]", &mut events)?;
    response(events)
}

fn decode(body: &Value) -> Result<ModelResponse, ModelError> {
    whole(ChatDecoder::new(context()), body.to_string().as_bytes())
}

fn without_ignored(item: &Value, ignored: &Value) -> Value {
    match item {
        Value::Object(object) => {
            let mark = item
                .pointer("/provider_data/_chat_completions_reasoning_field")
                .cloned();
            let mut kept: serde_json::Map<String, Value> = object
                .iter()
                .filter(|(key, value)| {
                    ignored.get(key.as_str()).is_none()
                        || (*key == "summary"
                            && value.as_array().is_some_and(|list| !list.is_empty()))
                })
                .map(|(key, value)| (key.clone(), without_ignored(value, ignored)))
                .collect();
            kept.extend(mark.map(|mark| ("reasoning_field".to_owned(), mark)));
            Value::Object(kept)
        }
        Value::Array(list) => list
            .iter()
            .map(|inner| without_ignored(inner, ignored))
            .collect(),
        other => other.clone(),
    }
}

#[test]
fn streams_fold_to_the_items_of_the_python_sdk() {
    let intended: Value = serde_json::from_str(&fixture("intended-differences.json")).unwrap();
    let ignored = &intended["ignored_keys"];
    for (n, case) in lines("stream_golden.jsonl").into_iter().enumerate() {
        let ours = decode_stream(case["in"].as_array().unwrap());
        let last = case
            .get("events")
            .and_then(Value::as_array)
            .and_then(|events| events.last());
        let Some(last) = last else {
            assert_eq!(ours.unwrap_err().kind(), ErrorKind::Truncated, "case {n}");
            assert!(
                intended["stream"].get(n.to_string()).is_some(),
                "case {n} must be listed"
            );
            continue;
        };
        let ours = ours.unwrap_or_else(|error| panic!("case {n}: {error}"));
        let items: Value = ours
            .items
            .iter()
            .map(|item| serde_json::from_str::<Value>(item.to_json()).unwrap())
            .collect();
        assert_eq!(
            without_ignored(&items, ignored),
            without_ignored(&last["response"]["output"], ignored),
            "case {n}"
        );
        let theirs = &last["response"]["usage"]["total_tokens"];
        assert_eq!(
            ours.meta.usage.map(|usage| usage.total_tokens),
            theirs.as_u64(),
            "case {n}"
        );
    }
}

fn spec(name: &str) -> ToolSpec {
    ToolSpec::new(
        ToolName::new(name).unwrap(),
        "Does it.",
        json!({"type": "object", "properties": {}, "required": [], "additionalProperties": false}),
    )
}

fn turn(n: usize) -> [Item; 2] {
    let id = format!("call_{n}");
    [
        FunctionCall::new(&*id, "f", r#"{"a":1}"#).into(),
        FunctionCallOutput::new(id, "ok".into()).into(),
    ]
}

#[test]
fn a_later_turn_begins_with_the_bytes_of_an_earlier_one() {
    for dialect in [
        Dialect::default(),
        Dialect {
            force_functions: true,
            ..Dialect::default()
        },
    ] {
        let mut request = ModelRequest::new(vec![Item::user("go")]);
        request.instructions = Some("Be brief.".into());
        request.tools = Arc::new(ToolSet::new(vec![spec("f"), spec("g")]));
        let mut before = encode(&request, "m", &dialect).unwrap();
        for n in 0..5 {
            let history = &mut request.items;
            history.extend(turn(n));
            history.extend([Item::assistant("so"), Item::user("on")]);
            let body = encode(&request, "m", &dialect).unwrap();
            let messages = before.strip_suffix(b"]}").unwrap();
            assert!(
                body.starts_with(messages),
                "{}\n{}",
                String::from_utf8_lossy(messages),
                String::from_utf8_lossy(&body)
            );
            before = body;
        }
    }
}

#[test]
fn body_of_a_growing_conversation_is_remembered_whole() {
    let mut request = ModelRequest::new(vec![Item::user("go")]);
    for n in 0..50 {
        request.items.extend(turn(n));
        let body = encode(&request, "m", &Dialect::default()).unwrap();
        let prefix = request.items.encoded().unwrap();
        // The next body copies these bytes, which are those of this one.
        assert_eq!(prefix.n_items, request.items.len());
        assert!(body.as_ptr_range().contains(&prefix.bytes.as_ptr()));
    }
}

/// A streamed request with a tool, its call and output, and settings.
fn tool_request() -> ModelRequest {
    let [call, output] = turn(0);
    let mut request = ModelRequest::new(vec![Item::user("go"), call, output]);
    request.tools = Arc::new(ToolSet::new(vec![spec("f")]));
    request.delivery = Delivery::Stream;
    let choice = ToolChoice::Function("f".to_owned());
    request.settings = Arc::new(
        ModelSettings::default()
            .temperature(0.5)
            .parallel_tool_calls(true)
            .tool_choice(choice),
    );
    request
}

#[test]
fn toggles_choose_the_keys_of_the_body() {
    let check = |dialect: &Dialect, keys: &str| {
        let body = body(&tool_request(), dialect);
        assert_eq!(
            body.as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect::<Vec<_>>()
                .join(" "),
            keys
        );
    };
    let usual = Dialect::default;
    check(
        &usual(),
        "model stream stream_options tools tool_choice parallel_tool_calls temperature messages",
    );
    check(
        &Dialect {
            min_payload: true,
            ..usual()
        },
        "model stream messages",
    );
    check(
        &Dialect {
            force_functions: true,
            ..usual()
        },
        "model stream stream_options functions function_call temperature messages",
    );
    check(
        &Dialect {
            send_parallel_tool_calls: false,
            ..usual()
        },
        "model stream stream_options tools tool_choice temperature messages",
    );
    check(
        &Dialect {
            send_tools: false,
            ..usual()
        },
        "model stream stream_options temperature messages",
    );
    check(
        &Dialect {
            stream_usage: false,
            ..usual()
        },
        "model stream tools tool_choice parallel_tool_calls temperature messages",
    );
}

#[test]
fn tool_choice_has_the_form_that_the_server_wants() {
    let choice = |dialect: &Dialect| body(&tool_request(), dialect)["tool_choice"].take();
    assert_eq!(
        choice(&Dialect::default()),
        json!({"type": "function", "function": {"name": "f"}})
    );
    for (over, json) in [
        (ToolChoiceOverride::Auto, json!("auto")),
        (ToolChoiceOverride::None, json!("none")),
        (ToolChoiceOverride::ObjectAuto, json!({"type": "auto"})),
        (ToolChoiceOverride::ObjectNone, json!({"type": "none"})),
    ] {
        assert_eq!(
            choice(&Dialect {
                tool_choice: Some(over),
                ..Dialect::default()
            }),
            json
        );
    }
}

#[test]
fn legacy_functions_have_no_ids_and_follow_their_calls() {
    let body = body(
        &tool_request(),
        &Dialect {
            force_functions: true,
            ..Dialect::default()
        },
    );
    assert_eq!(body["function_call"], json!({"name": "f"}));
    assert_eq!(body["functions"][0]["name"], "f");
    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{\"a\":1}"}},
            {"role": "function", "name": "f", "content": "ok"},
        ])
    );
}

#[test]
fn a_setting_given_twice_is_an_error() {
    for (key, says) in [
        ("temperature", "set twice"),
        ("messages", "cannot be set"),
        ("stream", "cannot be set"),
    ] {
        let mut request = ModelRequest::new(vec![Item::user("go")]);
        request.settings = Arc::new(ModelSettings::default().temperature(0.5).extra_body(key, 1));
        let error = encode(&request, "m", &Dialect::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn reasoning_goes_back_with_tool_turns_in_its_field() {
    for (field, other) in [
        ("reasoning_content", "reasoning"),
        ("reasoning", "reasoning_content"),
    ] {
        let answer = json!({"choices": [{"message": {"content": null, field: "why", "tool_calls": [
            {"id": "c", "function": {"name": "f", "arguments": "{}"}}]}, "finish_reason": "tool_calls"}]});
        let mut history = decode(&answer).unwrap().items;
        history.push(FunctionCallOutput::new("c", "r".into()).into());
        let sent = messages(history.clone(), &Dialect::default()).unwrap();
        assert_eq!(sent[0][field], "why");
        assert_eq!(sent[0].get(other), None);
        let silent = messages(
            history,
            &Dialect {
                replay_reasoning: false,
                ..Dialect::default()
            },
        )
        .unwrap();
        assert_eq!(silent[0].get(field), None);
    }
    let answer = json!({"choices": [{"message": {"content": "a", "reasoning_content": "why"}, "finish_reason": "stop"}]});
    let history = decode(&answer).unwrap().items;
    assert_eq!(
        messages(history, &Dialect::default()).unwrap(),
        json!([{"role": "assistant", "content": "a"}])
    );
}

#[test]
fn what_a_server_puts_beside_a_call_goes_back_with_it() {
    let extra = json!({"google": {"thought_signature": "sig"}});
    let answer = json!({"choices": [{"message": {"tool_calls": [
        {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}, "extra_content": extra}]}, "finish_reason": "tool_calls"}]});
    let mut history = decode(&answer).unwrap().items;
    history.push(FunctionCallOutput::new("c", "r".into()).into());
    assert_eq!(
        messages(history, &Dialect::default()).unwrap()[0]["tool_calls"][0]["extra_content"],
        extra
    );
}

/// A message between a call and its output would be refused by every server; it is part of the call's own message.
#[test]
fn text_after_a_call_joins_the_calls_message() {
    let [call, output] = turn(0);
    let sent = messages(
        vec![
            Item::assistant("before"),
            call,
            Item::assistant("after"),
            output,
        ],
        &Dialect::default(),
    )
    .unwrap();
    assert_eq!(sent.as_array().unwrap().len(), 2);
    assert_eq!(sent[0]["content"], "before\nafter");
    assert_eq!(sent[1]["role"], "tool");
}

#[test]
fn whole_and_streamed_answers_give_the_same_items() {
    let call = json!({"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}});
    let message = json!({"role": "assistant", "content": "hi", "reasoning_content": "why", "tool_calls": [call]});
    let usage = json!({"prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 3}});
    let whole = json!({"id": "x", "model": "mm", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}], "usage": usage});
    let chunk = json!({"id": "x", "model": "mm", "choices": [{"index": 0, "delta": message, "finish_reason": "tool_calls"}], "usage": usage});
    assert_eq!(decode_stream(&[chunk]).unwrap(), decode(&whole).unwrap());
}

#[test]
fn deltas_are_told_as_they_come() {
    let mut decoder = ChatDecoder::new(context());
    let mut events = VecDeque::new();
    let mut next = |delta: Value, finish: Value| {
        let chunk = json!({"choices": [{"delta": delta, "finish_reason": finish}]});
        decoder
            .on_event("", chunk.to_string().as_bytes(), &mut events)
            .unwrap();
        std::mem::take(&mut events).into_iter().collect::<Vec<_>>()
    };
    let call = |id: Value, name: Value, arguments: &str| json!({"tool_calls": [{"index": 0, "id": id, "function": {"name": name, "arguments": arguments}}]});
    assert_eq!(
        next(json!({"role": "assistant", "content": ""}), Value::Null),
        []
    );
    assert_eq!(
        next(json!({"content": "a"}), Value::Null),
        [ModelEvent::TextDelta {
            delta: "a".to_owned()
        }]
    );
    assert_eq!(next(call(json!("c"), json!("get_"), ""), Value::Null), []);
    assert_eq!(
        next(call(Value::Null, json!("it"), "{"), Value::Null),
        [
            ModelEvent::tool_call_started(0, "c", "get_it"),
            ModelEvent::ToolCallDelta {
                index: 0,
                delta: "{".to_owned()
            }
        ]
    );
    assert_eq!(
        next(call(Value::Null, Value::Null, "}"), Value::Null),
        [ModelEvent::ToolCallDelta {
            index: 0,
            delta: "}".to_owned()
        }]
    );
    assert_eq!(next(json!({}), json!("tool_calls")).len(), 2);
}

/// Streams text deltas and a finish reason, and gives the texts that were shown and how it ended.
fn shown_of(deltas: &[&str]) -> (Vec<String>, Result<(), ErrorKind>) {
    let mut decoder = ChatDecoder::new(context());
    let mut events = VecDeque::new();
    let chunks = deltas
        .iter()
        .map(|delta| json!({"choices": [{"delta": {"content": delta}}]}))
        .chain([json!({"choices": [{"delta": {}, "finish_reason": "stop"}]})]);
    let mut end = Ok(());
    for chunk in chunks {
        end = end.and_then(|()| decoder.on_event("", chunk.to_string().as_bytes(), &mut events));
    }
    let shown = events.into_iter().filter_map(|event| match event {
        ModelEvent::TextDelta { delta } => Some(delta),
        _ => None,
    });
    (shown.collect(), end.map_err(|error| error.kind()))
}

#[test]
fn nothing_of_a_leaked_harmony_token_is_shown() {
    let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        shown_of(&["a <", "|chan", "nel|>b"]),
        (texts(&["a "]), Err(ErrorKind::Harmony))
    );
    assert_eq!(
        shown_of(&["a <", "|chan", "ge <|"]),
        (texts(&["a ", "<|change ", "<|"]), Ok(()))
    );
    for leaked in ["<|end|>", "x<|return|>"] {
        let body = json!({"choices": [{"message": {"content": leaked}, "finish_reason": "stop"}]});
        let error = decode(&body).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Harmony);
        assert!(error.to_string().contains(leaked), "{error}");
    }
}

#[test]
fn a_harmony_name_of_a_tool_loses_its_namespace_and_nothing_else() {
    let answer = |name: &str| {
        let call = json!({"index": 0, "id": "c", "function": {"name": name, "arguments": "{}"}});
        let more = json!({"index": 0, "function": {"name": name, "arguments": " "}});
        decode_stream(&[
            json!({"choices": [{"delta": {"tool_calls": [call]}}]}),
            json!({"choices": [{"delta": {"tool_calls": [more]}, "finish_reason": "tool_calls"}]}),
        ])
    };
    for (sent, name, codes) in [
        (
            "functions.get_weather",
            "get_weather",
            &["harmony_tool_prefix"] as &[&str],
        ),
        ("functions.", "functions.", &[]),
        ("my.functions.x", "my.functions.x", &[]),
    ] {
        let response = answer(sent).unwrap();
        assert_eq!(response.items, [FunctionCall::new("c", name, "{} ").into()]);
        let noted: Vec<_> = response
            .meta
            .deviations
            .iter()
            .map(|deviation| &*deviation.code)
            .collect();
        assert_eq!(noted, codes);
    }
    let error = answer("get_weather<|channel|>commentary").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Harmony);
}

/// Fragments as `LiteLLM` streams them: the thought in pieces, its signature last.
#[test]
fn thinking_blocks_go_back_with_their_signatures() {
    let block = json!({"type": "thinking", "thinking": "because", "signature": "sig"});
    let redacted = json!({"type": "redacted_thinking", "data": "gA"});
    let call = json!({"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}});
    let piece = |thinking: &str, signature: &str| json!({"choices": [{"delta": {"thinking_blocks": [{"type": "thinking", "thinking": thinking, "signature": signature}]}}]});
    let chunks = [
        piece("be", ""),
        piece("cause", ""),
        piece("", "sig"),
        json!({"choices": [{"delta": {"thinking_blocks": [redacted], "tool_calls": [call]}, "finish_reason": "tool_calls"}]}),
    ];
    let whole = json!({"choices": [{"message": {"thinking_blocks": [block, redacted], "tool_calls": [call]}, "finish_reason": "tool_calls"}]});
    let whole = decode(&whole).unwrap().items;
    let streamed = decode_stream(&chunks).unwrap().items;
    assert_eq!(whole, streamed);
    let mut history = streamed;
    history.push(FunctionCallOutput::new("c", "r".into()).into());
    assert_eq!(
        messages(history, &Dialect::default()).unwrap()[0]["thinking_blocks"],
        json!([block, redacted])
    );
}

#[test]
fn cache_control_is_sent_where_it_was_put() {
    let control = json!({"type": "ephemeral"});
    let item = json!({"type": "message", "role": "user", "content": [
        {"type": "input_text", "text": "long", "cache_control": control}, {"type": "input_text", "text": "short"}]});
    let sent = messages(
        vec![Item::from_json(&item.to_string()).unwrap()],
        &Dialect::default(),
    )
    .unwrap();
    assert_eq!(
        sent[0]["content"],
        json!([{"type": "text", "text": "long", "cache_control": control}, {"type": "text", "text": "short"}])
    );
}

/// What a stream tells when every event is parsed, and when events of a known shape are not.
fn streamed(events: &[String], always_parsed: bool) -> (VecDeque<ModelEvent>, Option<ErrorKind>) {
    let (mut decoder, mut told) = (ChatDecoder::new(context()), VecDeque::new());
    for event in events {
        if always_parsed {
            decoder.forget_template();
        }
        if let Err(error) = decoder.on_event("", event.as_bytes(), &mut told) {
            return (told, Some(error.kind()));
        }
    }
    (told, None)
}

/// The quick way past the parser is taken for a piece that the parser would read the same, and only then.
#[test]
fn events_of_one_shape_mean_what_the_parser_says() {
    let event = |delta: &str, rest: &str| {
        format!(
            r#"{{"id":"x","choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]{rest}}}"#
        )
    };
    let text = |piece: &str| format!(r#"{{"content":"{piece}"}}"#);
    let reasoning = |piece: &str| format!(r#"{{"reasoning":"{piece}"}}"#);
    let arguments = |piece: &str| {
        format!(r#"{{"tool_calls":[{{"index":1,"function":{{"arguments":"{piece}"}}}}]}}"#)
    };
    let begin = r#"{"tool_calls":[{"index":1,"id":"c","function":{"name":"f","arguments":"{"}}]}"#;
    let another =
        r#"{"tool_calls":[{"index":1,"id":"d","function":{"name":"g","arguments":"["}}]}"#;
    let pieces = [
        "a",
        "b c",
        "é😀",
        "",
        "\\n",
        "\\\"",
        "\\u00e9",
        "\\ud83d",
        r#"","refusal":"no"#,
        "\t",
        "<|",
        "z",
        "\\",
        "x\"y",
    ];
    let makers: [&dyn Fn(&str) -> String; 3] = [&text, &reasoning, &arguments];
    for make in makers {
        for first in pieces {
            for second in pieces {
                for rest in ["", r#","usage":null"#] {
                    let events = [
                        event(begin, ""),
                        event(&make(first), ""),
                        event(&make(second), rest),
                        event(another, ""),
                        event(&make(first), ""),
                    ];
                    assert_eq!(
                        streamed(&events, false),
                        streamed(&events, true),
                        "{events:?}"
                    );
                }
            }
        }
    }
}
