//! What a model of one's own is told that it does wrong.

use futures_util::stream;
use openai_agents::future::BoxStream;
use openai_agents::model::{Delivery, ModelError, ModelEvent, ModelRequest, ResponseAccumulator};
use openai_agents::testing::{ScriptedModel, ScriptedTurn, model_conformance};
use openai_agents::{ErrorKind, Item, Model};
use serde_json::json;

/// Plays the same events to each request; deltas only if it was asked to stream.
struct Fixed(Vec<ModelEvent>);

impl Model for Fixed {
    fn name(&self) -> &'static str {
        "fixed"
    }

    fn call(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, ModelError>> {
        let is_delta = |event: &ModelEvent| matches!(event, ModelEvent::TextDelta { .. });
        let is_whole = request.delivery == Delivery::Whole;
        let mut events = self.0.clone();
        events.retain(|event| !is_whole || !is_delta(event));
        Box::pin(stream::iter(events.into_iter().map(Ok)))
    }
}

fn request() -> ModelRequest {
    ModelRequest::new(vec![Item::user("hi")])
}

fn delta(text: &str) -> ModelEvent {
    ModelEvent::TextDelta {
        delta: text.to_owned(),
    }
}

fn item(text: &str) -> ModelEvent {
    ModelEvent::ItemDone {
        item: Item::assistant(text),
    }
}

fn end() -> ModelEvent {
    ModelEvent::ResponseDone(Box::default())
}

#[tokio::test]
async fn model_that_keeps_the_promises_conforms() {
    let turns = [
        ScriptedTurn::text("hi"),
        ScriptedTurn::tool_calls([("a", json!({})), ("b", json!({ "n": 1 }))]),
    ];
    model_conformance(&ScriptedModel::new(turns), request())
        .await
        .unwrap();
    let model = Fixed(vec![delta("a "), delta("b"), item("a b"), end()]);
    model_conformance(&model, request()).await.unwrap();
}

#[tokio::test]
async fn model_that_breaks_a_promise_is_told_which() {
    for (events, expect) in [
        (
            vec![delta("a"), end()],
            "an answer has an item: a message, or a call: the model failed",
        ),
        (
            vec![delta("a"), item("ab"), end()],
            "what the text's deltas add up to comes in an `ItemDone` as well: expected \"a\", found \"ab\"",
        ),
        (
            vec![item("a"), end(), end()],
            "an answer ends with one `ResponseDone`: expected 1, found 2",
        ),
        (
            vec![item("a")],
            "an answer ends with one `ResponseDone`: expected 1, found 0",
        ),
        (
            vec![end(), item("a")],
            "nothing comes behind `ResponseDone`: expected true, found false",
        ),
    ] {
        let error = model_conformance(&Fixed(events), request())
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), expect);
    }
}

#[test]
fn accumulator_event_behind_the_end_is_inconsistent() {
    for late in [delta("more"), item("more"), end()] {
        let mut response = ResponseAccumulator::default();
        for event in [item("a"), end(), late.clone(), delta("and more")] {
            response.push(event);
        }
        let error = response.finish().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Inconsistent);
        let name = match late {
            ModelEvent::TextDelta { .. } => "TextDelta",
            ModelEvent::ItemDone { .. } => "ItemDone",
            _ => "ResponseDone",
        };
        let message = format!("the model's stream went on after its response was done: {name}");
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn accumulator_without_an_end_is_no_response() {
    let mut response = ResponseAccumulator::default();
    response.push(item("a"));
    assert_eq!(
        response.finish().unwrap_err().kind(),
        ErrorKind::NoTerminalEvent
    );
}
