//! What an application can implement to watch runs.

use crate::agent::Agent;
use crate::context::RunContext;
use crate::future::{BoxError, BoxFuture};
use crate::model::{ModelRequest, ModelResponse};
use crate::tools::ToolContext;

/// What a hook gives: nothing, or the error that ends the run.
pub type HookFuture<'a> = BoxFuture<'a, Result<(), BoxError>>;

/// Is told what happens in a run, before and after each thing.
///
/// # Who implements it
///
/// An application that logs, measures, meters or prepares something; every method does nothing unless it is written. Put it on a
/// [`Runner`](crate::Runner) or a run to see all agents, or on an agent to see only that one.
///
/// # Who calls it, and when
///
/// The runner, which waits for the hook before it goes on. The hooks of the run and those of the agent are called side by side. Calls of
/// `on_tool_start` and `on_tool_end` for the tools of one turn interleave, since the tools run side by side. For a run with a tool and a
/// handoff from `A` to `B` the order is: agent start `A`, model start, model end, tool start, tool end, model start, model end, handoff,
/// agent start `B`, model start, model end, agent end `B`.
///
/// # What an error means
///
/// It ends the run with the error `callback_failed`.
///
/// ```
/// use openai_agents::agent::{HookFuture, Hooks};
/// use openai_agents::{Agent, RunContext};
///
/// struct Announce;
///
/// impl Hooks for Announce {
///     fn on_agent_start<'a>(&'a self, _cx: &'a RunContext, agent: &'a Agent) -> HookFuture<'a> {
///         Box::pin(async move {
///             println!("{} begins", agent.name());
///             Ok(())
///         })
///     }
/// }
/// ```
pub trait Hooks: Send + Sync {
    /// An agent is about to have its first turn, at the beginning of the run or after a handoff.
    fn on_agent_start<'a>(&'a self, cx: &'a RunContext, agent: &'a Agent) -> HookFuture<'a> {
        nothing(cx, agent)
    }

    /// An agent gave the final output; its output guardrails have not been asked yet.
    fn on_agent_end<'a>(
        &'a self,
        cx: &'a RunContext,
        agent: &'a Agent,
        output: &'a str,
    ) -> HookFuture<'a> {
        nothing(cx, (agent, output))
    }

    /// The model is about to be called.
    fn on_model_start<'a>(
        &'a self,
        cx: &'a RunContext,
        agent: &'a Agent,
        request: &'a ModelRequest,
    ) -> HookFuture<'a> {
        nothing(cx, (agent, request))
    }

    /// The model's response is complete.
    fn on_model_end<'a>(
        &'a self,
        cx: &'a RunContext,
        agent: &'a Agent,
        response: &'a ModelResponse,
    ) -> HookFuture<'a> {
        nothing(cx, (agent, response))
    }

    /// A tool is about to be called.
    fn on_tool_start<'a>(&'a self, cx: &'a ToolContext) -> HookFuture<'a> {
        nothing(cx, ())
    }

    /// A tool was called, and the model will be told this text.
    fn on_tool_end<'a>(&'a self, cx: &'a ToolContext, output: &'a str) -> HookFuture<'a> {
        nothing(cx, output)
    }

    /// The conversation goes to another agent; an agent's own hooks are told when it is the one that it goes to.
    fn on_handoff<'a>(
        &'a self,
        cx: &'a RunContext,
        from: &'a Agent,
        to: &'a Agent,
    ) -> HookFuture<'a> {
        nothing(cx, (from, to))
    }
}

fn nothing<'a>(_: impl Sized, _: impl Sized) -> HookFuture<'a> {
    Box::pin(std::future::ready(Ok(())))
}
