//! A key is in no error, log or result, not even when the server echoes it.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex};

use openai_agents::Runner;
use openai_agents::model::{Delivery, Dialect, OpenAiChat};
use openai_agents::testing::{FakeServer, Reply};
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span;

use crate::support::{KEY, agent, chunk, last_chunk, play, whole, whole_text};

/// Keeps everything that is logged in this thread, at every level.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<String>>);

impl Log {
    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        writeln!(self.0.lock().unwrap(), "{field}={value:?}").unwrap();
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        attributes.record(&mut self.clone());
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// All that a program could print of a run.
async fn all_that_is_told(reply: Reply, is_streamed: bool) -> String {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let server = FakeServer::start([reply]).await.unwrap();
    let mut dialect = Dialect::default();
    dialect.log_payload = true;
    let model = OpenAiChat::builder(server.url(), "m")
        .api_key(KEY)
        .dialect(dialect)
        .max_event_bytes(4096)
        .build()
        .unwrap();
    let runner = Runner::new(model);
    let agent = agent([]);
    let request = if is_streamed {
        runner.run(&agent, "go").delivery(Delivery::Stream)
    } else {
        runner.run(&agent, "go").delivery(Delivery::Whole)
    };
    let (events, result) = play(request).await;
    assert_eq!(
        server.requests()[0].header("authorization"),
        Some(format!("Bearer {KEY}").as_str())
    );

    let mut told = format!("{runner:?}\n{agent:?}\n");
    for event in &events {
        writeln!(told, "{event:#?}").unwrap();
    }
    match &result {
        Ok(result) => write!(told, "{result:#?}").unwrap(),
        Err(error) => {
            write!(told, "{error}\n{error:#?}").unwrap();
            let mut source = error.source();
            while let Some(cause) = source {
                write!(told, "\n{cause}\n{cause:?}").unwrap();
                source = cause.source();
            }
        }
    }
    told + "\n" + &log.text()
}

/// What a reply does, the reply, and whether it is to a stream.
type EchoCase = (&'static str, Reply, bool);

/// A text whose excerpt of 600 bytes ends inside the key.
fn at_the_cut() -> String {
    format!("{}{KEY}{}", "x".repeat(592), "y".repeat(50))
}

fn envelope() -> String {
    json!({ "error": { "message": format!("Incorrect API key: {KEY}."), "code": KEY } }).to_string()
}

fn page() -> Reply {
    Reply::new(200).header("content-type", "text/html")
}

fn whole_echoes() -> Vec<EchoCase> {
    let names = json!({
        "id": KEY, "model": KEY,
        "choices": [{ "message": { "content": "Hi." }, "finish_reason": "stop" }],
    });
    [
        (
            "whole: broken JSON",
            Reply::new(200).bytes(format!("{{\"x\": \"{KEY}\"")),
        ),
        ("whole: no choices", Reply::json(&json!({ "x": KEY }))),
        (
            "whole: no message",
            Reply::json(&json!({ "choices": [{ "x": KEY }] })),
        ),
        (
            "whole: finish reason",
            whole(&json!({ "content": "Hi." }), KEY),
        ),
        (
            "whole: names",
            Reply::json(&names).header("x-request-id", KEY),
        ),
        ("whole: a page", page().bytes(KEY)),
    ]
    .map(|(label, reply)| (label, reply, false))
    .to_vec()
}

fn streamed_echoes() -> Vec<EchoCase> {
    let text = || Reply::event_stream().event(&chunk(&json!({ "content": "Hi." })));
    let done = |reply: Reply| reply.event(&last_chunk("stop")).event("[DONE]");
    let said = chunk(&json!({ "content": format!("key {KEY}") }));
    let not_text = [b"data: ", KEY.as_bytes(), b"\xff\n\n"].concat();
    let unknown = |value: &str| json!({ "x": value }).to_string();
    [
        ("stream: a page", page().bytes(KEY)),
        ("stream: a page, cut", page().bytes(at_the_cut())),
        ("stream: an error object", text().event(&envelope())),
        ("stream: an error event", text().named_event("error", KEY)),
        (
            "stream: an error line",
            text().bytes(format!("error: {KEY}\n\n")),
        ),
        ("stream: no JSON", text().event(KEY)),
        ("stream: no JSON, cut", text().event(&at_the_cut())),
        ("stream: no UTF-8", text().bytes(not_text)),
        ("stream: the text, cut", text().event(&said).close()),
        (
            "stream: an unknown event",
            done(text().named_event(KEY, "{}")),
        ),
        ("stream: no choices", done(text().event(&unknown(KEY)))),
        (
            "stream: no choices, cut",
            done(text().event(&unknown(&at_the_cut()))),
        ),
        (
            "stream: finish reason",
            text().event(&last_chunk(KEY)).event("[DONE]"),
        ),
    ]
    .map(|(label, reply)| (label, reply, true))
    .to_vec()
}

fn header_echoes(is_streamed: bool) -> Vec<EchoCase> {
    let quoted = json!({ "error": { "message": at_the_cut() } }).to_string();
    let type_of = format!("text/html; {KEY}");
    let elsewhere = format!("http://{KEY}@{KEY}.example/{KEY}");
    [
        ("an error", Reply::status(401, envelope())),
        ("an error, cut", Reply::status(401, at_the_cut())),
        ("an error, cut in JSON", Reply::status(401, quoted)),
        (
            "the request id",
            Reply::status(500, "oops").header("x-request-id", KEY),
        ),
        (
            "the content type",
            Reply::new(200).header("content-type", type_of),
        ),
        (
            "the encoding",
            whole_text("Hi.").header("content-encoding", KEY),
        ),
        (
            "a redirect",
            Reply::new(302).header("location", format!("/{KEY}")),
        ),
        (
            "a redirect to a host",
            Reply::new(302).header("location", elsewhere),
        ),
    ]
    .map(|(label, reply)| (label, reply, is_streamed))
    .to_vec()
}

#[tokio::test]
async fn a_key_that_the_server_echoes_is_nowhere() {
    let mut leaks = Vec::new();
    let echoes = [
        whole_echoes(),
        streamed_echoes(),
        header_echoes(false),
        header_echoes(true),
    ];
    for (label, reply, is_streamed) in echoes.concat() {
        let told = all_that_is_told(reply, is_streamed).await;
        // Half of a key is too much as well.
        if let Some(at) = told.find(&KEY[..6]) {
            let around: String = told[at.saturating_sub(80)..].chars().take(120).collect();
            leaks.push(format!("{label}: {around}"));
        }
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n---\n"));
}

/// What keeps the test above honest: the log is seen, and the payload in it.
#[tokio::test]
async fn deviations_and_payloads_are_logged() {
    let reply = Reply::sse([
        chunk(&json!({ "content": "Hi." })),
        json!({ "x": 1 }).to_string(),
        last_chunk("stop"),
    ]);
    let told = all_that_is_told(reply, true).await;
    for part in [
        "request:\n",
        "\"content\": \"go\"",
        "code=\"unknown_event\"",
        "code=\"missing_done\"",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
}
