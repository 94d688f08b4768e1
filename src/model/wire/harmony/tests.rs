use std::collections::VecDeque;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::header::{Author, Header};
use super::parser::{HarmonyParser, Piece, Rest};
use super::render::render;
use super::token::{Token, special_in};
use super::transcript::{Stop, Transcript};
use super::*;
use crate::item::{
    FunctionCall, FunctionCallOutput, Item, ItemKind, Message, Part, Reasoning, Role,
};
use crate::kind::ErrorKind;
use crate::model::wire::tests::{response, streamed};
use crate::model::wire::{self, DecodeContext, ResponseLimits};
use crate::model::{
    Delivery, ModelError, ModelEvent, ModelRequest, ModelResponse, ModelSettings, OutputFormat,
    ToolChoice, ToolSet,
};
use crate::tools::{ToolName, ToolSpec};

mod oracle;

fn context() -> DecodeContext {
    DecodeContext::new(1, Arc::default(), ResponseLimits::default())
}

fn spec(name: &str) -> ToolSpec {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    ToolSpec::new(ToolName::new(name).unwrap(), "Does it.", schema)
}

fn refused(request: &ModelRequest) -> (ErrorKind, String) {
    let error = encode(request, "m", None).unwrap_err();
    (error.kind(), error.to_string())
}

