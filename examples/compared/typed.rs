//! An answer of a type: one of six programs that are compared with the same in other SDKs.
#![expect(clippy::print_stdout, reason = "the answer is what the program prints")]

use openai_agents::{Agent, config};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
struct Capital {
    city: String,
    country: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runner = config::load()?.runner()?;
    let agent = Agent::builder("Geographer").output::<Capital>().build()?;
    let answer = runner.run(&agent, "The capital of France?").await?;
    let capital: Capital = answer.output()?;
    println!("{} is the capital of {}", capital.city, capital.country);
    Ok(())
}
