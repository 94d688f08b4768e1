//! A handoff: one of six programs that are compared with the same in other SDKs.
#![expect(clippy::print_stdout, reason = "the answer is what the program prints")]

use openai_agents::{Agent, config};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runner = config::load()?.runner()?;
    let billing = Agent::builder("Billing")
        .instructions("Answer questions about invoices.")
        .handoff_description("Knows about invoices.")
        .build()?;
    let triage = Agent::builder("Triage")
        .instructions("Hand off to whoever knows best.")
        .handoff(&billing)
        .build()?;
    let answer = runner.run(&triage, "My invoice is too high.").await?;
    println!("{}: {}", answer.last_agent().name(), answer.final_output());
    Ok(())
}
