//! Agent and state into a model request; pure.

use std::sync::Arc;

use super::graph::Graph;
use super::options::RunOptions;
use super::state::MachineState;
use crate::agent::offer::tool_set;
use crate::agent::run_state::HistoryOwner;
use crate::agent::{Agent, Instructions, OutputType};
use crate::context::RunContext;
use crate::model::{
    Continuation, Delivery, ModelRequest, ModelSettings, OutputFormat, ToolChoice, ToolSet,
};
use crate::tools::FunctionTool;

/// What stays the same for all requests of one agent in one run.
pub(super) struct RequestTemplate {
    settings: Arc<ModelSettings>,
    /// The settings once the agent has called a tool.
    settings_after_tools: Arc<ModelSettings>,
    instructions: Option<Arc<str>>,
    output: Option<Arc<OutputFormat>>,
    /// All tools and handoffs of the agent.
    tools: Arc<ToolSet>,
    delivery: Delivery,
}

/// Whether a turn offers tools and handoffs to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ToolOffer {
    Tools,
    Nothing,
}

fn continuation(history_owner: &HistoryOwner, state: &MachineState) -> Continuation {
    match history_owner {
        HistoryOwner::Run => Continuation::Replay,
        HistoryOwner::Conversation(id) => Continuation::Conversation(id.clone()),
        HistoryOwner::Responses(first) => {
            let last = state
                .responses
                .last()
                .and_then(|end| end.response_id.as_ref())
                .or(first.as_ref());
            last.map_or(Continuation::Begin, |id| Continuation::Response(id.clone()))
        }
    }
}

impl RequestTemplate {
    /// Lays the run's settings over the agent's.
    pub(super) fn new(
        state: &MachineState,
        graph: &Graph,
        options: &RunOptions,
        delivery: Delivery,
    ) -> Self {
        let agent = &state.agent;
        let mut settings = options.settings_of(agent);
        let gives_output_by_tool = agent.output_type().and_then(OutputType::tool).is_some();
        // Words in place of the call would be an answer without the output that was asked for.
        if gives_output_by_tool && settings.tool_choice.is_none() {
            Arc::make_mut(&mut settings).tool_choice = Some(ToolChoice::Required);
        }
        // A model that must call a tool in each turn never answers; so the choice is dropped after the first call, as in the Python SDK.
        let keeps = agent.keeps_tool_choice() || gives_output_by_tool;
        let settings_after_tools = if keeps || settings.tool_choice.is_none() {
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
            instructions: instructions(
                agent,
                agent.instruction_source().and_then(Instructions::fixed),
            ),
            output: agent.output_type().and_then(OutputType::format),
            tools: match agent.tool_set() {
                Some(tools) => Arc::clone(tools),
                None => offered(state, graph, |_| true),
            },
            delivery,
        }
    }

    /// Makes the request of the state's turn.
    pub(super) fn request(
        &self,
        state: &MachineState,
        (graph, history_owner): (&Graph, &HistoryOwner),
        cx: &RunContext,
        offer: ToolOffer,
    ) -> ModelRequest {
        let continuation = continuation(history_owner, state);
        // Where the server keeps the conversation, it gets only what it does not have.
        let items = match &continuation {
            Continuation::Replay | Continuation::Begin => state.seen().clone(),
            Continuation::Response(_) | Continuation::Conversation(_) => {
                state.unsent().to_vec().into()
            }
        };
        let settings = if state.used_tools() {
            &self.settings_after_tools
        } else {
            &self.settings
        };
        let (tools, settings) = match offer {
            ToolOffer::Tools => (self.enabled(state, graph, cx), Arc::clone(settings)),
            ToolOffer::Nothing => {
                // Servers refuse a choice where there are no tools to choose from.
                let settings = ModelSettings {
                    tool_choice: None,
                    ..(**settings).clone()
                };
                (Arc::default(), Arc::new(settings))
            }
        };
        ModelRequest {
            instructions: self.instructions.clone(),
            prompt: state.agent.prompt().cloned(),
            items,
            tools,
            output: self.output.clone(),
            settings,
            delivery: self.delivery,
            continuation,
            turn: state.turn,
        }
    }

    /// Takes the tools that the agent's sources have now, and those that the model has found.
    pub(super) fn offer(&mut self, state: &MachineState, graph: &Graph) {
        self.tools = offered(state, graph, |_| true);
    }

    /// The agent's own set, encoded once for all runs, unless a tool or handoff is disabled now.
    fn enabled(&self, state: &MachineState, graph: &Graph, cx: &RunContext) -> Arc<ToolSet> {
        let handoffs = state
            .agent
            .bound_handoffs()
            .iter()
            .map(|handoff| &handoff.tool);
        let mut all = state.tools().iter().chain(handoffs);
        // The usual case costs nothing: the shared set has the tools encoded already.
        if all.all(|tool| state.is_offered(tool, cx)) {
            return Arc::clone(&self.tools);
        }
        offered(state, graph, |tool| state.is_offered(tool, cx))
    }
}

/// The tools of an agent, its handoffs behind them, and the tool for its output.
fn offered(
    state: &MachineState,
    graph: &Graph,
    is_offered: impl Fn(&FunctionTool) -> bool,
) -> Arc<ToolSet> {
    let agent = &state.agent;
    let handoffs = agent.bound_handoffs().iter();
    let handoffs = handoffs
        .filter(|handoff| is_offered(&handoff.tool))
        .filter_map(|handoff| {
            let target = graph.target(handoff)?;
            Some(handoff.spec(target))
        });
    let output = agent.output_type().and_then(OutputType::tool);
    let own = (state.tools(), agent.hosted_tools());
    let deferral = (agent.deferral(), state.loaded.as_slice());
    tool_set(own, deferral, &is_offered, handoffs.chain(output))
}

/// An agent's instructions, and behind them what is said in words of its output.
pub(super) fn instructions(agent: &Agent, own: Option<&Arc<str>>) -> Option<Arc<str>> {
    let Some(prompt) = agent.output_type().and_then(OutputType::prompt) else {
        return own.cloned();
    };
    Some(match own {
        Some(instructions) => format!("{instructions}\n\n{prompt}").into(),
        None => prompt.into(),
    })
}
