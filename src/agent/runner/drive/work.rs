//! What is in progress for a run: one step, and the input guardrails that go on beside it.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::agent::runner::layer::{Performance, StepOutcome};
use crate::agent::runner::step::{Holds, Outcome};
use crate::agent::runner::tool_calls::ToolPool;
use crate::error::RunFailure;
use crate::future::BoxFuture;
use crate::guardrail::GuardrailResult;

/// A guardrail that thinks.
pub(super) type PendingVerdict = BoxFuture<'static, Result<GuardrailResult, RunFailure>>;

#[derive(Default)]
pub(super) struct Work {
    pub(super) step: InProgress,
    /// Input guardrails that think.
    pub(super) checks: Checks,
}

pub(super) type Checks =
    FuturesUnordered<BoxFuture<'static, (Holds, Result<GuardrailResult, RunFailure>)>>;

/// The step that is in progress.
#[derive(Default)]
pub(super) enum InProgress {
    #[default]
    Nothing,
    Input(Outcome),
    One(Performance),
    Tools(ToolPool),
    OutputChecks(FuturesUnordered<PendingVerdict>),
}

impl Work {
    /// Whether no step is in progress.
    pub(super) const fn is_idle(&self) -> bool {
        matches!(self.step, InProgress::Nothing)
    }

    /// Waits for the next outcome. A verdict comes before all else, so that nothing happens after it is known.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        if let Poll::Ready(Some((holds, verdict))) = self.checks.poll_next_unpin(cx) {
            return Poll::Ready(Outcome::InputVerdict(holds, verdict));
        }
        let outcome = std::task::ready!(self.step.poll(cx));
        // A single step clears itself in `InProgress::poll`. Here the others are cleared: pools,
        // which give many outcomes and then `Ended`, and the input, which gives one.
        if let Outcome::Ended | Outcome::Input(_) = outcome {
            self.step = InProgress::Nothing;
        }
        Poll::Ready(outcome)
    }
}

impl InProgress {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        match self {
            Self::Nothing => Poll::Pending,
            Self::Input(outcome) => Poll::Ready(std::mem::replace(outcome, Outcome::Ended)),
            Self::One(performance) => {
                let outcome = std::task::ready!(Pin::new(performance).poll_next(cx));
                // A step that has given its last outcome is let go of, before the run hears of it.
                if outcome.as_ref().is_none_or(StepOutcome::is_last) {
                    *self = Self::Nothing;
                }
                Poll::Ready(outcome.map_or(Outcome::Ended, Outcome::Step))
            }
            Self::Tools(pool) => {
                let event = std::task::ready!(pool.poll_next_unpin(cx));
                Poll::Ready(event.map_or(Outcome::Ended, Outcome::Tool))
            }
            Self::OutputChecks(asked) => {
                let verdict = std::task::ready!(asked.poll_next_unpin(cx));
                Poll::Ready(verdict.map_or(Outcome::Ended, Outcome::OutputVerdict))
            }
        }
    }
}
