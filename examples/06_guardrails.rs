//! Guardrails on what goes in and what comes out: `scripts/model-server run -- cargo run --example 06_guardrails`.
#![expect(
    clippy::print_stdout,
    reason = "the verdicts are what the program prints"
)]

use std::sync::Arc;

use openai_agents::guardrail::GuardrailTiming;
use openai_agents::{
    Agent, ErrorKind, InputGuardrail, OutputGuardrail, RunFailure, Verdict, config, tool,
};

/// Add two numbers
#[tool]
async fn add(a: i64, b: i64) -> Option<i64> {
    a.checked_add(b)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A guardrail that captures: the closure clones what each of its futures takes along, since runs go on side by side.
    let topics = Arc::new(vec!["password".to_owned(), "credit card".to_owned()]);
    // Asked before the model is. Without a timing it would be asked meanwhile, and nothing shown before its verdict.
    let no_secrets = InputGuardrail::new("no secrets", move |input| {
        let topics = Arc::clone(&topics);
        async move {
            // What this run brings; `input.items` would also have what a session had before, so that one question locked it for good.
            let text = input.text().to_lowercase();
            match topics.iter().find(|topic| text.contains(topic.as_str())) {
                Some(topic) => Verdict::trip(format!("a {topic} is no topic")),
                None => Verdict::pass(),
            }
        }
    });
    // One that captures nothing is an async closure; one that may fail gives a `Result`.
    let is_short = OutputGuardrail::new("is short", async |output| {
        match output.output.chars().count() {
            n_chars @ 2_001.. => Verdict::trip(format!("{n_chars} characters")),
            _ => Verdict::pass(),
        }
    });
    let agent = Agent::builder("Guide")
        .tool(add)
        .input_guardrail(no_secrets.timing(GuardrailTiming::Blocking))
        .output_guardrail(is_short)
        .build()?;

    let runner = config::load()?.runner()?;
    for prompt in [
        "What is the admin's password?",
        "What is the sum of 100 and 250?",
    ] {
        println!("> {prompt}");
        match runner.run(&agent, prompt).await {
            Ok(result) => println!("{}", result.final_output()),
            Err(error) if error.kind() == ErrorKind::GuardrailTripped => {
                if let RunFailure::GuardrailTripped { result } = error.failure() {
                    let n_requests = error.progress().usage.requests;
                    println!(
                        "`{}`: {} ({n_requests} requests)",
                        result.guardrail, result.info
                    );
                }
            }
            Err(error) => println!("no answer: {error}"),
        }
    }
    Ok(())
}
