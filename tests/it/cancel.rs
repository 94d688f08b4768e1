//! Dropping a run ends everything that it had begun.

use std::time::Duration;

use futures_util::FutureExt;
use openai_agents::model::Delivery;
use openai_agents::testing::{FakeServer, Reply};
use openai_agents::{RunEvent, Runner};
use serde_json::json;
use tokio::runtime::Handle;

use crate::support::{
    DropFlag, Gauge, agent, chat, chunk, instant, last_chunk, streamed, tool, whole, wire_call,
};

#[tokio::test]
async fn dropping_a_stream_inside_an_answer_closes_the_connection() {
    let start = [chunk(&json!({ "role": "assistant", "content": "It " }))];
    let server = FakeServer::start([Reply::sse(start).hang()]).await.unwrap();
    let mut stream = Runner::new(chat(&server)).run(&agent([]), "go").stream();
    loop {
        if let RunEvent::TextDelta { delta } = stream.next().await.unwrap().unwrap() {
            assert_eq!(delta, "It ");
            break;
        }
    }
    drop(stream);
    server.peer_closed().await;
    server.all_closed().await;
    assert_eq!(server.problems(), [""; 0]);
}

#[tokio::test]
async fn giving_up_on_a_run_closes_the_connection() {
    for reply in [
        Reply::raw("").hang(),
        Reply::new(200)
            .header("content-type", "application/json")
            .bytes("{")
            .hang(),
        Reply::new(500).bytes("sorry").hang(),
    ] {
        let server = FakeServer::start([reply]).await.unwrap();
        let runner = Runner::new(chat(&server));
        let agent = agent([]);
        tokio::select! {
            result = runner.run(&agent, "go").into_future() => panic!("{result:?}"),
            () = server.received(1) => {}
        }
        server.all_closed().await;
    }
}

#[tokio::test]
async fn dropping_a_run_drops_its_tools_and_starts_none() {
    let (dropped, started) = (DropFlag::default(), Gauge::default());
    let (flag, count) = (dropped.clone(), started.clone());
    let hangs = tool("hangs", move |_| {
        let guard = flag.guard();
        async move {
            let _guard = guard;
            std::future::pending().await
        }
    });
    let later = tool("later", move |_| {
        count.enter();
        async { Ok(String::new()) }
    });
    let calls = json!({
        "role": "assistant", "content": null,
        "tool_calls": [wire_call(0, "c1", "hangs", "{}"), wire_call(1, "c2", "later", "{}")],
    });
    let server = FakeServer::start([whole(&calls, "tool_calls")])
        .await
        .unwrap();
    let mut stream = Runner::new(chat(&server))
        .run(&agent([hangs, later]), "go")
        .max_tool_concurrency(1)
        .delivery(Delivery::Whole)
        .stream();
    let mut n_called = 0;
    while n_called < 2 {
        n_called += usize::from(matches!(
            stream.next().await.unwrap().unwrap(),
            RunEvent::ToolCalled { .. }
        ));
    }
    // The response is told before its tools begin; then nothing comes while the first one hangs.
    assert!(matches!(
        stream.next().await,
        Some(Ok(RunEvent::ResponseDone { .. }))
    ));
    assert!(stream.next().now_or_never().is_none());
    assert!(!dropped.is_set());
    drop(stream);
    assert!(dropped.is_set());
    tokio::task::yield_now().await;
    assert_eq!(started.peak(), 0);
    assert_eq!(server.requests().len(), 1);
}

/// A server in a thread of its own, so that all tasks of the test's runtime are the library's.
struct Apart {
    server: FakeServer,
    runtime: tokio::runtime::Runtime,
}

impl Apart {
    fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let replies: Vec<_> = replies.into_iter().collect();
        let server = std::thread::scope(|scope| {
            scope
                .spawn(|| runtime.block_on(FakeServer::start(replies)).unwrap())
                .join()
                .unwrap()
        });
        Self { server, runtime }
    }
}

/// Waits until at most so many tasks are alive.
async fn settle(n_tasks: usize) {
    let metrics = Handle::current().metrics();
    let settled = tokio::time::timeout(Duration::from_secs(60), async {
        while metrics.num_alive_tasks() > n_tasks {
            tokio::task::yield_now().await;
        }
    });
    let n_alive = || metrics.num_alive_tasks();
    assert!(settled.await.is_ok(), "{} tasks are left", n_alive());
}

#[tokio::test(flavor = "current_thread")]
async fn dropped_run_leaves_nothing() {
    const N_RUNS: u64 = 200;
    let pause = Duration::from_micros(300);
    let call = [
        json!({ "role": "assistant", "tool_calls": [wire_call(0, "c1", "slow", "")] }),
        json!({ "tool_calls": [{ "index": 0, "function": { "arguments": "{}" } }] }),
    ];
    let text = ["It ", "rains ", "cats ", "and ", "dogs."].map(|word| json!({ "content": word }));
    let replies = (0..2 * N_RUNS).map(|n| match n % 3 {
        0 => streamed(&call, "tool_calls"),
        1 => streamed(&call, "tool_calls").drip(40, pause),
        _ => streamed(&text, "stop").drip(40, pause),
    });
    // A run that is not dropped has at most two turns that call a tool.
    let apart = Apart::start(replies.chain((0..9).map(|_| streamed(&text, "stop"))));
    let slow = tool("slow", |_| async {
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        Ok("x".to_owned())
    });
    let agent = agent([slow, instant("other", "y")]);
    let model = chat(&apart.server);
    let runner = Runner::new(model);

    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    for _ in 0..N_RUNS {
        // Xorshift: the same numbers in each execution.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut stream = runner.run(&agent, "go").stream();
        for _ in 0..random % 16 {
            match stream.next().await {
                Some(event) => drop(event.unwrap()),
                None => break,
            }
        }
        drop(stream);
    }

    // What is left belongs to connections that lie idle in the pool, which is dropped with the last handle.
    settle(2).await;
    drop(runner);
    settle(0).await;
    apart.server.all_closed().await;
    assert_eq!(apart.server.problems(), [""; 0]);
    assert!(apart.server.requests().len() as u64 >= N_RUNS / 2);
    drop(apart.server);
    apart.runtime.shutdown_background();
}

#[tokio::test]
async fn waiting_for_an_event_and_giving_up_loses_nothing() {
    let mut reply = Reply::event_stream();
    for word in ["a ", "b ", "c"] {
        reply = reply
            .event(&chunk(&json!({ "content": word })))
            .pause(Duration::from_millis(3));
    }
    let reply = reply.event(&last_chunk("stop")).event("[DONE]");
    let server = FakeServer::start([reply]).await.unwrap();
    let mut stream = Runner::new(chat(&server)).run(&agent([]), "go").stream();
    let mut text = String::new();
    loop {
        let event = tokio::select! {
            biased;
            event = stream.next() => event,
            () = tokio::task::yield_now() => continue,
        };
        match event.unwrap().unwrap() {
            RunEvent::TextDelta { delta } => text.push_str(&delta),
            RunEvent::RunDone { result } => {
                assert_eq!(result.final_output(), "a b c");
                break;
            }
            _ => {}
        }
    }
    assert_eq!(text, "a b c");
}
