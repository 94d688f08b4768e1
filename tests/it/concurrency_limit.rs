//! A bound on requests across runs: never more, in order, and none held by those who do not ask.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt, stream};
use openai_agents::agent::runner::Input;
use openai_agents::future::BoxStream;
use openai_agents::item::Item;
use openai_agents::model::{
    ConcurrencyLimit, Delivery, LimitedModel, Model, ModelError, ModelEvent, ModelRequest,
    OpenAiChat,
};
use openai_agents::testing::{FakeServer, Reply, ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, ErrorKind, FunctionTool, Runner};
use serde_json::json;
use tokio::time::sleep;

/// Answers each request after a second, and keeps count.
#[derive(Clone, Default)]
struct SlowModel(Arc<Counts>);

#[derive(Default)]
struct Counts {
    n_running: AtomicUsize,
    max_running: AtomicUsize,
    begun: Mutex<Vec<String>>,
}

/// Counts a request as running until it is dropped.
struct Running(Arc<Counts>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.n_running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Model for SlowModel {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn call(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, ModelError>> {
        let counts = Arc::clone(&self.0);
        Box::pin(
            stream::once(async move {
                let n_running = counts.n_running.fetch_add(1, Ordering::SeqCst) + 1;
                counts.max_running.fetch_max(n_running, Ordering::SeqCst);
                let text = request.items[0].to_json().to_owned();
                counts.begun.lock().unwrap().push(text);
                let running = Running(counts);
                sleep(Duration::from_secs(1)).await;
                let answer = ScriptedModel::text("done").call(request);
                answer.inspect(move |_| {
                    let _is_held = &running;
                })
            })
            .flatten(),
        )
    }
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Nothing {}

fn limit(n: usize) -> ConcurrencyLimit {
    ConcurrencyLimit::new(NonZeroUsize::new(n).unwrap())
}

fn agent() -> Agent {
    Agent::builder("Guide").build().unwrap()
}

fn item(n: usize) -> Item {
    Item::user(format!("question {n}"))
}

#[tokio::test(start_paused = true)]
async fn there_are_never_more_requests_than_allowed_and_they_come_in_order() {
    let model = SlowModel::default();
    let runner = Runner::new(limit(4).wrap(model.clone()));
    let agent = agent();
    let runs = (0..100).map(|n| {
        runner
            .run(&agent, Input::from(vec![item(n)]))
            .delivery(Delivery::Stream)
            .into_future()
    });
    for result in join_all(runs).await {
        assert_eq!(result.unwrap().final_output(), "done");
    }
    assert_eq!(model.0.max_running.load(Ordering::SeqCst), 4);
    let begun = model.0.begun.lock().unwrap();
    let expected: Vec<_> = (0..100).map(|n| item(n).to_json().to_owned()).collect();
    assert_eq!(*begun, expected);
}

#[tokio::test(start_paused = true)]
async fn one_limit_holds_for_several_models() {
    let (one, other) = (SlowModel::default(), SlowModel::default());
    let limit = limit(1);
    let runners = [&one, &other].map(|model| Runner::new(limit.wrap(model.clone())));
    let agent = agent();
    let started = tokio::time::Instant::now();
    join_all(
        runners
            .iter()
            .map(|runner| runner.run(&agent, "go").into_future()),
    )
    .await;
    assert_eq!(started.elapsed(), Duration::from_secs(2));
}

/// A tool that runs an agent on the model of its own run would wait for ever if that run held its place.
#[tokio::test]
async fn tools_and_nested_agents_run_without_a_place() {
    let limit = limit(1);
    let script = ScriptedModel::new([
        ScriptedTurn::tool_call("ask", json!({})),
        ScriptedTurn::text("inner"),
        ScriptedTurn::text("outer"),
    ]);
    let runner = Runner::new(limit.wrap(script));
    let inner = runner.clone();
    let seen = limit.clone();
    let ask = FunctionTool::new("ask", "Asks.", move |_cx, Nothing {}| {
        let (runner, n_free) = (inner.clone(), seen.n_free());
        async move {
            let answer = runner.run(&agent(), "go").await.unwrap();
            Ok::<_, String>(format!("{} {n_free}", answer.final_output()))
        }
    });
    let asker = Agent::builder("Asker").tool(ask.unwrap()).build().unwrap();
    let result = runner.run(&asker, "go").await.unwrap();
    assert_eq!(result.final_output(), "outer");
    assert!(result.items()[1].to_json().contains("inner 1"));
    assert_eq!(limit.n_free(), 1);
}

#[tokio::test]
async fn a_failed_request_and_a_panicking_tool_give_the_place_back() {
    let limit = limit(1);
    let error = ModelError::new(ErrorKind::Transport, "gone");
    let script = ScriptedModel::new([
        ScriptedTurn::error(error),
        ScriptedTurn::tool_call("fall", json!({})),
        ScriptedTurn::text("stands"),
    ]);
    let runner = Runner::new(limit.wrap(script));
    let fall = FunctionTool::new("fall", "Panics.", async |_cx, Nothing {}| {
        assert_eq!(1, 2, "on purpose");
        Ok::<_, String>(())
    });
    let agent = Agent::builder("Faller")
        .tool(fall.unwrap())
        .build()
        .unwrap();
    runner.run(&agent, "go").await.unwrap_err();
    assert_eq!(limit.n_free(), 1);
    let result = runner.run(&agent, "go").await.unwrap();
    assert_eq!(result.final_output(), "stands");
    assert_eq!(limit.n_free(), 1);
}

fn call(model: &LimitedModel, n: usize) -> BoxStream<'static, Result<ModelEvent, ModelError>> {
    model.call(ModelRequest::new(vec![item(n)]))
}

#[tokio::test(start_paused = true)]
async fn dropping_a_waiting_call_leaves_the_queue() {
    let model = SlowModel::default();
    let limit = limit(1);
    let limited = limit.wrap(model.clone());
    let [mut first, mut second, mut third] = [0, 1, 2].map(|n| call(&limited, n));
    for call in [&mut first, &mut second, &mut third] {
        assert!(call.next().now_or_never().is_none());
    }
    drop(second);
    // It had its turn, and goes in the middle of its answer.
    drop(first);
    let third: Vec<_> = third.collect().await;
    assert!(third.iter().all(Result::is_ok));
    let begun = model.0.begun.lock().unwrap().clone();
    assert_eq!(begun, [0, 2].map(|n| item(n).to_json().to_owned()));
    assert_eq!(limit.n_free(), 1);
}

#[tokio::test]
async fn a_call_that_is_never_polled_takes_no_place() {
    let limit = limit(1);
    let limited = limit.wrap(ScriptedModel::text("hi"));
    let idle = call(&limited, 0);
    assert_eq!(call(&limited, 1).count().await, 2);
    drop(idle);
}

/// Over the wire: a waiting run has neither request nor connection, and its turn comes when the run before it is dropped.
#[tokio::test]
async fn a_waiting_run_has_no_connection() {
    let answer = json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]});
    let replies = [Reply::raw("").hang(), Reply::json(&answer)];
    let server = FakeServer::start(replies).await.unwrap();
    let model = OpenAiChat::builder(server.url(), "m").build().unwrap();
    let runner = Runner::new(limit(1).wrap(model));
    let agent = agent();
    let [first, second] = ["one", "two"].map(|question| runner.run(&agent, question).into_future());
    let both = join_all([first, second]);
    tokio::select! {
        _ = both => panic!("the first is never answered"),
        () = server.received(1) => {}
    }
    assert_eq!((server.n_connections(), server.requests().len()), (1, 1));
    // Both were dropped.
    runner.run(&agent, "three").await.unwrap();
    let body = server.requests()[1].body.clone();
    assert!(String::from_utf8_lossy(&body).contains("three"));
}
