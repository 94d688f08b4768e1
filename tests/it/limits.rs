//! What a run may use up.

use std::time::Duration;

use openai_agents::limits::LimitReached;
use openai_agents::testing::{FakeServer, Reply, ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, ErrorKind, Limits, RunError, RunFailure, Runner, Usage};
use serde_json::json;

use crate::support::{
    DropFlag, Gauge, agent, assert_well_formed, call, chat, instant, tool, whole, wire_call,
};

/// A model that calls `t` again and again; each turn reports usage.
fn endless(n_turns: usize, usage: Usage) -> ScriptedModel {
    ScriptedModel::new(
        (0..n_turns)
            .map(|n| ScriptedTurn::items([call(&format!("c{n}"), "t", "{}")]).with_usage(usage)),
    )
}

fn limit(error: &RunError) -> &LimitReached {
    match error.failure() {
        RunFailure::Limit(limit) => limit,
        other => panic!("{other:?}"),
    }
}

fn caller() -> Agent {
    agent([instant("t", "x")])
}

#[tokio::test]
async fn n_turns_are_n_requests() {
    let default = Limits::default();
    for (limits, n_turns) in [
        (Limits::turns(0), 0),
        (Limits::turns(1), 1),
        (Limits::turns(2), 2),
        (default, 10),
    ] {
        let model = endless(20, Usage::of_request(1, 1, 2));
        let error = Runner::new(model.clone())
            .limits(limits)
            .run(&caller(), "go")
            .await
            .unwrap_err();
        assert_eq!(model.requests().len(), n_turns as usize);
        assert_eq!(error.kind(), ErrorKind::MaxTurns);
        assert_eq!(*limit(&error), LimitReached::Turns { limit: n_turns });
        let progress = error.progress();
        assert_eq!(progress.items.len(), 2 * n_turns as usize);
        assert_well_formed(&progress.items);
        assert_eq!(
            (progress.turns, progress.usage.requests),
            (n_turns, u64::from(n_turns))
        );
    }
}

#[tokio::test]
async fn limits_of_an_agent_hold_in_place_of_the_runners_and_below_those_of_the_run() {
    let runner = Runner::new(endless(9, Usage::default())).limits(Limits::turns(4));
    let own = caller().to_builder().limits(Limits::turns(2)).build();
    let own = own.unwrap();
    for (agent, of_run, n_turns) in [
        (&caller(), None, 4),
        (&own, None, 2),
        (&own, Some(Limits::turns(3)), 3),
    ] {
        let request = runner.run(agent, "go");
        let request = match of_run {
            Some(limits) => request.limits(limits),
            None => request,
        };
        let error = request.await.unwrap_err();
        assert_eq!(error.progress().turns, n_turns);
    }
}

#[tokio::test]
async fn without_limits_more_than_ten_turns_work() {
    let turns = (0..25)
        .map(|n| ScriptedTurn::items([call(&format!("c{n}"), "t", "{}")]))
        .chain([ScriptedTurn::text("done")]);
    let result = Runner::new(ScriptedModel::new(turns))
        .run(&caller(), "go")
        .limits(Limits::NONE)
        .await
        .unwrap();
    assert_eq!(result.turns(), 26);
}

#[tokio::test]
async fn a_token_budget_is_checked_before_the_next_request() {
    // Each turn uses 10 tokens of input, 3 of output, 13 in all.
    let usage = Usage::of_request(10, 3, 13);
    let turns = Limits::turns(5);
    let cases = [
        (turns.input_tokens(20), "input tokens", 20, 20, 2),
        (turns.input_tokens(21), "input tokens", 21, 30, 3),
        (turns.output_tokens(1), "output tokens", 1, 3, 1),
        (turns.total_tokens(14), "total tokens", 14, 26, 2),
    ];
    for (limits, what, allowed, used, n_requests) in cases {
        let model = endless(9, usage);
        let error = Runner::new(model.clone())
            .run(&caller(), "go")
            .limits(limits)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BudgetExceeded);
        assert_eq!(
            *limit(&error),
            LimitReached::Tokens {
                what,
                limit: allowed,
                used
            }
        );
        assert_eq!(
            error.to_string(),
            format!("the run used {used} {what} of {allowed} allowed")
        );
        assert_eq!(model.requests().len(), n_requests);
        assert_eq!(error.progress().items.len(), 2 * n_requests);
    }
}

#[tokio::test]
async fn a_budget_of_tool_calls_is_checked_before_any_of_the_turn_starts() {
    let started = Gauge::default();
    let count = started.clone();
    let counted = tool("t", move |_| {
        count.enter();
        async { Ok(String::new()) }
    });
    let model = ScriptedModel::new([
        ScriptedTurn::tool_calls([("t", json!({})), ("t", json!({}))]),
        ScriptedTurn::items([call("d1", "t", "{}"), call("d2", "t", "{}")]),
    ]);
    let error = Runner::new(model)
        .run(&agent([counted]), "go")
        .limits(Limits::turns(5).tool_calls(3))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BudgetExceeded);
    assert_eq!(
        *limit(&error),
        LimitReached::ToolCalls {
            limit: 3,
            wanted: 4
        }
    );
    assert_eq!(started.peak(), 2, "only those of the first turn");
    assert_eq!(error.progress().items.len(), 4);
    assert_well_formed(&error.progress().items);
}

#[tokio::test]
async fn a_run_ends_in_time_though_the_model_hangs() {
    let allowed = Duration::from_millis(50);
    let call = json!({ "role": "assistant", "content": null, "tool_calls": [wire_call(0, "c1", "t", "{}")] });
    let server = FakeServer::start([whole(&call, "tool_calls"), Reply::raw("").hang()])
        .await
        .unwrap();
    let error = Runner::new(chat(&server))
        .run(&caller(), "go")
        .limits(Limits::turns(5).duration(allowed))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BudgetExceeded);
    assert_eq!(*limit(&error), LimitReached::Duration { limit: allowed });
    assert_eq!(error.progress().items.len(), 2);
    server.peer_closed().await;
    assert_eq!(server.problems(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_run_ends_in_time_though_a_tool_hangs() {
    let dropped = DropFlag::default();
    let flag = dropped.clone();
    let hangs = tool("hangs", move |_| {
        let guard = flag.guard();
        async move {
            let _guard = guard;
            std::future::pending().await
        }
    });
    let model = ScriptedModel::new([ScriptedTurn::items([
        call("c1", "hangs", "{}"),
        call("c2", "t", "{}"),
    ])]);
    let allowed = Duration::from_secs(30);
    let error = Runner::new(model)
        .run(&agent([hangs, instant("t", "x")]), "go")
        .limits(Limits::turns(5).duration(allowed))
        .await
        .unwrap_err();
    assert_eq!(*limit(&error), LimitReached::Duration { limit: allowed });
    assert!(dropped.is_set());
    assert_eq!(
        error.progress().items.len(),
        2,
        "the pair that was complete"
    );
}

/// A run that never has to wait does not look at the clock while it waits; it must look nevertheless.
#[tokio::test(start_paused = true)]
async fn a_run_that_is_never_idle_ends_in_time() {
    let works = tool("t", |_| async {
        tokio::time::advance(Duration::from_secs(20)).await;
        Ok(String::new())
    });
    let model = endless(9, Usage::of_request(1, 1, 2));
    let error = Runner::new(model.clone())
        .run(&agent([works]), "go")
        .limits(Limits::turns(9).duration(Duration::from_secs(50)))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BudgetExceeded);
    assert_eq!(model.requests().len(), 3);
}
