//! `openai-agents-sdk` 0.24.2 through its front door: one `Arc<Agent>`, one model instance, built once; a run per measurement.
//! Tracing is off (SDK_TRACING=1 turns it on, with a processor list that drops everything, so nothing leaves the machine).
use std::sync::Arc;

use bench_common::{Args, Done, INSTRUCTIONS, PROMPT, TOOL_DESC, big_schema, do_tool};
use futures::StreamExt;
use openai_agents_sdk::{
    Agent, FunctionTool, Model, OpenAIChatCompletionsModel, OpenAIClient, OpenAIResponsesModel, RunOptions, Runner,
    set_trace_processors, set_tracing_disabled,
};

type Error = Box<dyn std::error::Error>;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct AddArgs {
    /// first addend
    a: i64,
    /// second addend
    b: i64,
}

fn agent(base: &str, api: &str, toolset: &str) -> Result<Arc<Agent<()>>, Error> {
    let sleep = toolset == "sleep50";
    let client = OpenAIClient::new("sk-bench").with_base_url(base);
    let model: Arc<dyn Model> = match api {
        "responses" => Arc::new(OpenAIResponsesModel::new("bench-model", client)),
        _ => Arc::new(OpenAIChatCompletionsModel::new("bench-model", client)),
    };
    let mut agent = Agent::<()>::new("bench").with_instructions(INSTRUCTIONS).with_model_instance(model);
    if toolset != "none" {
        agent = agent.with_tool(FunctionTool::new("add", TOOL_DESC, move |_cx, args: AddArgs| async move {
            Ok(do_tool(sleep, args.a, args.b).await)
        }));
    }
    if toolset == "big50" {
        for (name, description, parameters) in (1..50).map(big_schema) {
            agent = agent.with_tool(FunctionTool::new_raw(name, description, parameters, |_cx, _args| async {
                Err::<String, _>("the scenario never calls this tool".into())
            }));
        }
    }
    Ok(Arc::new(agent))
}

async fn run(agent: &Arc<Agent<()>>) -> Result<Done, Error> {
    let result = Runner::run_with_options(agent, PROMPT, RunOptions::new(()).max_turns(None)).await?;
    Ok(Done { chars: result.final_output_text().map_or(0, |t| t.len()), deltas: 0 })
}

async fn stream(agent: &Arc<Agent<()>>) -> Result<Done, Error> {
    let mut done = Done::default();
    let mut result = Runner::run_streamed_with_options(agent, PROMPT, RunOptions::new(()).max_turns(None));
    let mut events = std::pin::pin!(result.stream_events());
    while let Some(event) = events.next().await {
        if let Some(delta) = event?.text_delta() {
            done.chars += delta.len();
            done.deltas += 1;
        }
    }
    Ok(done)
}

async fn measure(args: Args) -> Result<(), Error> {
    if std::env::var_os("SDK_TRACING").is_some() {
        set_trace_processors(Vec::new());
    } else {
        set_tracing_disabled(true);
    }
    let agent = agent(&args.base, &args.api, &args.toolset)?;
    let is_stream = args.mode == "stream";
    bench_common::drive("openai-agents-sdk", "0.24.2", &args, move || {
        let agent = agent.clone();
        async move {
            let done = if is_stream { stream(&agent).await } else { run(&agent).await };
            done.map_err(|e| e.to_string())
        }
    })
    .await;
    Ok(())
}

fn main() -> Result<(), Error> {
    let args = bench_common::args();
    bench_common::block_on(measure(args))
}
