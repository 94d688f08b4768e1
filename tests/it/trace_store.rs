//! The local store of traces, and what `serve` shows of it.

use std::time::Duration;

use openai_agents::server::Server;
use openai_agents::testing::{FakeServer, ScriptedModel, ScriptedTurn};
use openai_agents::tools::FunctionTool;
use openai_agents::trace::{
    SpanStatus, TraceFilter, TraceRetention, TraceStore, TraceStoreError, TraceSummary, Tracer,
};
use openai_agents::{Agent, Runner, Usage};
use serde_json::{Value, json};

use crate::folder::Folder;
use crate::front::Front;
use crate::support::{agent, chat, instant, whole_text};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Nothing {}

async fn stored(path: impl AsRef<std::path::Path>) -> (TraceStore, Tracer) {
    let store = TraceStore::open(path).await.unwrap();
    let processor = store.processor().await.unwrap();
    (store, Tracer::builder().processor(processor).build())
}

async fn flush(tracer: &Tracer) {
    assert!(tracer.flush(Duration::from_secs(60)).await);
    assert_eq!(tracer.n_lost(), 0);
}

async fn list(store: &TraceStore, filter: TraceFilter) -> Vec<TraceSummary> {
    store.list(filter).await.unwrap().traces
}

#[tokio::test]
async fn stored_run_is_listed_with_its_spans_and_content_on_demand() {
    let server = FakeServer::start([whole_text("Paris, of course.")])
        .await
        .unwrap();
    let (store, tracer) = stored(":memory:").await;
    let runner = Runner::new(chat(&server)).tracer(&tracer);
    runner
        .run(&agent([]), "The capital of France?")
        .await
        .unwrap();
    flush(&tracer).await;

    let traces = list(&store, TraceFilter::default()).await;
    let [trace] = &*traces else {
        panic!("{traces:?}");
    };
    let json = Value::Object(trace.to_value());
    assert_eq!(json["status"], "ok");
    assert_eq!(json["agent"], "A");
    assert_eq!(json["model"], "m");
    assert_eq!(json["n_turns"], 1);
    assert_eq!(json["usage"]["input_tokens"], 3);
    assert_eq!(json["error"], Value::Null);

    let whole = store.trace(trace.id()).await.unwrap().unwrap();
    let whole: Value = serde_json::from_str(&whole.to_json()).unwrap();
    let spans = whole["spans"].as_array().unwrap();
    assert_eq!(spans.len(), 4);
    let call = spans
        .iter()
        .find(|span| span["kind"] == "generation")
        .unwrap();
    let sent = String::from_utf8(server.requests()[0].body.to_vec()).unwrap();
    assert_eq!(call["content"]["request"]["size"], sent.len());
    assert!(!whole.to_string().contains("capital of France"));

    let id = call["span_id"].as_str().unwrap().parse().unwrap();
    let call = store.span(trace.id(), id).await.unwrap().unwrap();
    assert_eq!(call["content"]["request"], sent.as_str());
    assert!(
        call["content"]["response"]
            .as_str()
            .unwrap()
            .contains("Paris, of course.")
    );
    let exported = store.spans(trace.id()).await.unwrap();
    assert_eq!(exported.len(), 4);
    assert_eq!(exported[0].content("request").unwrap().to_text(), sent);
}

#[tokio::test]
async fn run_that_is_written_in_parts_is_counted_once() {
    let (store, tracer) = stored(":memory:").await;
    let usage = Usage::of_request(10, 2, 12);
    let turns = [
        ScriptedTurn::tool_call("flush", json!({})),
        ScriptedTurn::text("done"),
    ];
    let turns = turns.map(|turn| turn.with_usage(usage));
    let runner = Runner::new(ScriptedModel::new(turns)).tracer(&tracer);
    // What ended in the first turn is written while the run goes on.
    let between = tracer.clone();
    let tool = FunctionTool::new("flush", "Writes.", move |_cx, _args: Nothing| {
        let tracer = between.clone();
        async move {
            flush(&tracer).await;
            Ok::<_, String>("written")
        }
    });
    let agent = agent([tool.unwrap()]);
    runner.run(&agent, "go").await.unwrap();
    flush(&tracer).await;
    let [trace] = &*list(&store, TraceFilter::default()).await else {
        panic!("not one trace");
    };
    assert_eq!(
        (
            trace.n_turns,
            trace.usage.input_tokens,
            trace.usage.output_tokens
        ),
        (2, 20, 4)
    );
}

