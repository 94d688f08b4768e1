//! Cases 40, 41 and 43 to 45: verdicts, and what does not happen after them.

use openai_agents::guardrail::{GuardrailStage, GuardrailTiming};
use openai_agents::model::ModelError;
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::tools::{ToolGuardrail, ToolVerdict};
use openai_agents::{
    Agent, ErrorKind, InputGuardrail, OutputGuardrail, RunFailure, Runner, Verdict,
};

use crate::support::{DropFlag, Gauge, agent, call, instant, output, tool};

fn tripping(timing: GuardrailTiming) -> InputGuardrail {
    InputGuardrail::new("no", async |_| Ok::<_, String>(Verdict::trip("no"))).timing(timing)
}

fn tool_then_text() -> ScriptedModel {
    ScriptedModel::new([
        ScriptedTurn::items([call("c1", "t", "{}")]),
        ScriptedTurn::text("done"),
    ])
}

#[tokio::test]
async fn case_40_a_blocking_guardrail_that_trips_lets_no_request_out() {
    for timing in [GuardrailTiming::Blocking, GuardrailTiming::Hold] {
        let agent = Agent::builder("A")
            .input_guardrail(tripping(timing))
            .build()
            .unwrap();
        let model = ScriptedModel::text("never");
        let error = Runner::new(model.clone())
            .run(&agent, "hi")
            .await
            .unwrap_err();
        let RunFailure::GuardrailTripped { result } = error.failure() else {
            panic!("{error:?}");
        };
        assert_eq!(
            (result.stage, result.is_tripped),
            (GuardrailStage::Input, true)
        );
        assert_eq!(
            error.to_string(),
            "the input guardrail `no` tripped: \"no\""
        );
        assert_eq!(error.progress().items, []);
        assert_eq!(error.progress().guardrails, [(**result).clone()]);
        if timing == GuardrailTiming::Blocking {
            assert_eq!((model.requests().len(), error.progress().turns), (0, 0));
        }
    }
}

fn no_output() -> OutputGuardrail {
    OutputGuardrail::new("no", async |_| Ok::<_, String>(Verdict::trip("no")))
}

#[tokio::test]
async fn case_41_a_text_that_a_guardrail_tripped_over_is_not_kept() {
    let agent = Agent::builder("A")
        .tool(instant("t", "x"))
        .output_guardrail(no_output())
        .build()
        .unwrap();
    let error = Runner::new(tool_then_text())
        .run(&agent, "hi")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::GuardrailTripped);
    // Earlier turns stay.
    assert_eq!(
        error.progress().items,
        [call("c1", "t", "{}"), output("c1", "x")]
    );
}

fn saying(verdict: ToolVerdict) -> ToolGuardrail {
    ToolGuardrail::new("guard", move |_| {
        std::future::ready(Ok::<_, String>(verdict.clone()))
    })
}

#[tokio::test]
async fn case_43_guardrails_of_a_tool_reject_replace_and_raise() {
    let counted = |count: &Gauge| {
        let count = count.clone();
        tool("t", move |_| {
            count.enter();
            async { Ok("secret".to_owned()) }
        })
    };
    let n_run = Gauge::default();
    let rejecting = counted(&n_run).input_guardrail(saying(ToolVerdict::reject("not allowed")));
    let result = Runner::new(tool_then_text())
        .run(&agent([rejecting]), "hi")
        .await
        .unwrap();
    assert_eq!(result.items()[1], output("c1", "not allowed"));
    assert_eq!((n_run.peak(), result.guardrails().len()), (0, 1));

    let replacing = counted(&n_run)
        .input_guardrail(saying(ToolVerdict::Allow))
        .output_guardrail(saying(ToolVerdict::reject("withheld")));
    let result = Runner::new(tool_then_text())
        .run(&agent([replacing]), "hi")
        .await
        .unwrap();
    assert_eq!(result.items()[1], output("c1", "withheld"));
    assert_eq!((n_run.peak(), result.guardrails().len()), (1, 2));

    let raising = ToolVerdict::trip("why");
    let n_run = Gauge::default();
    for (guarded, n_runs) in [
        (counted(&n_run).input_guardrail(saying(raising.clone())), 0),
        (counted(&n_run).output_guardrail(saying(raising)), 1),
    ] {
        let error = Runner::new(tool_then_text())
            .run(&agent([guarded]), "hi")
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::GuardrailTripped);
        assert_eq!(
            error.to_string(),
            "the guardrail `guard` of tool `t` tripped: \"why\""
        );
        assert_eq!((n_run.peak(), error.progress().items.len()), (n_runs, 0));
    }
}

/// A guardrail that never gives a verdict.
fn hanging(flag: &DropFlag) -> InputGuardrail {
    let flag = flag.clone();
    InputGuardrail::new("hangs", move |_| {
        let guard = flag.guard();
        async move {
            let _guard = guard;
            std::future::pending::<Result<Verdict, String>>().await
        }
    })
}

#[tokio::test]
async fn case_44_a_guardrail_that_fails_or_trips_ends_the_others() {
    let failing = || InputGuardrail::new("broken", async |_| Err::<Verdict, _>("boom"));
    let cases = [
        (failing(), ErrorKind::CallbackFailed),
        (tripping(GuardrailTiming::Hold), ErrorKind::GuardrailTripped),
    ];
    for (guardrail, kind) in cases {
        let dropped = DropFlag::default();
        let agent = Agent::builder("A")
            .input_guardrail(hanging(&dropped))
            .input_guardrail(guardrail)
            .build()
            .unwrap();
        let error = Runner::new(ScriptedModel::text("hi"))
            .run(&agent, "hi")
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(dropped.is_set());
    }
}

#[tokio::test]
async fn case_45_an_error_of_the_model_ends_a_guardrail_that_thinks() {
    let dropped = DropFlag::default();
    let agent = Agent::builder("A")
        .input_guardrail(hanging(&dropped))
        .build()
        .unwrap();
    let busy = ModelError::new(ErrorKind::ApiStatus, "busy").with_status(503);
    let error = Runner::new(ScriptedModel::new([ScriptedTurn::error(busy)]))
        .run(&agent, "hi")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ApiStatus);
    assert!(dropped.is_set());
}
