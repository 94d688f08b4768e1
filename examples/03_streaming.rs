//! A run as a stream of events, with progress from a tool: `scripts/model-server run -- cargo run --example 03_streaming`.
#![expect(
    clippy::print_stdout,
    reason = "the events are what the program prints"
)]

use std::io::Write as _;

use openai_agents::{Agent, Limits, RunEvent, ToolContext, config, tool};

/// Multiply two numbers
#[tool]
async fn multiply(cx: &ToolContext, a: i64, b: i64) -> Option<i64> {
    // Whoever watches the run sees this at once; the model does not.
    cx.progress(format!("{a} times {b}")).await;
    a.checked_mul(b)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runner = config::load()?.runner()?;
    let agent = Agent::builder("Guide").tool(multiply).build()?;
    let mut run = runner
        .run(&agent, "What is 12 times 11?")
        .limits(Limits::turns(5))
        .stream();
    // The run goes on only while it is polled; dropping it closes the connection and starts no further tool.
    while let Some(event) = run.next().await {
        match event? {
            RunEvent::TurnStarted { turn, agent } => println!("turn {turn} of {agent}"),
            RunEvent::ToolCalled {
                name, arguments, ..
            } => println!("-> {name} {arguments}"),
            RunEvent::ToolProgress { message, .. } => println!(".. {message}"),
            RunEvent::ToolOutputDone { output, .. } => println!("<- {output}"),
            RunEvent::TextDelta { delta } => {
                print!("{delta}");
                std::io::stdout().flush()?;
            }
            RunEvent::RunDone { result } => {
                let usage = result.usage();
                println!(
                    "\n{} requests, {} tokens",
                    usage.requests, usage.total_tokens
                );
            }
            _ => {}
        }
    }
    Ok(())
}
