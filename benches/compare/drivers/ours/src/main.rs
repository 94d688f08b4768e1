//! This project, through the same doorway that its users take: one agent, built once, and a run per measurement.
use bench_common::{Args, Done, INSTRUCTIONS, PROMPT, TOOL_DESC, big_schema, do_tool};
use openai_agents::model::{OpenAiResponses, OpenAiChat};
use openai_agents::tools::ToolOptions;
use openai_agents::{Agent, FunctionTool, Limits, RunEvent, Runner};

type Error = Box<dyn std::error::Error>;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct AddArgs {
    /// first addend
    a: i64,
    /// second addend
    b: i64,
}

fn agent(toolset: &str) -> Result<Agent, Error> {
    let sleep = toolset == "sleep50";
    let mut agent = Agent::builder("bench").instructions(INSTRUCTIONS);
    if toolset != "none" {
        agent = agent.tool(FunctionTool::new("add", TOOL_DESC, move |_cx, args: AddArgs| async move {
            Ok::<_, std::convert::Infallible>(do_tool(sleep, args.a, args.b).await)
        })?);
    }
    if toolset == "big50" {
        for (name, description, parameters) in (1..50).map(big_schema) {
            agent = agent.tool(FunctionTool::dynamic(name, description, parameters, ToolOptions::default(), |_cx, _args| async {
                Err::<String, _>("the scenario never calls this tool")
            })?);
        }
    }
    Ok(agent.build()?)
}

fn runner(base_url: &str, api: &str) -> Result<Runner, Error> {
    let runner = match api {
        "responses" => Runner::new(OpenAiResponses::builder(base_url, "bench-model").api_key("sk-bench").build()?),
        _ => Runner::new(OpenAiChat::builder(base_url, "bench-model").api_key("sk-bench").build()?),
    };
    // The scenarios bound themselves; W6 has 401 turns.
    Ok(runner.limits(Limits::NONE))
}

async fn run(runner: &Runner, agent: &Agent) -> Result<Done, Error> {
    let result = runner.run(agent, PROMPT).await?;
    Ok(Done { chars: result.final_output().len(), deltas: 0 })
}

async fn stream(runner: &Runner, agent: &Agent) -> Result<Done, Error> {
    let mut done = Done::default();
    let mut events = runner.run(agent, PROMPT).stream();
    while let Some(event) = events.next().await {
        if let RunEvent::TextDelta { delta, .. } = event? {
            done.chars += delta.len();
            done.deltas += 1;
        }
    }
    Ok(done)
}

async fn measure(args: Args) -> Result<(), Error> {
    let (runner, agent) = (runner(&args.base, &args.api)?, agent(&args.toolset)?);
    let is_stream = args.mode == "stream";
    bench_common::drive("ours", env!("CARGO_PKG_VERSION"), &args, move || {
        let (runner, agent) = (runner.clone(), agent.clone());
        async move {
            let done = if is_stream { stream(&runner, &agent).await } else { run(&runner, &agent).await };
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
