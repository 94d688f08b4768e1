//! Where spans go: queues, JSON lines, and what never gets there.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use openai_agents::testing::{FakeServer, Reply, ScriptedModel, ScriptedTurn};
use openai_agents::trace::{
    ExportQueue, Exporter, JsonLines, MemorySpans, OpenAiIngest, OtlpExporter, Processor,
    QueueLimits, Span, SpanContext, SpanRecord, Tracer, otlp_json, read_lines, span,
};
use openai_agents::{Agent, FunctionTool, Runner, Secret, secret::Redactor};
use serde_json::{Value, json};

use crate::support::{KEY, agent, call, chat, tool, wire_call};
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

#[derive(Clone, Default)]
struct KeptRecords(Arc<Mutex<Vec<SpanRecord>>>);

impl Processor for KeptRecords {
    fn on_end(&self, span: &SpanRecord) {
        self.0.lock().unwrap().push(span.clone());
    }
}

#[tokio::test]
async fn record_that_is_kept_gives_one_span_and_does_not_hold_its_tracer() {
    let kept = KeptRecords::default();
    let tracer = Tracer::builder().processor(kept.clone()).build();
    let runner = Runner::new(ScriptedModel::text("Paris.")).tracer(&tracer);
    runner.run(&agent([]), "go").await.unwrap();
    drop((runner, tracer));
    let records = Arc::into_inner(kept.0).unwrap().into_inner().unwrap();
    let names = records.iter().map(|record| record.span().name.to_string());
    let names: Vec<_> = names.collect();
    assert_eq!(
        names,
        ["chat scripted", "turn 1", "invoke_agent A", "run A"]
    );
    for record in &records {
        assert!(Arc::ptr_eq(&record.span(), &record.span()));
    }
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

/// A whole chat answer with the counts of the golden file.
fn counted(message: &Value, finish_reason: &str) -> Reply {
    Reply::json(&json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{ "index": 0, "message": message, "finish_reason": finish_reason }],
        "usage": {
            "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
            "prompt_tokens_details": { "cached_tokens": 3 },
            "completion_tokens_details": { "reasoning_tokens": 2 },
        },
    }))
}

