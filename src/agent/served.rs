//! Agents as the client of a server wants them for one run: told more, or answering in another form.

use std::sync::Arc;

use super::run_state::{SavedCall, SavedStatus};
use super::{Agent, AgentParts, BoundHandoff, Instructions, OutputType, RunState};
use crate::item::{CallItem, Item};
use crate::tools::FunctionTool;

/// How long the tool choice of a client holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChoiceHolds {
    /// Until the agent has called a tool.
    Once,
    /// For each turn, since what must be called is the client's and ends the run.
    EveryTurn,
}

impl Agent {
    /// Makes an agent of the same name that has more tools, which someone else answers.
    ///
    /// # Errors
    ///
    /// The name of the first that is taken: by another, by a tool of the agent, a handoff or its output.
    pub(crate) fn with_client_tools(
        &self,
        more: Vec<FunctionTool>,
        holds: ChoiceHolds,
    ) -> Result<Self, String> {
        let mut parts = AgentParts::clone(&self.0);
        for tool in more {
            let name = tool.name().clone();
            let mut handoffs = parts.handoffs.iter().map(BoundHandoff::tool_name);
            let output = parts.output.as_ref().and_then(OutputType::tool);
            let is_taken = handoffs.any(|taken| *taken == name)
                || output.is_some_and(|output| output.name == name);
            if is_taken || parts.tools.register(tool).is_err() {
                return Err(name.to_string());
            }
        }
        // It is encoded anew, with the tools of this client.
        parts.tool_set = None;
        parts.keeps_tool_choice |= holds == ChoiceHolds::EveryTurn;
        Ok(Self(Arc::new(parts)))
    }

    /// Makes an agent of the same name whose final output is of this type; the model is told natively.
    pub(crate) fn with_output(&self, output: OutputType) -> Self {
        Self(Arc::new(AgentParts {
            output: Some(output),
            ..AgentParts::clone(&self.0)
        }))
    }

    /// Makes an agent of the same name that is told more, behind its own instructions.
    pub(crate) fn with_more_instructions(&self, more: &str) -> Self {
        Self(Arc::new(AgentParts {
            instructions: Some(Instructions::join(self.0.instructions.as_ref(), more)),
            ..AgentParts::clone(&self.0)
        }))
    }
}

impl Instructions {
    fn join(first: Option<&Self>, more: &str) -> Self {
        match first {
            None => Self::Fixed(more.into()),
            Some(Self::Fixed(text)) => Self::Fixed(format!("{text}\n\n{more}").into()),
            Some(Self::Computed(compute)) => {
                let (compute, more) = (Arc::clone(compute), Arc::<str>::from(more));
                Self::Computed(Arc::new(move |cx, agent| {
                    let (text, more) = (compute(cx, agent), Arc::clone(&more));
                    Box::pin(async move { Ok(format!("{}\n\n{more}", text.await?)) })
                }))
            }
        }
    }
}

impl RunState {
    /// What the run has added to its input, with the outputs of the turn that waits.
    pub(crate) fn added(&self) -> Vec<Item> {
        self.items_since(self.n_input)
    }

    /// The turn that waits, with the outputs that are there.
    pub(crate) fn open_turn(&self) -> Vec<Item> {
        self.items_since(self.n_before_turn)
    }

    fn items_since(&self, n: usize) -> Vec<Item> {
        let output = |call: &SavedCall| {
            let SavedStatus::Done { outcome } = &call.status else {
                return None;
            };
            let made = CallItem::new(self.history.get(call.item)?)?;
            Some(made.output_item(outcome.output.clone(), outcome.failure.as_deref()))
        };
        let items = self.history.get(n..).unwrap_or_default().iter().cloned();
        items.chain(self.calls.iter().filter_map(output)).collect()
    }
}
