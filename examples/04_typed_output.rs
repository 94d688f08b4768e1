//! A final output of a type: `scripts/model-server run -- cargo run --example 04_typed_output`.
#![expect(clippy::print_stdout, reason = "the answer is what the program prints")]

use openai_agents::agent::runner::InvalidOutput;
use openai_agents::{Agent, ErrorKind, config};

/// The server is told its schema, and holds the model to it.
#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
struct Capital {
    /// The name of the city
    city: String,
    /// The country whose capital it is
    country: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runner = config::load()?.runner()?;
    let agent = Agent::builder("Geographer")
        .instructions("Answer in JSON.")
        .output::<Capital>()
        .build()?;
    let run = runner
        .run(&agent, "What is the capital of France?")
        // Otherwise an output that is not of the type ends the run; nothing is ever repaired.
        .invalid_output(InvalidOutput::AskAgain { max: 1 });
    match run.await {
        Ok(result) => {
            let capital: Capital = result.output()?;
            println!("{} is the capital of {}", capital.city, capital.country);
        }
        Err(error) if error.kind() == ErrorKind::InvalidOutput => {
            println!("the model did not keep to the type: {error}");
        }
        // Small models talk too long now and then; what was cut is no output.
        Err(error) => println!("no output ({}): {error}", error.kind()),
    }
    Ok(())
}
