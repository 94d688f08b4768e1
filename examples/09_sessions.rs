//! A conversation that is kept in a file: `scripts/model-server run -- cargo run --features sqlite --example 09_sessions [ID]`.
//!
//! Run it twice: the second time the model knows what was said the first time.
#![expect(
    clippy::print_stdout,
    reason = "the conversation is what the program prints"
)]

use openai_agents::session::{Session, SessionId, SqliteSessions};
use openai_agents::{Agent, ErrorKind, config};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let id = std::env::args().nth(1);
    let sessions = SqliteSessions::open("conversations.db").await?;
    let session = sessions.session(SessionId::new(id.as_deref().unwrap_or("alice"))?);
    let n_before = session.items(None).await?.items.len();
    println!("{n_before} items are there");

    let agent = Agent::builder("Guide")
        .instructions("Answer in one sentence.")
        .build()?;
    let runner = config::load()?.runner()?;
    for question in [
        "What is the capital of France?",
        "And which river is there?",
    ] {
        println!("> {question}");
        match runner
            .run(&agent, question)
            .session(&session)
            .max_turns(3)
            .await
        {
            Ok(result) => println!("{}", result.final_output()),
            // Another process wrote to the session while the model answered; nothing of this run is in it.
            Err(error) if error.kind() == ErrorKind::SessionConflict => println!("ask again"),
            // The question stays in the session, the next run sees it.
            Err(error) => println!("no answer: {error}"),
        }
    }
    Ok(())
}