#[tokio::test]
async fn list_is_filtered_and_paged_newest_first() {
    let (store, tracer) = stored(":memory:").await;
    let turns = ["one", "two 50%", "three"].map(ScriptedTurn::text);
    let runner = Runner::new(ScriptedModel::new(turns)).tracer(&tracer);
    for name in ["A", "B", "A"] {
        let agent = Agent::builder(name).build().unwrap();
        runner.run(&agent, format!("for {name}")).await.unwrap();
    }
    // The script is over.
    let failing = Agent::builder("F").build().unwrap();
    runner.run(&failing, "go").await.unwrap_err();
    flush(&tracer).await;
    let names = |traces: Vec<TraceSummary>| -> Vec<String> {
        traces
            .into_iter()
            .map(|trace| trace.trace.name.to_string())
            .collect()
    };
    assert_eq!(
        names(list(&store, TraceFilter::default()).await),
        ["F", "A", "B", "A"]
    );
    let mut filter = TraceFilter::default();
    filter.status = Some(SpanStatus::Error);
    let failed = list(&store, filter).await;
    assert_eq!(failed[0].error.as_ref().unwrap().kind, "config");
    assert_eq!(names(failed), ["F"]);
    let mut filter = TraceFilter::default();
    filter.agent = Some("A".to_owned());
    assert_eq!(names(list(&store, filter).await), ["A", "A"]);
    for (text, found) in [("50%", vec!["B"]), ("FOR b", vec!["B"]), ("5_%", vec![])] {
        let mut filter = TraceFilter::default();
        filter.text = Some(text.to_owned());
        assert_eq!(names(list(&store, filter).await), found, "{text}");
    }
    let mut filter = TraceFilter::default();
    filter.limit = Some(3);
    let page = store.list(filter.clone()).await.unwrap();
    filter.after = page.next;
    let rest = store.list(filter.clone()).await.unwrap();
    assert_eq!(
        (names(rest.traces), rest.next),
        (vec!["A".to_owned()], None)
    );
    filter.after = Some("x".to_owned());
    let wrong = store.list(filter).await.unwrap_err();
    assert!(matches!(wrong, TraceStoreError::Filter { .. }));
}

