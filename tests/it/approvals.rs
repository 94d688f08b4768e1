//! Decisions about calls: what they are bound to, and what has looked at a call before someone is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use openai_agents::agent::{HookResult, Hooks};
use openai_agents::model::Delivery;
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::tools::{ToolGuardrail, ToolOptions, ToolVerdict};
use openai_agents::{
    Agent, ErrorKind, FunctionTool, RunError, RunEvent, RunState, Runner, ToolContext,
};
use serde_json::{Value, json};

use crate::support::{agent, call, output, play};

#[derive(Clone, Default)]
struct Counter(Arc<AtomicUsize>);

impl Counter {
    fn count(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn n(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// A tool that needs approval and describes itself in this way.
fn danger(description: &str, properties: &Value, calls: &Counter) -> FunctionTool {
    let calls = calls.clone();
    let schema = json!({"type": "object", "properties": properties});
    let options = ToolOptions::default().strict(false);
    let call = move |_cx, _arguments| {
        calls.count();
        async { Ok::<_, String>("did it") }
    };
    let tool = FunctionTool::dynamic("danger", description, schema, options, call);
    tool.unwrap().needs_approval()
}

fn script(n_calls: usize) -> ScriptedModel {
    let calls =
        (1..=n_calls).map(|n| ScriptedTurn::items([call(&format!("c{n}"), "danger", "{}")]));
    ScriptedModel::new(calls.chain([ScriptedTurn::text("done")]))
}

fn state(error: RunError) -> RunState {
    assert_eq!(error.kind(), ErrorKind::ApprovalRequired, "{error}");
    let state = error.into_state().unwrap();
    RunState::from_json(&state.to_json().unwrap()).unwrap()
}

fn changes(state: &RunState) -> Vec<Option<String>> {
    let waiting = state.interruptions();
    waiting.into_iter().map(|call| call.changed).collect()
}

#[tokio::test]
async fn decision_about_a_tool_that_changed_is_asked_for_again() {
    let nothing = json!({});
    let wider = json!({"path": {"type": "string"}});
    for (description, properties, changed) in [
        ("Deletes all.", &nothing, "description"),
        ("Deletes.", &wider, "schema"),
        ("Deletes all.", &wider, "description, schema"),
    ] {
        for is_always in [false, true] {
            let calls = Counter::default();
            let runner = Runner::new(script(1));
            let before = agent([danger("Deletes.", &nothing, &calls)]);
            let mut waiting = state(runner.run(&before, "go").await.unwrap_err());
            assert_eq!(changes(&waiting), [None]);
            if is_always {
                waiting.approve_always("c1").unwrap();
            } else {
                waiting.approve("c1").unwrap();
            }
            let after = agent([danger(description, properties, &calls)]);
            let (events, again) =
                play(runner.resume(&after, waiting).delivery(Delivery::Whole)).await;
            let mut again = state(again.unwrap_err());
            assert_eq!(changes(&again), [Some(changed.to_owned())]);
            assert!(events.iter().any(|event| matches!(
                event,
                RunEvent::ApprovalRequired { interruption }
                    if interruption.changed.as_deref() == Some(changed)
            )));
            assert_eq!(calls.n(), 0);

            again.approve("c1").unwrap();
            let result = runner.resume(&after, again).await.unwrap();
            assert_eq!((result.final_output(), calls.n()), ("done", 1));
        }
    }
}

#[tokio::test]
async fn tool_that_changed_is_asked_about_even_if_it_wants_no_approval_any_more() {
    let calls = Counter::default();
    let runner = Runner::new(script(1));
    let before = agent([danger("Deletes.", &json!({}), &calls)]);
    let mut waiting = state(runner.run(&before, "go").await.unwrap_err());
    waiting.approve("c1").unwrap();
    let free = danger("Deletes all.", &json!({}), &calls).needs_approval_if(|_, _| false);
    let again = state(runner.resume(&agent([free]), waiting).await.unwrap_err());
    assert_eq!(changes(&again), [Some("description".to_owned())]);
    assert_eq!(calls.n(), 0);
}

#[tokio::test]
async fn standing_decision_holds_only_for_the_tool_that_was_shown() {
    let calls = Counter::default();
    let runner = Runner::new(script(3));
    let nothing = json!({});
    let before = agent([danger("Deletes.", &nothing, &calls)]);
    let mut waiting = state(runner.run(&before, "go").await.unwrap_err());
    waiting.approve_always("c1").unwrap();
    let after = agent([danger("Deletes all.", &nothing, &calls)]);
    for n_made in 0..3 {
        let mut again = state(runner.resume(&after, waiting).await.unwrap_err());
        assert_eq!(changes(&again), [Some("description".to_owned())]);
        assert_eq!(calls.n(), n_made);
        again.approve(&format!("c{}", n_made + 1)).unwrap();
        waiting = again;
    }
    let result = runner.resume(&after, waiting).await.unwrap();
    assert_eq!((result.final_output(), calls.n()), ("done", 3));
}

/// A state as version 1 wrote it: nothing says which tool was shown.
#[tokio::test]
async fn state_of_version_1_goes_on_with_the_tool_of_the_name() {
    let calls = Counter::default();
    let agent = agent([danger("Deletes.", &json!({}), &calls)]);
    let runner = Runner::new(script(2));
    let waiting = state(runner.run(&agent, "go").await.unwrap_err());
    let mut old: Value = serde_json::from_str(&waiting.to_json().unwrap()).unwrap();
    old["version"] = json!(1);
    old["state"]["calls"][0]["status"] = json!({"asked": {"decision": null, "doubt": "none"}});
    old["state"]["standing"] = json!([{"agent": "A", "tool": "danger", "decision": "approved"}]);
    let old = RunState::from_json(&old.to_string()).unwrap();
    let result = runner.resume(&agent, old).await.unwrap();
    assert_eq!((result.final_output(), calls.n()), ("done", 2));
}

/// Counts the begins and the ends of calls.
#[derive(Clone, Default)]
struct Heard {
    started: Counter,
    ended: Counter,
}

impl Hooks for Heard {
    async fn on_tool_start(&self, _cx: &ToolContext) -> HookResult {
        self.started.count();
        Ok(())
    }

    async fn on_tool_end(&self, _cx: &ToolContext, _output: &str) -> HookResult {
        self.ended.count();
        Ok(())
    }
}

fn looking(looks: &Counter) -> ToolGuardrail {
    let looks = looks.clone();
    ToolGuardrail::new("looks", move |_| {
        looks.count();
        async { Ok::<_, String>(ToolVerdict::Allow) }
    })
}

#[tokio::test]
async fn input_guardrail_looks_before_the_question_and_not_again() {
    let (calls, looks) = (Counter::default(), Counter::default());
    let tool = danger("Deletes.", &json!({}), &calls).input_guardrail(looking(&looks));
    let agent = agent([tool]);
    let runner = Runner::new(script(1));
    let mut waiting = state(runner.run(&agent, "go").await.unwrap_err());
    assert_eq!((looks.n(), calls.n()), (1, 0));
    waiting.approve("c1").unwrap();
    let heard = Heard::default();
    let run = runner.resume(&agent, waiting).hooks(heard.clone());
    let result = run.await.unwrap();
    assert_eq!((looks.n(), calls.n()), (1, 1));
    assert_eq!((heard.started.n(), heard.ended.n()), (1, 1));
    let verdicts = result.guardrails().iter();
    let names: Vec<_> = verdicts.map(|verdict| verdict.guardrail.as_str()).collect();
    assert_eq!(names, ["looks"]);
}

#[tokio::test]
async fn pause_inside_an_agent_as_tool_repeats_neither_hook_nor_guardrail() {
    let (calls, looks) = (Counter::default(), Counter::default());
    let inner = agent([danger("Deletes.", &json!({}), &calls)]);
    let tool = inner.as_tool("Asks.").build().unwrap();
    let outer = Agent::builder("Outer").tool(tool.input_guardrail(looking(&looks)));
    let outer = outer.build().unwrap();
    let runner = Runner::new(ScriptedModel::new([
        ScriptedTurn::items([call("o1", "a", r#"{"input":"go"}"#)]),
        ScriptedTurn::items([call("c1", "danger", "{}")]),
        ScriptedTurn::text("inner done"),
        ScriptedTurn::text("outer done"),
    ]));
    let heard = Heard::default();
    let run = runner.run(&outer, "go").hooks(heard.clone());
    let mut waiting = state(run.await.unwrap_err());
    assert_eq!((looks.n(), heard.started.n(), heard.ended.n()), (1, 1, 0));
    waiting.approve("o1/c1").unwrap();
    let run = runner.resume(&outer, waiting).hooks(heard.clone());
    let result = run.await.unwrap();
    assert_eq!(result.final_output(), "outer done");
    // The call of the agent, and that of its tool.
    assert_eq!((looks.n(), heard.started.n(), heard.ended.n()), (1, 2, 2));
    assert_eq!(result.guardrails().len(), 1);
}

#[tokio::test]
async fn words_of_a_rejection_pass_the_output_guardrails() {
    let calls = Counter::default();
    let tool = danger("Deletes.", &json!({}), &calls);
    let tool = tool.output_guardrail(ToolGuardrail::new("quiet", async |call| {
        let failure = call.failure.unwrap_or_default();
        Ok::<_, String>(ToolVerdict::reject(format!("seen: {failure}")))
    }));
    let agent = agent([tool]);
    let runner = Runner::new(script(1));
    let mut waiting = state(runner.run(&agent, "go").await.unwrap_err());
    waiting.reject_with("c1", "my password is 42").unwrap();
    let result = runner.resume(&agent, waiting).await.unwrap();
    assert_eq!(
        result.items()[1],
        output("c1", "seen: the call was not approved")
    );
    assert_eq!(calls.n(), 0);
}

#[tokio::test]
async fn asynchronous_condition_sees_the_call_and_its_failure_ends_the_run() {
    let calls = Counter::default();
    let tool = danger("Deletes.", &json!({}), &calls).needs_approval_when(async |cx| {
        tokio::task::yield_now().await;
        match cx.call_id() {
            "c1" => Ok(false),
            "c2" => Ok(cx.agent() == "A"),
            other => Err(format!("no answer about {other}")),
        }
    });
    let agent = agent([tool]);
    let runner = Runner::new(script(3));
    let mut waiting = state(runner.run(&agent, "go").await.unwrap_err());
    assert_eq!(calls.n(), 1);
    waiting.approve("c2").unwrap();
    let error = runner.resume(&agent, waiting).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CallbackFailed);
    assert_eq!(
        error.to_string(),
        "the approval condition around the tool `danger` failed"
    );
    assert_eq!(calls.n(), 2);
}
