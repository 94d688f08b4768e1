//! Servers that fail: what the error carries, and that nothing received is lost or taken for whole.

use std::time::Duration;

use openai_agents::http::HttpClient;
use openai_agents::model::{Delivery, OpenAiChat};
use openai_agents::testing::{FakeServer, Reply};
use openai_agents::{ErrorKind, ModelSettings, RunError, Runner};
use serde_json::json;

use crate::support::{agent, chat, chunk, last_chunk, whole_text};

/// Plays one reply to a run, streamed or not, which must fail.
async fn failure(reply: &Reply, is_streamed: bool) -> RunError {
    let server = FakeServer::start([reply.clone()]).await.unwrap();
    let runner = Runner::new(chat(&server));
    let agent = agent([]);
    let request = if is_streamed {
        runner.run(&agent, "go").delivery(Delivery::Stream)
    } else {
        runner.run(&agent, "go").delivery(Delivery::Whole)
    };
    let error = request.await.unwrap_err();
    assert_eq!(server.problems(), [""; 0]);
    assert_eq!(server.requests().len(), 1, "nothing is repeated");
    assert_eq!(error.progress().items, []);
    error
}

#[tokio::test]
async fn an_error_status_carries_what_the_server_said() {
    const ENVELOPE: &str =
        r#"{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}"#;
    let cases = [
        (
            429,
            ENVELOPE,
            "the server answered 429 Too Many Requests: slow down",
            Some("rate_limit_exceeded"),
        ),
        (
            400,
            r#"{"object":"error","message":"too long","code":40003}"#,
            "the server answered 400 Bad Request: too long",
            Some("40003"),
        ),
        (
            400,
            r#"{"error":{"message":null,"detail":"bad","type":"invalid_request_error","param":null,"code":null}}"#,
            "the server answered 400 Bad Request: bad",
            Some("invalid_request_error"),
        ),
        (
            422,
            r#"{"detail":"no such model"}"#,
            "the server answered 422 Unprocessable Entity: no such model",
            None,
        ),
        (
            404,
            r#"[{"error":{"message":"gone","code":404}}]"#,
            "the server answered 404 Not Found: gone",
            Some("404"),
        ),
        (
            503,
            "overloaded",
            "the server answered 503 Service Unavailable: overloaded",
            None,
        ),
        (
            500,
            "",
            "the server answered 500 Internal Server Error",
            None,
        ),
    ];
    for (status, body, says, code) in cases {
        for is_streamed in [false, true] {
            let reply = Reply::status(status, body).header("x-request-id", "req_1");
            let error = failure(&reply, is_streamed).await;
            assert_eq!(
                (error.kind(), error.to_string().as_str()),
                (ErrorKind::ApiStatus, says)
            );
            assert_eq!(error.status(), Some(status));
            let model_error = error.model_error().unwrap();
            assert_eq!(
                (model_error.code(), model_error.request_id()),
                (code, Some("req_1"))
            );
            assert_eq!(error.retry_after(), None);
        }
    }
}

type Headers<'a> = &'a [(&'a str, &'a str)];

