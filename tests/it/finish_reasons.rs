//! Words by which servers say why an answer ended: only one that is known to mean "complete" makes an answer one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use openai_agents::model::{Delivery, Dialect, FinishReason, Model, OpenAiChat};
use openai_agents::testing::{FakeServer, Reply};
use openai_agents::{ErrorKind, RunError, Runner};
use serde_json::{Value, json};

use crate::support::{agent, chat, response, responses, streamed, tool, whole, wire_call};

/// Words that no answer is complete with, and the error that each is.
const INCOMPLETE: [(&str, ErrorKind); 24] = [
    ("length", ErrorKind::Truncated),
    ("MAX_TOKENS", ErrorKind::Truncated),
    ("max_tokens", ErrorKind::Truncated),
    ("model_length", ErrorKind::Truncated),
    ("model_context_window_exceeded", ErrorKind::Truncated),
    ("pause_turn", ErrorKind::Truncated),
    ("content_filter", ErrorKind::ContentFilter),
    ("SAFETY", ErrorKind::ContentFilter),
    ("RECITATION", ErrorKind::ContentFilter),
    ("PROHIBITED_CONTENT", ErrorKind::ContentFilter),
    ("sensitive", ErrorKind::ContentFilter),
    ("refusal", ErrorKind::ContentFilter),
    ("guardrail_intervened", ErrorKind::ContentFilter),
    ("error", ErrorKind::StreamError),
    ("abort", ErrorKind::StreamError),
    ("network_error", ErrorKind::StreamError),
    ("insufficient_system_resource", ErrorKind::StreamError),
    ("MALFORMED_FUNCTION_CALL", ErrorKind::StreamError),
    ("ERROR_TOXIC", ErrorKind::ContentFilter),
    ("OTHER", ErrorKind::UnknownFinishReason),
    ("FINISH_REASON_UNSPECIFIED", ErrorKind::UnknownFinishReason),
    ("null", ErrorKind::UnknownFinishReason),
    ("stopped", ErrorKind::UnknownFinishReason),
    ("bye", ErrorKind::UnknownFinishReason),
];

const COMPLETE: [&str; 7] = [
    "stop",
    "STOP",
    "end_turn",
    "stop_sequence",
    "eos_token",
    "COMPLETE",
    "FINISH_REASON_STOP",
];

/// A text, then a call, ended by a word.
fn answers(word: &str) -> [(Reply, bool); 4] {
    let text = json!({ "role": "assistant", "content": "The answer is forty-" });
    let call = json!({ "role": "assistant", "content": "Let me", "tool_calls": [wire_call(0, "c1", "t", "{}")] });
    [
        (whole(&text, word), false),
        (whole(&call, word), false),
        (streamed(&[text], word), true),
        (streamed(&[call], word), true),
    ]
}

/// Runs an agent with a tool; gives how the run ended, how often the tool ran, and how many requests there were.
async fn run(
    replies: Vec<Reply>,
    is_streamed: bool,
    model: impl FnOnce(&FakeServer) -> Box<dyn Model>,
) -> (Result<String, RunError>, usize) {
    let server = FakeServer::start(replies).await.unwrap();
    let n_calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&n_calls);
    let tool = tool("t", move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Ok("x".to_owned()) }
    });
    let runner = Runner::shared(Arc::from(model(&server)));
    let agent = agent([tool]);
    let request = if is_streamed {
        runner.run(&agent, "go").delivery(Delivery::Stream)
    } else {
        runner.run(&agent, "go").delivery(Delivery::Whole)
    };
    let ended = request.await.map(|result| result.final_output().to_owned());
    (ended, n_calls.load(Ordering::SeqCst))
}

#[tokio::test]
async fn answer_without_a_known_end_is_an_error_and_no_call_of_it_runs() {
    for (word, kind) in INCOMPLETE {
        for (reply, is_streamed) in answers(word) {
            let (ended, n_calls) =
                run(vec![reply], is_streamed, |server| Box::new(chat(server))).await;
            let error = ended.unwrap_err();
            assert_eq!((error.kind(), n_calls), (kind, 0), "{word}: {error}");
            assert!(
                error
                    .to_string()
                    .contains(&format!("finish_reason `{word}`")),
                "{error}"
            );
            assert_eq!(error.progress().items, []);
            let received = &error.model_error().unwrap().received().text;
            assert!(["The answer is forty-", "Let me"].contains(&received.as_str()));
        }
    }
}

#[tokio::test]
async fn answer_with_a_word_for_complete_is_one() {
    for word in COMPLETE {
        let [(whole, _), _, (streamed, _), _] = answers(word);
        for (reply, is_streamed) in [(whole, false), (streamed, true)] {
            let (ended, _) = run(vec![reply], is_streamed, |server| Box::new(chat(server))).await;
            assert_eq!(ended.unwrap(), "The answer is forty-", "{word}");
        }
    }
}

#[tokio::test]
async fn word_for_tool_calls_without_a_call_is_an_error() {
    for word in ["tool_calls", "tool_use", "TOOL_CALL", "tool-calls"] {
        let [(text, _), (call, _), ..] = answers(word);
        let (ended, _) = run(vec![text], false, |server| Box::new(chat(server))).await;
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::Inconsistent, "{word}");
        let last = whole(&json!({ "role": "assistant", "content": "done" }), "stop");
        let (ended, n_calls) = run(vec![call, last], false, |server| Box::new(chat(server))).await;
        assert_eq!((ended.unwrap().as_str(), n_calls), ("done", 1), "{word}");
    }
}