#[tokio::test]
async fn run_that_goes_on_is_shown_and_a_pause_is_resumed_by_another_process() {
    let folder = Folder::new();
    let path = folder.path("traces.db");
    let agent = agent([instant("delete", "gone").needs_approval()]);
    let (store, tracer) = stored(&path).await;
    let model = ScriptedModel::new([ScriptedTurn::tool_call("delete", json!({}))]);
    let runner = Runner::new(model).tracer(&tracer);
    let error = runner.run(&agent, "go").await.unwrap_err();
    flush(&tracer).await;
    let waiting = list(&store, TraceFilter::default()).await;
    assert_eq!(waiting[0].status, SpanStatus::Paused);
    let mut state = error.into_state().unwrap();
    let id = state.interruptions()[0].id.clone();
    state.approve(&id).unwrap();

    // As another process would.
    let (store, tracer) = stored(&path).await;
    let runner = Runner::new(ScriptedModel::text("Done.")).tracer(&tracer);
    let mut stream = runner.resume(&agent, state).stream();
    stream.next().await.unwrap().unwrap();
    flush(&tracer).await;
    let running = list(&store, TraceFilter::default()).await;
    assert_eq!(running[0].status, SpanStatus::Running);
    let shown = store.trace(running[0].id()).await.unwrap().unwrap();
    let n_running = shown.spans.iter();
    let n_running = n_running.filter(|span| span.get().contains(r#""status":"running""#));
    assert_eq!(n_running.count(), 3);
    stream.finish().await.unwrap();
    flush(&tracer).await;
    let done = list(&store, TraceFilter::default()).await;
    assert_eq!(done.len(), 1);
    assert_eq!((done[0].status, done[0].n_turns), (SpanStatus::Ok, 2));
    let shown = store.trace(done[0].id()).await.unwrap().unwrap();
    assert!(
        shown
            .spans
            .iter()
            .all(|span| !span.get().contains(r#""status":"running""#))
    );
    assert!(store.delete(done[0].id()).await.unwrap());
    assert!(!store.delete(done[0].id()).await.unwrap());
    assert_eq!(list(&store, TraceFilter::default()).await, []);
}

#[tokio::test]
async fn newer_store_is_refused() {
    let folder = Folder::new();
    let path = folder.path("traces.db");
    drop(TraceStore::open(&path).await.unwrap());
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute("UPDATE trace_format SET version = 4", [])
        .unwrap();
    let error = TraceStore::open(&path).await.unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("have format 4; this library knows formats up to 3")
    );
}

#[tokio::test]
async fn served_traces_are_listed_and_continue_the_trace_of_the_request() {
    let (store, tracer) = stored(":memory:").await;
    let runner = Runner::new(ScriptedModel::text("Hello.")).tracer(&tracer);
    let guide = Agent::builder("Guide").build().unwrap();
    let front = Front::start(Server::builder(runner).agent(guide).traces(store)).await;
    let body = json!({"model": "Guide", "input": "hi"}).to_string();
    let traceparent = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    front
        .ask("POST", "/v1/responses", &[traceparent], &body)
        .await;
    flush(&tracer).await;

    let listed = front.get("/traces?agent=Guide&limit=10").await.json();
    assert_eq!(listed["next"], Value::Null);
    let id = "0af7651916cd43dd8448eb211c80319c";
    assert_eq!(listed["traces"][0]["trace_id"], id);
    let trace = front.get(&format!("/traces/{id}")).await.json();
    let spans = trace["spans"].as_array().unwrap();
    let task = spans.iter().find(|span| span["kind"] == "task").unwrap();
    assert_eq!(task["parent_id"], "b7ad6b7169203331");
    let path = format!("/traces/{id}/spans/{}", task["span_id"].as_str().unwrap());
    assert_eq!(front.get(&path).await.json()["content"]["output"], "Hello.");
    for (path, status) in [
        ("/traces/x", 404),
        ("/traces?limit=0", 400),
        ("/traces?colour=red", 400),
        ("/traces?status=failed", 400),
        ("/traces?text=caf%C3%A9+au", 200),
        ("/traces?after=x", 400),
    ] {
        assert_eq!(front.get(path).await.status, status, "{path}");
    }
    let deleted = front.ask("DELETE", &format!("/traces/{id}"), &[], "").await;
    assert_eq!(deleted.status, 200);
    assert_eq!(front.get(&format!("/traces/{id}")).await.status, 404);
}

#[tokio::test]
async fn server_without_store_has_no_traces() {
    let front = Front::of(&ScriptedModel::text("Hello.")).await;
    assert_eq!(front.get("/traces").await.status, 404);
}

#[tokio::test]
async fn store_keeps_no_more_than_it_is_told() {
    let (store, tracer) = stored(":memory:").await;
    for n in 0..40 {
        let text = format!("{n}").repeat(20_000);
        let runner = Runner::new(ScriptedModel::text(text)).tracer(&tracer);
        runner.run(&agent([]), "go").await.unwrap();
        flush(&tracer).await;
    }
    let day = TraceRetention::default().max_age(Duration::from_secs(24 * 60 * 60));
    assert_eq!(store.prune(day).await.unwrap(), 0);
    assert_eq!(store.prune(TraceRetention::default()).await.unwrap(), 0);
    let newest: Vec<_> = list(&store, TraceFilter::default())
        .await
        .iter()
        .map(TraceSummary::id)
        .collect();
    assert_eq!(newest.len(), 40);
    let n_deleted = store
        .prune(TraceRetention::default().max_bytes(600_000))
        .await
        .unwrap();
    assert!((1..40).contains(&n_deleted), "{n_deleted}");
    let left: Vec<_> = list(&store, TraceFilter::default())
        .await
        .iter()
        .map(TraceSummary::id)
        .collect();
    assert_eq!(left[..], newest[..left.len()]);
    assert_eq!(
        store
            .prune(TraceRetention::default().max_age(Duration::ZERO))
            .await
            .unwrap(),
        left.len() as u64
    );
}

#[tokio::test]
async fn processor_with_a_bound_deletes_and_keeps_what_goes_on() {
    let folder = Folder::new();
    let path = folder.path("traces.db");
    let (store, tracer) = stored(&path).await;
    let runner = Runner::new(ScriptedModel::text("old")).tracer(&tracer);
    runner.run(&agent([]), "go").await.unwrap();
    flush(&tracer).await;
    let none = TraceRetention::default().max_age(Duration::ZERO);
    let processor = store.processor_with(none).await.unwrap();
    let tracer = Tracer::builder().processor(processor).build();
    tracer
        .trace("new")
        .run(openai_agents::trace::span("goes on").run(async {
            flush(&tracer).await;
            let names: Vec<_> = list(&store, TraceFilter::default()).await;
            let names: Vec<&str> = names.iter().map(|trace| &*trace.trace.name).collect();
            assert_eq!(names, ["new"]);
        }))
        .await;
}

#[tokio::test]
async fn list_goes_by_what_was_recorded_last_whatever_the_clock_says() {
    let (store, tracer) = stored(":memory:").await;
    for name in ["first", "second", "third"] {
        let span = openai_agents::trace::span("work").run(async {});
        tracer.trace(name).run(span).await;
        flush(&tracer).await;
    }
    let mut filter = TraceFilter::default();
    filter.limit = Some(2);
    let page = store.list(filter.clone()).await.unwrap();
    filter.after = page.next;
    // What comes meanwhile stands before the first page.
    tracer
        .trace("fourth")
        .run(openai_agents::trace::span("work").run(async {}))
        .await;
    flush(&tracer).await;
    let rest = store.list(filter).await.unwrap();
    let names = page
        .traces
        .iter()
        .chain(&rest.traces)
        .map(|trace| &*trace.trace.name);
    assert_eq!(names.collect::<Vec<_>>(), ["third", "second", "first"]);
    assert_eq!(rest.next, None);
}

#[tokio::test]
async fn list_has_a_run_that_goes_on_before_one_that_ended_in_the_same_moment() {
    let (store, tracer) = stored(":memory:").await;
    let runner = Runner::new(ScriptedModel::text("Paris.")).tracer(&tracer);
    runner.run(&agent([]), "go").await.unwrap();
    let work = openai_agents::trace::span("work").run(std::future::pending::<()>());
    let mut going_on = Box::pin(tracer.trace("second").run(work));
    assert!(futures_util::poll!(going_on.as_mut()).is_pending());
    flush(&tracer).await;
    let traces = list(&store, TraceFilter::default()).await;
    let names = traces.iter().map(|trace| &*trace.trace.name);
    assert_eq!(names.collect::<Vec<_>>(), ["second", "A"]);
}
