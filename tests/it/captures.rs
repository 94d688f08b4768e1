//! Recorded answers of real servers, played to the chat driver: each decodes, or is the error that the table says.

use std::fs;
use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use openai_agents::ErrorKind;
use openai_agents::item::{Item, ItemKind};
use openai_agents::model::{
    Delivery, Model, ModelError, ModelEvent, ModelRequest, ModelResponse, ResponseAccumulator,
};
use openai_agents::testing::{FakeServer, Reply};
use serde_json::{Value, json};

use crate::support::chat;

/// The folders of `tests/fixtures/captures`, with how many answers of the chat API are in each.
const FOLDERS: [(&str, usize); 3] = [("litellm", 38), ("llama", 40), ("model-server", 19)];

/// The answers of status 200 that are errors all the same.
const REFUSED: [(&str, ErrorKind); 8] = [
    // Cut by `max_tokens`: half an answer is none.
    ("chat-length.json", ErrorKind::Truncated),
    ("chat-logprobs.json", ErrorKind::Truncated),
    ("tool-truncated.json", ErrorKind::Truncated),
    ("tool-truncated-stream.sse", ErrorKind::Truncated),
    // llama.cpp takes any name for its model's, and this answer was cut.
    ("err-wrong-model.json", ErrorKind::Truncated),
    // Two answers to one question (`n: 2`), which this library never asks for.
    ("chat-n2.json", ErrorKind::Unsupported),
    // An error object inside a stream that had begun well.
    ("text-truncated-stream.sse", ErrorKind::StreamError),
    (
        "badtemplate-chat-tool-parallel-stream.sse",
        ErrorKind::StreamError,
    ),
];

pub(crate) fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/captures")
        .join(name)
}

/// The answers in a folder whose names are right.
pub(crate) fn captures(folder: &Path, is_right: fn(&str) -> bool) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            !name.ends_with(".request.json") && is_right(&name)
        })
        .collect();
    paths.sort();
    paths
}

/// Plays a capture as the answer to a request, with the status that it came with.
pub(crate) async fn play<M: Model>(
    path: &Path,
    model: fn(&FakeServer) -> M,
) -> (Vec<ModelEvent>, Option<ModelError>) {
    let mut request = ModelRequest::new(vec![Item::user("go")]);
    let reply = if is_stream(path) {
        request.delivery = Delivery::Stream;
        Reply::event_stream().bytes(read(path))
    } else {
        Reply::status(status(path), read(path))
    };
    let server = FakeServer::start([reply]).await.unwrap();
    let mut call = model(&server).call(request);
    let (mut events, mut error) = (Vec::new(), None);
    while let Some(event) = call.next().await {
        assert!(error.is_none(), "an event after an error");
        match event {
            Ok(event) => events.push(event),
            Err(failure) => error = Some(failure),
        }
    }
    (events, error)
}

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn is_stream(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "sse")
}

/// Both servers repeat the status in an error's `code`; where they do not, this is what was recorded.
pub(crate) fn status(path: &Path) -> u16 {
    if is_stream(path) {
        return 200;
    }
    let body: Value = serde_json::from_str(&read(path)).unwrap();
    match (&body["detail"], &body["error"], &body["error"]["code"]) {
        (Value::String(detail), ..) if detail == "Not Found" => 404,
        (Value::String(_), ..) => 405,
        (_, Value::Null, _) => 200,
        (.., Value::String(code)) => code.parse().unwrap(),
        (.., Value::Number(code)) => code.to_string().parse().unwrap(),
        _ => 500,
    }
}

pub(crate) fn fold(events: Vec<ModelEvent>) -> ModelResponse {
    let mut fold = ResponseAccumulator::default();
    for event in events {
        fold.push(event);
    }
    fold.finish().unwrap()
}

