//! An answer while it is written: one of six programs that are compared with the same in other SDKs.
#![expect(clippy::print_stdout, reason = "the answer is what the program prints")]

use openai_agents::{Agent, RunEvent, config};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runner = config::load()?.runner()?;
    let agent = Agent::builder("Guide").build()?;
    let mut run = runner.run(&agent, "Tell me about Paris.").stream();
    while let Some(event) = run.next().await {
        if let RunEvent::TextDelta { delta } = event? {
            print!("{delta}");
        }
    }
    Ok(())
}
