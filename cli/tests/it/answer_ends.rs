//! Answers whose end is not known to mean that they are complete, through `run` and `serve`: never a success, never `stop`.

use openai_agents::testing::{FakeServer, Reply};
use serde_json::{Value, json};

use crate::serve::{ServedProgram, command};
use crate::support::{Directory, chunk, lines, on};

/// Words of vendors, and the kind of error that each is.
const WORDS: [(&str, &str); 6] = [
    ("MAX_TOKENS", "truncated"),
    ("SAFETY", "content_filter"),
    ("abort", "stream_error"),
    ("network_error", "stream_error"),
    ("OTHER", "unknown_finish_reason"),
    ("sort of", "unknown_finish_reason"),
];

fn whole(word: &str) -> Reply {
    let message = json!({"role": "assistant", "content": "The answer is forty-"});
    Reply::json(
        &json!({"id": "r", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": word}]}),
    )
}

fn streamed(word: &str) -> Reply {
    Reply::sse([
        chunk(
            &json!({"role": "assistant", "content": "The answer is forty-"}),
            None,
        ),
        chunk(&json!({}), Some(word)),
        "[DONE]".to_owned(),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn run_of_an_answer_without_a_known_end_fails() {
    let directory = Directory::new("answer-ends-run");
    for (word, kind) in WORDS {
        for (reply, arguments) in [
            (whole(word), &["run", "--json", "--no-stream", "hi"][..]),
            (streamed(word), &["run", "--json", "hi"][..]),
        ] {
            let server = FakeServer::start([reply]).await.unwrap();
            let output = on(&server, &directory, arguments).output().unwrap();
            let result = lines(&output).pop().unwrap();
            assert_eq!(
                (
                    output.status.code(),
                    &result["ok"],
                    &result["error"]["kind"]
                ),
                (Some(1), &json!(false), &json!(kind)),
                "{word}: {result}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn file_says_what_a_word_of_the_server_means() {
    let directory = Directory::new("answer-ends-dialect").file(
        "config.yaml",
        "dialect:\n  finish_reasons: {sort of: complete}\n",
    );
    for (reply, arguments) in [
        (
            whole("sort of"),
            &["run", "--json", "--no-stream", "hi"][..],
        ),
        (streamed("sort of"), &["run", "--json", "hi"][..]),
    ] {
        let server = FakeServer::start([reply]).await.unwrap();
        let output = on(&server, &directory, arguments).output().unwrap();
        let result = lines(&output).pop().unwrap();
        assert_eq!(
            (output.status.code(), &result["final_output"]),
            (Some(0), &json!("The answer is forty-")),
            "{result}"
        );
    }
}

/// Asks a served agent; its model's answer ends by this word.
async fn served(path: &str, body: &Value, reply: Reply) -> (u16, String) {
    let directory = Directory::new("answer-ends-serve");
    let server = FakeServer::start([reply]).await.unwrap();
    let served = ServedProgram::start(command(&server, &directory));
    served.ask(
        "POST",
        path,
        &["Content-Type: application/json"],
        &body.to_string(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn served_answer_without_a_known_end_is_never_a_stop() {
    for (word, kind) in WORDS {
        for stream in [false, true] {
            let reply = || if stream { streamed(word) } else { whole(word) };
            let chat = json!({"model": "EchoAgent", "stream": stream, "messages": [{"role": "user", "content": "hi"}]});
            let (_, answer) = served("/v1/chat/completions", &chat, reply()).await;
            assert!(!answer.contains("\"stop\""), "{word}: {answer}");
            let own_word = match kind {
                "truncated" => "\"length\"",
                "content_filter" => "\"content_filter\"",
                other => other,
            };
            assert!(answer.contains(own_word), "{word}: {answer}");
            let responses = json!({"model": "EchoAgent", "stream": stream, "input": "hi"});
            let (_, answer) = served("/v1/responses", &responses, reply()).await;
            assert!(!answer.contains("response.completed"), "{word}: {answer}");
            assert!(
                !answer.contains("\"status\":\"completed\""),
                "{word}: {answer}"
            );
        }
    }
}
