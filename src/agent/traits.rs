//! What an application can implement to watch runs.

use std::future::ready;
use std::sync::Arc;

use crate::agent::Agent;
use crate::context::RunContext;
use crate::future::{BoxError, BoxFuture};
use crate::guardrail::GuardrailResult;
use crate::kind::ErrorKind;
use crate::model::{ModelError, ModelRequest, ModelResponse};
use crate::tools::ToolContext;

/// What a hook gives: nothing, or the error that ends the run.
pub type HookResult = Result<(), BoxError>;

/// Is told what happens in a run, before and after each thing.
///
/// # Who implements it
///
/// An application that logs, measures, meters or prepares something; every method does nothing unless it is written. Put it on a
/// [`Runner`](crate::Runner) or a run to see all agents, or on an agent to see only that one. An [`Arc`] of hooks is one as well.
///
/// # Who calls it, and when
///
/// The runner, which waits for the hook before it goes on. The hooks of the run and those of the agent are called side by side. Calls of
/// `on_tool_start` and `on_tool_end` for the tools of one turn interleave, since the tools run side by side. For a run with a tool and a
/// handoff from `A` to `B` the order is: agent start `A`, model start, model end, tool start, tool end, model start, model end, handoff,
/// agent start `B`, model start, model end, agent end `B`, run end.
///
/// The hooks of a run also see the runs of agents that are called as tools; [`RunContext::path`] tells these from the run itself. A
/// run that is dropped is told of nothing more, since nobody is left who could wait for the hook.
///
/// # What an error means
///
/// It ends the run with the error `callback_failed`.
///
/// ```
/// use openai_agents::agent::{HookResult, Hooks};
/// use openai_agents::{Agent, RunContext};
///
/// struct Announce;
///
/// impl Hooks for Announce {
///     async fn on_agent_start(&self, cx: &RunContext, agent: &Agent) -> HookResult {
///         let indent = "  ".repeat(cx.path().len());
///         println!("{indent}{} begins", agent.name());
///         Ok(())
///     }
/// }
/// ```
pub trait Hooks: Send + Sync + 'static {
    /// An agent is about to have its first turn.
    ///
    /// That is at the beginning of the run or after a handoff.
    fn on_agent_start(
        &self,
        cx: &RunContext,
        agent: &Agent,
    ) -> impl Future<Output = HookResult> + Send {
        nothing((cx, agent))
    }

    /// An agent gave the final output; its output guardrails have not been asked yet.
    fn on_agent_end(
        &self,
        cx: &RunContext,
        agent: &Agent,
        output: &str,
    ) -> impl Future<Output = HookResult> + Send {
        nothing((cx, agent, output))
    }

    /// The model is about to be called.
    fn on_model_start(
        &self,
        cx: &RunContext,
        agent: &Agent,
        request: &ModelRequest,
    ) -> impl Future<Output = HookResult> + Send {
        nothing((cx, agent, request))
    }

    /// The model's response is complete.
    fn on_model_end(
        &self,
        cx: &RunContext,
        agent: &Agent,
        response: &ModelResponse,
    ) -> impl Future<Output = HookResult> + Send {
        nothing((cx, agent, response))
    }

    /// The model call failed, and the run ends with this error.
    fn on_model_error(
        &self,
        cx: &RunContext,
        agent: &Agent,
        error: &ModelError,
    ) -> impl Future<Output = HookResult> + Send {
        nothing((cx, agent, error))
    }

    /// A tool is about to be called.
    fn on_tool_start(&self, cx: &ToolContext) -> impl Future<Output = HookResult> + Send {
        nothing(cx)
    }

    /// A tool was called, and the model will be told this text.
    fn on_tool_end(
        &self,
        cx: &ToolContext,
        output: &str,
    ) -> impl Future<Output = HookResult> + Send {
        nothing((cx, output))
    }

    /// The conversation goes to another agent.
    ///
    /// An agent's own hooks are told when it is the one that the conversation goes to.
    fn on_handoff(
        &self,
        cx: &RunContext,
        from: &Agent,
        to: &Agent,
    ) -> impl Future<Output = HookResult> + Send {
        nothing((cx, from, to))
    }

    /// A guardrail of the input or the output gave its verdict.
    fn on_guardrail(
        &self,
        cx: &RunContext,
        result: &GuardrailResult,
    ) -> impl Future<Output = HookResult> + Send {
        nothing((cx, result))
    }

    /// The run is over, with a result or an error.
    ///
    /// The hooks of the agent that was last at work are told as well.
    ///
    /// How it ended stays: an error of this hook is logged, and nothing else.
    fn on_run_end(
        &self,
        cx: &RunContext,
        end: &RunEnd<'_>,
    ) -> impl Future<Output = HookResult> + Send {
        nothing((cx, end))
    }
}

/// How a run ended, as [`Hooks::on_run_end`] is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunEnd<'a> {
    /// With a result.
    Done {
        /// The final output.
        output: &'a str,
    },
    /// With an error, a pause for approval among them.
    Failed {
        /// The kind of the error.
        kind: ErrorKind,
        /// What it says.
        message: &'a str,
    },
}

fn nothing(_: impl Sized) -> impl Future<Output = HookResult> + Send {
    ready(Ok(()))
}

/// What a run waits for: `impl Future` is not object-safe.
pub(crate) type HookFuture<'a> = BoxFuture<'a, HookResult>;

macro_rules! hooks {
    ($($method:ident($($name:ident: $ty:ty),+);)+) => {
        /// Clones of a handle watch together.
        impl<H: Hooks> Hooks for Arc<H> {
            $(fn $method(&self, $($name: &$ty),+) -> impl Future<Output = HookResult> + Send {
                (**self).$method($($name),+)
            })+
        }

        /// Hooks as runs hold them; those of an application become it by themselves.
        pub(crate) trait DynHooks: Send + Sync {
            $(fn $method<'a>(&'a self, $($name: &'a $ty),+) -> HookFuture<'a>;)+
        }

        impl<H: Hooks> DynHooks for H {
            $(fn $method<'a>(&'a self, $($name: &'a $ty),+) -> HookFuture<'a> {
                Box::pin(Hooks::$method(self, $($name),+))
            })+
        }
    };
}

hooks! {
    on_agent_start(cx: RunContext, agent: Agent);
    on_agent_end(cx: RunContext, agent: Agent, output: str);
    on_model_start(cx: RunContext, agent: Agent, request: ModelRequest);
    on_model_end(cx: RunContext, agent: Agent, response: ModelResponse);
    on_model_error(cx: RunContext, agent: Agent, error: ModelError);
    on_tool_start(cx: ToolContext);
    on_tool_end(cx: ToolContext, output: str);
    on_handoff(cx: RunContext, from: Agent, to: Agent);
    on_guardrail(cx: RunContext, result: GuardrailResult);
    on_run_end(cx: RunContext, end: RunEnd<'_>);
}
