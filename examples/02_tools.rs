//! Tools with documented parameters, state of the application, and errors: `scripts/model-server run -- cargo run --example 02_tools`.
#![expect(clippy::print_stdout, reason = "the answer is what the program prints")]

use std::collections::HashMap;

use openai_agents::item::ItemKind;
use openai_agents::{Agent, State, config, tool};

/// What the application knows; tools find it by its type.
struct Weather(HashMap<&'static str, &'static str>);

/// Gets the current weather in a city
#[tool(failure = tell_model_detail, timeout_secs = 5)]
async fn get_weather(
    // The model does not see this one; a run that was not given any ends before anything is sent.
    weather: State<Weather>,
    /// The city
    city: String,
) -> Result<String, String> {
    match weather.0.get(city.as_str()) {
        Some(weather) => Ok(format!("{weather} in {city}")),
        // The model is told this text, because of `failure` above, and can correct itself.
        None => Err(format!("nobody knows the weather in {city}")),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runner = config::load()?.runner()?;
    let agent = Agent::builder("Guide").tool(get_weather).build()?;
    let known = Weather(HashMap::from([
        ("Paris", "sunny, 21 degrees"),
        ("Oslo", "snow"),
    ]));
    let result = runner
        .run(&agent, "What is the weather in Paris?")
        .state(known)
        .await?;
    // Everything that happened stands in the result, in order.
    for item in result.items() {
        match item.kind() {
            ItemKind::FunctionCall(call) => println!("called: {} {}", call.name, call.arguments),
            ItemKind::FunctionCallOutput(output) => println!("got: {}", output.output.text()),
            _ => {}
        }
    }
    println!("{}", result.final_output());
    Ok(())
}
