//! How much one answer may hold: a sum over all its parts, and a number of calls.

use std::sync::Arc;

use openai_agents::agent::runner::UnknownTool;
use openai_agents::item::Item;
use openai_agents::model::{
    Delivery, MemoryLimit, Model, ModelError, ModelRequest, OpenAiChat, OpenAiResponses,
};
use openai_agents::testing::{FakeServer, Framing, Reply};
use openai_agents::{Agent, ErrorKind, Limits, Runner};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::{
    agent, chat, chunk, instant, response, streamed, tool, whole, whole_text, wire_call,
};

/// Nothing of an answer in these tests is larger than this; each has more in sum.
const LIMIT: usize = 10_000;

async fn error_of(reply: Reply, delivery: Delivery, is_chat: bool) -> ModelError {
    use futures_util::StreamExt as _;
    let server = FakeServer::start([reply]).await.unwrap();
    let model: Box<dyn Model> = if is_chat {
        let model = OpenAiChat::builder(server.url(), "m").max_answer_bytes(LIMIT);
        Box::new(model.build().unwrap())
    } else {
        let model = OpenAiResponses::builder(server.url(), "m").max_answer_bytes(LIMIT);
        Box::new(model.build().unwrap())
    };
    let mut request = ModelRequest::new(vec![Item::user("go")]);
    request.delivery = delivery;
    let mut events = model.call(request);
    while let Some(event) = events.next().await {
        if let Err(error) = event {
            return error;
        }
    }
    panic!("the answer was taken");
}

/// Events that never end the answer.
fn endless(event: &Value) -> Reply {
    Reply::sse((0..200).map(|_| event.to_string()))
}

#[tokio::test]
async fn answer_that_is_too_large_in_sum_is_limit_exceeded() {
    let text = "x".repeat(100);
    let delta = |delta: Value| serde_json::from_str::<Value>(&chunk(&delta)).unwrap();
    let chat = [
        delta(json!({ "content": text })),
        delta(json!({ "refusal": text })),
        delta(json!({ "reasoning_content": text })),
        delta(json!({ "tool_calls": [wire_call(0, "c", "f", &text)] })),
        delta(json!({ "x_new": [text] })),
        delta(json!({ "annotations": [{ "type": text }] })),
        json!({ "choices": [{ "delta": {}, "logprobs": { "content": [{ "token": text }] } }] }),
        json!({ "x": "y".repeat(6000) }),
    ];
    for event in chat {
        let error = error_of(endless(&event), Delivery::Stream, true).await;
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{event}: {error}");
        assert_eq!(
            error.to_string(),
            format!(
                "the answer is larger than {LIMIT} bytes (the limit is `limits.max_answer_bytes`)"
            )
        );
    }
    let item = json!({ "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": text }] });
    let added = json!({ "type": "response.output_item.added", "item": { "type": "function_call", "id": "f", "name": "f" } });
    for event in [
        json!({ "type": "response.output_text.delta", "delta": text }),
        json!({ "type": "response.refusal.delta", "delta": text }),
        json!({ "type": "response.reasoning_text.delta", "delta": text }),
        json!({ "type": "response.output_item.done", "item": item }),
        json!({ "type": "response.unknown", "x": text }),
    ] {
        let error = error_of(endless(&event), Delivery::Stream, false).await;
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{event}: {error}");
    }
    let arguments =
        json!({ "type": "response.function_call_arguments.delta", "item_id": "f", "delta": text });
    let events = std::iter::once(&added).chain(std::iter::repeat_n(&arguments, 200));
    let reply = Reply::sse(events.map(Value::to_string));
    let error = error_of(reply, Delivery::Stream, false).await;
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    for is_chat in [true, false] {
        let error = error_of(whole_text(&"x".repeat(LIMIT)), Delivery::Whole, is_chat).await;
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        assert!(
            error.to_string().contains("limits.max_answer_bytes"),
            "{error}"
        );
    }
}

fn calls(n: usize) -> Vec<Value> {
    let call = |n: usize| wire_call(n, &format!("c{n}"), "t", "{}");
    (0..n).map(call).collect()
}

#[tokio::test]
async fn answer_with_too_many_calls_is_limit_exceeded() {
    let says =
        "the answer holds more than 1024 tool calls (the limit is `limits.max_answer_tool_calls`)";
    let message = json!({ "role": "assistant", "tool_calls": calls(1025) });
    let item = |n: usize| {
        format!(r#"{{"type":"function_call","call_id":"c{n}","name":"t","arguments":"{{}}"}}"#)
    };
    let items: Vec<String> = (0..1025).map(item).collect();
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    for (reply, is_streamed, is_chat) in [
        (whole(&message, "tool_calls"), false, true),
        (streamed(&[message], "tool_calls"), true, true),
        (response("r", &items), false, false),
        (crate::support::response_events("r", &items), true, false),
    ] {
        let server = FakeServer::start([reply]).await.unwrap();
        let runner = if is_chat {
            Runner::new(chat(&server))
        } else {
            Runner::new(crate::support::responses(&server))
        };
        let agent = crate::support::agent([instant("t", "x")]);
        let run = if is_streamed {
            runner.run(&agent, "go").delivery(Delivery::Stream)
        } else {
            runner.run(&agent, "go").delivery(Delivery::Whole)
        };
        let error = run.await.unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::LimitExceeded, says)
        );
    }
}

