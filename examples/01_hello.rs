//! An agent with a tool: `scripts/model-server run -- cargo run --example 01_hello`, or with `OPENAI_BASE_URL=.. OPENAI_MODEL=..`.
#![expect(clippy::print_stdout, reason = "the answer is what the program prints")]

use openai_agents::{Agent, config, tool};

/// Adds two numbers.
#[tool]
async fn add(a: i64, b: i64) -> Option<i64> {
    a.checked_add(b)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runner = config::load()?.runner()?;
    let agent = Agent::builder("Guide").tool(add).build()?;
    let answer = runner.run(&agent, "What is 100 + 250?").await?;
    println!("{}", answer.final_output());
    Ok(())
}
