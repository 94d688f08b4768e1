//! Traces: which spans a run has, what stands in them, where they go.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use openai_agents::journal::{RunBeginning, SqliteJournal};
use openai_agents::model::{ConcurrencyLimit, OpenAiChat, Retry, RetryPolicy};
use openai_agents::session::{MemorySession, SessionId};
use openai_agents::testing::{FakeServer, Reply, ScriptedModel, ScriptedTurn};
use openai_agents::tools::ToolOptions;
use openai_agents::trace::{
    ContentRecording, MemorySpans, Propagation, Span, SpanContext, TraceScope, Tracer,
    current_span, span,
};
use openai_agents::{Agent, FunctionTool, InputGuardrail, Item, Runner, Usage, guardrail::Verdict};
use serde_json::json;

use crate::support::{
    KEY, agent, chat, instant, play, streamed, tool, tool_with, whole, whole_text, wire_call,
};

pub(crate) fn traced() -> (MemorySpans, Tracer) {
    let spans = MemorySpans::default();
    let tracer = Tracer::builder().processor(spans.clone()).build();
    (spans, tracer)
}

/// The spans as a tree: each with its status, unless that is `ok`, and its error.
pub(crate) fn tree(spans: &[Arc<Span>]) -> Vec<String> {
    let mut sorted = spans.to_vec();
    sorted.sort_by_key(|span| (span.started_at, std::cmp::Reverse(span.ended_at)));
    let is_known = |span: &Arc<Span>| sorted.iter().any(|other| Some(other.id) == span.parent);
    let roots: Vec<_> = sorted.iter().filter(|span| !is_known(span)).collect();
    let mut lines = Vec::new();
    for root in roots {
        write_tree(root, &sorted, 0, &mut lines);
    }
    assert_eq!(
        lines.len(),
        spans.len(),
        "each span stands in the tree once"
    );
    lines
}

fn write_tree(span: &Span, all: &[Arc<Span>], depth: usize, lines: &mut Vec<String>) {
    let status = match span.status.as_str() {
        "ok" => String::new(),
        status => format!(" [{status}]"),
    };
    let error = span.error.as_ref();
    let error = error.map(|error| format!(" {}: {}", error.kind, error.message));
    let indent = "  ".repeat(depth);
    let (name, error) = (&span.name, error.unwrap_or_default());
    lines.push(format!("{indent}{name}{status}{error}"));
    for child in all.iter().filter(|child| child.parent == Some(span.id)) {
        write_tree(child, all, depth + 1, lines);
    }
}

fn find<'a>(spans: &'a [Arc<Span>], name: &str) -> &'a Arc<Span> {
    spans.iter().find(|span| span.name == name).unwrap()
}

fn text(span: &Span, name: &str) -> String {
    span.content(name).unwrap().to_text()
}

#[tokio::test]
async fn parallel_tools_and_handoff_form_a_tree() {
    let (spans, tracer) = traced();
    let desk = Agent::builder("Desk").build().unwrap();
    let main = Agent::builder("Main")
        .tool(instant("look", "seen"))
        .handoff(&desk)
        .build()
        .unwrap();
    let model = ScriptedModel::new([
        ScriptedTurn::tool_calls([("look", json!({})), ("look", json!({}))]),
        ScriptedTurn::handoff("Desk"),
        ScriptedTurn::text("Done."),
    ]);
    let runner = Runner::new(model).tracer(&tracer);
    let session = MemorySession::new(SessionId::new("s").unwrap());
    runner.run(&main, "go").session(&session).await.unwrap();
    let ended = spans.ended();
    assert_eq!(
        tree(&ended),
        [
            "run Main",
            "  read session",
            "  invoke_agent Main",
            "    turn 1",
            "      chat scripted",
            "      execute_tool look",
            "      execute_tool look",
            "      write session",
            "    turn 2",
            "      chat scripted",
            "      handoff to Desk",
            "      write session",
            "  invoke_agent Desk",
            "    turn 3",
            "      chat scripted",
            "      write session",
        ]
    );
    let trace = ended[0].trace.id;
    assert!(ended.iter().all(|span| span.trace.id == trace));
    assert!(
        ended
            .iter()
            .all(|span| span.ended_at >= Some(span.started_at))
    );
    let look = find(&ended, "execute_tool look");
    assert_eq!(text(look, "arguments"), "{}");
    assert_eq!(text(look, "result"), "seen");
    assert_eq!(
        look.attribute("gen_ai.tool.call.id"),
        Some(&json!("call_look"))
    );
    let run = find(&ended, "run Main");
    assert_eq!(text(run, "output"), "Done.");
    assert_eq!(run.attribute("gen_ai.conversation.id"), Some(&json!("s")));
    assert_eq!(run.attribute("openai_agents.turns"), Some(&json!(3)));
    let roots: Vec<_> = ended.iter().filter(|span| span.is_root).collect();
    assert_eq!(roots.len(), 1);
}

