//! Cases 29 to 38: who answers after a handoff, and what it sees.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use openai_agents::agent::{HandoffFilter, HandoffHistory};
use openai_agents::item::FunctionCall;
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{
    Agent, ErrorKind, Handoff, InputGuardrail, Item, OutputGuardrail, RunEvent, Runner, Verdict,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::support::{assert_well_formed, call, instant, offered, output, play};

const SPANISH: &str = r#"{"assistant": "Spanish Agent"}"#;

fn spanish() -> Agent {
    Agent::builder("Spanish Agent")
        .instructions("Habla.")
        .build()
        .unwrap()
}

fn french() -> Agent {
    Agent::builder("French Agent").build().unwrap()
}

fn to_spanish() -> Item {
    call("h1", "transfer_to_spanish_agent", "{}")
}

/// A model that hands off and then says hello.
fn handing() -> ScriptedModel {
    ScriptedModel::new([
        ScriptedTurn::items([to_spanish()]),
        ScriptedTurn::text("hola"),
    ])
}

#[tokio::test]
async fn case_29_the_next_agent_has_its_own_instructions_and_tools() {
    let main = Agent::builder("Main")
        .instructions("Be brief.")
        .tool(instant("note", "noted"))
        .handoff(spanish())
        .build()
        .unwrap();
    let model = handing();
    let result = Runner::new(model.clone()).run(&main, "hi").await.unwrap();
    let requests = model.requests();
    assert_eq!(requests[0].instructions.as_deref(), Some("Be brief."));
    assert_eq!(offered(&requests[0]), ["note", "transfer_to_spanish_agent"]);
    assert_eq!(requests[1].instructions.as_deref(), Some("Habla."));
    assert_eq!(offered(&requests[1]), [""; 0]);
    assert_eq!(
        requests[1].items[..],
        [Item::user("hi"), to_spanish(), output("h1", SPANISH)]
    );
    assert_eq!(result.last_agent().name(), "Spanish Agent");
    assert_eq!((result.final_output(), result.turns()), ("hola", 2));
}

/// The Python SDK puts the outputs of tools before those of handoffs.
#[tokio::test]
async fn case_30_tools_run_before_the_first_handoff_and_the_others_are_ignored() {
    let main = Agent::builder("Main")
        .tool(instant("note", "noted"))
        .handoff(spanish())
        .handoff(french())
        .build()
        .unwrap();
    let calls = [
        to_spanish(),
        call("h2", "transfer_to_french_agent", "{}"),
        call("c1", "note", "{}"),
    ];
    let model = ScriptedModel::new([
        ScriptedTurn::items(calls.clone()),
        ScriptedTurn::text("hola"),
    ]);
    let (events, result) = play(Runner::new(model).run(&main, "hi")).await;
    let outputs = [
        output("h1", SPANISH),
        output("h2", "Multiple handoffs detected, ignoring this one."),
        output("c1", "noted"),
    ];
    let result = result.unwrap();
    assert_eq!(result.items()[..6], [calls, outputs].concat());
    assert_well_formed(result.items());
    let place = |is_it: fn(&RunEvent) -> bool| events.iter().position(is_it).unwrap();
    let tool =
        place(|event| matches!(event, RunEvent::ToolOutputDone { name, .. } if name == "note"));
    let handoff = place(|event| matches!(event, RunEvent::HandoffOccurred { .. }));
    assert!(tool < handoff);
}

/// The whole texts are compared in `src/agent/handoff_filter` and in `testbed`.
#[tokio::test]
async fn case_31_a_nested_history_is_told_in_one_message_and_kept_in_the_result() {
    let main = Agent::builder("Main").handoff(spanish()).build().unwrap();
    let model = handing();
    let result = Runner::new(model.clone())
        .run(&main, "hi")
        .handoff_filter(HandoffFilter::nested_history())
        .await
        .unwrap();
    let seen = &model.requests()[1].items;
    assert_eq!(seen.len(), 1);
    let text = seen[0].assistant_text().unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    assert_eq!(
        first,
        "For context, here is the conversation so far between the user and the previous agent:"
    );
    assert!(
        rest.starts_with("<CONVERSATION HISTORY>\n1. user: hi\n2. {"),
        "{rest}"
    );
    assert!(rest.ends_with("\n</CONVERSATION HISTORY>"), "{rest}");
    assert_eq!(
        result.to_input_list()[..3],
        [Item::user("hi"), to_spanish(), output("h1", SPANISH)]
    );
}

fn keep(text: &'static str) -> HandoffFilter {
    HandoffFilter::new(move |mut history: HandoffHistory| {
        history.input = vec![Item::user(text)];
        history.earlier.clear();
        history.new.clear();
        history
    })
}

#[tokio::test]
async fn case_32_the_filter_of_a_handoff_stands_in_for_that_of_the_run() {
    for (own, expect) in [(Some(keep("own")), "own"), (None, "run")] {
        let mut handoff = Handoff::to(&spanish());
        if let Some(own) = own {
            handoff = handoff.filter(own);
        }
        let main = Agent::builder("Main").handoff(handoff).build().unwrap();
        let model = handing();
        let result = Runner::new(model.clone())
            .run(&main, "hi")
            .handoff_filter(keep("run"))
            .await
            .unwrap();
        assert_eq!(model.requests()[1].items[..], [Item::user(expect)]);
        assert_eq!(result.items().len(), 3, "the result has all of it");
    }
}

/// In Rust a filter cannot give a wrong type, but it can fail.
#[tokio::test]
async fn case_33_a_filter_that_fails_ends_the_run() {
    let fails = HandoffFilter::from_async(async |_| Err::<HandoffHistory, _>("no"));
    let main = Agent::builder("Main")
        .handoff(Handoff::to(&spanish()).filter(fails))
        .build()
        .unwrap();
    let error = Runner::new(handing()).run(&main, "hi").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CallbackFailed);
    assert_eq!(
        error.to_string(),
        "the filter of the handoff to agent `Spanish Agent` failed"
    );
    assert_well_formed(&error.progress().items);
}

