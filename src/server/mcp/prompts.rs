//! The prompts of a server, and the completion of their arguments.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::McpCall;
use crate::agent::Agent;
use crate::future::{BoxError, BoxFuture};
use crate::mcp::{McpMessage, McpPrompt, McpPromptArgument, McpPromptMessages};

type Fill = dyn Fn(McpCall, Map<String, Value>) -> BoxFuture<'static, Result<McpPromptMessages, BoxError>>
    + Send
    + Sync;
type Complete =
    dyn Fn(CompletionRequest) -> BoxFuture<'static, Result<Vec<String>, BoxError>> + Send + Sync;

/// The argument with which an agent's prompt continues after its instructions.
const INPUT: &str = "input";

/// The prompts, in order.
#[derive(Default, Clone)]
pub(super) struct Prompts {
    prompts: Vec<(McpPrompt, Arc<Fill>)>,
    pub(super) complete: Option<Arc<Complete>>,
}

/// A client's wish for proposals, while a value is being written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompletionRequest {
    /// The name of the prompt, or the template of the resource.
    pub reference: String,
    /// The argument or variable.
    pub argument: String,
    /// What is written of it.
    pub written: String,
    /// The other arguments, as far as they are known.
    pub known: BTreeMap<String, String>,
}

impl Prompts {
    pub(super) fn add<F, R, E>(&mut self, prompt: McpPrompt, fill: F)
    where
        F: Fn(McpCall, Map<String, Value>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<McpPromptMessages, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let fill = move |call, arguments| -> BoxFuture<'static, _> {
            let filled = fill(call, arguments);
            Box::pin(async move { filled.await.map_err(Into::into) })
        };
        self.prompts.push((prompt, Arc::new(fill)));
    }

    pub(super) fn complete_with<F, R, E>(&mut self, complete: F)
    where
        F: Fn(CompletionRequest) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<String>, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.complete = Some(Arc::new(move |request| {
            let proposed = complete(request);
            Box::pin(async move { proposed.await.map_err(Into::into) })
        }));
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.prompts.iter().map(|(prompt, _)| prompt.name.as_str())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &McpPrompt> {
        self.prompts.iter().map(|(prompt, _)| prompt)
    }

    pub(super) fn get(&self, name: &str) -> Option<(&McpPrompt, &Arc<Fill>)> {
        let found = self.prompts.iter().find(|(prompt, _)| prompt.name == name);
        found.map(|(prompt, fill)| (prompt, fill))
    }
}

/// Adds an agent's instructions as a prompt of the agent's name, if it has any.
pub(super) fn add_instructions(prompts: &mut Prompts, agent: &Agent) {
    let Some(instructions) = agent.instructions() else {
        return;
    };
    let prompt = McpPrompt::new(agent.name())
        .description(format!("The instructions of the agent {}.", agent.name()))
        .argument(McpPromptArgument::optional(INPUT, "What to say to it."));
    let instructions = instructions.to_owned();
    prompts.add(prompt, move |_call, arguments| {
        let instructions = instructions.clone();
        async move {
            let mut messages = vec![McpMessage::user(instructions)];
            if let Some(input) = arguments.get(INPUT).and_then(Value::as_str) {
                messages.push(McpMessage::user(input));
            }
            Ok::<_, BoxError>(McpPromptMessages::new(messages))
        }
    });
}
