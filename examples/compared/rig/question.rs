use rig::prelude::*;
use rig::providers::openai::{self, OpenAI};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = OpenAI::from_env()?.completion(openai::GPT_5_2);
    let agent = AgentBuilder::new(model)
        .preamble("Answer in one sentence.")
        .build();
    let answer = agent.prompt("What is the capital of France?").await?;
    println!("{}", answer.output());
    Ok(())
}
