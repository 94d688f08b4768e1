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
use openai_agents::{Agent, FunctionTool, InputGuardrail, Runner};
use serde_json::{Value, json};

/// The collector as a process of its own.
struct Collector {
    process: Child,
    url: String,
}

impl Collector {
    fn start() -> Self {
        let python = env::var("PYTHON_SDK").unwrap_or_else(|_| {
            panic!("PYTHON_SDK is not set; this test is for: scripts/test --stage python-sdk")
        });
        let script = Path::new(env!("CARGO_MANIFEST_DIR"));
        let script = script.join("scripts/python-sdk.d/otlp_receiver.py");
        let mut process = Command::new(python)
            .arg(script)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        let stdout = process.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut port).unwrap();
        let url = format!("http://127.0.0.1:{}", port.trim());
        Self { process, url }
    }

    async fn received(&self) -> Value {
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
struct NoArguments {}

fn tool(name: &str) -> FunctionTool {
    let tool = FunctionTool::new(name, "", async |_cx, _: NoArguments| {
        Ok::<_, String>("seen")
    });
    tool.unwrap()
}

/// The spans of each trace as a tree, the traces in the order in which they began.
fn trees(received: &Value) -> Vec<Vec<String>> {
    let mut spans = received["spans"].as_array().unwrap().clone();
    spans.sort_by_key(|span| {
        (
            span["start"].as_u64(),
            std::cmp::Reverse(span["end"].as_u64()),
        )
    });
    let mut roots = spans.iter().filter(|span| span["parent_id"].is_null());
    let mut trees = Vec::new();
    for root in &mut roots {
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
    lines.push(format!(
        "{}{}{status}",
        "  ".repeat(depth),
        span["name"].as_str().unwrap()
    ));
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
    let model = ScriptedModel::new([
        ScriptedTurn::tool_calls([
            ("look", json!({})),
            ("look", json!({})),
            ("inner", json!({"input": "x"})),
        ]),
        ScriptedTurn::text("inside"),
        ScriptedTurn::handoff("Desk"),
        ScriptedTurn::tool_call("delete", json!({})),
        ScriptedTurn::text("Done."),
    ]);
    let runner = Runner::new(model).tracer(tracer);
    let waiting = runner.run(&main, "go").await.unwrap_err();
    let mut state = waiting.into_state().unwrap();
    let id = state.interruptions()[0].id.clone();
    state.approve(&id).unwrap();
    runner.resume(&main, state).await.unwrap();
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
    let exporter = OtlpExporter::new(&collector.url).unwrap();
    let queue = ExportQueue::new(exporter.service_name("desk"));
    let tracer = Tracer::builder().processor(queue).build();
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
    assert_eq!(received["spans"][0]["service"], "desk");
    let counted = json!({
        "gen_ai.client.inference.duration": 6,
        "gen_ai.execute_tool.duration": 2,
        "gen_ai.invoke_agent.duration": 3,
    });
    assert_eq!(received["metrics"], counted);
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
