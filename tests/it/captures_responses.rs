//! Recorded answers of real servers, played to the driver of the Responses API: what decodes does so without loss.

use std::path::Path;

use openai_agents::ErrorKind;
use openai_agents::item::Item;
use openai_agents::model::{Model, ModelEvent, ModelRequest, ModelResponse};
use openai_agents::testing::FakeServer;
use serde_json::{Value, json};

use crate::captures::{
    captures, check_error_status, fold, folder, is_stream, play, read, said, status, told,
};
use crate::support::{SAYS_DONE, bodies, response, responses, value};

/// The folders of `tests/fixtures/captures`, with how many answers of the Responses API are in each.
const FOLDERS: [(&str, usize); 4] = [
    ("litellm", 18),
    ("llama", 18),
    ("bridge", 18),
    ("model-server", 3),
];

/// The answers of status 200 that are errors all the same.
const REFUSED: [(&str, ErrorKind); 1] = [
    // Cut by `max_output_tokens`, and the only one of the three servers that says so.
    (
        "bridge/responses-length.json",
        ErrorKind::ResponseIncomplete,
    ),
];

/// The events of a stream.
fn events(path: &Path) -> Vec<Value> {
    read(path)
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

/// What an answer has as output, as the server wrote it.
fn recorded(path: &Path) -> Vec<Value> {
    if !is_stream(path) {
        let body: Value = serde_json::from_str(&read(path)).unwrap();
        return body["output"].as_array().unwrap().clone();
    }
    events(path)
        .iter()
        .filter(|event| event["type"] == "response.output_item.done")
        .map(|event| event["item"].clone())
        .collect()
}

#[tokio::test]
async fn captured_responses_decode_without_loss() {
    for (name, n_answers) in FOLDERS {
        let captures = captures(&folder(name), |name| name.contains("responses"));
        assert_eq!(captures.len(), n_answers, "{name}");
        for path in captures {
            println!("{}", path.display());
            let (events, error) = play(&path, responses).await;
            let refused = REFUSED.iter().find(|(name, _)| path.ends_with(name));
            match (status(&path), refused) {
                (200, None) => {
                    assert!(error.is_none(), "{error:?}");
                    check_answer(&path, events).await;
                }
                (200, Some((_, kind))) => assert_eq!(error.unwrap().kind(), *kind),
                (status, _) => check_error_status(&path, status, &error.unwrap()),
            }
        }
    }
}

async fn check_answer(path: &Path, events: Vec<ModelEvent>) {
    let told = told(&events);
    let response = fold(events);
    let text = read(path);
    for item in &response.items {
        assert!(text.contains(item.to_json()), "not verbatim: {item:?}");
    }
    let expected = recorded(path);
    let items: Vec<Value> = response.items.iter().map(value).collect();
    assert_eq!(items, expected);
    assert_eq!(sent_again(&response).await, Value::from(expected));
    let said = spoken(&response);
    assert_eq!(told, if is_stream(path) { said } else { Vec::new() });
    assert_eq!(response.meta.deviations, []);
    assert_eq!(response.meta.finish_reason.as_deref(), Some("completed"));
    check_end(path, &response);
}

/// The input of a request that has these items.
async fn sent_again(answer: &ModelResponse) -> Value {
    let server = FakeServer::start([response("resp_1", &[SAYS_DONE])])
        .await
        .unwrap();
    let call = responses(&server).call(ModelRequest::new(answer.items.clone()));
    futures_util::StreamExt::collect::<Vec<_>>(call).await;
    bodies(&server).remove(0)["input"].take()
}

/// What an answer says, without the empty message that the bridge puts beside a call.
fn spoken(response: &ModelResponse) -> Vec<Value> {
    said(response)
        .into_iter()
        .filter(|said| said != "")
        .collect()
}

#[track_caller]
fn check_end(path: &Path, response: &ModelResponse) {
    let body = if is_stream(path) {
        let last = events(path).pop().unwrap();
        last["response"].clone()
    } else {
        serde_json::from_str(&read(path)).unwrap()
    };
    let end = &response.meta;
    let usage = end.usage.unwrap();
    assert_eq!(
        json!([
            end.response_id,
            end.model,
            usage.input_tokens,
            usage.output_tokens,
            usage.total_tokens
        ]),
        json!([
            body["id"],
            body["model"],
            body["usage"]["input_tokens"],
            body["usage"]["output_tokens"],
            body["usage"]["total_tokens"]
        ])
    );
}

/// The same question, answered whole and in pieces, by servers that were asked for temperature 0.
#[tokio::test]
async fn captured_responses_agree_whole_and_streamed() {
    for name in ["litellm", "llama", "bridge"] {
        for (whole, streamed) in [
            ("responses", "responses-stream"),
            ("responses-tool-auto", "responses-tool-stream"),
            (
                "responses-tool-loop-turn2",
                "responses-tool-loop-turn2-stream",
            ),
        ] {
            let folder = folder(name);
            let whole = folder.join(format!("{whole}.json"));
            let streamed = folder.join(format!("{streamed}.sse"));
            let whole = fold(play(&whole, responses).await.0);
            let streamed = fold(play(&streamed, responses).await.0);
            assert_eq!(spoken(&whole), spoken(&streamed), "{name}");
        }
    }
}

/// The second request of a recorded loop is what this library makes of the first answer and the tool's output.
#[tokio::test]
async fn a_recorded_second_request_is_made_again() {
    for name in ["litellm", "llama", "bridge", "model-server"] {
        let file = if name == "model-server" {
            "responses-turn2.request.json"
        } else {
            "responses-tool-loop-turn2.request.json"
        };
        let recorded: Value = serde_json::from_str(&read(&folder(name).join(file))).unwrap();
        let input = recorded["input"].as_array().unwrap();
        let items: Vec<Item> = input
            .iter()
            .map(|item| Item::from_json(&item.to_string()).unwrap())
            .collect();
        let server = FakeServer::start([response("resp_1", &[SAYS_DONE])])
            .await
            .unwrap();
        let call = responses(&server).call(ModelRequest::new(items));
        futures_util::StreamExt::collect::<Vec<_>>(call).await;
        assert_eq!(bodies(&server)[0]["input"], recorded["input"], "{name}");
    }
}
