//! What this library sends to a collector, as the Python classes of OpenTelemetry's protocol understand it.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use openai_agents::agent::AgentBuilder;
use openai_agents::guardrail::Verdict;
use openai_agents::http::{Headers, HttpClient, Url};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::trace::{ExportQueue, OtlpExporter, Tracer};
use openai_agents::{Agent, FunctionTool, InputGuardrail, Runner, Usage};
use serde_json::{Value, json};

/// The collector as a process of its own.
pub(super) struct Collector {
    process: Child,
    url: String,
}

/// A script of this stage, by the Python that has the SDK.
pub(super) fn script(name: &str) -> Command {
    let python = env::var("PYTHON_SDK").unwrap_or_else(|_| {
        panic!("PYTHON_SDK is not set; this test is for: scripts/test --stage python-sdk")
    });
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/python-sdk.d");
    let mut command = Command::new(python);
    command.arg(scripts.join(name));
    command
}

impl Collector {
    pub(super) fn start() -> Self {
        let mut process = script("otlp_receiver.py")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        let stdout = process.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut port).unwrap();
        let url = format!("http://127.0.0.1:{}", port.trim());
        Self { process, url }
    }

    /// A tracer of a program of this name.
    pub(super) fn tracer(&self, service: &str) -> Tracer {
        let exporter = OtlpExporter::new(&self.url).unwrap();
        let queue = ExportQueue::new(exporter.service_name(service));
        Tracer::builder().processor(queue).build()
    }

    pub(super) async fn received(&self) -> Value {
        let url = Url::parse(&self.url).unwrap();
        let answer = HttpClient::default()
            .get(&url, &Headers::new())
            .await
            .unwrap();
        serde_json::from_slice(&answer.body.collect().await.unwrap()).unwrap()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
pub(super) struct NoArguments {}

pub(super) fn tool(name: &str) -> FunctionTool {
    let tool = FunctionTool::new(name, "", async |_cx, _: NoArguments| {
        Ok::<_, String>("seen")
    });
    tool.unwrap()
}

/// The spans of each trace as a tree, the traces in the order in which they began; those that belong to a span that was not received
/// begin one.
pub(super) fn trees(received: &Value) -> Vec<Vec<String>> {
    let mut spans = received["spans"].as_array().unwrap().clone();
    spans.sort_by_key(|span| {
        (
            span["start"].as_u64(),
            std::cmp::Reverse(span["end"].as_u64()),
        )
    });
    let is_root = |span: &&Value| {
        !spans
            .iter()
            .any(|other| other["span_id"] == span["parent_id"])
    };
    let mut trees = Vec::new();
    for root in spans.iter().filter(is_root) {
        let mut lines = Vec::new();
        write(root, &spans, 0, &mut lines);
        trees.push(lines);
    }
    assert_eq!(trees.iter().map(Vec::len).sum::<usize>(), spans.len());
    trees
}

fn write(span: &Value, all: &[Value], depth: usize, lines: &mut Vec<String>) {
    let status = match (
        &span["status"][0],
        &span["attributes"]["openai_agents.span.status"],
    ) {
        (code, _) if *code == 2 => " [error]".to_owned(),
        (_, Value::String(status)) => format!(" [{status}]"),
        _ => String::new(),
    };
    let service = match span["service"].as_str().unwrap() {
        "desk" => String::new(),
        other => format!(" @{other}"),
    };
    let name = span["name"].as_str().unwrap();
    lines.push(format!("{}{name}{service}{status}", "  ".repeat(depth)));
    for child in all {
        if child["parent_id"] == span["span_id"] {
            write(child, all, depth + 1, lines);
        }
    }
}

/// A run with parallel tools, a nested agent, a handoff, a guardrail and an approval; it pauses and goes on.
async fn pause_and_resume(tracer: &Tracer, desk: &Agent) -> Runner {
    let inner = Agent::builder("Inner").build().unwrap();
    let calm = InputGuardrail::new("calm", async |_| Verdict::pass());
    let main = Agent::builder("Main")
        .tool(tool("look"))
        .tool(inner.as_tool("Asks."));
    let main = AgentBuilder::handoff(main, desk)
        .input_guardrail(calm)
        .build()
        .unwrap();
    let usage = Usage::of_request(90, 7, 97).with_cached_tokens(64);
    let usage = usage.with_cache_write_tokens(8).with_reasoning_tokens(3);
    let model = ScriptedModel::new([
        ScriptedTurn::tool_calls([
            ("look", json!({})),
            ("look", json!({})),
            ("inner", json!({"input": "x"})),
        ]),
        ScriptedTurn::text("inside"),
        ScriptedTurn::handoff("Desk"),
        ScriptedTurn::tool_call("delete", json!({})),
        ScriptedTurn::text("Done.").with_usage(usage),
    ]);
    let runner = Runner::new(model).tracer(tracer);
    let waiting = runner.run(&main, "go").await.unwrap_err();
    let mut state = waiting.into_state().unwrap();
    let id = state.interruptions()[0].id.clone();
    state.approve(&id).unwrap();
    let mut resumed = runner.resume(&main, state).stream();
    while let Some(event) = resumed.next().await {
        event.unwrap();
    }
    runner
}

/// A run that is dropped while its tool works.
async fn cancel(tracer: &Tracer) {
    let stuck = FunctionTool::new("stuck", "", async |_cx, _: NoArguments| {
        std::future::pending::<Result<String, String>>().await
    });
    let model = ScriptedModel::new([ScriptedTurn::tool_call("stuck", json!({}))]);
    let agent = Agent::builder("Stuck").tool(stuck.unwrap()).build();
    let runner = Runner::new(model).tracer(tracer);
    let run = runner.run(&agent.unwrap(), "go").into_future();
    drop(tokio::time::timeout(Duration::ZERO, run).await);
}

#[tokio::test]
async fn collector_understands_every_kind_of_tree() {
    let collector = Collector::start();
    let tracer = collector.tracer("desk");
    let desk = Agent::builder("Desk").tool(tool("delete").needs_approval());
    let desk = desk.build().unwrap();
    let runner = pause_and_resume(&tracer, &desk).await;
    // The script is over.
    runner.run(&desk, "fail").await.unwrap_err();
    cancel(&tracer).await;
    assert!(tracer.flush(Duration::from_secs(60)).await);
    assert_eq!(tracer.n_lost(), 0);

    let received = collector.received().await;
    let [run, failed, cancelled] = &trees(&received)[..] else {
        panic!("{received:#}");
    };
    check_run(run);
    let names = [
        "run Desk",
        "  invoke_agent Desk",
        "    turn 1",
        "      chat scripted",
    ];
    assert_eq!(failed[..], names.map(|name| format!("{name} [error]")));
    assert_eq!(
        cancelled[..],
        [
            "run Stuck [cancelled]",
            "  invoke_agent Stuck [cancelled]",
            "    turn 1 [cancelled]",
            "      chat scripted",
            "      execute_tool stuck [cancelled]",
        ]
    );
    check_metrics(&received["metrics"]);
}

/// The metrics as the Python classes read them: each with its unit and what was counted by which attributes.
fn check_metrics(metrics: &Value) {
    let model =
        "gen_ai.operation.name=chat gen_ai.provider.name=openai gen_ai.request.model=scripted";
    let failed = format!("error.type=config {model}");
    let tokens = |n_tokens: u64| json!({"unit": "{token}", "points": {model: n_tokens}});
    let seconds = |points: Value| json!({"unit": "s", "points": points});
    let by_name = |what: &str, counts: &[(&str, u64)]| -> Value {
        let counts = counts.iter();
        let counts = counts.map(|(name, n)| (format!("gen_ai.{what}.name={name}"), json!(n)));
        Value::Object(counts.collect())
    };
    let usage = "gen_ai.client.inference.usage";
    let expected = json!({
        "gen_ai.client.inference.duration": seconds(json!({model: 6, failed: 1})),
        "gen_ai.client.inference.time_to_first_chunk": seconds(json!({model: 1})),
        format!("{usage}.input_tokens"): tokens(90),
        format!("{usage}.output_tokens"): tokens(7),
        format!("{usage}.cache_read.input_tokens"): tokens(64),
        format!("{usage}.cache_write.input_tokens"): tokens(8),
        format!("{usage}.reasoning.output_tokens"): tokens(3),
        "gen_ai.execute_tool.duration": seconds(by_name("tool", &[("look", 2), ("inner", 1), ("delete", 1), ("stuck", 1)])),
        "gen_ai.invoke_agent.duration": seconds(by_name("agent", &[("Main", 1), ("Inner", 1), ("Desk", 3), ("Stuck", 1)])),
    });
    assert_eq!(*metrics, expected, "{metrics:#}");
}

fn check_run(run: &[String]) {
    let (beginning, rest) = run.split_at(4);
    let expected = [
        "run Main [paused]",
        "  invoke_agent Main",
        "    guardrail calm",
        "    turn 1",
    ];
    assert_eq!(beginning, expected);
    // Tools of one turn work at the same time.
    let (parallel, rest) = rest.split_at(8);
    let mut parallel = parallel.to_vec();
    parallel.sort();
    let expected = [
        "              chat scripted",
        "            turn 1",
        "          invoke_agent Inner",
        "        run Inner",
        "      chat scripted",
        "      execute_tool inner",
        "      execute_tool look",
        "      execute_tool look",
    ];
    assert_eq!(parallel, expected);
    let expected = [
        "    turn 2",
        "      chat scripted",
        "      handoff to Desk",
        "  invoke_agent Desk [paused]",
        "    turn 3 [paused]",
        "      chat scripted",
        "      execute_tool delete [paused]",
        "  wait for approval",
        "  run Desk",
        "    invoke_agent Desk",
        "      turn 3",
        "        execute_tool delete",
        "      turn 4",
        "        chat scripted",
    ];
    assert_eq!(rest, expected);
}
