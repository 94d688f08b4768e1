//! The gate of the side effects: what passes it, under what names, and that it is enough to play a run back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures_util::{StreamExt, stream};
use openai_agents::item::OutputContent;
use openai_agents::journal::{
    EffectKey, Journal, ModelEffect, ToolCallEffect, ToolEffect, ToolOutcome,
};
use openai_agents::model::{ModelEvent, ModelRequest};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, Item, Runner};

use crate::support::{Gauge, agent, call, instant, output, tool};

/// Keeps outcomes, and gives them back instead of the effect once they are known.
#[derive(Default, Clone)]
struct Tape(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    keys: Vec<EffectKey>,
    models: HashMap<EffectKey, Vec<ModelEvent>>,
    /// As JSON, since a journal outlives its process.
    tools: HashMap<EffectKey, (String, Option<String>)>,
}

impl Journal for Tape {
    fn model_call(&self, key: EffectKey, _: &ModelRequest, call: ModelEffect) -> ModelEffect {
        let mut kept = self.0.lock().unwrap();
        kept.keys.push(key.clone());
        if let Some(events) = kept.models.get(&key) {
            return Box::pin(stream::iter(events.clone().into_iter().map(Ok)));
        }
        let tape = self.clone();
        Box::pin(call.inspect(move |event| {
            if let Ok(event) = event {
                let mut kept = tape.0.lock().unwrap();
                kept.models
                    .entry(key.clone())
                    .or_default()
                    .push(event.clone());
            }
        }))
    }

    fn tool_call(&self, call: ToolCallEffect) -> ToolEffect {
        let ToolCallEffect { key, effect, .. } = call;
        let mut kept = self.0.lock().unwrap();
        kept.keys.push(key.clone());
        if let Some((output, failure)) = kept.tools.get(&key) {
            let output: OutputContent = serde_json::from_str(output).unwrap();
            let outcome = ToolOutcome::new(output, failure.clone());
            return Box::pin(async { Ok(outcome) });
        }
        let tape = self.clone();
        Box::pin(async move {
            let outcome = effect.await?;
            let json = serde_json::to_string(&outcome.output).unwrap();
            let mut kept = tape.0.lock().unwrap();
            kept.tools.insert(key, (json, outcome.failure.clone()));
            Ok(outcome)
        })
    }
}

fn failing_agent(calls: &Gauge) -> Agent {
    let calls = calls.clone();
    let counted = tool("counted", move |_| {
        calls.enter();
        async { Ok("counted".to_owned()) }
    });
    let failing = tool("failing", |_| async { Err("no".to_owned()) });
    agent([counted, failing, instant("same", "same")])
}

fn script() -> ScriptedModel {
    ScriptedModel::new([
        ScriptedTurn::items([call("c1", "counted", "{}"), call("c2", "failing", "{}")]),
        // The id of an earlier turn: the key still names this call alone.
        ScriptedTurn::items([call("c1", "same", "{}")]),
        ScriptedTurn::text("done"),
    ])
}

#[tokio::test]
async fn journal_sees_each_effect_once_and_replays() {
    let (tape, calls) = (Tape::default(), Gauge::default());
    let agent = failing_agent(&calls);

    let first = Runner::new(script())
        .run(&agent, "go")
        .journal(Arc::new(tape.clone()))
        .await
        .unwrap();

    let expect = [
        EffectKey::model_call(1),
        EffectKey::tool_call(1, "c1"),
        EffectKey::tool_call(1, "c2"),
        EffectKey::model_call(2),
        EffectKey::tool_call(2, "c1"),
        EffectKey::model_call(3),
    ];
    assert_eq!(std::mem::take(&mut tape.0.lock().unwrap().keys), expect);
    assert_eq!(calls.peak(), 1);

    let untouched = script();
    let second = Runner::new(untouched.clone())
        .run(&agent, "go")
        .journal(Arc::new(tape.clone()))
        .await
        .unwrap();

    assert_eq!(second.items(), first.items());
    assert_eq!(
        first.items()[2..4],
        [
            output("c1", "counted"),
            output(
                "c2",
                "An error occurred while running the tool. Please try again."
            ),
        ]
    );
    assert_eq!(second.usage(), first.usage());
    assert_eq!((untouched.requests().len(), untouched.n_left()), (0, 3));
    assert_eq!(calls.peak(), 1, "no tool ran again");
    assert_eq!(
        tape.0.lock().unwrap().keys,
        expect,
        "the keys are the same again"
    );
}

#[tokio::test]
async fn a_run_goes_on_where_the_kept_outcomes_end() {
    let (tape, calls) = (Tape::default(), Gauge::default());
    let agent = failing_agent(&calls);
    let cut = ScriptedModel::new([ScriptedTurn::items([
        call("c1", "counted", "{}"),
        call("c2", "failing", "{}"),
    ])]);
    let runner = |model: &ScriptedModel| {
        Runner::new(model.clone())
            .run(&agent, "go")
            .journal(Arc::new(tape.clone()))
    };
    let error = runner(&cut).await.unwrap_err();
    assert_eq!(error.to_string(), "the scripted model has no turn 2");

    let rest = ScriptedModel::text("done");
    let result = runner(&rest).await.unwrap();

    assert_eq!(result.items().len(), 5);
    assert_eq!(result.items()[4], Item::assistant("done"));
    assert_eq!(rest.requests().len(), 1);
    assert_eq!(rest.requests()[0].turn, 2);
    assert_eq!(calls.peak(), 1);
}