#[tokio::test]
async fn the_time_to_wait_is_read_in_all_its_forms() {
    let seconds = Duration::from_secs;
    let cases: [(Headers<'_>, Option<Duration>); 13] = [
        (&[("retry-after", "2")], Some(seconds(2))),
        (
            &[("retry-after", " 1.5 ")],
            Some(Duration::from_millis(1500)),
        ),
        (
            &[("retry-after-ms", "250")],
            Some(Duration::from_millis(250)),
        ),
        (
            &[("retry-after-ms", "250"), ("retry-after", "2")],
            Some(Duration::from_millis(250)),
        ),
        (
            &[("retry-after-ms", "soon"), ("retry-after", "2")],
            Some(seconds(2)),
        ),
        (
            &[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")],
            Some(seconds(0)),
        ),
        // By the clock of the server, whatever this machine's says.
        (
            &[
                ("date", "Wed, 21 Oct 2015 07:27:53 GMT"),
                ("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"),
            ],
            Some(seconds(7)),
        ),
        // Beyond a week it is a mistake of the server, such as a time where a duration was due.
        (&[("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT")], None),
        (&[("retry-after", "1785000000")], None),
        (&[("retry-after", "-1")], None),
        (&[("retry-after", "NaN")], None),
        (&[("retry-after", "soon")], None),
        (&[("retry-after", "")], None),
    ];
    for (headers, expect) in cases {
        let reply = headers
            .iter()
            .fold(Reply::status(429, "slow down"), |reply, (name, value)| {
                reply.header(*name, *value)
            });
        assert_eq!(
            failure(&reply, true).await.retry_after(),
            expect,
            "{headers:?}"
        );
    }
}

/// A stream that has told some text and some reasoning.
fn begun() -> Reply {
    Reply::sse([
        chunk(&json!({ "role": "assistant", "reasoning_content": "Hm." })),
        chunk(&json!({ "content": "It " })),
        chunk(&json!({ "content": "rains" })),
    ])
}

/// Ways to end that are not one.
fn broken() -> Vec<(&'static str, Reply, ErrorKind)> {
    vec![
        ("the body is cut", begun().close(), ErrorKind::Transport),
        (
            "the connection is reset",
            begun().reset(),
            ErrorKind::Transport,
        ),
        ("the body ends", begun(), ErrorKind::NoTerminalEvent),
        (
            "only [DONE]",
            begun().event("[DONE]"),
            ErrorKind::NoTerminalEvent,
        ),
        (
            "an error object",
            begun().event(r#"{"error":{"message":"oops"}}"#),
            ErrorKind::StreamError,
        ),
        (
            "an error event",
            begun().named_event("error", "oops"),
            ErrorKind::StreamError,
        ),
        (
            "an error line",
            begun().bytes("error: oops\n\n"),
            ErrorKind::StreamError,
        ),
        (
            "an error line, cut",
            begun().bytes("error: oops"),
            ErrorKind::StreamError,
        ),
        ("no JSON", begun().event("oops"), ErrorKind::InvalidJson),
        (
            "no UTF-8",
            begun().bytes(&b"data: \"\xff\"\n\n"[..]),
            ErrorKind::InvalidUtf8,
        ),
        (
            "a huge event",
            begun().event(&"x".repeat(5000)),
            ErrorKind::LimitExceeded,
        ),
        (
            "a huge event, cut",
            begun().bytes(format!("data: {}", "x".repeat(5000))),
            ErrorKind::LimitExceeded,
        ),
        (
            "its length",
            begun().event(&last_chunk("length")),
            ErrorKind::Truncated,
        ),
        (
            "the filter",
            begun().event(&last_chunk("content_filter")),
            ErrorKind::ContentFilter,
        ),
        (
            "a second choice",
            begun().event(r#"{"choices":[{"index":1,"delta":{}}]}"#),
            ErrorKind::Unsupported,
        ),
    ]
}

#[tokio::test]
async fn broken_stream_error_has_the_received_part() {
    for (label, reply, kind) in broken() {
        let server = FakeServer::start([reply]).await.unwrap();
        let model = OpenAiChat::builder(server.url(), "m")
            .max_event_bytes(4096)
            .build()
            .unwrap();
        let error = Runner::new(model)
            .run(&agent([]), "go")
            .delivery(Delivery::Stream)
            .await
            .unwrap_err();
        let received = error.model_error().unwrap().received();
        assert_eq!(
            (
                error.kind(),
                received.text.as_str(),
                received.reasoning.as_str()
            ),
            (kind, "It rains", "Hm."),
            "{label}: {error}"
        );
    }
}

#[tokio::test]
async fn the_words_of_a_stream_error_are_told() {
    for reply in [
        begun().event(r#"{"error":{"message":"out of memory","code":507}}"#),
        begun().named_event("error", r#"{"message":"out of memory","code":507}"#),
        begun().bytes("error: {\"message\":\"out of memory\",\"code\":507}\n\n"),
    ] {
        let error = failure(&reply.header("x-request-id", "req_1"), true).await;
        assert_eq!(
            error.to_string(),
            "the server reported an error in its stream: out of memory"
        );
        let model_error = error.model_error().unwrap();
        assert_eq!(
            (model_error.code(), model_error.request_id()),
            (Some("507"), Some("req_1"))
        );
    }
}

/// The same, and then comments all the time.
fn chatty() -> Reply {
    (0..2000).fold(begun(), |reply, _| {
        reply.bytes(": ping\n\n").pause(Duration::from_millis(2))
    })
}

#[tokio::test]
async fn an_answer_that_is_not_complete_in_time_is_an_error() {
    // So long that what comes at once has come, on a busy machine too, and shorter than all comments together.
    let settings = ModelSettings::default().timeout(Duration::from_millis(1500));
    for (reply, text) in [
        (Reply::raw("").hang(), ""),
        (begun().hang(), "It rains"),
        // Something comes all the time, but not the end.
        (chatty(), "It rains"),
    ] {
        let server = FakeServer::start([reply]).await.unwrap();
        let error = Runner::new(chat(&server))
            .run(&agent([]), "go")
            .delivery(Delivery::Stream)
            .model_settings(settings.clone())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimeoutTotal);
        assert_eq!(
            error.to_string(),
            "the answer was not complete within 1.5s (`timeout` of the model settings)"
        );
        assert_eq!(error.model_error().unwrap().received().text, text);
        server.all_closed().await;
    }
}

#[tokio::test]
async fn comments_do_not_keep_a_stream_alive() {
    let server = FakeServer::start([chatty()]).await.unwrap();
    let model = OpenAiChat::builder(server.url(), "m")
        .http_client(
            HttpClient::builder()
                .idle_timeout(Duration::from_millis(50))
                .build()
                .unwrap(),
        )
        .build()
        .unwrap();
    let error = Runner::new(model)
        .run(&agent([]), "go")
        .delivery(Delivery::Stream)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimeoutIdle);
    assert_eq!(
        error.to_string(),
        format!(
            "nothing more came from {} for 50ms (`timeouts.idle_secs`, or `idle_timeout` of the client)",
            server.address()
        )
    );
    assert_eq!(error.model_error().unwrap().received().text, "It rains");
    server.peer_closed().await;
}

#[tokio::test]
async fn an_answer_of_another_kind_is_an_error_with_the_servers_words() {
    let page = "<html><body>Welcome to nginx</body></html>";
    let html = Reply::new(200)
        .header("content-type", "text/html")
        .bytes(page);
    let whole = failure(&html, false).await;
    assert_eq!(whole.kind(), ErrorKind::ContentType);
    let streamed = failure(&html, true).await;
    assert_eq!(streamed.kind(), ErrorKind::ContentType);
    assert_eq!(
        streamed.to_string(),
        format!(
            "the server answered with content type \"text/html\" where an event stream was due (is the base URL right?): {page}"
        )
    );
    let json = failure(&whole_text("Hi."), true).await;
    assert_eq!(json.kind(), ErrorKind::ContentType);
    let inside = Reply::json(&json!({ "error": { "message": "no", "code": "c" } }));
    for is_streamed in [false, true] {
        let error = failure(&inside, is_streamed).await;
        assert_eq!(error.kind(), ErrorKind::ApiError);
        assert_eq!(error.to_string(), "the server answered with an error: no");
        assert_eq!(error.model_error().unwrap().code(), Some("c"));
    }
}

/// A run that fails in a later turn has done what it did before.
#[tokio::test]
async fn a_later_failure_keeps_what_was_done() {
    let call = json!({ "role": "assistant", "content": null, "tool_calls": [
        { "id": "c1", "type": "function", "function": { "name": "t", "arguments": "{}" } },
    ] });
    let server = FakeServer::start([
        crate::support::whole(&call, "tool_calls"),
        Reply::status(500, "oops"),
    ])
    .await
    .unwrap();
    let agent = agent([crate::support::instant("t", "x")]);
    let error = Runner::new(chat(&server))
        .run(&agent, "go")
        .await
        .unwrap_err();
    assert_eq!(error.status(), Some(500));
    let progress = error.progress();
    assert_eq!(
        progress.items,
        [
            crate::support::call("c1", "t", "{}"),
            crate::support::output("c1", "x")
        ]
    );
    assert_eq!(
        (
            progress.turns,
            progress.usage.requests,
            progress.responses.len()
        ),
        (2, 1, 1)
    );
}