/// The run that the golden file was recorded of, by the Python Agents SDK.
async fn golden_run(server: &FakeServer, tracer: &Tracer) {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Place {
        city: String,
    }
    let calls = json!({ "role": "assistant", "content": null, "tool_calls": [
        wire_call(0, "c0", "get_weather", r#"{"city":"A"}"#),
        wire_call(1, "c1", "transfer_to_b", "{}"),
    ]});
    server.push(counted(&calls, "tool_calls"));
    let answer = json!({ "role": "assistant", "content": "hi" });
    server.push(counted(&answer, "stop"));
    let weather = FunctionTool::new("get_weather", "", async |_cx, place: Place| {
        Ok::<_, String>(format!("Sunny in {}", place.city))
    });
    let next = Agent::builder("B").build().unwrap();
    let main = Agent::builder("Main")
        .tool(weather.unwrap())
        .handoff(&next)
        .build()
        .unwrap();
    let runner = Runner::new(chat(server)).tracer(tracer);
    let trace = tracer.trace("W").group("g1").metadata("k", "v");
    trace.run(runner.run(&main, "hi")).await.unwrap();
}

/// Names ids by the order in which they come, and takes out what no two runs have in common.
fn comparable(payload: &Value) -> Value {
    let mut text = payload.to_string();
    let mut ids = Vec::new();
    for kind in ["trace_", "span_"] {
        for (at, _) in payload.to_string().match_indices(kind) {
            let text = payload.to_string();
            let id: String = text[at + kind.len()..]
                .chars()
                .take_while(char::is_ascii_hexdigit)
                .collect();
            if id.len() >= 24 && !ids.contains(&id) {
                ids.push(id);
            }
        }
    }
    for (n, id) in ids.iter().enumerate() {
        text = text.replace(id.as_str(), &format!("#{n}"));
    }
    let mut payload: Value = serde_json::from_str(&text).unwrap();
    for item in payload["data"].as_array_mut().unwrap() {
        for time in ["started_at", "ended_at"] {
            if let Some(time) = item.get_mut(time) {
                let form = time
                    .as_str()
                    .unwrap()
                    .replace(|c: char| c.is_ascii_digit(), "0");
                *time = form.into();
            }
        }
        if let Some(url) = item.pointer_mut("/span_data/model_config/base_url") {
            *url = "http://127.0.0.1/v1/".into();
        }
    }
    payload
}

#[tokio::test]
async fn openai_ingest_payload_is_the_golden_one() {
    let collector = FakeServer::start([Reply::status(204, "")]).await.unwrap();
    let exporter = OpenAiIngest::new(&format!("{}/v1/traces/ingest", collector.url()));
    let exporter = exporter.unwrap().api_key("sk-t").unwrap();
    let tracer = Tracer::builder()
        .processor(ExportQueue::new(exporter))
        .build();
    let server = FakeServer::start([]).await.unwrap();
    golden_run(&server, &tracer).await;
    assert!(tracer.flush(Duration::from_secs(60)).await);
    assert_eq!(tracer.n_lost(), 0);
    let golden = include_str!("../fixtures/tracing/openai_ingest_golden.json");
    let golden: Value = serde_json::from_str(golden).unwrap();
    let sent = &collector.requests()[0];
    for (name, value) in golden["headers"].as_object().unwrap() {
        assert_eq!(sent.header(name), value.as_str(), "{name}");
    }
    assert_eq!(
        comparable(&sent.json().unwrap()),
        comparable(&golden["body"])
    );
}

#[tokio::test]
async fn otlp_goes_to_the_paths_of_the_protocol_and_what_is_refused_is_counted() {
    let replies = [Reply::status(200, ""), Reply::status(200, "")];
    let collector = FakeServer::start(replies).await.unwrap();
    let exporter = OtlpExporter::new(&collector.url()).unwrap();
    let tracer = Tracer::builder()
        .processor(ExportQueue::new(exporter))
        .build();
    let runner = Runner::new(ScriptedModel::new(["a", "b"].map(ScriptedTurn::text)));
    let runner = runner.tracer(&tracer);
    runner.run(&agent([]), "go").await.unwrap();
    assert!(tracer.flush(Duration::from_secs(60)).await);
    let sent = collector.requests();
    let paths: Vec<_> = sent.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["/v1/traces", "/v1/metrics"]);
    assert_eq!(
        sent[0].header("content-type"),
        Some("application/x-protobuf")
    );
    assert_eq!(tracer.n_lost(), 0);
    for status in [400, 400] {
        collector.push(Reply::status(status, "no"));
    }
    runner.run(&agent([]), "go").await.unwrap();
    assert!(tracer.flush(Duration::from_secs(60)).await);
    assert_eq!(tracer.n_lost(), 4);
}

#[tokio::test]
async fn otlp_json_has_the_names_of_the_conventions() {
    let (spans, tracer) = traced();
    let server = FakeServer::start([]).await.unwrap();
    golden_run(&server, &tracer).await;
    let ended = spans.ended();
    let json: Value =
        serde_json::from_str(&otlp_json("s", ended.iter().map(|span| &**span))).unwrap();
    let spans = json["resourceSpans"][0]["scopeSpans"][0]["spans"]
        .as_array()
        .unwrap();
    let call = spans.iter().find(|span| span["name"] == "chat m").unwrap();
    let attribute = |name: &str| {
        let attributes = call["attributes"].as_array().unwrap();
        let found = attributes.iter().find(|attribute| attribute["key"] == name);
        found.map(|found| found["value"].clone())
    };
    assert_eq!(call["kind"], 3);
    assert_eq!(
        attribute("gen_ai.operation.name"),
        Some(json!({"stringValue": "chat"}))
    );
    assert_eq!(
        attribute("gen_ai.usage.cache_read.input_tokens"),
        Some(json!({"intValue": "3"}))
    );
    let input = json!([{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]);
    let input = json!({"stringValue": input.to_string()});
    assert_eq!(attribute("gen_ai.input.messages"), Some(input));
    let names: Vec<_> = spans
        .iter()
        .map(|span| span["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"invoke_agent Main") && names.contains(&"execute_tool get_weather"));
}
