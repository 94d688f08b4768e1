//! Cases 47, 48 and 51: final outputs that are wrong, empty or withheld.

use openai_agents::agent::runner::{InvalidOutput, Recovery};
use openai_agents::model::Delivery;
use openai_agents::testing::{FakeServer, Reply, ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, ErrorKind, Item, RunRequest, Runner};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::support::{agent, bodies, chat, chunk, last_chunk, whole};

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
struct Answer {
    answer: u8,
}

fn typed() -> Agent {
    Agent::builder("A").output::<Answer>().build().unwrap()
}

fn run(texts: &[&str]) -> (ScriptedModel, RunRequest) {
    let model = ScriptedModel::new(texts.iter().map(|text| ScriptedTurn::text(*text)));
    let request = Runner::new(model.clone()).run(&typed(), "go");
    (model, request)
}

#[tokio::test]
async fn case_47_an_output_of_the_wrong_form_can_be_replaced() {
    let (_, request) = run(&["It is 42."]);
    let result = request
        .recover(|failure, _| {
            assert_eq!(failure.kind(), ErrorKind::InvalidOutput);
            Some(Recovery::with(r#"{"answer":42}"#))
        })
        .await
        .unwrap();
    assert_eq!(result.output::<Answer>().unwrap(), Answer { answer: 42 });
    let said = [
        Item::assistant("It is 42."),
        Item::assistant(r#"{"answer":42}"#),
    ];
    assert_eq!(result.items(), said);

    // What replaces it must itself be of the form.
    let (_, request) = run(&["It is 42."]);
    let request = request.recover(|_, _| Some(Recovery::with("42, it is.")));
    assert_eq!(request.await.unwrap_err().kind(), ErrorKind::InvalidOutput);
}

/// The Python SDK silently asks the same again until its turns are used up.
#[tokio::test]
async fn case_48_an_empty_output_is_an_error_unless_asking_again_was_asked_for() {
    let (model, request) = run(&["", r#"{"answer":42}"#]);
    assert_eq!(request.await.unwrap_err().kind(), ErrorKind::EmptyResponse);
    assert_eq!(model.requests().len(), 1);

    for (texts, ends_well) in [
        (["", r#"{"answer":42}"#, ""], true),
        (["42", r#"{"answer":42}"#, ""], true),
        (["", "", r#"{"answer":42}"#], false),
    ] {
        let (model, request) = run(&texts);
        let result = request
            .invalid_output(InvalidOutput::AskAgain { max: 1 })
            .await;
        assert_eq!(result.is_ok(), ends_well, "{texts:?}");
        assert_eq!(model.requests().len(), 2);
        let complaint = model.requests()[1]
            .items
            .last()
            .unwrap()
            .to_json()
            .to_owned();
        assert!(
            complaint.contains("not the form that was asked for"),
            "{complaint}"
        );
    }
}

/// A filter is an error of its own; the Python SDK makes a refusal of it.
#[tokio::test]
async fn case_51_an_answer_that_was_cut_or_filtered_is_an_error() {
    for (content, reason, kind) in [
        ("", "length", ErrorKind::Truncated),
        ("It is", "length", ErrorKind::Truncated),
        ("", "content_filter", ErrorKind::ContentFilter),
        ("It is", "content_filter", ErrorKind::ContentFilter),
    ] {
        let message = json!({ "role": "assistant", "content": content });
        let server = FakeServer::start([whole(&message, reason)]).await.unwrap();
        let error = Runner::new(chat(&server))
            .run(&agent([]), "go")
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{content:?} {reason}");
        assert_eq!(bodies(&server).len(), 1);

        let chunks = [chunk(&json!({ "content": content })), last_chunk(reason)];
        let reply = Reply::sse(chunks);
        let server = FakeServer::start([reply]).await.unwrap();
        let error = Runner::new(chat(&server))
            .run(&agent([]), "go")
            .delivery(Delivery::Stream)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{content:?} {reason}, streamed");
    }
}
