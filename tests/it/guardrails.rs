//! When guardrails are asked, and what does not happen before or after their verdict.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use openai_agents::agent::ToolUseBehavior;
use openai_agents::guardrail::{GuardrailStage, GuardrailTiming, InputGuardrail, OutputGuardrail};
use openai_agents::model::Delivery;
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::tools::{ToolGuardrail, ToolVerdict};
use openai_agents::{Agent, ErrorKind, FunctionTool, Item, RunEvent, RunFailure, Runner, Verdict};

use crate::support::{DropFlag, call, instant, output, play, tool};

/// A guardrail that gives way so often before its verdict.
fn after(n_yields: usize, verdict: Verdict) -> InputGuardrail {
    InputGuardrail::new("input", move |_| {
        let verdict = verdict.clone();
        async move {
            for _ in 0..n_yields {
                tokio::task::yield_now().await;
            }
            Ok::<_, String>(verdict)
        }
    })
}

fn counted() -> (FunctionTool, Arc<AtomicUsize>) {
    let n_calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&n_calls);
    let tool = tool("look", move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        async { Ok("wet".to_owned()) }
    });
    (tool, n_calls)
}

fn calls_then_answers() -> ScriptedModel {
    ScriptedModel::new([
        ScriptedTurn::items([Item::assistant("I look."), call("c1", "look", "{}")]),
        ScriptedTurn::text("wet"),
    ])
}

/// The verdicts among events, and whether they tripped.
fn verdicts(events: &[RunEvent]) -> Vec<(&str, bool)> {
    let mut verdicts = Vec::new();
    for event in events {
        if let RunEvent::GuardrailDone { result } = event {
            verdicts.push((result.guardrail.as_str(), result.is_tripped));
        }
    }
    verdicts
}

#[tokio::test]
async fn verdict_of_each_stage_is_an_event() {
    let passes = async |_| ToolVerdict::Allow;
    let look = counted().0;
    let look = look
        .input_guardrail(ToolGuardrail::new("arguments", passes))
        .output_guardrail(ToolGuardrail::new("result", passes));
    let agent = Agent::builder("A")
        .tool(look)
        .input_guardrail(after(0, Verdict::pass()))
        .output_guardrail(OutputGuardrail::new("output", async |_| {
            Verdict::trip("no")
        }))
        .build()
        .unwrap();
    let (events, result) = play(Runner::new(calls_then_answers()).run(&agent, "go")).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::GuardrailTripped);
    assert_eq!(
        verdicts(&events),
        [
            ("input", false),
            ("arguments", false),
            ("result", false),
            ("output", true)
        ]
    );
    let json = events.last().unwrap().to_json().unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "type": "guardrail_done", "guardrail": "output", "stage": "output", "agent": "A", "is_tripped": true, "info": "no",
        })
    );
}

#[tokio::test]
async fn a_tripped_verdict_that_is_waited_for_lets_no_tool_run() {
    // 500 times, with the verdict earlier or later than the model's answer.
    for timing in [GuardrailTiming::Hold, GuardrailTiming::Blocking] {
        let (look, n_calls) = counted();
        for n in 0..500 {
            let guardrail = after(n % 12, Verdict::trip("no")).timing(timing);
            let agent = Agent::builder("A")
                .tool(look.clone())
                .input_guardrail(guardrail)
                .build()
                .unwrap();
            let model = calls_then_answers();
            let (events, result) = play(Runner::new(model.clone()).run(&agent, "go")).await;
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::GuardrailTripped);
            // Nothing but the verdict.
            assert_eq!(events.len(), 1, "{events:?}");
            assert_eq!(verdicts(&events), [("input", true)]);
            assert!(model.requests().len() <= usize::from(timing == GuardrailTiming::Hold));
            assert!(error.progress().items.is_empty() || timing == GuardrailTiming::Hold);
        }
        assert_eq!(n_calls.load(Ordering::SeqCst), 0, "{timing:?}");
    }
}

#[tokio::test]
async fn a_verdict_that_passes_releases_what_was_held() {
    for timing in [
        GuardrailTiming::Hold,
        GuardrailTiming::Blocking,
        GuardrailTiming::Concurrent,
    ] {
        for n_yields in 0..12 {
            let (look, n_calls) = counted();
            let agent = Agent::builder("A")
                .tool(look)
                .input_guardrail(after(n_yields, Verdict::pass()).timing(timing))
                .build()
                .unwrap();
            let run = Runner::new(calls_then_answers()).run(&agent, "go");
            let (mut events, result) = play(run).await;
            let result = result.unwrap();
            assert_eq!(result.final_output(), "wet");
            assert_eq!(n_calls.load(Ordering::SeqCst), 1);
            assert_eq!(result.guardrails().len(), 1);
            assert_eq!(verdicts(&events), [("input", false)]);
            events.retain(|event| !matches!(event, RunEvent::GuardrailDone { .. }));
            assert!(matches!(events[0], RunEvent::TurnStarted { turn: 1, .. }));
            assert!(matches!(events.last(), Some(RunEvent::ResponseDone { .. })));
        }
    }
}

