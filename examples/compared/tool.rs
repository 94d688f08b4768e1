//! A typed tool: one of six programs that are compared with the same in other SDKs.
#![expect(clippy::print_stdout, reason = "the answer is what the program prints")]

use openai_agents::{Agent, config, tool};

/// Gets the weather in a city.
#[tool]
async fn get_weather(
    /// The name of the city
    city: String,
    /// In how many days
    days: u32,
) -> String {
    format!("It will be sunny in {city} in {days} days.")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runner = config::load()?.runner()?;
    let agent = Agent::builder("Guide").tool(get_weather).build()?;
    let answer = runner
        .run(&agent, "What will the weather in Oslo be like tomorrow?")
        .await?;
    println!("{}", answer.final_output());
    Ok(())
}
