//! A question: one of six programs that are compared with the same in other SDKs.
#![expect(clippy::print_stdout, reason = "the answer is what the program prints")]

use openai_agents::{Agent, config};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runner = config::load()?.runner()?;
    let agent = Agent::builder("Guide")
        .instructions("Answer in one sentence.")
        .build()?;
    let answer = runner.run(&agent, "What is the capital of France?").await?;
    println!("{}", answer.final_output());
    Ok(())
}
