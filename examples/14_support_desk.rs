//! A support desk: handoffs in a circle, an agent as a tool, a guardrail that a model judges, typed output, hooks, state; and its tests:
//! `scripts/model-server run -- cargo run --example 14_support_desk`, `cargo test --features testing --example 14_support_desk`.
#![expect(clippy::print_stdout, reason = "the answer is what the program prints")]

use std::collections::HashMap;

use openai_agents::agent::{HookResult, Hooks};
use openai_agents::{
    Agent, Error, ErrorKind, Handoff, InputGuardrail, RunContext, Runner, State, ToolContext,
    config, tool,
};

struct Orders(HashMap<&'static str, &'static str>);

#[derive(Debug, PartialEq, serde::Deserialize, schemars::JsonSchema)]
struct Answer {
    text: String,
    order: Option<String>,
}

struct Watch;

impl Hooks for Watch {
    async fn on_agent_start(&self, _: &RunContext, agent: &Agent) -> HookResult {
        println!("{} begins", agent.name());
        Ok(())
    }

    async fn on_tool_end(&self, cx: &ToolContext, output: &str) -> HookResult {
        println!("{} gave {output}", cx.tool_name());
        Ok(())
    }

    async fn on_handoff(&self, _: &RunContext, from: &Agent, to: &Agent) -> HookResult {
        println!("{} => {}", from.name(), to.name());
        Ok(())
    }
}

/// Looks up an order.
#[tool]
fn order_status(orders: State<Orders>, order: String) -> &'static str {
    orders.0.get(order.as_str()).copied().unwrap_or("unknown")
}

/// Makes the agent that a conversation begins with; the judge runs on a runner of its own, perhaps on a smaller model.
fn desk(judging: &Runner) -> Result<Agent, Error> {
    let judge = Agent::builder("Judge")
        .instructions("Is this abusive?")
        .build()?;
    let translator = Agent::builder("Translator")
        .instructions("Translate into French.")
        .build()?;
    let orders = Agent::builder("Orders")
        .handoff_description("Knows orders.")
        .instructions("Answer about orders.")
        .tool(order_status)
        .handoff(Handoff::to_name("Triage"))
        .output::<Answer>()
        .build()?;
    let triage = Agent::builder("Triage")
        .instructions("Hand off what is about orders.")
        .tool(translator.as_tool("Translates a text into French."))
        .handoff(&orders)
        .input_guardrail(InputGuardrail::agent("polite", judging, &judge)?)
        .output::<Answer>()
        .build()?;
    Ok(triage)
}

fn orders() -> Orders {
    Orders(HashMap::from([("A1", "on its way")]))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let runner = config::load()?.runner()?;
    let run = runner.run(&desk(&runner)?, "Where is order A1?");
    match run.state(orders()).hooks(Watch).max_turns(8).await {
        Ok(result) => {
            let answer: Answer = result.output()?;
            println!("{} {:?}", answer.text, answer.order);
        }
        Err(error) if error.kind() == ErrorKind::GuardrailTripped => println!("refused: {error}"),
        // A small model does not always keep to the form.
        Err(error) => println!("no answer: {error}"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use openai_agents::RunResult;
    use openai_agents::testing::{ScriptedModel, ScriptedTurn};
    use serde_json::{Value, json};

    use super::*;

    fn said(value: &Value) -> ScriptedTurn {
        ScriptedTurn::text(value.to_string())
    }

    async fn run(prompt: &str, answers: ScriptedModel, tripwire: bool) -> Result<RunResult, Error> {
        let verdict = json!({ "tripwire": tripwire, "reason": "rude" });
        let judging = Runner::new(ScriptedModel::new([said(&verdict)]));
        let run = Runner::new(answers).run(&desk(&judging)?, prompt);
        Ok(run.state(orders()).await?)
    }

    #[tokio::test]
    async fn order_is_looked_up_after_a_handoff() -> Result<(), Error> {
        let answers = ScriptedModel::new([
            ScriptedTurn::handoff("Orders"),
            ScriptedTurn::tool_call("order_status", json!({ "order": "A1" })),
            said(&json!({ "text": "It is on its way.", "order": "A1" })),
        ]);
        let result = run("Where is A1?", answers.clone(), false).await?;
        let answer: Answer = result.output()?;
        let expect = Answer {
            text: "It is on its way.".to_owned(),
            order: Some("A1".to_owned()),
        };
        assert_eq!((answer, result.last_agent().name()), (expect, "Orders"));
        let shown = answers.requests().pop().map(|request| request.items.len());
        assert_eq!(shown, Some(5));
        Ok(())
    }

    #[tokio::test]
    async fn abuse_is_refused() {
        let answers = ScriptedModel::new([said(&json!({ "text": "never", "order": null }))]);
        let error = run("You fool.", answers, true).await.map(|_| ());
        assert_eq!(
            error.map_err(|error| error.kind()),
            Err(ErrorKind::GuardrailTripped)
        );
    }

    #[tokio::test]
    async fn desk_hands_back() -> Result<(), Error> {
        let answers = ScriptedModel::new([
            ScriptedTurn::handoff("Orders"),
            ScriptedTurn::handoff("Triage"),
            said(&json!({ "text": "Which order?", "order": null })),
        ]);
        assert_eq!(
            run("Hello", answers, false).await?.last_agent().name(),
            "Triage"
        );
        Ok(())
    }

    #[test]
    fn status_is_a_plain_function() {
        assert_eq!(
            order_status(State::new(orders()), "A1".to_owned()),
            "on its way"
        );
    }
}