#[tokio::test]
async fn dialect_adds_words() {
    for (meaning, expect) in [
        (
            FinishReason::Complete,
            Ok("The answer is forty-".to_owned()),
        ),
        (FinishReason::Truncated, Err(ErrorKind::Truncated)),
        (FinishReason::Filtered, Err(ErrorKind::ContentFilter)),
        (FinishReason::Failed, Err(ErrorKind::StreamError)),
        (FinishReason::ToolCalls, Err(ErrorKind::Inconsistent)),
    ] {
        let mut dialect = Dialect::default();
        dialect.finish_reasons.insert("bye".to_owned(), meaning);
        let [(whole, _), _, (streamed, _), _] = answers("bye");
        for (reply, is_streamed) in [(whole, false), (streamed, true)] {
            let dialect = dialect.clone();
            let model = move |server: &FakeServer| -> Box<dyn Model> {
                let model = OpenAiChat::builder(server.url(), "m").dialect(dialect);
                Box::new(model.build().unwrap())
            };
            let (ended, _) = run(vec![reply], is_streamed, model).await;
            assert_eq!(ended.map_err(|error| error.kind()), expect);
        }
    }
}

/// A response of a text with these fields over those of a complete one; whole, and in events.
fn response_with(response_fields: &Value, item_fields: &Value, event: &str) -> [(Reply, bool); 2] {
    let mut item = json!({ "type": "message", "id": "m1", "role": "assistant", "status": "completed",
        "content": [{ "type": "output_text", "text": "The answer is forty-", "annotations": [] }] });
    let mut body = json!({ "id": "r1", "object": "response", "status": "completed" });
    let lay = |over: &Value, under: &mut Value| {
        for (key, value) in over.as_object().unwrap() {
            under[key] = value.clone();
        }
    };
    lay(item_fields, &mut item);
    body["output"] = json!([item]);
    lay(response_fields, &mut body);
    let events = [
        json!({ "type": "response.output_text.delta", "delta": "The answer is forty-" }),
        json!({ "type": "response.output_item.done", "output_index": 0, "item": item }),
        json!({ "type": event, "response": body }),
    ];
    [
        (Reply::json(&body), false),
        (Reply::sse(events.map(|event| event.to_string())), true),
    ]
}

const DONE: &str = "response.completed";

/// Fields of the response and of its message, the event that ends it, and the error that it is.
const RESPONSES: [(&str, &str, &str, ErrorKind, &str); 12] = {
    use ErrorKind::{
        ResponseFailed, ResponseIncomplete, StreamError, Truncated, UnknownFinishReason,
        Unsupported,
    };
    const CUT: &str =
        r#"{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}"#;
    const FILTERED: &str = r#"{"status":"incomplete","incomplete_details":{"reason":"SAFETY"}}"#;
    const CONTRADICTS: &str = r#"{"incomplete_details":{"reason":"max_output_tokens"}}"#;
    const IN_PROGRESS: &str = r#"{"status":"in_progress"}"#;
    const ABORT: &str = r#"{"status":"abort"}"#;
    const MAX_TOKENS: &str = r#"{"status":"MAX_TOKENS"}"#;
    const SORT_OF: &str = r#"{"status":"sort of"}"#;
    const INCOMPLETE: &str = r#"{"status":"incomplete"}"#;
    [
        (
            CUT,
            "{}",
            "response.incomplete",
            ResponseIncomplete,
            "max_output_tokens",
        ),
        (FILTERED, "{}", DONE, ResponseIncomplete, "SAFETY"),
        (
            CONTRADICTS,
            "{}",
            DONE,
            ResponseIncomplete,
            "max_output_tokens",
        ),
        (
            r#"{"status":"failed"}"#,
            "{}",
            DONE,
            ResponseFailed,
            "failed",
        ),
        (
            r#"{"status":"cancelled"}"#,
            "{}",
            DONE,
            ResponseFailed,
            "cancelled",
        ),
        (IN_PROGRESS, "{}", DONE, Unsupported, "in_progress"),
        (ABORT, "{}", DONE, StreamError, "abort"),
        (MAX_TOKENS, "{}", DONE, Truncated, "MAX_TOKENS"),
        (SORT_OF, "{}", DONE, UnknownFinishReason, "sort of"),
        ("{}", INCOMPLETE, DONE, ResponseIncomplete, "incomplete"),
        ("{}", IN_PROGRESS, DONE, ResponseIncomplete, "in_progress"),
        ("{}", SORT_OF, DONE, UnknownFinishReason, "sort of"),
    ]
};

#[tokio::test]
async fn response_without_a_known_end_is_an_error() {
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    for (fields, item, event, kind, says) in RESPONSES {
        for (reply, is_streamed) in response_with(&json(fields), &json(item), event) {
            let (ended, _) = run(vec![reply], is_streamed, |server| {
                Box::new(responses(server))
            })
            .await;
            let error = ended.unwrap_err();
            assert_eq!(error.kind(), kind, "{fields} {item}: {error}");
            assert!(error.to_string().contains(says), "{error}");
        }
    }
    for (reply, is_streamed) in response_with(&json!({}), &json!({}), DONE) {
        let (ended, _) = run(vec![reply], is_streamed, |server| {
            Box::new(responses(server))
        })
        .await;
        assert_eq!(ended.unwrap(), "The answer is forty-");
    }
}

#[tokio::test]
async fn call_of_a_response_that_is_not_whole_does_not_run() {
    let call = r#"{"type":"function_call","call_id":"c1","name":"t","arguments":"{}","status":"incomplete"}"#;
    let reply = response("r1", &[call]);
    let (ended, n_calls) = run(vec![reply], false, |server| Box::new(responses(server))).await;
    assert_eq!(
        (ended.unwrap_err().kind(), n_calls),
        (ErrorKind::ResponseIncomplete, 0)
    );
}