#[tokio::test]
async fn nested_agent_stands_below_its_call() {
    let (spans, tracer) = traced();
    let inner = Agent::builder("Inner").build().unwrap();
    let main = Agent::builder("Main")
        .tool(inner.as_tool("Asks."))
        .build()
        .unwrap();
    let model = ScriptedModel::new([
        ScriptedTurn::tool_call("inner", json!({"input": "x"})),
        ScriptedTurn::text("inside"),
        ScriptedTurn::text("outside"),
    ]);
    let runner = Runner::new(model).tracer(&tracer);
    runner.run(&main, "go").await.unwrap();
    assert_eq!(
        tree(&spans.ended()),
        [
            "run Main",
            "  invoke_agent Main",
            "    turn 1",
            "      chat scripted",
            "      execute_tool inner",
            "        run Inner",
            "          invoke_agent Inner",
            "            turn 1",
            "              chat scripted",
            "    turn 2",
            "      chat scripted",
        ]
    );
}

#[tokio::test]
async fn tripped_guardrail_is_the_span_that_failed() {
    let (spans, tracer) = traced();
    let strict = InputGuardrail::new("strict", async |_| Verdict::trip("a password"));
    let agent = Agent::builder("A").input_guardrail(strict).build().unwrap();
    let runner = Runner::new(ScriptedModel::text("never seen")).tracer(&tracer);
    runner.run(&agent, "go").await.unwrap_err();
    let lines = tree(&spans.ended());
    assert_eq!(
        lines[0],
        "run A [error] guardrail_tripped: the input guardrail `strict` tripped: \"a password\""
    );
    let guardrail = "    guardrail strict [error] guardrail_tripped: a password";
    assert!(lines.iter().any(|line| line == guardrail), "{lines:#?}");
}

#[tokio::test]
async fn resumed_run_continues_the_trace_with_the_wait_between() {
    let (spans, tracer) = traced();
    let delete = instant("delete", "gone").needs_approval();
    let agent = agent([delete]);
    let model = ScriptedModel::new([
        ScriptedTurn::tool_call("delete", json!({})).with_usage(Usage::default()),
        ScriptedTurn::text("Done."),
    ]);
    let runner = Runner::new(model).tracer(&tracer);
    let error = runner.run(&agent, "go").await.unwrap_err();
    let mut state = error.into_state().unwrap();
    let id = state.interruptions()[0].id.clone();
    state.approve(&id).unwrap();
    runner.resume(&agent, state).await.unwrap();
    let ended = spans.ended();
    assert_eq!(
        tree(&ended),
        [
            "run A [paused]",
            "  invoke_agent A [paused]",
            "    turn 1 [paused]",
            "      chat scripted",
            "      execute_tool delete [paused]",
            "  wait for approval",
            "  run A",
            "    invoke_agent A",
            "      turn 1",
            "        execute_tool delete",
            "      turn 2",
            "        chat scripted",
        ]
    );
    let trace = ended[0].trace.id;
    assert!(ended.iter().all(|span| span.trace.id == trace));
}

