//! Recorded answers with odd fields at every place that the answer does not need: the same answer.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::{DecodeContext, ResponseDecoder, ResponseLimits, chat, responses};
use crate::item::{Item, ItemKind};
use crate::model::{ModelError, ModelEvent, ModelResponse, ResponseAccumulator};

/// The fields that an answer consists of, or that say what the others are; they are not touched.
const NEEDED: [&str; 22] = [
    "choices",
    "message",
    "delta",
    "content",
    "finish_reason",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "function_call",
    "text",
    "refusal",
    "error",
    "type",
    "output",
    "status",
    "item",
    "response",
    "call_id",
    "role",
    "audio",
    "index",
];

/// What is put into the place of a field, or beside it.
fn values() -> Vec<Value> {
    vec![
        Value::Null,
        json!(-5),
        json!(true),
        json!("odd"),
        json!([[1], {"a": []}]),
        json!({"nested": {"deep": [1, 2]}}),
    ]
}

/// One change of a recorded answer, and what it is.
struct AnswerChange {
    json: String,
    what: String,
}

/// Every change of one value of the document: at each place, one that is not needed is replaced, repeated or added.
fn changes(document: &Value) -> Vec<AnswerChange> {
    let mut paths = Vec::new();
    objects(document, "", &mut paths);
    let mut changes = Vec::new();
    for path in &paths {
        let object = document.pointer(path).unwrap().as_object().unwrap();
        let spare: Vec<&String> = object
            .keys()
            .filter(|key| !NEEDED.contains(&key.as_str()))
            .collect();
        for (n, value) in values().iter().enumerate() {
            let place = format!("{path} + {value}");
            changes.push(with(
                document,
                path,
                None,
                value,
                &format!("{place}: new field"),
            ));
            // Each kind of value in turn at each field, so that the number of changes stays small.
            if let Some(key) = spare.get(n % spare.len().max(1)) {
                let place = format!("{path}/{key} = {value}");
                changes.push(with(document, path, Some(key), value, &place));
                changes.push(repeated(document, path, key, value));
            }
        }
    }
    changes
}

/// The places of all objects, but for those inside free-form ones.
fn objects(value: &Value, path: &str, paths: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            paths.push(path.to_owned());
            for (key, inner) in object {
                objects(inner, &format!("{path}/{key}"), paths);
            }
        }
        Value::Array(list) => {
            for (n, inner) in list.iter().enumerate() {
                objects(inner, &format!("{path}/{n}"), paths);
            }
        }
        _ => {}
    }
}

fn with(
    document: &Value,
    path: &str,
    key: Option<&str>,
    value: &Value,
    what: &str,
) -> AnswerChange {
    let mut changed = document.clone();
    changed.pointer_mut(path).unwrap()[key.unwrap_or("x_unexpected")] = value.clone();
    AnswerChange {
        json: changed.to_string(),
        what: what.to_owned(),
    }
}

/// Writes a key twice, behind its own value, which no JSON value can hold.
fn repeated(document: &Value, path: &str, key: &str, value: &Value) -> AnswerChange {
    const MARK: &str = "x_repeated_here";
    let mut changed = document.clone();
    changed.pointer_mut(path).unwrap()[MARK] = value.clone();
    AnswerChange {
        json: changed
            .to_string()
            .replace(&format!("\"{MARK}\":"), &format!("{}:", Value::from(key))),
        what: format!("{path}/{key} twice, with {value}"),
    }
}

fn context() -> DecodeContext {
    DecodeContext::new(1, Arc::default(), ResponseLimits::default())
}

/// Reads an answer: a body, or the data of events.
fn decode(
    documents: &[String],
    is_stream: bool,
    is_chat: bool,
) -> Result<ModelResponse, ModelError> {
    if is_chat {
        read(chat::ChatDecoder::new(context()), documents, is_stream)
    } else {
        read(
            responses::ResponsesDecoder::new(context()),
            documents,
            is_stream,
        )
    }
}

fn read(
    decoder: impl ResponseDecoder,
    documents: &[String],
    is_stream: bool,
) -> Result<ModelResponse, ModelError> {
    if !is_stream {
        return whole(decoder, documents[0].as_bytes());
    }
    let data = documents.iter().map(|document| ("", document.as_bytes()));
    response(streamed(decoder, data)?)
}

/// What a decoder makes of the data of events, as an exchange asks it: an error has what was received.
pub(super) fn streamed<'a>(
    mut decoder: impl ResponseDecoder,
    data: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<VecDeque<ModelEvent>, ModelError> {
    let mut events = VecDeque::new();
    let read = || {
        for (name, data) in data {
            if !is_complete(&events) {
                decoder.on_event(name, data, &mut events)?;
            }
        }
        if !is_complete(&events) {
            decoder.on_end(&mut events)?;
        }
        Ok(())
    };
    let result = read();
    match result {
        Ok(()) => Ok(events),
        Err(error) => Err(ModelError::with_received(error, decoder.take_received())),
    }
}

