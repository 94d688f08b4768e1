//! Tools that come from outside and change while a run goes on.

use std::sync::{Arc, Mutex};

use openai_agents::future::BoxFuture;
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::tools::{ToolSource, ToolSourceError};
use openai_agents::{Agent, ErrorKind, FunctionTool, RunState, Runner};

use crate::support::{call, instant, offered, output};

/// A source whose tools a test can change; without any it fails.
#[derive(Clone)]
struct ToolShelf(Arc<Mutex<Option<Arc<[FunctionTool]>>>>);

impl ToolShelf {
    fn new(tools: impl IntoIterator<Item = FunctionTool>) -> Self {
        Self(Arc::new(Mutex::new(Some(tools.into_iter().collect()))))
    }

    fn set(&self, tools: Option<Vec<FunctionTool>>) {
        *self.0.lock().unwrap() = tools.map(Into::into);
    }
}

impl ToolSource for ToolShelf {
    fn name(&self) -> &'static str {
        "shelf"
    }

    fn tools(&self) -> BoxFuture<'_, Result<Arc<[FunctionTool]>, ToolSourceError>> {
        let tools = self.0.lock().unwrap().clone();
        Box::pin(async move {
            tokio::task::yield_now().await;
            tools.ok_or_else(|| ToolSourceError::new("shelf", ErrorKind::Mcp, "it fell"))
        })
    }
}

fn with(shelf: &ToolShelf) -> Agent {
    let agent = Agent::builder("A").tool(instant("own", "mine"));
    agent.tool_source(shelf.clone()).build().unwrap()
}

#[tokio::test]
async fn each_turn_has_the_tools_that_are_there_then() {
    let shelf = ToolShelf::new([]);
    let changing = shelf.clone();
    let first = crate::support::tool("first", move |_| {
        changing.set(Some(vec![instant("second", "2")]));
        async { Ok("1".to_owned()) }
    });
    shelf.set(Some(vec![first]));
    let model = ScriptedModel::new([
        ScriptedTurn::items([call("c1", "first", "{}")]),
        ScriptedTurn::items([call("c2", "second", "{}"), call("c3", "own", "{}")]),
        ScriptedTurn::text("done"),
    ]);
    let result = Runner::new(model.clone())
        .run(&with(&shelf), "go")
        .await
        .unwrap();
    let requests = model.requests();
    assert_eq!(offered(&requests[0]), ["first", "own"]);
    assert_eq!(offered(&requests[1]), ["second", "own"]);
    assert_eq!(
        result.items()[4..6],
        [output("c2", "2"), output("c3", "mine")]
    );
    // What did not change is not encoded again.
    assert!(Arc::ptr_eq(&requests[1].tools, &requests[2].tools));
}

#[tokio::test]
async fn a_source_that_fails_ends_the_run_before_the_request() {
    let shelf = ToolShelf::new([]);
    shelf.set(None);
    let model = ScriptedModel::text("x");
    let error = Runner::new(model.clone())
        .run(&with(&shelf), "go")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mcp);
    assert_eq!(error.to_string(), "the tools of `shelf` cannot be listed");
    assert_eq!(model.requests().len(), 0);
}

#[tokio::test]
async fn a_name_that_is_taken_ends_the_run_before_the_request() {
    let shelf = ToolShelf::new([instant("own", "not mine")]);
    let model = ScriptedModel::text("x");
    let error = Runner::new(model.clone())
        .run(&with(&shelf), "go")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(
        error.to_string(),
        "agent `A` would have two tools named `own`"
    );
    assert_eq!(model.requests().len(), 0);
}

#[tokio::test]
async fn a_call_that_waited_finds_its_tool_in_the_source_again() {
    let shelf = ToolShelf::new([instant("far", "away").needs_approval()]);
    let runner = Runner::new(ScriptedModel::new([
        ScriptedTurn::items([call("c1", "far", "{}")]),
        ScriptedTurn::text("done"),
    ]));
    let error = runner.run(&with(&shelf), "go").await.unwrap_err();
    let mut state = error.into_state().unwrap();
    state.approve("c1").unwrap();
    let state = RunState::from_json(&state.to_json().unwrap()).unwrap();

    let empty = ToolShelf::new([]);
    let error = runner
        .resume(&with(&empty), state.clone())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StateInvalid);
    let result = runner.resume(&with(&shelf), state).await.unwrap();
    assert_eq!(result.items()[1], output("c1", "away"));
}
