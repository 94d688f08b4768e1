// There are no handoffs: what comes nearest is an agent that is a tool of another.
use rig::prelude::*;
use rig::providers::openai::{self, OpenAI};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = OpenAI::from_env()?;
    let billing = AgentBuilder::new(client.completion(openai::GPT_5_2))
        .name("billing")
        .description("Knows about invoices.")
        .preamble("Answer questions about invoices.")
        .build();
    let triage = AgentBuilder::new(client.completion(openai::GPT_5_2))
        .preamble("Ask whoever knows best.")
        .default_max_turns(10)
        .dynamic_tool(billing.into_tool()?)
        .build();
    let answer = triage.prompt("My invoice is too high.").await?;
    println!("{}", answer.output());
    Ok(())
}
