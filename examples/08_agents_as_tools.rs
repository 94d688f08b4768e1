//! An agent that calls another as a tool, and what that does: `scripts/model-server run -- cargo run --example 08_agents_as_tools`.
#![expect(
    clippy::print_stdout,
    reason = "the events are what the program prints"
)]

use openai_agents::{Agent, Limits, RunEvent, config, tool};

/// Add two numbers
#[tool]
async fn add(a: i64, b: i64) -> Option<i64> {
    a.checked_add(b)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let counter = Agent::builder("Counter").tool(add).build()?;
    let guide = Agent::builder("Guide")
        // Its run has limits of its own; what it uses counts for the calling run too.
        .tool(
            counter
                .as_tool("Answers a question about numbers")
                .limits(Limits::turns(3)),
        )
        .build()?;

    let runner = config::load()?.runner()?;
    let mut run = runner
        .run(&guide, "What is the sum of 100 and 250?")
        .limits(Limits::turns(5).requests(10))
        .stream();
    while let Some(event) = run.next().await {
        let event = match event {
            Ok(event) => event,
            // Two small models may ask each other without end; the limits end it.
            Err(error) => {
                println!("no answer after {} turns: {error}", error.progress().turns);
                break;
            }
        };
        // The calls that lead to the event: none for what the guide does itself.
        let (path, event) = event.unnested();
        let indent = "  ".repeat(path.len());
        match event {
            RunEvent::TurnStarted { turn, agent } => println!("{indent}turn {turn} of {agent}"),
            RunEvent::ToolCalled {
                name, arguments, ..
            } => {
                println!("{indent}-> {name} {arguments}");
            }
            RunEvent::ToolOutputDone { output, .. } => println!("{indent}<- {output}"),
            RunEvent::RunDone { result } => {
                println!(
                    "{} ({} requests)",
                    result.final_output(),
                    result.usage().requests
                );
            }
            _ => {}
        }
    }
    Ok(())
}