#[tokio::test]
async fn a_concurrent_verdict_ends_the_run_before_its_next_turn() {
    let (look, n_calls) = counted();
    let guardrail = after(40, Verdict::trip("no")).timing(GuardrailTiming::Concurrent);
    let agent = Agent::builder("A")
        .tool(look)
        .input_guardrail(guardrail)
        .build()
        .unwrap();
    let model = calls_then_answers();
    let error = Runner::new(model.clone())
        .run(&agent, "go")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::GuardrailTripped);
    assert_eq!(
        (n_calls.load(Ordering::SeqCst), model.requests().len()),
        (1, 1)
    );
    assert_eq!(error.progress().items.last(), Some(&output("c1", "wet")));
}

#[tokio::test]
async fn the_first_trip_drops_the_other_guardrails_and_the_model_call() {
    let dropped = DropFlag::default();
    let flag = dropped.clone();
    let hangs = InputGuardrail::new("hangs", move |_| {
        let guard = flag.guard();
        async move {
            let _guard = guard;
            std::future::pending::<Result<Verdict, String>>().await
        }
    });
    let agent = Agent::builder("A")
        .input_guardrail(hangs)
        .input_guardrail(after(3, Verdict::trip("no")))
        .build()
        .unwrap();
    let stream = Runner::new(ScriptedModel::text("x"))
        .run(&agent, "go")
        .delivery(Delivery::Whole)
        .stream();
    let error = stream.finish().await.unwrap_err();
    assert!(dropped.is_set());
    let RunFailure::GuardrailTripped { result } = error.failure() else {
        panic!("{error}");
    };
    assert_eq!(
        (result.guardrail.as_str(), result.stage),
        ("input", GuardrailStage::Input)
    );
    assert_eq!(
        error.to_string(),
        r#"the input guardrail `input` tripped: "no""#
    );
}

#[tokio::test]
async fn a_guardrail_that_fails_ends_the_run() {
    let failing = InputGuardrail::new("broken", async |_| Err::<Verdict, _>("out of order"));
    let agent = Agent::builder("A")
        .input_guardrail(failing)
        .build()
        .unwrap();
    let error = Runner::new(ScriptedModel::text("x"))
        .run(&agent, "go")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CallbackFailed);
    assert_eq!(error.to_string(), "the guardrail `broken` failed");
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!(cause.to_string(), "out of order");
}

fn judging(word: &'static str) -> OutputGuardrail {
    OutputGuardrail::new("output", move |subject| {
        let is_bad = subject.output.contains(word);
        std::future::ready(Ok::<_, String>(if is_bad {
            Verdict::trip(word)
        } else {
            Verdict::pass()
        }))
    })
}

#[tokio::test]
async fn an_output_guardrail_can_hold_the_text_back() {
    for (text, trips) in [("a secret word", true), ("a plain word", false)] {
        let agent = Agent::builder("A")
            .tool(instant("look", "wet"))
            .output_guardrail(judging("secret").hold())
            .build()
            .unwrap();
        let runner = Runner::new(ScriptedModel::new([
            ScriptedTurn::items([Item::assistant("Looking."), call("c1", "look", "{}")]),
            ScriptedTurn::text(text),
        ]));
        let (events, result) = play(runner.run(&agent, "go")).await;
        let said: String = events
            .iter()
            .filter_map(|event| match event {
                RunEvent::TextDelta { delta } => Some(delta.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(result.is_err(), trips);
        // What is no final output is delivered when that is known.
        assert_eq!(
            said,
            if trips {
                "Looking.".to_owned()
            } else {
                format!("Looking.{text}")
            }
        );
    }
}

#[tokio::test]
async fn a_withheld_output_is_not_in_the_conversation() {
    let agent = Agent::builder("A")
        .tool(instant("look", "a secret"))
        .tool_use_behavior(ToolUseBehavior::StopOnFirstTool)
        .output_guardrail(judging("secret"))
        .build()
        .unwrap();
    let error = Runner::new(calls_then_answers())
        .run(&agent, "go")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::GuardrailTripped);
    let withheld = output("c1", "Output withheld by an output guardrail.");
    assert_eq!(error.progress().items.last(), Some(&withheld));

    let agent = Agent::builder("A")
        .output_guardrail(judging("secret"))
        .build()
        .unwrap();
    let runner = Runner::new(ScriptedModel::text("my secret"));
    let error = runner.run(&agent, "go").await.unwrap_err();
    assert_eq!(error.progress().items, []);
    assert_eq!(error.progress().guardrails.len(), 1);
}