#[tokio::test]
async fn failed_call_has_the_words_of_the_server_and_the_exact_exchange() {
    let server = FakeServer::start([Reply::status(
        400,
        format!(r#"{{"error":{{"message":"no model m for {KEY}"}}}}"#),
    )])
    .await
    .unwrap();
    let (spans, tracer) = traced();
    let runner = Runner::new(chat(&server)).tracer(&tracer);
    runner.run(&agent([]), "Hello").await.unwrap_err();
    let ended = spans.ended();
    let call = find(&ended, "chat m");
    let error = call.error.as_ref().unwrap();
    assert_eq!(error.kind, "api_status");
    assert!(
        error.message.contains("no model m for [redacted]"),
        "{error:?}"
    );
    assert_eq!(
        call.attribute("http.response.status_code"),
        Some(&json!(400))
    );
    let sent = String::from_utf8(server.requests()[0].body.to_vec()).unwrap();
    assert_eq!(text(call, "request"), sent);
    let answer = r#"{"error":{"message":"no model m for [redacted]"}}"#;
    assert_eq!(text(call, "response"), answer);
    assert_secret_is_nowhere(&ended);
}

#[track_caller]
pub(crate) fn assert_secret_is_nowhere(spans: &[Arc<Span>]) {
    for span in spans {
        assert!(!span.to_json().contains(KEY), "{}", span.to_json());
    }
}

#[tokio::test]
async fn streamed_call_has_its_first_token_usage_and_bytes() {
    let server = FakeServer::start([streamed(&[json!({"content": "Paris."})], "stop")])
        .await
        .unwrap();
    let (spans, tracer) = traced();
    let runner = Runner::new(chat(&server)).tracer(&tracer);
    let mut stream = runner.run(&agent([]), "Hello").stream();
    while let Some(event) = stream.next().await {
        event.unwrap();
    }
    let ended = spans.ended();
    let call = find(&ended, "chat m");
    let attribute = |name| call.attribute(name).cloned().unwrap_or_default();
    assert_eq!(attribute("gen_ai.usage.input_tokens"), json!(3));
    assert_eq!(attribute("gen_ai.request.stream"), json!(true));
    assert_eq!(attribute("gen_ai.response.finish_reasons"), json!(["stop"]));
    assert_eq!(attribute("server.address"), json!("127.0.0.1"));
    assert!(attribute("gen_ai.response.time_to_first_chunk").is_f64());
    assert!(
        text(call, "response").ends_with("data: [DONE]\n\n"),
        "{}",
        text(call, "response")
    );
    assert!(text(call, "output").contains("Paris."));
    assert_eq!(call.attribute("openai_agents.replayed"), None);
}

#[tokio::test]
async fn withheld_content_is_nowhere() {
    let call = whole(
        &json!({"role": "assistant", "content": null, "tool_calls": [wire_call(0, "c", "look", "{}")]}),
        "tool_calls",
    );
    let server = FakeServer::start([call, whole_text("the-answer")])
        .await
        .unwrap();
    let spans = MemorySpans::default();
    let tracer = Tracer::builder()
        .processor(spans.clone())
        .content(ContentRecording::Withheld)
        .build();
    let look = tool_with("look", ToolOptions::default(), |_| async {
        Err("the-tool-failed".to_owned())
    });
    let runner = Runner::new(chat(&server)).tracer(&tracer);
    runner.run(&agent([look]), "the-question").await.unwrap();
    let ended = spans.ended();
    assert_eq!(
        find(&ended, "execute_tool look")
            .error
            .as_ref()
            .unwrap()
            .message,
        "the tool failed"
    );
    for span in &ended {
        let json = span.to_json();
        for word in ["the-answer", "the-question", "the-tool-failed"] {
            assert!(!json.contains(word), "{json}");
        }
    }
}

#[tokio::test]
async fn dropped_run_ends_its_spans_as_cancelled() {
    let (spans, tracer) = traced();
    let stuck = tool("stuck", |_| std::future::pending());
    let model = ScriptedModel::new([ScriptedTurn::tool_call("stuck", json!({}))]);
    let runner = Runner::new(model).tracer(&tracer);
    let agent = agent([stuck]);
    let mut stream = runner.run(&agent, "go").stream();
    // Until the tool is waited for.
    while let Ok(event) = tokio::time::timeout(Duration::ZERO, stream.next()).await {
        event.unwrap().unwrap();
    }
    drop(stream);
    assert_eq!(
        tree(&spans.ended()),
        [
            "run A [cancelled]",
            "  invoke_agent A [cancelled]",
            "    turn 1 [cancelled]",
            "      chat scripted",
            "      execute_tool stuck [cancelled]",
        ]
    );
}

#[tokio::test]
async fn custom_spans_and_traces_group_what_is_in_them() {
    let (spans, tracer) = traced();
    let counted = tool("count", |_| async {
        span("query")
            .attribute("db.system", "sqlite")
            .run(async {
                current_span().unwrap().set("rows", 3);
            })
            .await;
        Ok("3".to_owned())
    });
    let model = ScriptedModel::new([
        ScriptedTurn::tool_call("count", json!({})),
        ScriptedTurn::text("3"),
        ScriptedTurn::text("again"),
    ]);
    let runner = Runner::new(model).tracer(&tracer);
    let agent = agent([counted]);
    let trace = tracer.trace("Orders").group("chat-7").metadata("k", "v");
    trace
        .run(async {
            runner.run(&agent, "go").await.unwrap();
            span("later").run(runner.run(&agent, "go")).await.unwrap();
        })
        .await;
    let ended = spans.ended();
    assert_eq!(
        tree(&ended),
        [
            "run A",
            "  invoke_agent A",
            "    turn 1",
            "      chat scripted",
            "      execute_tool count",
            "        query",
            "    turn 2",
            "      chat scripted",
            "later",
            "  run A",
            "    invoke_agent A",
            "      turn 1",
            "        chat scripted",
        ]
    );
    let query = find(&ended, "query");
    assert_eq!(query.attribute("rows"), Some(&json!(3)));
    assert_eq!(query.trace.group.as_deref(), Some("chat-7"));
    assert_eq!(query.trace.metadata, [("k".to_owned(), json!("v"))]);
}

#[tokio::test]
async fn remote_parent_is_continued_and_models_are_told_if_asked() {
    let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let parent: SpanContext = header.parse().unwrap();
    for propagation in [Propagation::ToModels, Propagation::NotToModels] {
        let server = FakeServer::start([whole_text("hi")]).await.unwrap();
        let spans = MemorySpans::default();
        let tracer = Tracer::builder()
            .processor(spans.clone())
            .propagation(propagation)
            .build();
        let runner = Runner::new(chat(&server)).tracer(&tracer);
        let agent = agent([]);
        let run = runner.run(&agent, "go");
        TraceScope::remote(parent).run(run).await.unwrap();
        let ended = spans.ended();
        let run = find(&ended, "run A");
        assert_eq!(
            (run.trace.id, run.parent),
            (parent.trace_id, Some(parent.span_id))
        );
        let sent = server.requests()[0]
            .header("traceparent")
            .map(str::to_owned);
        let call = find(&ended, "chat m").context().to_string();
        let is_told = propagation == Propagation::ToModels;
        assert_eq!(sent, is_told.then_some(call));
    }
}

#[tokio::test]
async fn provider_is_what_the_builder_says_or_the_host_tells() {
    let server = FakeServer::start([whole_text("hi"), whole_text("hi")]);
    let server = server.await.unwrap();
    let url = format!("{}/v1", server.url());
    for (name, expected) in [(None, "openai"), (Some("vllm"), "vllm")] {
        let mut builder = OpenAiChat::builder(&url, "m");
        if let Some(name) = name {
            builder = builder.provider_name(name);
        }
        // What is around a model names that one's.
        let limit = ConcurrencyLimit::new(NonZeroUsize::MIN);
        let model = Retry::new(
            limit.wrap(builder.build().unwrap()),
            RetryPolicy::attempts(1),
        );
        let (spans, tracer) = traced();
        let runner = Runner::new(model).tracer(&tracer);
        runner.run(&agent([]), "go").await.unwrap();
        let ended = spans.ended();
        let provider = find(&ended, "chat m").attribute("gen_ai.provider.name");
        assert_eq!(provider, Some(&json!(expected)));
    }
}

#[tokio::test]
async fn replayed_effects_are_marked_and_both_executions_are_one_trace() {
    let (spans, tracer) = traced();
    let journal = SqliteJournal::open(":memory:").await.unwrap();
    let beginning = RunBeginning::new("A", [Item::user("go")]);
    let run = journal.start(beginning).await.unwrap();
    let agent = agent([instant("look", "seen")]);
    let model = ScriptedModel::new([ScriptedTurn::tool_call("look", json!({}))]);
    let runner = Runner::new(model).tracer(&tracer);
    let first = runner.run(&agent, "go").journal(Arc::new(run.clone()));
    first.await.unwrap_err();
    let again = journal.resume(run.id()).await.unwrap();
    let runner = Runner::new(ScriptedModel::text("Done.")).tracer(&tracer);
    runner
        .run(&agent, "go")
        .journal(Arc::new(again))
        .await
        .unwrap();
    let replayed = |span: &Arc<Span>| (span.name.to_string(), span.is_replayed());
    let ended = spans.ended();
    let effects: Vec<_> = ended
        .iter()
        .filter(|span| matches!(span.kind.as_str(), "generation" | "function"))
        .map(replayed)
        .collect();
    let expected = [
        ("chat scripted", false),
        ("execute_tool look", false),
        ("chat scripted", false),
        ("chat scripted", true),
        ("execute_tool look", true),
        ("chat scripted", false),
    ];
    assert_eq!(effects, expected.map(|(name, is)| (name.to_owned(), is)));
    let trace = ended[0].trace.id;
    assert!(ended.iter().all(|span| span.trace.id == trace));
}

#[tokio::test]
async fn runner_without_tracer_has_no_current_span() {
    let look: FunctionTool = tool("look", |_| async {
        Ok(span("mine")
            .run(async { current_span().is_none() })
            .await
            .to_string())
    });
    let model = ScriptedModel::new([
        ScriptedTurn::tool_call("look", json!({})),
        ScriptedTurn::text("Done."),
    ]);
    let (_, result) = play(Runner::new(model).run(&agent([look]), "go")).await;
    let result = result.unwrap();
    let shown = serde_json::to_string(result.items()).unwrap();
    assert!(shown.contains(r#""output":"true""#), "{shown}");
}
