//! How to test an agent without a server: `cargo run --features testing --example 13_tests`.
//!
//! A scripted model answers turn by turn and remembers what it was asked. In a project this stands in `tests/`, each function a test.
#![expect(clippy::print_stdout, reason = "the program says that all is well")]

use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, ErrorKind, InputGuardrail, Runner, Verdict, tool};
use serde_json::json;

type Tested = Result<(), Box<dyn std::error::Error>>;

/// Looks up the weather
#[tool]
async fn weather(city: String) -> String {
    format!("Sunny in {city}")
}

fn guide() -> Result<Agent, openai_agents::agent::AgentError> {
    let polite = InputGuardrail::new("polite", async |input| {
        let is_rude = input.text().contains("fool");
        if is_rude {
            Verdict::trip("be polite")
        } else {
            Verdict::pass()
        }
    });
    Agent::builder("Guide")
        .tool(weather)
        .input_guardrail(polite)
        .build()
}

/// The model is shown what the tool gave.
async fn the_model_sees_the_weather() -> Tested {
    let model = ScriptedModel::new([
        ScriptedTurn::tool_call("weather", json!({ "city": "Oslo" })),
        ScriptedTurn::text("Take a hat."),
    ]);
    let result = Runner::new(model.clone()).run(&guide()?, "Oslo?").await?;
    assert_eq!(result.final_output(), "Take a hat.");
    let requests = model.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().any(|request| {
        let mut items = request.items.iter();
        items.any(|item| item.to_json().contains("Sunny in Oslo"))
    }));
    Ok(())
}

/// The function of a tool is called by its name.
async fn the_weather_is_sunny() -> Tested {
    assert_eq!(weather("Oslo".to_owned()).await, "Sunny in Oslo");
    Ok(())
}

/// A rude question ends the run.
async fn rude_questions_are_not_answered() -> Tested {
    let runner = Runner::new(ScriptedModel::text("never shown"));
    let ended = runner.run(&guide()?, "You fool.").await;
    let kind = ended.err().map(|error| error.kind());
    assert_eq!(kind, Some(ErrorKind::GuardrailTripped));
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Tested {
    the_weather_is_sunny().await?;
    the_model_sees_the_weather().await?;
    rude_questions_are_not_answered().await?;
    println!("all is well");
    Ok(())
}
