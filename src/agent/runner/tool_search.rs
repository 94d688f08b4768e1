//! How a model finds the tools that its agent defers, where it is the run that searches; pure.

use serde::Deserialize;

use super::state::MachineState;
use crate::context::RunContext;
use crate::item::FunctionCall;
use crate::journal::{OutcomeSource, ToolOutcome};
use crate::tools::{FunctionTool, SEARCH_TOOL, ToolName, search};

/// The answer to a call by which a model looks for tools.
pub(super) struct ToolsFound {
    /// The tools that it is shown from the next turn on.
    pub(super) tools: Vec<ToolName>,
    /// What it is told; no result of a tool, by which a run could end.
    pub(super) outcome: ToolOutcome,
}

#[derive(Deserialize)]
struct SearchArguments {
    query: String,
}

/// Answers a search, and a call of a tool that the model has not been shown: it is shown that too, but nothing is called by guesses.
pub(super) fn find_tools(
    state: &MachineState,
    cx: &RunContext,
    call: &FunctionCall,
) -> Option<ToolsFound> {
    let deferral = state.agent.deferral();
    if call.name == SEARCH_TOOL && deferral.searches(state.tools()) {
        return Some(searched(state, cx, call));
    }
    let tool = state.tools().get(&call.name)?;
    // An ordinary call, or one of a disabled tool: `plan` decides about both.
    if state.is_loaded(tool) || !state.is_offered(tool, cx) {
        return None;
    }
    let message = format!(
        "Tool '{}' was not called, since its parameters had not been shown. It can be called from now on.",
        call.name
    );
    Some(ToolsFound {
        tools: vec![tool.name().clone()],
        outcome: ToolOutcome::by_runner(&message),
    })
}

fn searched(state: &MachineState, cx: &RunContext, call: &FunctionCall) -> ToolsFound {
    let Ok(SearchArguments { query }) = serde_json::from_str(&call.arguments) else {
        let problem = "The arguments are no object with the text `query`.";
        return ToolsFound {
            tools: Vec::new(),
            outcome: ToolOutcome::by_runner(problem),
        };
    };
    let deferral = state.agent.deferral();
    let tools = state.tools().iter();
    let tools = tools.filter(|tool| deferral.withholds(tool) && state.is_offered(tool, cx));
    let found = search(tools, &query);
    let tools: Vec<ToolName> = found.into_iter().map(FunctionTool::name).cloned().collect();
    let names: Vec<&str> = tools.iter().map(ToolName::as_str).collect();
    let message = if names.is_empty() {
        "No tool fits. Other words may find one.".to_owned()
    } else {
        let names = names.join(", ");
        format!("These tools can be called from now on: {names}.")
    };
    let outcome = ToolOutcome {
        source: OutcomeSource::Runner,
        ..ToolOutcome::new(message.into(), None)
    };
    ToolsFound { tools, outcome }
}