#[derive(Deserialize, JsonSchema)]
struct Reason {
    reason: String,
}

#[tokio::test]
async fn case_34_words_to_the_next_agent_are_checked_and_told() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&told);
    let handoff = Handoff::to(&spanish()).with_input(move |cx, input: Reason| {
        let line = format!("{}: {}", cx.agent(), input.reason);
        list.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
        std::future::ready(Ok::<_, String>(()))
    });
    let main = Agent::builder("Main").handoff(handoff).build().unwrap();
    let model = |arguments: &str| {
        let call = FunctionCall::new("h1", "transfer_to_spanish_agent", arguments);
        ScriptedModel::new([
            ScriptedTurn::items([call.into()]),
            ScriptedTurn::text("hola"),
        ])
    };
    let right = model(r#"{"reason":"They speak Spanish."}"#);
    let result = Runner::new(right).run(&main, "hi").await.unwrap();
    assert_eq!(result.last_agent().name(), "Spanish Agent");
    for wrong in ["{}", r#"{"reason":1}"#, r#"{"reason":"#, ""] {
        let error = Runner::new(model(wrong))
            .run(&main, "hi")
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadToolArguments, "{wrong}");
        assert_eq!(error.progress().last_agent.name(), "Main");
    }
    let told = told.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(told[..], ["Main: They speak Spanish."]);
}

fn tripping_input() -> InputGuardrail {
    InputGuardrail::new("input", async |_| Ok::<_, String>(Verdict::trip("no")))
}

fn tripping_output() -> OutputGuardrail {
    OutputGuardrail::new("output", async |_| Ok::<_, String>(Verdict::trip("no")))
}

#[tokio::test]
async fn case_35_input_guardrails_of_the_next_agent_are_not_asked() {
    let spanish = Agent::builder("Spanish Agent").input_guardrail(tripping_input());
    let main = Agent::builder("Main").handoff(spanish.build().unwrap());
    let result = Runner::new(handing())
        .run(&main.build().unwrap(), "hi")
        .await
        .unwrap();
    assert_eq!(result.final_output(), "hola");
    assert_eq!(result.guardrails(), []);
}

