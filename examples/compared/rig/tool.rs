use rig::prelude::*;
use rig::providers::openai::{self, OpenAI};
use rig::rig_tool;
use rig::tool::ToolExecutionError;

/// Gets the weather in a city.
#[rig_tool]
async fn get_weather(
    /// The name of the city
    city: String,
    /// In how many days
    days: u32,
) -> Result<String, ToolExecutionError> {
    Ok(format!("It will be sunny in {city} in {days} days."))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = OpenAI::from_env()?.completion(openai::GPT_5_2);
    let agent = AgentBuilder::new(model)
        .default_max_turns(10)
        .tool(GetWeather)
        .build();
    let answer = agent
        .prompt("What will the weather in Oslo be like tomorrow?")
        .await?;
    println!("{}", answer.output());
    Ok(())
}
