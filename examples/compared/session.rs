//! A conversation that is kept: one of six programs that are compared with the same in other SDKs.
#![expect(clippy::print_stdout, reason = "the answer is what the program prints")]

use openai_agents::session::{SessionId, SqliteSessions};
use openai_agents::{Agent, config};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runner = config::load()?.runner()?;
    let agent = Agent::builder("Guide").build()?;
    let sessions = SqliteSessions::open("conversations.db").await?;
    let alice = sessions.session(SessionId::new("alice")?);
    for question in ["The capital of France?", "And its river?"] {
        let answer = runner.run(&agent, question).session(&alice).await?;
        println!("{}", answer.final_output());
    }
    Ok(())
}
