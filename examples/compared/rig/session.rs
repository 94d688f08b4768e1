// The conversation is kept in memory.
use rig::memory::InMemoryConversationMemory;
use rig::prelude::*;
use rig::providers::openai::{self, OpenAI};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = OpenAI::from_env()?.completion(openai::GPT_5_2);
    let agent = AgentBuilder::new(model)
        .memory(InMemoryConversationMemory::new())
        .conversation("alice")
        .build();
    for question in ["The capital of France?", "And its river?"] {
        let answer = agent.prompt(question).await?;
        println!("{}", answer.output());
    }
    Ok(())
}