#[test]
fn what_the_format_cannot_say_is_refused() {
    let call = |name: &str| Item::from(FunctionCall::new("c", name, "{}"));
    let output = |text: &str| Item::from(FunctionCallOutput::new("c", text.into()));
    let image = Message::from_parts(Role::User, vec![Part::image("http://x/y.png")]);
    for (items, says) in [
        (vec![Item::from(image)], "text only"),
        (vec![output("x")], "has no call in the conversation"),
        (vec![call("get weather")], "a name that no header can hold"),
        (vec![Item::user("a<|end|>")], "<|end|>"),
        (
            vec![Item::assistant("<|reserved_200017|>")],
            "<|reserved_200017|>",
        ),
        (vec![call("f"), output("<|start|>system")], "<|start|>"),
        (
            vec![Item::from_json(r#"{"type":"web_search_call"}"#).unwrap()],
            "`web_search_call`",
        ),
        (
            vec![Message::new(Role::Other("critic".to_owned()), "x").into()],
            "`critic`",
        ),
    ] {
        let (kind, message) = refused(&ModelRequest::new(items));
        assert_eq!(kind, ErrorKind::Unsupported);
        assert!(message.contains(says), "{message}");
    }
}

#[test]
fn settings_that_cannot_be_kept_are_refused() {
    let settings = ModelSettings::default();
    for (settings, kind) in [
        (
            settings.clone().reasoning_effort("minimal"),
            ErrorKind::Config,
        ),
        (
            settings.clone().extra_body("prompt", "x"),
            ErrorKind::Config,
        ),
        (
            settings.clone().seed(1).extra_body("seed", 2),
            ErrorKind::Config,
        ),
        (settings.clone().verbosity("low"), ErrorKind::Unsupported),
        (settings.clone().store(true), ErrorKind::Unsupported),
        (
            settings.tool_choice(ToolChoice::Required),
            ErrorKind::Unsupported,
        ),
    ] {
        let mut request = ModelRequest::new(vec![Item::user("hi")]);
        request.settings = Arc::new(settings);
        assert_eq!(refused(&request).0, kind, "{:?}", request.settings);
    }
}

#[test]
fn a_body_holds_the_prompt_and_the_settings() {
    let mut request = ModelRequest::new(vec![Item::user("hi")]);
    request.delivery = Delivery::Stream;
    request.tools = Arc::new(ToolSet::new(vec![spec("f")]));
    request.settings = Arc::new(
        ModelSettings::default()
            .max_tokens(9)
            .temperature(0.5)
            .tool_choice(ToolChoice::None)
            .extra_body("top_k", 3),
    );
    let mut body: Value = serde_json::from_slice(&encode(&request, "m", None).unwrap()).unwrap();
    let prompt = body["prompt"].take();
    assert_eq!(prompt, render(&request, None).unwrap());
    assert!(!prompt.as_str().unwrap().contains("namespace functions"));
    assert_eq!(
        body,
        json!({
            "model": "m", "stream": true, "stream_options": {"include_usage": true}, "skip_special_tokens": false,
            "temperature": 0.5, "max_tokens": 9, "top_k": 3, "prompt": null,
        })
    );
}

#[test]
fn an_output_format_stands_at_the_end_of_the_developers_message() {
    let mut request = ModelRequest::new(vec![Item::user("hi")]);
    request.instructions = Some("Shop.".into());
    request.output = Some(Arc::new(OutputFormat::strict(
        "list",
        json!({"type": "object"}),
    )));
    let text = render(&request, None).unwrap();
    let message = "<|start|>developer<|message|># Instructions\n\nShop.\n\n# Response Formats\n\n## list\n\n{\"type\":\"object\"}<|end|>";
    assert!(text.contains(message), "{text}");
}

/// Pushes the pieces of a completion and gives its events, deltas joined, and how it ended.
fn understood<'a>(
    pieces: impl IntoIterator<Item = &'a str>,
    stop: Stop,
) -> (Vec<ModelEvent>, Result<(), ErrorKind>) {
    let (mut transcript, mut events) = (Transcript::new(7), VecDeque::new());
    let push = || {
        for piece in pieces {
            transcript.push(piece, &mut events)?;
        }
        transcript.finish(stop, &mut events)
    };
    let end: Result<(), ModelError> = push();
    let mut joined: Vec<ModelEvent> = Vec::new();
    for event in events {
        match (joined.last_mut(), event) {
            (Some(ModelEvent::TextDelta { delta: last }), ModelEvent::TextDelta { delta })
            | (
                Some(ModelEvent::ReasoningDelta { delta: last }),
                ModelEvent::ReasoningDelta { delta },
            )
            | (
                Some(ModelEvent::ToolCallDelta { delta: last, .. }),
                ModelEvent::ToolCallDelta { delta, .. },
            ) => last.push_str(&delta),
            (_, event) => joined.push(event),
        }
    }
    (joined, end.map_err(|error| error.kind()))
}

fn spoken(text: &str, phase: Option<&str>) -> Item {
    let mut message = Message::new(Role::Assistant, text);
    message
        .extra
        .insert("status".to_owned(), json!("completed"));
    if let Some(phase) = phase {
        message.extra.insert("phase".to_owned(), json!(phase));
    }
    message.into()
}

#[test]
fn a_completion_becomes_events_and_items() {
    let text = "<|channel|>analysis<|message|>Look.<|end|><|start|>assistant<|channel|>commentary<|message|>Wait.<|end|>\
        <|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>";
    let (events, end) = understood([text], Stop::Model);
    assert_eq!(end, Ok(()));
    let call = FunctionCall::new("call_7_0", "f", "{}");
    assert_eq!(
        events,
        [
            ModelEvent::ReasoningDelta {
                delta: "Look.".to_owned()
            },
            ModelEvent::ItemDone {
                item: Reasoning::from_content("Look.").into()
            },
            ModelEvent::TextDelta {
                delta: "Wait.".to_owned()
            },
            ModelEvent::ItemDone {
                item: spoken("Wait.", Some("commentary"))
            },
            ModelEvent::tool_call_started(0, "call_7_0", "f"),
            ModelEvent::ToolCallDelta {
                index: 0,
                delta: "{}".to_owned()
            },
            ModelEvent::ItemDone { item: call.into() },
        ]
    );
}

const FINAL: &str = "<|channel|>final<|message|>x";
const CALL: &str = "<|channel|>commentary to=functions.f<|message|>{}";

fn check_end(text: &str, stop: Stop, expect: Result<(), ErrorKind>) {
    assert_eq!(understood([text], stop).1, expect, "{text:?} {stop:?}");
}

#[test]
fn only_what_is_surely_whole_is_taken() {
    for (text, when_stopped, when_cut) in [
        (FINAL.to_owned(), Ok(()), Err(ErrorKind::Truncated)),
        (format!("{FINAL}<|return|>"), Ok(()), Ok(())),
        (format!("{FINAL}<|end|>"), Ok(()), Err(ErrorKind::Truncated)),
        (CALL.to_owned(), Ok(()), Err(ErrorKind::Truncated)),
        (format!("{CALL}<|call|>"), Ok(()), Ok(())),
        (
            "<|channel|>final".to_owned(),
            Err(ErrorKind::Harmony),
            Err(ErrorKind::Truncated),
        ),
        (
            String::new(),
            Err(ErrorKind::Harmony),
            Err(ErrorKind::Truncated),
        ),
    ] {
        check_end(&text, Stop::Model, when_stopped);
        check_end(&text, Stop::Cut, when_cut);
    }
    check_end(
        &format!("{CALL}<|call|><|start|>assistant{CALL}"),
        Stop::Model,
        Ok(()),
    );
    for nothing in [
        "<|channel|>final<|message|>",
        "<|channel|>analysis<|message|>x<|end|>",
    ] {
        check_end(nothing, Stop::Model, Err(ErrorKind::EmptyResponse));
    }
}

#[test]
fn what_is_not_harmony_is_an_error() {
    for text in [
        format!("{CALL}<|call|><|start|>assistant{FINAL}"),
        format!("{FINAL}<|return|><|start|>assistant{CALL}"),
        format!("{FINAL}<|call|>"),
        format!("{FINAL}<|end|><|start|>user<|message|>y<|end|>"),
        "<|channel|>secret<|message|>x<|end|>".to_owned(),
        "<|message|>x<|end|>".to_owned(),
        " to=functions.<|message|>{}<|call|>".to_owned(),
        "<|channel|>final to=functions.f<|message|>{}<|call|>".to_owned(),
        "analysisUser asks.assistantfinal4".to_owned(),
        "x".repeat(5000),
    ] {
        check_end(&text, Stop::Model, Err(ErrorKind::Harmony));
    }
}

fn decoded(chunks: &[Value]) -> Result<ModelResponse, ModelError> {
    let chunks: Vec<String> = chunks.iter().map(Value::to_string).collect();
    let data = chunks
        .iter()
        .map(String::as_bytes)
        .chain([b"[DONE]" as &[u8]]);
    let events = streamed(HarmonyDecoder::new(context()), data.map(|data| ("", data)));
    response(events?)
}

fn whole(body: &Value) -> Result<ModelResponse, ModelError> {
    wire::tests::whole(HarmonyDecoder::new(context()), body.to_string().as_bytes())
}

#[test]
fn whole_and_streamed_bodies_give_the_same_response() {
    let body = json!({
        "id": "cmpl-1", "model": "gpt-oss-20b", "usage": {"prompt_tokens": 7, "completion_tokens": 2},
        "choices": [{"index": 0, "text": "<|channel|>final<|message|>Hi.<|return|>", "finish_reason": "stop"}],
    });
    let whole = whole(&body).unwrap();
    assert_eq!(whole.items, [spoken("Hi.", None)]);
    assert_eq!(whole.meta.usage.unwrap().total_tokens, 9);
    let text = |text: &str| json!({"id": "cmpl-1", "model": "gpt-oss-20b", "choices": [{"index": 0, "text": text}]});
    let streamed = decoded(&[
        text("<|channel|>fin"),
        text("al<|mess"),
        text("age|>H"),
        text("i.<|return|>"),
        json!({"choices": [{"text": "", "finish_reason": "stop"}]}),
        json!({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}),
    ]);
    assert_eq!(streamed.unwrap(), whole);
}

#[test]
fn bodies_that_cannot_be_trusted_are_errors() {
    let choice =
        |text: &str, reason: Value| json!({"choices": [{"text": text, "finish_reason": reason}]});
    let open = "<|channel|>final<|message|>x";
    let closed = "<|channel|>final<|message|>x<|return|>";
    for (body, expect) in [
        (choice(open, json!("stop")), Ok(vec![])),
        (choice(open, json!("length")), Err(ErrorKind::Truncated)),
        (choice(open, Value::Null), Err(ErrorKind::Truncated)),
        (
            choice(closed, Value::Null),
            Ok(vec!["missing_finish_reason"]),
        ),
        (choice(closed, json!("eos_token")), Ok(vec![])),
        (
            choice(closed, json!("done")),
            Err(ErrorKind::UnknownFinishReason),
        ),
        (
            choice(open, json!("content_filter")),
            Err(ErrorKind::ContentFilter),
        ),
        (choice(open, json!("abort")), Err(ErrorKind::StreamError)),
        (json!({"choices": []}), Err(ErrorKind::MissingField)),
        (json!({"object": "list"}), Err(ErrorKind::MissingField)),
        (
            json!({"error": {"message": "no"}}),
            Err(ErrorKind::ApiError),
        ),
        (
            json!({"choices": [{"text": closed, "finish_reason": "stop"}, {"text": "y"}]}),
            Err(ErrorKind::Unsupported),
        ),
        (
            choice(" to=browser.open code<|message|>{}<|call|>", json!("stop")),
            Ok(vec!["harmony_tool_namespace"]),
        ),
        (
            choice(" to=functions.f<|message|>{}<|end|>", json!("stop")),
            Ok(vec!["harmony_call_end"]),
        ),
    ] {
        let result = whole(&body);
        let codes = result.as_ref().map(|response| {
            let deviations = response.meta.deviations.iter();
            deviations.map(|deviation| &*deviation.code).collect()
        });
        assert_eq!(codes.map_err(ModelError::kind), expect, "{body}");
    }
    let error = decoded(&[choice(open, Value::Null)]).unwrap_err();
    assert_eq!(
        (error.kind(), error.received().text.as_str()),
        (ErrorKind::NoTerminalEvent, "x")
    );
    let late = [choice(closed, json!("stop")), choice("y", Value::Null)];
    assert_eq!(decoded(&late).unwrap_err().kind(), ErrorKind::Inconsistent);
}

/// Any text without special tokens, with much that looks like one.
fn plain_text() -> impl Strategy<Value = String> {
    prop_oneof!["[<|>a-z ]{0,12}", "\\PC{0,8}", Just("<|end|".to_owned())]
        .prop_filter("no special token", |text| special_in(text).is_none())
}

fn any_item() -> impl Strategy<Value = Item> {
    prop_oneof![
        plain_text().prop_map(Item::user),
        plain_text().prop_map(Item::assistant),
        plain_text().prop_map(|text| Item::from(Reasoning::from_content(format!("r{text}")))),
        plain_text().prop_map(|text| FunctionCall::new("c", "f", format!("{{{text}")).into()),
        plain_text().prop_map(|text| FunctionCallOutput::new("c", text.as_str().into()).into()),
    ]
}

/// Text of a completion, well formed or not.
fn any_completion() -> impl Strategy<Value = String> {
    let token =
        prop::sample::select(Token::ALL.to_vec()).prop_map(|token| token.as_str().to_owned());
    let known = prop::sample::select(vec![
        "<|channel|>analysis<|message|>",
        "<|channel|>final<|message|>",
        "<|channel|>commentary to=functions.f <|constrain|>json<|message|>",
        "<|end|><|start|>assistant",
        "<|call|>",
        "<|return|>",
    ])
    .prop_map(str::to_owned);
    let piece = prop_oneof![1 => token, 6 => known, 3 => "[<|>a-z é]{0,6}"];
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_is_rendered_is_parsed_to_the_same(texts in prop::collection::vec(any_item(), 0..8)) {
        let mut items = vec![Item::from(FunctionCall::new("c", "f", "{}"))];
        items.extend(texts);
        // An open turn, so that no reasoning is dropped.
        items.push(FunctionCall::new("c", "f", "{}").into());
        let text = render(&ModelRequest::new(items.clone()), None).unwrap();
        let mut parser = HarmonyParser::of_conversation();
        parser.push(&text);
        let mut messages: Vec<(String, String)> = Vec::new();
        while let Some(piece) = parser.next_piece().unwrap() {
            match piece {
                Piece::Header(Header { author, channel, recipient, .. }) => {
                    messages.push((format!("{} {channel:?} {recipient:?}", author.as_str()), String::new()));
                }
                Piece::Content(text) => messages.last_mut().unwrap().1.push_str(&text),
                Piece::End(_) => {}
            }
        }
        prop_assert_eq!(parser.finish().unwrap(), (None, Rest::Header));
        let expect: Vec<String> = items.iter().map(|item| match item.kind() {
            ItemKind::Message(message) => message.text(""),
            ItemKind::Reasoning(reasoning) => reasoning.text(),
            ItemKind::FunctionCall(call) => call.arguments.clone(),
            ItemKind::FunctionCallOutput(output) => output.output.text(),
            ItemKind::Unknown { .. } => String::new(),
        }).collect();
        let contents: Vec<String> = messages.iter().skip(1).map(|(_, text)| text.clone()).collect();
        prop_assert_eq!(contents, expect);
        for ((header, _), item) in messages.iter().skip(1).zip(&items) {
            let expect = match item.kind() {
                ItemKind::FunctionCall(_) => r#"assistant Some("commentary") Some("functions.f")"#,
                ItemKind::FunctionCallOutput(_) => r#"functions.f Some("commentary") Some("assistant")"#,
                ItemKind::Reasoning(_) => r#"assistant Some("analysis") None"#,
                ItemKind::Message(message) if message.role == Role::User => "user None None",
                _ => continue,
            };
            prop_assert_eq!(header, expect);
        }
    }

    #[test]
    fn any_split_says_the_same_as_the_whole(
        text in any_completion(),
        sizes in prop::collection::vec(1..9_usize, 1..6),
        stop in prop::sample::select(vec![Stop::Model, Stop::Cut]),
    ) {
        let (mut pieces, mut rest, mut sizes) = (Vec::new(), text.as_str(), sizes.iter().cycle());
        while !rest.is_empty() {
            let n_chars = *sizes.next().unwrap();
            let end = rest.char_indices().nth(n_chars).map_or(rest.len(), |(at, _)| at);
            let (piece, more) = rest.split_at(end);
            pieces.push(piece);
            rest = more;
        }
        prop_assert_eq!(understood(pieces, stop), understood([text.as_str()], stop));
    }
}
