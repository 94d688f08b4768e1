use rig::prelude::*;
use rig::providers::openai::{self, OpenAI};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
struct Capital {
    city: String,
    country: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = OpenAI::from_env()?.completion(openai::GPT_5_2);
    let agent = AgentBuilder::new(model).build();
    let answer = agent
        .prompt_typed::<Capital>("The capital of France?")
        .await?;
    let capital = answer.output;
    println!("{} is the capital of {}", capital.city, capital.country);
    Ok(())
}
