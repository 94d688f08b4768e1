use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::http::SseDecoder;
use crate::item::{FunctionCall, FunctionCallOutput, Item};
use crate::kind::ErrorKind;
use crate::model::wire::{self, DecodeContext, ResponseLimits};
use crate::model::{
    Continuation, Delivery, Dialect, ModelError, ModelEvent, ModelRequest, ModelResponse,
    ModelSettings, ToolChoice, ToolSet,
};
use crate::tools::{HostedTool, ToolName, ToolSpec};

fn context() -> DecodeContext {
    DecodeContext::new(3, Arc::default(), ResponseLimits::default())
}

fn capture(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/captures")
        .join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn body(request: &ModelRequest, dialect: &Dialect) -> Value {
    serde_json::from_slice(&encode(request, "m", dialect).unwrap()).unwrap()
}

fn whole(body: &str) -> Result<ModelResponse, ModelError> {
    wire::tests::whole(ResponsesDecoder::new(context()), body.as_bytes())
}

fn streamed(sse: &str) -> Result<(Vec<ModelEvent>, ModelResponse), ModelError> {
    let mut sse_decoder = SseDecoder::new(1 << 20);
    sse_decoder.push(sse.to_owned().into());
    let mut data = Vec::new();
    while let Some(event) = sse_decoder.next_event().unwrap() {
        data.push((event.event.to_owned(), event.data.to_owned()));
    }
    let data = data.iter().map(|(name, data)| (&**name, &**data));
    let events = wire::tests::streamed(ResponsesDecoder::new(context()), data)?;
    let response = wire::tests::response(events.clone())?;
    Ok((events.into(), response))
}

fn sse(events: &[Value]) -> String {
    let mut text = String::new();
    for event in events {
        let name = event["type"].as_str().unwrap();
        text.extend(["event: ", name, "\ndata: ", &event.to_string(), "\n\n"]);
    }
    text
}

fn response(status: &str, output: &Value) -> Value {
    json!({"id": "resp_1", "object": "response", "status": status, "model": "mm", "output": output,
           "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15, "input_tokens_details": {"cached_tokens": 4}}})
}

fn call_item(arguments: &str) -> Value {
    json!({"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": arguments, "status": "completed"})
}

fn message_item(text: &str) -> Value {
    json!({"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [{"type": "output_text", "text": text, "annotations": [], "x": 1.50}]})
}

fn text_of(item: &Item) -> Value {
    serde_json::from_str(item.to_json()).unwrap()
}

#[test]
fn items_of_the_model_go_back_as_they_came() {
    let output = json!([
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA+/=ENC99"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
        call_item("{}"),
        message_item("hi"),
    ]);
    let answer = whole(&response("completed", &output).to_string()).unwrap();
    let mut items = vec![Item::user("go")];
    items.extend(answer.items);
    let sent = body(&ModelRequest::new(items), &Dialect::default())["input"].take();
    assert_eq!(
        sent.as_array().unwrap()[1..],
        output.as_array().unwrap()[..]
    );
    // Not only equal: the same bytes.
    let request = ModelRequest::new(vec![
        Item::from_json(r#"{"type":"x","n":1.50,"big":123456789012345678901234567890}"#).unwrap(),
    ]);
    let encoded = encode(&request, "m", &Dialect::default()).unwrap();
    assert!(
        String::from_utf8_lossy(&encoded)
            .contains(r#"{"type":"x","n":1.50,"big":123456789012345678901234567890}"#)
    );
}

#[test]
fn a_body_has_the_words_of_this_api() {
    let schema =
        json!({"type": "object", "properties": {}, "required": [], "additionalProperties": false});
    let mut request = ModelRequest::new(vec![Item::user("go")]);
    request.instructions = Some("Be brief.".into());
    request.delivery = Delivery::Stream;
    request.tools = Arc::new(
        ToolSet::new(vec![ToolSpec::new(
            ToolName::new("f").unwrap(),
            "Does it.",
            schema.clone(),
        )])
        .with_hosted(vec![HostedTool::web_search()]),
    );
    request.settings = Arc::new(
        ModelSettings::default()
            .max_tokens(9)
            .reasoning_effort("low")
            .reasoning_summary("auto")
            .verbosity("low")
            .truncation("auto")
            .include(vec!["reasoning.encrypted_content".to_owned()])
            .store(false)
            .parallel_tool_calls(false)
            .tool_choice(ToolChoice::Function("f".to_owned())),
    );
    request.output = Some(Arc::new(crate::model::OutputFormat::strict(
        "final_output",
        schema.clone(),
    )));
    request.continuation = Continuation::Response("resp_0".to_owned());
    assert_eq!(
        body(&request, &Dialect::default()),
        json!({
            "model": "m", "stream": true, "instructions": "Be brief.", "previous_response_id": "resp_0",
            "tools": [
                {"type": "function", "name": "f", "description": "Does it.", "parameters": schema, "strict": true},
                {"type": "web_search"},
            ],
            "tool_choice": {"type": "function", "name": "f"}, "parallel_tool_calls": false,
            "text": {"format": {"type": "json_schema", "name": "final_output", "strict": true, "schema": schema}, "verbosity": "low"},
            "max_output_tokens": 9, "store": false, "include": ["reasoning.encrypted_content"], "truncation": "auto",
            "reasoning": {"effort": "low", "summary": "auto"},
            "input": [{"type": "message", "role": "user", "content": "go"}],
        })
    );
    let min = body(
        &request,
        &Dialect {
            min_payload: true,
            ..Dialect::default()
        },
    );
    assert_eq!(
        min["input"][0],
        json!({"role": "system", "content": "Be brief."})
    );
    assert_eq!(min.get("tools").or(min.get("instructions")), None);
}

#[test]
fn what_this_api_cannot_say_is_refused() {
    for settings in [
        ModelSettings::default().seed(1),
        ModelSettings::default().stop(vec!["x".to_owned()]),
        ModelSettings::default().presence_penalty(0.1),
    ] {
        let mut request = ModelRequest::new(vec![Item::user("go")]);
        request.settings = Arc::new(settings);
        assert_eq!(
            encode(&request, "m", &Dialect::default())
                .unwrap_err()
                .kind(),
            ErrorKind::Unsupported
        );
    }
}

#[test]
fn a_later_turn_begins_with_the_bytes_of_an_earlier_one() {
    let mut request = ModelRequest::new(vec![Item::user("go")]);
    let mut before = encode(&request, "m", &Dialect::default()).unwrap();
    for n in 0..4 {
        let id = format!("call_{n}");
        request.items.extend([
            FunctionCall::new(&*id, "f", "{}").into(),
            FunctionCallOutput::new(id, "ok".into()).into(),
        ]);
        let body = encode(&request, "m", &Dialect::default()).unwrap();
        assert!(body.starts_with(before.strip_suffix(b"]}").unwrap()));
        before = body;
    }
}

#[test]
fn recorded_answers_decode_without_loss() {
    for name in [
        "model-server/responses-tool.json",
        "model-server/responses-turn2.json",
    ] {
        let text = capture(name);
        let answer = whole(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let recorded: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            answer.items.iter().map(text_of).collect::<Value>(),
            recorded["output"],
            "{name}"
        );
        assert_eq!(
            answer.meta.usage.unwrap().total_tokens,
            recorded["usage"]["total_tokens"].as_u64().unwrap()
        );
    }
    let (events, answer) = streamed(&capture("model-server/responses-tool-stream.sse")).unwrap();
    let arguments: String = events
        .iter()
        .filter_map(|event| match event {
            ModelEvent::ToolCallDelta { delta, .. } => Some(delta.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(arguments, r#"{"city":"Paris"}"#);
    assert_eq!(
        text_of(&answer.items[0])["arguments"],
        r#"{"city":"Paris"}"#
    );
}

#[test]
fn whole_and_streamed_answers_are_the_same() {
    let output = json!([call_item("{\"a\":1}"), message_item("hello")]);
    let completed = response("completed", &output);
    let events = [
        json!({"type": "response.created", "response": response("in_progress", &json!([]))}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": call_item("")}),
        json!({"type": "response.function_call_arguments.delta", "output_index": 0, "item_id": "fc_1", "delta": "{\"a\":"}),
        json!({"type": "response.function_call_arguments.delta", "output_index": 0, "item_id": "fc_1", "delta": "1}"}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": output[0]}),
        json!({"type": "response.brand_new", "delta": {"any": ["thing"]}}),
        json!({"type": "response.output_text.delta", "item_id": "msg_1", "delta": "hel"}),
        json!({"type": "response.output_text.delta", "item_id": "msg_1", "delta": "lo"}),
        json!({"type": "response.output_item.done", "output_index": 1, "item": output[1]}),
        json!({"type": "response.completed", "response": completed}),
    ];
    let (told, answer) = streamed(&sse(&events)).unwrap();
    assert_eq!(answer, whole(&completed.to_string()).unwrap());
    let deltas: Vec<_> = told
        .iter()
        .filter(|event| {
            !matches!(
                event,
                ModelEvent::Other { .. }
                    | ModelEvent::ItemDone { .. }
                    | ModelEvent::ResponseDone(_)
            )
        })
        .collect();
    assert_eq!(deltas.len(), 5, "{deltas:?}");
}

#[test]
fn incomplete_answers_are_errors_with_the_servers_words() {
    let failed = json!({"status": "failed", "error": {"code": "server_error", "message": "slow Q61"}, "output": []});
    let cut = json!({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "output": [message_item("Hel")]});
    let check = |result: Result<ModelResponse, ModelError>, kind: ErrorKind, says: &str| {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    };
    check(
        whole(&failed.to_string()),
        ErrorKind::ResponseFailed,
        "slow Q61",
    );
    check(
        whole(&cut.to_string()),
        ErrorKind::ResponseIncomplete,
        "max_output_tokens",
    );
    check(
        whole("{\"error\":{\"message\":\"no Q1\"}}"),
        ErrorKind::ApiError,
        "no Q1",
    );
    check(
        whole("{\"choices\":[]}"),
        ErrorKind::MissingField,
        "chat API",
    );
    check(
        whole(&response("completed", &json!([])).to_string()),
        ErrorKind::EmptyResponse,
        "nothing",
    );
    let stream = |events: &[Value]| streamed(&sse(events)).map(|(_, answer)| answer);
    check(
        stream(&[json!({"type": "response.failed", "response": failed})]),
        ErrorKind::ResponseFailed,
        "slow Q61",
    );
    check(
        stream(&[json!({"type": "response.incomplete", "response": cut})]),
        ErrorKind::ResponseIncomplete,
        "max_output_tokens",
    );
    check(
        stream(&[json!({"type": "error", "message": "flat Q2"})]),
        ErrorKind::StreamError,
        "flat Q2",
    );
    check(
        stream(&[json!({"type": "error", "error": {"message": "nested Q3"}})]),
        ErrorKind::StreamError,
        "nested Q3",
    );
    let delta = json!({"type": "response.output_text.delta", "delta": "Hel"});
    let error = streamed(&sse(&[delta])).unwrap_err();
    assert_eq!(
        (error.kind(), error.received().text.as_str()),
        (ErrorKind::NoTerminalEvent, "Hel")
    );
}

#[test]
fn arguments_that_contradict_each_other_are_an_error() {
    let added =
        json!({"type": "response.output_item.added", "output_index": 0, "item": call_item("")});
    let delta = json!({"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "{\"a\":1}"});
    let ended = |arguments: &str| {
        let item = call_item(arguments);
        sse(&[
            added.clone(),
            delta.clone(),
            json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
            json!({"type": "response.completed", "response": response("completed", &json!([item]))}),
        ])
    };
    assert_eq!(
        streamed(&ended("{\"a\":2}")).unwrap_err().kind(),
        ErrorKind::Inconsistent
    );
    let (_, answer) = streamed(&ended("")).unwrap();
    assert_eq!(text_of(&answer.items[0])["arguments"], "{\"a\":1}");
    assert_eq!(answer.meta.deviations[0].code, "arguments_in_pieces_only");
}

#[test]
fn harmony_tokens_are_never_shown() {
    let deltas = ["Sure. <|chan", "nel|>commentary to=functions.f"];
    let events: Vec<Value> = deltas
        .iter()
        .map(|delta| json!({"type": "response.output_text.delta", "delta": delta}))
        .collect();
    let error = streamed(&sse(&events)).unwrap_err();
    assert_eq!(
        (error.kind(), error.received().text.as_str()),
        (ErrorKind::Harmony, "Sure. ")
    );
    let text = "<|channel|>final<|message|>hi";
    assert_eq!(
        whole(&response("completed", &json!([message_item(text)])).to_string())
            .unwrap_err()
            .kind(),
        ErrorKind::Harmony
    );
}

#[test]
fn the_namespace_of_harmony_is_no_part_of_a_tools_name() {
    let mut call = call_item("{}");
    call["name"] = json!("functions.f");
    let answer = whole(&response("completed", &json!([call])).to_string()).unwrap();
    assert_eq!(text_of(&answer.items[0])["name"], "f");
    assert_eq!(answer.meta.deviations[0].code, "harmony_tool_prefix");
}

#[test]
fn items_that_only_the_completed_response_has_are_told_too() {
    let renamed = json!({"type": "message", "id": "other", "role": "assistant", "content": [{"type": "output_text", "text": "hi", "annotations": []}]});
    for (streamed_items, output, n_items) in [
        (
            vec![call_item("{}")],
            json!([message_item("hi"), call_item("{}")]),
            2,
        ),
        (vec![message_item("hi")], json!([renamed]), 1),
        (vec![], json!([message_item("hi"), call_item("{}")]), 2),
        (vec![message_item("hi"), call_item("{}")], json!([]), 2),
    ] {
        let mut events: Vec<Value> = streamed_items
            .iter()
            .map(|item| json!({"type": "response.output_item.done", "item": item}))
            .collect();
        events.push(
            json!({"type": "response.completed", "response": response("completed", &output)}),
        );
        let (_, answer) = streamed(&sse(&events)).unwrap();
        assert_eq!(answer.items.len(), n_items, "{events:?}");
    }
}
