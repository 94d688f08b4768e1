//! Agents that are loaded again while the server serves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use openai_agents::server::{Reloaded, Server};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, FunctionTool, Runner};
use serde_json::json;
use tokio::sync::{Notify, Semaphore};

use crate::front::Front;
use crate::support::NoArgs;

fn agent(name: &str) -> Agent {
    Agent::builder(name).build().unwrap()
}

fn models(listed: &serde_json::Value) -> Vec<String> {
    let models = listed["data"].as_array().unwrap().iter();
    models
        .map(|model| model["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn other_agents_take_the_place_of_those_before() {
    let n_loads = AtomicUsize::new(0);
    let (first, second) = (ScriptedModel::text("one"), ScriptedModel::text("two"));
    let runner = Runner::new(second.clone());
    let builder = Server::builder(Runner::new(first.clone()))
        .agent(agent("Old"))
        .agent(agent("Both"))
        .on_reload(move || {
            let loaded = match n_loads.fetch_add(1, Ordering::SeqCst) {
                0 => Err("line 3 is no YAML"),
                1 => Ok(vec![agent("Both"), agent("Both")]),
                _ => Ok(vec![agent("Both"), agent("New")]),
            };
            let runner = runner.clone();
            async move { loaded.map(|agents| Reloaded::new(runner, agents).note("as told")) }
        });
    let front = Front::start(builder).await;
    for told in ["line 3 is no YAML", "two agents are named `Both`"] {
        let failed = front.post("/reload", &json!(null)).await;
        assert_eq!(failed.code(), (500, "reload_failed".to_owned()));
        assert_eq!(failed.json()["error"]["message"], told);
        assert_eq!(
            models(&front.get("/v1/models").await.json()),
            ["Old", "Both"]
        );
    }
    let answer = front.post("/reload", &json!(null)).await;
    assert_eq!(
        answer.json(),
        json!({"agents": ["Both", "New"], "notes": ["as told"]})
    );
    assert_eq!(
        models(&front.get("/v1/models").await.json()),
        ["Both", "New"]
    );
    let ask = |model| json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
    let gone = front.post("/v1/chat/completions", &ask("Old")).await;
    assert_eq!(gone.code(), (404, "model_not_found".to_owned()));
    let answer = front.post("/v1/chat/completions", &ask("Both")).await;
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "two");
    assert_eq!((first.requests().len(), second.requests().len()), (0, 1));
}

#[tokio::test]
async fn a_run_goes_on_with_what_it_began_with() {
    let (begun, open) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let (telling, waiting) = (Arc::clone(&begun), Arc::clone(&open));
    let gate = FunctionTool::new("gate", "Waits.", move |_cx, _args: NoArgs| {
        let (begun, open) = (Arc::clone(&telling), Arc::clone(&waiting));
        async move {
            begun.notify_one();
            open.acquire().await.unwrap().forget();
            Ok::<_, String>("open")
        }
    });
    let guide = Agent::builder("Guide").tool(gate.unwrap()).build().unwrap();
    let old = ScriptedModel::new([
        ScriptedTurn::tool_call("gate", json!({})),
        ScriptedTurn::text("old"),
    ]);
    let front = Front::with_agent(&old, guide).await;
    let run = json!({"agent": "Guide", "input": "hi", "session": "s"});
    assert_eq!(front.post("/run", &run).await.status, 202);
    begun.notified().await;
    let runner = Runner::new(ScriptedModel::text("new"));
    front.server.set_agents(runner, [agent("Other")]).unwrap();
    assert_eq!(front.post("/run", &run).await.status, 404);
    open.add_permits(1);
    let events = front.get("/events/s").await;
    assert_eq!(events.events().last().unwrap()["final_output"], "old");
    let nothing = front.post("/reload", &json!(null)).await;
    assert_eq!(nothing.code(), (404, "not_found".to_owned()));
}
