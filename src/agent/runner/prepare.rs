//! Agent and state into a model request; pure.

use std::sync::Arc;

use super::RunOptions;
use super::state::RunState;
use crate::agent::{Agent, OutputType};
use crate::context::RunContext;
use crate::model::{Continuation, Delivery, ModelRequest, ModelSettings, OutputFormat, ToolSet};

/// What stays the same for all requests of one agent in one run.
pub(super) struct Prepared {
    settings: Arc<ModelSettings>,
    /// The settings once the agent has called a tool.
    settings_after_tools: Arc<ModelSettings>,
    instructions: Option<Arc<str>>,
    output: Option<Arc<OutputFormat>>,
    keeping: Keeping,
    delivery: Delivery,
}

/// Who keeps the conversation between the turns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// The run: every request has all of it.
    #[default]
    Run,
    /// The server, response by response, after this one if it is given.
    Responses(Option<String>),
    /// The server, in this stored conversation.
    Conversation(String),
}

impl Keeping {
    fn continuation(&self, state: &RunState) -> Continuation {
        match self {
            Self::Run => Continuation::Replay,
            Self::Conversation(id) => Continuation::Conversation(id.clone()),
            Self::Responses(first) => {
                let last = state
                    .responses
                    .last()
                    .and_then(|end| end.response_id.as_ref())
                    .or(first.as_ref());
                last.map_or(Continuation::Begin, |id| Continuation::Response(id.clone()))
            }
        }
    }
}

impl Prepared {
    /// Lays the run's settings over the agent's.
    pub(super) fn new(state: &RunState, options: &RunOptions, delivery: Delivery) -> Self {
        let run_settings = &options.settings;
        let settings = Arc::new(state.agent.model_settings().overlaid_with(run_settings));
        let settings_after_tools =
            if state.agent.keeps_tool_choice() || settings.tool_choice.is_none() {
                Arc::clone(&settings)
            } else {
                Arc::new(ModelSettings {
                    tool_choice: None,
                    ..(*settings).clone()
                })
            };
        Self {
            settings,
            settings_after_tools,
            instructions: instructions(&state.agent),
            output: state.agent.output_type().and_then(OutputType::format),
            keeping: options.keeping.clone(),
            delivery,
        }
    }

    /// Makes the request of the state's turn.
    pub(super) fn request(&self, state: &RunState, cx: &RunContext) -> ModelRequest {
        let mut request = match self.keeping.continuation(state) {
            continuation @ (Continuation::Replay | Continuation::Begin) => {
                let mut request = ModelRequest::new(state.history.clone());
                request.continuation = continuation;
                request
            }
            continuation @ (Continuation::Response(_) | Continuation::Conversation(_)) => {
                let mut request = ModelRequest::new(state.unsent().to_vec());
                request.continuation = continuation;
                request
            }
        };
        request.instructions.clone_from(&self.instructions);
        request.output.clone_from(&self.output);
        request.tools = enabled_tools(state, cx);
        request.settings = Arc::clone(if state.used_tools {
            &self.settings_after_tools
        } else {
            &self.settings
        });
        request.delivery = self.delivery;
        request.turn = state.turn;
        request
    }
}

/// The agent's instructions, and behind them what is said in words of its output.
fn instructions(agent: &Agent) -> Option<Arc<str>> {
    let Some(prompt) = agent.output_type().and_then(OutputType::prompt) else {
        return agent.shared_instructions();
    };
    Some(match agent.instructions() {
        Some(instructions) => format!("{instructions}\n\n{prompt}").into(),
        None => prompt.into(),
    })
}

/// The agent's own set, encoded once for all runs, unless a tool is disabled now.
fn enabled_tools(state: &RunState, cx: &RunContext) -> Arc<ToolSet> {
    let tools = state.agent.tools();
    if tools.iter().all(|tool| tool.is_enabled(cx)) {
        return Arc::clone(state.agent.tool_set());
    }
    let specs = tools
        .iter()
        .filter(|tool| tool.is_enabled(cx))
        .map(|tool| tool.spec().clone());
    Arc::new(ToolSet::new(specs.collect()).with_hosted(state.agent.hosted_tools().to_vec()))
}
