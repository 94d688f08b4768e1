//! Agents that give the conversation to each other: `scripts/model-server run -- cargo run --example 05_handoffs`.
#![expect(
    clippy::print_stdout,
    reason = "who answers is what the program prints"
)]

use openai_agents::{Agent, Handoff, Limits, RunEvent, config};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // An agent is built before those that hand off to it, so a way back is named.
    let billing = Agent::builder("Billing")
        .handoff_description("Knows about invoices and payments.")
        .instructions("You answer questions about invoices in one sentence.")
        .handoff(Handoff::to_name("Triage"))
        .build()?;
    let spanish = Agent::builder("Spanish")
        .handoff_description("Speaks Spanish.")
        .instructions("You answer in Spanish, in one sentence.")
        .build()?;
    let triage = Agent::builder("Triage")
        .instructions("Hand off to whoever knows best.")
        .handoff(&billing)
        .handoff(Handoff::to(&spanish).description("Hand off when the user writes in Spanish."))
        .build()?;

    let runner = config::load()?.runner()?;
    let mut run = runner
        .run(&triage, "My invoice is too high. Who can help me?")
        .limits(Limits::turns(4))
        .stream();
    while let Some(event) = run.next().await {
        match event {
            Ok(RunEvent::TurnStarted { turn, agent }) => println!("turn {turn}: {agent}"),
            Ok(RunEvent::HandoffOccurred { from, to }) => println!("{from} => {to}"),
            Ok(RunEvent::RunDone { result }) => {
                println!("{}: {}", result.last_agent().name(), result.final_output());
            }
            Ok(_) => {}
            // A small model may hand the question back and forth; what was done until then is in the error.
            Err(error) => {
                let agent = &error.progress().last_agent;
                println!("{} was at work when {error}", agent.name());
            }
        }
    }
    Ok(())
}