/// Whether the decoder gave the end.
pub(super) fn is_complete(events: &VecDeque<ModelEvent>) -> bool {
    matches!(events.back(), Some(ModelEvent::ResponseDone(_)))
}

/// What the events of one answer come to.
pub(super) fn response(
    events: impl IntoIterator<Item = ModelEvent>,
) -> Result<ModelResponse, ModelError> {
    let mut response = ResponseAccumulator::default();
    for event in events {
        response.push(event);
    }
    response.finish()
}

/// What a decoder makes of a whole body.
pub(super) fn whole(
    mut decoder: impl ResponseDecoder,
    body: &[u8],
) -> Result<ModelResponse, ModelError> {
    let mut events = VecDeque::new();
    decoder.on_body(body, &mut events)?;
    response(events)
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

/// All recordings that are answers, with whether each is a stream and one of the chat API.
fn recordings() -> Vec<(PathBuf, bool, bool)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/captures");
    let folders = fs::read_dir(root)
        .unwrap()
        .map(|folder| folder.unwrap().path());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap());
    let mut found = Vec::new();
    for path in files.map(|file| file.unwrap().path()) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.contains(".request.") && !name.starts_with("err-") {
            let is_chat = !name.contains("responses");
            let is_stream = path.extension().is_some_and(|extension| extension == "sse");
            found.push((path, is_stream, is_chat));
        }
    }
    found.sort();
    found
}

/// The documents of a recorded answer: its body, or its events.
fn documents(text: &str, is_stream: bool) -> Vec<Value> {
    if !is_stream {
        return vec![serde_json::from_str(text).unwrap()];
    }
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let json = data.filter(|data| *data != "[DONE]");
    json.map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

#[test]
fn recorded_answer_with_odd_fields_anywhere_is_the_same_answer() {
    let (mut n_answers, mut n_changes) = (0, 0);
    for (path, is_stream, is_chat) in recordings() {
        let documents = documents(&fs::read_to_string(&path).unwrap(), is_stream);
        let texts: Vec<String> = documents.iter().map(Value::to_string).collect();
        let Ok(plain) = decode(&texts, is_stream, is_chat) else {
            continue;
        };
        n_answers += 1;
        // Of a long stream the first and the last events are changed in every way, and one between.
        for (n, document) in documents.iter().enumerate() {
            if n > 3 && n + 4 < documents.len() && n != documents.len() / 2 {
                continue;
            }
            // A third of the changes at each place, another one in each recording: all together takes half a minute.
            for change in changes(document).into_iter().skip(n_answers % 3).step_by(3) {
                let mut changed = texts.clone();
                changed[n].clone_from(&change.json);
                let place = format!("{}[{n}] {}", path.display(), change.what);
                let answer = decode(&changed, is_stream, is_chat)
                    .unwrap_or_else(|error| panic!("{place}: {error}"));
                assert_eq!(said(&answer), said(&plain), "{place}");
                n_changes += 1;
            }
        }
    }
    assert!(
        n_answers > 90 && n_changes > 5000,
        "{n_answers} {n_changes}"
    );
}

#[test]
fn recorded_answer_with_a_repeated_or_unreadable_field_has_a_deviation() {
    const READ: [&str; 5] = ["id", "model", "usage", "prompt_tokens", "total_tokens"];
    for (path, is_stream, is_chat) in recordings() {
        let documents = documents(&fs::read_to_string(&path).unwrap(), is_stream);
        let texts: Vec<String> = documents.iter().map(Value::to_string).collect();
        if decode(&texts, is_stream, is_chat).is_err() || !is_chat {
            continue;
        }
        for key in READ {
            let has = |place: &str, document: &Value| {
                document
                    .pointer(place)
                    .is_some_and(|it| it.get(key).is_some())
            };
            for place in ["", "/usage"] {
                let Some(n) = documents.iter().position(|document| has(place, document)) else {
                    continue;
                };
                for change in [
                    with(&documents[n], place, Some(key), &json!([-1]), key),
                    repeated(&documents[n], place, key, &json!("odd")),
                ] {
                    let mut changed = texts.clone();
                    changed[n].clone_from(&change.json);
                    let answer = decode(&changed, is_stream, is_chat).unwrap();
                    let codes: Vec<_> = answer.meta.deviations.iter().map(|it| &*it.code).collect();
                    assert!(
                        codes.contains(&"unreadable_field") || codes.contains(&"repeated_field"),
                        "{} {key}: {codes:?}",
                        path.display()
                    );
                }
            }
        }
    }
}
