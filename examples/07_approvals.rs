//! A run that waits for a person, in another process perhaps: `scripts/model-server run -- cargo run --example 07_approvals`.
#![expect(
    clippy::print_stdout,
    reason = "what is decided is what the program prints"
)]

use std::fs;

use openai_agents::agent::StateKey;
use openai_agents::{Agent, ErrorKind, RunState, Secret, config, tool};

/// Add two numbers
#[tool(needs_approval)]
async fn add(a: i64, b: i64) -> Option<i64> {
    a.checked_add(b)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runner = config::load()?.runner()?;
    let agent = Agent::builder("Guide").tool(add).build()?;
    // Who has no key can neither change a saved run nor make one.
    let key = StateKey::new(Secret::new("an example's key is no secret"))?;
    let file = std::env::temp_dir().join(format!("approvals-{}.json", std::process::id()));

    let mut outcome = runner.run(&agent, "What is the sum of 100 and 250?").await;
    let result = loop {
        match outcome {
            Ok(result) => break result,
            Err(error) if error.kind() == ErrorKind::ApprovalRequired => {
                // A pause is an error, so that an answer that is not there is not taken for an empty one.
                fs::write(&file, error.into_state()?.to_sealed_json(&key)?)?;
                // From here on it could be another process, days later.
                let mut state = RunState::from_sealed_json(&key, &fs::read_to_string(&file)?)?;
                fs::remove_file(&file)?;
                for call in state.interruptions() {
                    println!("{} may {} {}", call.agent, call.tool, call.arguments);
                    state.approve(&call.id)?;
                }
                outcome = runner.resume(&agent, state).await;
            }
            Err(error) => return Err(error.into()),
        }
    };
    println!("{}", result.final_output());
    Ok(())
}
