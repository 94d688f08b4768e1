//! Where spans go: queues, JSON lines, and what never gets there.

use std::sync::Arc;
use std::time::Duration;

use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::trace::{
    ExportQueue, Exporter, JsonLines, MemorySpans, QueueLimits, Span, SpanContext, Tracer,
    read_lines, span,
};
use openai_agents::{Runner, Secret, secret::Redactor};
use serde_json::json;

use crate::support::{KEY, agent, call, tool};
use crate::traces::{assert_secret_is_nowhere, traced};

#[test]
fn traceparent_that_is_none_is_refused() {
    let id = "0af7651916cd43dd8448eb211c80319c";
    for header in [
        String::new(),
        format!("00-{id}-b7ad6b7169203331"),
        format!("00-{id}-b7ad6b7169203331-01-more"),
        format!("ff-{id}-b7ad6b7169203331-01"),
        format!("00-{}-b7ad6b7169203331-01", id.to_uppercase()),
        format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
        format!("00-{id}-0000000000000000-01"),
    ] {
        assert!(header.parse::<SpanContext>().is_err(), "{header}");
    }
    let newer = format!("01-{id}-b7ad6b7169203331-00-more");
    assert!(!newer.parse::<SpanContext>().unwrap().is_sampled);
}

/// Waits until it is let go.
struct Gone(std::sync::mpsc::Receiver<()>);

impl Exporter for Gone {
    fn export(&mut self, _: &[Arc<Span>]) -> Result<(), openai_agents::future::BoxError> {
        self.0.recv()?;
        Err("the collector is gone".into())
    }

    fn target(&self) -> String {
        "nowhere".to_owned()
    }
}

#[tokio::test]
async fn exporter_that_hangs_costs_a_run_nothing_and_losses_are_counted() {
    let (let_go, wait) = std::sync::mpsc::channel();
    let mut limits = QueueLimits::default();
    (limits.max_spans, limits.interval) = (2, Duration::ZERO);
    let queue = ExportQueue::with_limits(Gone(wait), limits);
    let tracer = Tracer::builder().processor(queue).build();
    let runner = Runner::new(ScriptedModel::new((0..5).map(|_| ScriptedTurn::text("hi"))));
    let runner = runner.tracer(&tracer);
    for _ in 0..5 {
        runner.run(&agent([]), "go").await.unwrap();
    }
    drop(let_go);
    assert!(tracer.flush(Duration::from_secs(60)).await);
    // Four spans a run: none came through.
    assert_eq!(tracer.n_lost(), 20);
}

#[tokio::test]
async fn json_lines_read_back_are_the_spans() {
    let (spans, tracer) = traced();
    let runner = Runner::new(ScriptedModel::text("Paris.")).tracer(&tracer);
    runner.run(&agent([]), "go").await.unwrap();
    let mut bytes = Vec::new();
    let ended = spans.ended();
    JsonLines::new(&mut bytes).write(&ended).unwrap();
    let read = read_lines(&String::from_utf8(bytes).unwrap()).unwrap();
    let json = |spans: &mut dyn Iterator<Item = String>| spans.collect::<Vec<_>>();
    assert_eq!(
        json(&mut read.iter().map(Span::to_json)),
        json(&mut ended.iter().map(|span| span.to_json()))
    );
    let newer = read_lines(r#"{"type":"header","version":2}"#).unwrap_err();
    assert_eq!(
        newer.to_string(),
        "the traces have version 2; this library reads up to version 1"
    );
}

#[tokio::test]
async fn redactor_takes_secrets_out_of_everything() {
    let spans = MemorySpans::default();
    let tracer = Tracer::builder()
        .processor(spans.clone())
        .redactor(Redactor::of(&Secret::new(KEY)))
        .build();
    let leak = tool("leak", |_| async {
        span(format!("open {KEY}"))
            .attribute("k", KEY)
            .run(async {})
            .await;
        Err(format!("wrong key {KEY}"))
    });
    let arguments = json!({ "key": KEY }).to_string();
    let model = ScriptedModel::new([
        // The first is refused, since the tool has no parameters.
        ScriptedTurn::items([call("c", "leak", &arguments), call("d", "leak", "{}")]),
        ScriptedTurn::text(KEY),
    ]);
    let runner = Runner::new(model).tracer(&tracer);
    runner
        .run(&agent([leak]), format!("my key is {KEY}"))
        .await
        .unwrap();
    assert_eq!(spans.ended().len(), 9);
    assert_secret_is_nowhere(&spans.ended());
}
