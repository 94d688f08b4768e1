//! The adapter of `tests/fixtures/wire-quirks/judge.py`: one agent run, told in one JSON line.
//!
//! The contract stands in the head of that file.

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openai_agents::error::RunProgress;
use openai_agents::http::HttpClient;
use openai_agents::item::ItemKind;
use openai_agents::model::{Delivery, OpenAiChat, OpenAiResponses};
use openai_agents::tools::{ToolFailure, ToolOptions};
use openai_agents::{Agent, ErrorKind, FunctionTool, Limits, Model, Runner};
use serde::Deserialize;
use serde_json::{Value, json};

/// The tools that were run, in order of their start.
type Executed = Arc<Mutex<Vec<Value>>>;

#[derive(Deserialize, schemars::JsonSchema)]
struct Weather {
    city: String,
}

#[derive(Deserialize, schemars::JsonSchema)]
struct Add {
    a: i64,
    b: i64,
}

#[derive(Deserialize, schemars::JsonSchema)]
struct Ping {}

#[derive(Deserialize, schemars::JsonSchema)]
struct Echo {
    text: String,
}

#[tokio::main(flavor = "current_thread")]
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the contract is one line on stdout"
)]
async fn main() -> ExitCode {
    let executed = Executed::default();
    let report = match run(&executed).await {
        Ok(report) => report,
        Err(error) => {
            eprintln!("quirk_client: {error}");
            return ExitCode::from(2);
        }
    };
    println!("{report}");
    if report.get("ok") == Some(&Value::Bool(true)) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn run(executed: &Executed) -> Result<Value, Box<dyn Error>> {
    let total = Duration::try_from_secs_f64(env::var("QUIRK_TOTAL_S")?.parse()?)?;
    let model = model()?;
    let mut agent = Agent::builder("quirk");
    for tool in tools(executed)? {
        agent = agent.tool(tool);
    }
    let agent = agent.build()?;
    let runner = Runner::shared(model)
        .limits(Limits::turns(env::var("QUIRK_MAX_TURNS")?.parse()?).duration(total));
    let request = if env::var("QUIRK_STREAM")? == "1" {
        runner.run(&agent, "go").delivery(Delivery::Stream)
    } else {
        runner.run(&agent, "go").delivery(Delivery::Whole)
    };
    Ok(match request.await {
        Ok(result) => success(result.final_output(), result.progress(), executed),
        Err(error) => failure(
            error.kind(),
            &full_message(&error),
            error.retry_after(),
            executed,
        ),
    })
}

fn model() -> Result<Arc<dyn Model>, Box<dyn Error>> {
    let (url, key) = (env::var("QUIRK_BASE_URL")?, env::var("QUIRK_API_KEY")?);
    let idle = Duration::try_from_secs_f64(env::var("QUIRK_IDLE_S")?.parse()?)?;
    let client = HttpClient::builder()
        .first_event_timeout(idle)
        .idle_timeout(idle)
        .build()?;
    Ok(match &*env::var("QUIRK_API")? {
        "chat" => Arc::new(
            OpenAiChat::builder(url, "quirk")
                .api_key(key)
                .http_client(client)
                .build()?,
        ),
        "responses" => Arc::new(
            OpenAiResponses::builder(url, "quirk")
                .api_key(key)
                .http_client(client)
                .build()?,
        ),
        other => return Err(format!("QUIRK_API is {other:?}").into()),
    })
}

fn tools(executed: &Executed) -> Result<Vec<FunctionTool>, Box<dyn Error>> {
    let note = |name: &'static str| {
        let executed = Arc::clone(executed);
        move |arguments: &str| {
            let args: Value = serde_json::from_str(if arguments.is_empty() {
                "{}"
            } else {
                arguments
            })
            .unwrap_or_default();
            executed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(json!({ "name": name, "args": args }));
        }
    };
    let (weather, add, ping, echo) = (note("get_weather"), note("add"), note("ping"), note("echo"));
    // Bad arguments end the run: a case plays one exchange, in which no model could correct them.
    let raising = || ToolOptions::default().failure(ToolFailure::Raise);
    Ok(vec![
        FunctionTool::with_options(
            "get_weather",
            "The weather in a city.",
            raising(),
            move |cx, args: Weather| {
                weather(cx.arguments());
                async move { Ok::<_, String>(format!("sunny in {}", args.city)) }
            },
        )?,
        FunctionTool::with_options(
            "add",
            "Adds two numbers.",
            raising(),
            move |cx, args: Add| {
                add(cx.arguments());
                async move { args.a.checked_add(args.b).ok_or("too large") }
            },
        )?,
        FunctionTool::with_options("ping", "Answers pong.", raising(), move |cx, Ping {}| {
            ping(cx.arguments());
            async move { Ok::<_, String>("pong") }
        })?,
        FunctionTool::with_options(
            "echo",
            "Repeats a text.",
            raising(),
            move |cx, args: Echo| {
                echo(cx.arguments());
                async move { Ok::<_, String>(args.text) }
            },
        )?,
    ])
}

fn success(text: &str, progress: &RunProgress, executed: &Executed) -> Value {
    let reasoning: String = progress
        .items
        .iter()
        .filter_map(|item| match item.kind() {
            ItemKind::Reasoning(reasoning) => Some(reasoning.text()),
            _ => None,
        })
        .collect();
    let usage = progress.usage;
    let is_known = usage.requests_without_usage < usage.requests;
    json!({
        "ok": true,
        "text": text,
        "refusal": null,
        "reasoning": if reasoning.is_empty() { Value::Null } else { Value::String(reasoning) },
        "finish": progress.responses.last().and_then(|end| end.finish_reason.as_deref()),
        "executed": list(executed),
        "usage": is_known.then(|| json!({
            "input": usage.input_tokens, "output": usage.output_tokens, "total": usage.total_tokens,
        })),
    })
}

fn failure(
    kind: ErrorKind,
    message: &str,
    retry_after: Option<Duration>,
    executed: &Executed,
) -> Value {
    json!({
        "ok": false,
        "error": { "kind": kind.as_str(), "message": message, "retry_after": retry_after.map(|wait| wait.as_secs_f64()) },
        "executed": list(executed),
    })
}

fn list(executed: &Executed) -> Vec<Value> {
    executed
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

fn full_message(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    message
}
