//! Hooks: what they are told of, inside of agents that are called as tools too.

use std::sync::{Arc, Mutex, PoisonError};

use openai_agents::agent::{HookResult, Hooks, RunEnd};
use openai_agents::guardrail::GuardrailResult;
use openai_agents::model::{ModelError, ModelRequest};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{
    Agent, InputGuardrail, OutputGuardrail, RunContext, Runner, ToolContext, Verdict,
};
use serde_json::json;

use crate::support::instant;

/// Notes what it is told, behind the path of the run.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Notes {
    fn note(&self, cx: &RunContext, line: &str) {
        let path: Vec<&str> = cx.path().iter().map(|id| &**id).collect();
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notes.push(format!("/{} {line}", path.join("/")));
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Hooks for Notes {
    async fn on_agent_start(&self, cx: &RunContext, agent: &Agent) -> HookResult {
        self.note(cx, &format!("{} starts", agent.name()));
        Ok(())
    }

    async fn on_model_start(
        &self,
        cx: &RunContext,
        _: &Agent,
        request: &ModelRequest,
    ) -> HookResult {
        self.note(cx, &format!("model is asked with {}", request.items.len()));
        Ok(())
    }

    async fn on_model_error(
        &self,
        cx: &RunContext,
        agent: &Agent,
        error: &ModelError,
    ) -> HookResult {
        self.note(cx, &format!("model of {} fails: {error}", agent.name()));
        Ok(())
    }

    async fn on_tool_end(&self, cx: &ToolContext, output: &str) -> HookResult {
        self.note(cx.run(), &format!("{} gave {output}", cx.tool_name()));
        Ok(())
    }

    async fn on_guardrail(&self, cx: &RunContext, result: &GuardrailResult) -> HookResult {
        let verdict = if result.is_tripped { "trips" } else { "passes" };
        self.note(
            cx,
            &format!("{} {} {verdict}", result.stage.as_str(), result.guardrail),
        );
        Ok(())
    }

    async fn on_run_end(&self, cx: &RunContext, end: &RunEnd<'_>) -> HookResult {
        let line = match end {
            RunEnd::Done { output } => format!("done: {output}"),
            RunEnd::Failed { kind, message } => format!("{kind}: {message}"),
            _ => "?".to_owned(),
        };
        self.note(cx, &line);
        Ok(())
    }
}

#[tokio::test]
async fn hooks_of_a_run_see_the_agents_called_as_tools_with_their_path() {
    let notes = Arc::new(Notes::default());
    let inner = Agent::builder("Inner")
        .tool(instant("look", "wet"))
        .build()
        .unwrap();
    let outer = Agent::builder("Outer")
        .tool(inner.as_tool("asks"))
        .build()
        .unwrap();
    let model = ScriptedModel::new([
        ScriptedTurn::tool_call("inner", json!({ "input": "look" })),
        ScriptedTurn::tool_call("look", json!({})),
        ScriptedTurn::text("it is wet"),
        ScriptedTurn::text("wet"),
    ]);
    Runner::new(model)
        .hooks(Arc::clone(&notes))
        .run(&outer, "go")
        .await
        .unwrap();
    assert_eq!(
        notes.take(),
        [
            "/ Outer starts",
            "/ model is asked with 1",
            "/call_inner Inner starts",
            "/call_inner model is asked with 1",
            "/call_inner look gave wet",
            "/call_inner model is asked with 3",
            "/call_inner done: it is wet",
            "/ inner gave it is wet",
            "/ model is asked with 3",
            "/ done: wet",
        ]
    );
}

#[tokio::test]
async fn hooks_hear_of_a_failed_model_call_and_of_the_end() {
    let notes = Arc::new(Notes::default());
    let agent = Agent::builder("A").build().unwrap();
    let runner = Runner::new(ScriptedModel::new([])).hooks(Arc::clone(&notes));
    runner.run(&agent, "go").await.unwrap_err();
    assert_eq!(
        notes.take(),
        [
            "/ A starts",
            "/ model is asked with 1",
            "/ model of A fails: the scripted model has no turn 1",
            "/ config: the scripted model has no turn 1",
        ]
    );
}

#[tokio::test]
async fn hooks_hear_of_verdicts_and_of_a_pause() {
    let notes = Arc::new(Notes::default());
    let passing = InputGuardrail::new("polite", async |_| Verdict::pass());
    let tripping = OutputGuardrail::new("short", async |_| Verdict::trip("too long"));
    let agent = Agent::builder("A")
        .input_guardrail(passing)
        .output_guardrail(tripping);
    let agent = agent.hooks(Arc::clone(&notes)).build().unwrap();
    let runner = Runner::new(ScriptedModel::text("long"));
    runner.run(&agent, "go").await.unwrap_err();
    let heard = notes.take();
    assert!(
        heard.contains(&"/ input polite passes".to_owned()),
        "{heard:?}"
    );
    assert_eq!(
        heard[heard.len() - 2..],
        [
            "/ output short trips",
            "/ guardrail_tripped: the output guardrail `short` tripped: \"too long\"",
        ]
    );
    let asking = Agent::builder("B").tool(instant("pay", "paid").needs_approval());
    let asking = asking.hooks(Arc::clone(&notes)).build().unwrap();
    let runner = Runner::new(ScriptedModel::new([ScriptedTurn::tool_call(
        "pay",
        json!({}),
    )]));
    runner.run(&asking, "go").await.unwrap_err();
    let heard = notes.take();
    assert_eq!(
        heard.last().unwrap(),
        "/ approval_required: 1 call needs approval: pay"
    );
}
