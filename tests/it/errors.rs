//! Errors as programs print and collect them.

use openai_agents::context::{MissingState, States};
use openai_agents::item::Item;
use openai_agents::session::{MemorySession, Session, SessionError, SessionId, SessionTurn};
use openai_agents::testing::ScriptedModel;
use openai_agents::tools::ToolName;
use openai_agents::{
    Agent, Error, ErrorKind, InputGuardrail, OutputGuardrail, RunError, RunEvent, Runner, Verdict,
};
use serde_json::json;

async fn failed() -> RunError {
    let agent = Agent::builder("A").build().unwrap();
    let runner = Runner::new(ScriptedModel::new([]));
    runner
        .run(&agent, "a secret of the user")
        .await
        .unwrap_err()
}

#[tokio::test]
async fn run_error_debug_has_kind_causes_and_place_but_no_conversation() {
    let error = failed().await;
    let expect = "config: the scripted model has no turn 1 (turn 1, agent `A`)";
    assert_eq!(format!("{error:?}"), expect);
    assert_eq!(error.progress().input, [Item::user("a secret of the user")]);
    assert_eq!(
        format!("{:?}", Error::from(error)),
        "config: the scripted model has no turn 1"
    );
}

#[tokio::test]
async fn every_error_becomes_the_one_of_the_crate_and_keeps_its_kind() {
    let session = MemorySession::new(SessionId::new("s").unwrap());
    let stale = session
        .append(SessionTurn::new([Item::user("a")]))
        .await
        .unwrap();
    session
        .append(SessionTurn::new([Item::user("b")]))
        .await
        .unwrap();
    let conflict = session
        .append(SessionTurn::new([Item::user("c")]).after(stale))
        .await;
    let errors: [(Error, ErrorKind); 6] = [
        (failed().await.into(), ErrorKind::Config),
        (conflict.unwrap_err().into(), ErrorKind::SessionConflict),
        (
            Agent::builder("").build().unwrap_err().into(),
            ErrorKind::Config,
        ),
        (SessionId::new("").unwrap_err().into(), ErrorKind::Config),
        (
            States::new().get::<u8>().unwrap_err().into(),
            ErrorKind::Config,
        ),
        (
            ToolName::new("no name").unwrap_err().into(),
            ErrorKind::Config,
        ),
    ];
    for (error, kind) in &errors {
        assert_eq!(error.kind(), *kind, "{error}");
    }
    assert!(errors[0].0.run_error().is_some());
    assert!(matches!(
        errors[1].0.downcast_ref(),
        Some(SessionError::Conflict { .. })
    ));
    assert!(errors[4].0.downcast_ref::<MissingState>().is_some());
    assert_eq!(errors[2].0.to_string(), "an agent needs a name");
}

#[tokio::test]
async fn callback_gives_a_value_or_a_result() {
    let words = std::sync::Arc::new(vec!["password".to_owned()]);
    let plain = InputGuardrail::new("plain", move |input| {
        let words = std::sync::Arc::clone(&words);
        async move {
            match words.iter().find(|word| input.text().contains(*word)) {
                Some(word) => Verdict::trip(word.as_str()),
                None => Verdict::pass(),
            }
        }
    });
    let failing = OutputGuardrail::new("failing", async |_| Err("no judge"));
    let agent = Agent::builder("A")
        .instructions_from(async |_, agent| format!("You are {}.", agent.name()))
        .input_guardrail(plain)
        .output_guardrail(failing)
        .build()
        .unwrap();
    let model = ScriptedModel::text("hi");
    let runner = Runner::new(model.clone());
    let error = runner.run(&agent, "hi").await.unwrap_err();
    assert_eq!(
        format!("{error:?}"),
        "callback_failed: the guardrail `failing` failed: no judge (turn 1, agent `A`)"
    );
    assert_eq!(
        model.requests()[0].instructions.as_deref(),
        Some("You are A.")
    );
    let error = runner.run(&agent, "the password").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::GuardrailTripped);
}

#[test]
fn names_in_events_go_into_json() {
    let event = RunEvent::TurnStarted {
        turn: 1,
        agent: "A".into(),
    };
    let RunEvent::TurnStarted { agent, .. } = &event else {
        panic!("{event:?}");
    };
    assert_eq!(json!({ "agent": agent }), json!({ "agent": "A" }));
}
