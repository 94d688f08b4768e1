//! The one loop: ask the run what is next, do it, give the outcome back.
//!
//! It is a stream that its caller polls. No task and no channel stand between the socket and the caller, so that a slow reader
//! slows the server and a dropped stream ends everything that it had begun.

mod perform;
mod work;
mod journaled;
mod interrupts;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::StreamExt;

use super::handle::RunHandle;
use super::request::RunRequest;
use super::result::{RunEvent, RunResult};
use super::run::Run;
use super::step::Step;
use crate::context::Cancel;
use crate::error::{RunError, RunFailure};
use interrupts::Interrupts;
use work::Work;

/// A run in progress: a stream of its events.
///
/// An error is the last item of the stream. After [`RunEvent::RunDone`] or an error it yields nothing more.
///
/// # Cancel safety
///
/// Dropping the stream cancels the run: the model's connection closes, running tools are dropped where they stand, and none
/// begins. Nothing goes on in the background, except a blocking tool that has begun, which no one can stop. Waiting for the next
/// event and giving up loses nothing.
#[must_use = "a run does nothing until its stream is polled"]
pub struct RunStream {
    run: Run,
    /// What is being done for it.
    work: Work,
    interrupts: Interrupts,
}

impl RunStream {
    pub(super) fn new(request: RunRequest) -> Self {
        let run = Run::new(request);
        Self {
            work: Work::default(),
            interrupts: Interrupts::of(&run),
            run,
        }
    }

    /// Drops the events and waits for the result.
    ///
    /// # Errors
    ///
    /// The run's error.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the run.
    pub async fn finish(mut self) -> Result<RunResult, RunError> {
        while let Some(event) = self.next().await {
            if let RunEvent::RunDone { result } = event? {
                return Ok(*result);
            }
        }
        Err(self.run.error(RunFailure::Cancelled))
    }

    /// Gives a handle by which the run can be reached from elsewhere.
    pub fn handle(&self) -> RunHandle {
        RunHandle(Arc::clone(self.run.cx().control()))
    }

    /// Ends the run, now or after its turn, with the error `cancelled`.
    pub fn cancel(&self, when: Cancel) {
        self.run.cx().control().cancel(when);
    }
}

impl Stream for RunStream {
    type Item = Result<RunEvent, RunError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self {
            run,
            work,
            interrupts,
        } = &mut *self;
        loop {
            // A wish to end comes before all else, so that nothing happens after it is known.
            if let Some(interrupt) = interrupts.take(work) {
                run.accept(interrupt);
            }
            match run.next() {
                Step::Emit(event) => return Poll::Ready(Some(event)),
                Step::Over => return Poll::Ready(None),
                Step::Proceed => match work.poll(cx) {
                    Poll::Ready(outcome) => run.accept(outcome),
                    Poll::Pending => run.accept(std::task::ready!(interrupts.poll(cx))),
                },
                step => work.begin(step, run),
            }
        }
    }
}

/// Whoever waits for the run in its tools is told that nobody does any more.
impl Drop for RunStream {
    fn drop(&mut self) {
        self.run.cx().control().end();
    }
}

impl std::fmt::Debug for RunStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunStream")
            .field("agent", &self.run.agent().name())
            .field("turn", &self.run.turn())
            .finish_non_exhaustive()
    }
}