/// What an answer says, without the ids that differ from one recording to the next.
pub(crate) fn said(response: &ModelResponse) -> Vec<Value> {
    response
        .items
        .iter()
        .map(|item| match item.kind() {
            ItemKind::Message(message) => json!(message.text("")),
            ItemKind::FunctionCall(call) => {
                assert!(!call.call_id.is_empty() && !call.name.is_empty());
                let arguments: Value = serde_json::from_str(&call.arguments).unwrap();
                json!({ "name": call.name, "arguments": arguments })
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

/// The same, from the deltas.
pub(crate) fn told(events: &[ModelEvent]) -> Vec<Value> {
    let mut text = String::new();
    let mut calls: Vec<(String, String)> = Vec::new();
    for event in events {
        match event {
            ModelEvent::TextDelta { delta } => text.push_str(delta),
            ModelEvent::ToolCallStarted { index, name, .. } => {
                assert_eq!(*index, calls.len());
                calls.push((name.clone(), String::new()));
            }
            ModelEvent::ToolCallDelta { index, delta } => calls[*index].1.push_str(delta),
            _ => {}
        }
    }
    let text = Some(json!(text)).filter(|_| !text.is_empty());
    let calls = calls.into_iter().map(|(name, arguments)| {
        let arguments: Value = serde_json::from_str(&arguments).unwrap();
        json!({ "name": name, "arguments": arguments })
    });
    text.into_iter().chain(calls).collect()
}

#[tokio::test]
async fn captured_chat_answers_decode_as_expected() {
    for (name, n_answers) in FOLDERS {
        let captures = captures(&folder(name), |name| !name.contains("responses"));
        assert_eq!(captures.len(), n_answers, "{name}");
        for path in captures {
            println!("{}", path.display());
            let (events, error) = play(&path, chat).await;
            let refused = REFUSED.iter().find(|(name, _)| path.ends_with(name));
            match (status(&path), refused) {
                (200, None) => {
                    assert!(error.is_none(), "{error:?}");
                    check_answer(&path, events);
                }
                (200, Some((_, kind))) => assert_eq!(error.unwrap().kind(), *kind),
                (status, _) => check_error_status(&path, status, &error.unwrap()),
            }
        }
    }
}

#[track_caller]
fn check_answer(path: &Path, events: Vec<ModelEvent>) {
    let told = told(&events);
    let response = fold(events);
    let said = said(&response);
    assert!(!said.is_empty());
    assert_eq!(told, if is_stream(path) { said } else { Vec::new() });
    assert_eq!(response.meta.deviations, []);
}

#[track_caller]
pub(crate) fn check_error_status(path: &Path, status: u16, error: &ModelError) {
    assert_eq!(
        (error.kind(), error.status()),
        (ErrorKind::ApiStatus, Some(status))
    );
    let body: Value = serde_json::from_str(&read(path)).unwrap();
    let words = [&body["error"]["message"], &body["detail"]]
        .into_iter()
        .find_map(Value::as_str)
        .unwrap();
    assert!(error.to_string().ends_with(words), "{error}");
}

/// The same question, answered whole and in pieces, by servers that were asked for temperature 0.
#[tokio::test]
async fn captured_chat_answers_agree_whole_and_streamed() {
    for name in ["litellm", "llama"] {
        for (whole, streamed) in [
            ("chat", "chat-stream"),
            ("chat-json-schema", "chat-json-schema-stream"),
            ("chat-tool-auto", "chat-tool-stream"),
            ("chat-tool-parallel", "chat-tool-parallel-stream"),
            ("chat-tool-loop-turn2", "chat-tool-loop-turn2-stream"),
        ] {
            let folder = folder(name);
            let whole = fold(play(&folder.join(format!("{whole}.json")), chat).await.0);
            let streamed = fold(play(&folder.join(format!("{streamed}.sse")), chat).await.0);
            assert_eq!(said(&whole), said(&streamed), "{name}");
            assert_eq!(whole.meta.finish_reason, streamed.meta.finish_reason);
        }
    }
}