/// Each call must cost the same, from the wire to the outputs of the tools: this took 20 s when each looked at all others.
#[tokio::test]
async fn many_calls_of_one_answer_are_made() {
    const N: usize = 40_000;
    let message = json!({ "role": "assistant", "tool_calls": calls(N) });
    let deltas: Vec<Value> = calls(N)
        .into_iter()
        .map(|call| json!({ "tool_calls": [call] }))
        .collect();
    for (reply, is_streamed) in [
        (whole(&message, "tool_calls"), false),
        (streamed(&deltas, "tool_calls"), true),
    ] {
        let last = if is_streamed {
            streamed(&[json!({ "content": "done" })], "stop")
        } else {
            whole_text("done")
        };
        let server = FakeServer::start([reply, last]).await.unwrap();
        let model = OpenAiChat::builder(server.url(), "m").max_answer_tool_calls(N);
        let runner = Runner::new(model.build().unwrap())
            .unknown_tool(UnknownTool::TellModel)
            .limits(Limits::turns(2));
        let agent = Agent::builder("A").tool(instant("t", "x")).build().unwrap();
        let run = if is_streamed {
            runner.run(&agent, "go").delivery(Delivery::Stream)
        } else {
            runner.run(&agent, "go").delivery(Delivery::Whole)
        };
        let result = run.await.unwrap();
        assert_eq!(
            (result.final_output(), result.progress().items.len()),
            ("done", 2 * N + 1)
        );
    }
}

/// A runner on a model with this limit, and an agent with a tool that ends when it is told to.
async fn limited(
    replies: impl IntoIterator<Item = Reply>,
    limit: &MemoryLimit,
) -> (FakeServer, Runner) {
    let server = FakeServer::start(replies).await.unwrap();
    let model = OpenAiChat::builder(server.url(), "m").memory_limit(limit.clone());
    (server, Runner::new(model.build().unwrap()))
}

#[tokio::test]
async fn whole_answer_counts_in_the_sum_while_it_comes() {
    // A body of which nothing can be read before its end, and which has none.
    let begun = Reply::new(200)
        .header("content-type", "application/json")
        .framing(Framing::Chunked)
        .bytes(format!(
            r#"{{"choices": [{{"message": {{"content": "{}"#,
            "x".repeat(150_000)
        ))
        .hang();
    let limit = MemoryLimit::new(100_000);
    let replies = [begun, whole_text(&"x".repeat(150_000))];
    let (_server, runner) = limited(replies, &limit).await;
    let agent = Agent::builder("A").build().unwrap();
    let mut endless = Box::pin(runner.run(&agent, "go").into_future());
    while limit.n_bytes() < 150_000 - 64 * 1024 {
        tokio::select! {
            biased;
            ended = &mut endless => panic!("{ended:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
    let error = runner.run(&agent, "go").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    drop(endless);
    assert_eq!(limit.n_bytes(), 0);
}

#[tokio::test]
async fn answer_that_is_complete_counts_in_the_sum_as_long_as_its_run_is_kept() {
    let text = "x".repeat(150_000);
    let call = wire_call(0, "c", "wait", "{}");
    for is_streamed in [false, true] {
        let message = json!({ "role": "assistant", "content": text, "tool_calls": [call] });
        let (delivery, first) = if is_streamed {
            (Delivery::Stream, streamed(&[message], "tool_calls"))
        } else {
            (Delivery::Whole, whole(&message, "tool_calls"))
        };
        let last = || {
            if is_streamed {
                streamed(&[json!({ "content": "done" })], "stop")
            } else {
                whole_text("done")
            }
        };
        let limit = MemoryLimit::new(100_000);
        let replies = [first, whole_text(&text), last(), last()];
        let (_server, runner) = limited(replies, &limit).await;
        let (called, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let of_tool = (Arc::clone(&called), Arc::clone(&go_on));
        let wait = tool("wait", move |_| {
            let (called, go_on) = of_tool.clone();
            async move {
                called.notify_one();
                go_on.notified().await;
                Ok("waited".to_owned())
            }
        });
        let agent = agent([wait]);
        let mut run = Box::pin(runner.run(&agent, "go").delivery(delivery).into_future());
        tokio::select! {
            ended = &mut run => panic!("{ended:?}"),
            () = called.notified() => {}
        }
        let held = limit.n_bytes();
        assert!(held >= 150_000 - 64 * 1024, "{held}");
        // There is no room for another such answer beside it, and there is for a short one.
        let error = runner.run(&agent, "go").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        runner.run(&agent, "go").delivery(delivery).await.unwrap();
        go_on.notify_one();
        let result = run.await.unwrap();
        assert_eq!((result.final_output(), limit.n_bytes()), ("done", held));
        drop(result);
        assert_eq!(limit.n_bytes(), 0);
    }
}