#[tokio::test]
async fn case_36_only_the_last_agents_output_guardrails_are_asked() {
    let fine = OutputGuardrail::new("fine", async |_| Ok::<_, String>(Verdict::pass()));
    let spanish = Agent::builder("Spanish Agent").output_guardrail(fine);
    let main = Agent::builder("Main")
        .output_guardrail(tripping_output())
        .handoff(spanish.build().unwrap())
        .build()
        .unwrap();
    let result = Runner::new(handing()).run(&main, "hi").await.unwrap();
    let asked: Vec<_> = result
        .guardrails()
        .iter()
        .map(|result| (result.guardrail.as_str(), result.agent.as_str()))
        .collect();
    assert_eq!(asked, [("fine", "Spanish Agent")]);
}

/// Whether handoffs are wanted.
struct Wanted(bool);

#[tokio::test]
async fn case_37_a_handoff_that_is_disabled_is_neither_offered_nor_taken() {
    let handoff =
        Handoff::to(&spanish()).enabled_if(|cx| cx.state::<Wanted>().is_ok_and(|wanted| wanted.0));
    let main = Agent::builder("Main").handoff(handoff).build().unwrap();
    for (wanted, expect) in [(true, vec!["transfer_to_spanish_agent"]), (false, vec![])] {
        let model = handing();
        let result = Runner::new(model.clone())
            .state(Wanted(wanted))
            .run(&main, "hi")
            .await;
        assert_eq!(offered(&model.requests()[0]), expect);
        match result {
            Ok(result) => assert_eq!((wanted, result.final_output()), (true, "hola")),
            Err(error) => assert_eq!((wanted, error.kind()), (false, ErrorKind::DisabledTool)),
        }
    }
}

/// Names that are too long are refused; the Python SDK sends them.
#[test]
fn case_38_odd_names_become_names_of_functions() {
    for (agent, expect) in [
        ("Spanish Agent", "transfer_to_spanish_agent"),
        ("A-b.c", "transfer_to_a_b_c"),
        ("Ünï", "transfer_to__n_"),
        ("  x  ", "transfer_to___x__"),
        ("a\tb\u{a0}c", "transfer_to_a_b_c"),
    ] {
        let target = Agent::builder(agent).build().unwrap();
        let main = Agent::builder("Main")
            .handoff(&target)
            .tool(instant(expect, ""));
        let error = main.build().unwrap_err();
        let clash = std::error::Error::source(&error).unwrap().to_string();
        assert!(
            clash.starts_with(&format!("two tools are named `{expect}`")),
            "{clash}"
        );
    }
    let long = Agent::builder("x".repeat(60)).build().unwrap();
    assert!(Agent::builder("Main").handoff(&long).build().is_err());
}

#[tokio::test]
async fn a_handoff_without_input_ignores_what_the_model_says_with_it() {
    for arguments in [
        r#"{"reason":"x"}"#,
        "{bad",
        "",
        "null",
        "[1]",
        r#"{"a":1,"a":2}"#,
    ] {
        for is_told in [false, true] {
            let told = Arc::new(AtomicBool::new(false));
            let mut handoff = Handoff::to(&spanish());
            if is_told {
                let told = Arc::clone(&told);
                handoff = handoff.on_handoff(move |_| {
                    told.store(true, Ordering::SeqCst);
                    std::future::ready(Ok::<_, String>(()))
                });
            }
            let agent = Agent::builder("Main").handoff(handoff).build().unwrap();
            let model = ScriptedModel::new([
                ScriptedTurn::items([call("h1", "transfer_to_spanish_agent", arguments)]),
                ScriptedTurn::text("hola"),
            ]);
            let result = Runner::new(model).run(&agent, "hi").await.unwrap();
            assert_eq!(result.last_agent().name(), spanish().name(), "{arguments}");
            assert_eq!(told.load(Ordering::SeqCst), is_told);
            // What the model said stays as it said it.
            assert_eq!(
                result.items()[0],
                call("h1", "transfer_to_spanish_agent", arguments)
            );
        }
    }
}
