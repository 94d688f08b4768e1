//! A run that is recorded, with a span of the tool's own: `scripts/model-server run -- cargo run --example 15_traces`.
#![expect(
    clippy::print_stdout,
    reason = "the recorded spans are what the program prints"
)]

use std::time::Duration;

use openai_agents::model::{ModelSettings, ToolChoice};
use openai_agents::trace::{MemorySpans, Tracer, span};
use openai_agents::{Agent, config, tool};

/// Look an order up
#[tool]
async fn look_up(order: String) -> String {
    // Where nothing is recorded, it is just the query.
    let query = async { format!("order {order} is on its way") };
    span("query orders")
        .attribute("db.system", "sqlite")
        .run(query)
        .await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let spans = MemorySpans::default();
    let tracer = Tracer::builder().processor(spans.clone()).build();
    let runner = config::load()?.runner()?.tracer(&tracer);
    let agent = Agent::builder("Support")
        .instructions("Answer in one sentence.")
        .tool(look_up)
        // For the first turn, so that there is a call to see.
        .model_settings(ModelSettings::default().tool_choice(ToolChoice::Required))
        .build()?;
    let chat = tracer.trace("Support chat").group("chat-7");
    let result = chat.run(runner.run(&agent, "Where is my order 42?")).await;
    tracer.flush(Duration::from_secs(2)).await;
    for span in spans.ended() {
        let took = span.ended_at.map(|end| end.duration_since(span.started_at));
        let took = took.transpose()?.unwrap_or_default();
        println!("{:>10.1?}  {:<10}  {}", took, span.kind.as_str(), span.name);
    }
    println!("{}", result?.final_output());
    Ok(())
}
