//! The one loop: ask the run what is next, do it, give the outcome back.
//!
//! It is a stream that its caller polls. No task and no channel stand between the socket and the caller, so that a slow reader
//! slows the server and a dropped stream ends everything that it had begun.

mod perform;
mod work;
mod journaled;
mod interrupts;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::StreamExt;

use super::handle::RunHandle;
use super::request::{RunSetup, RunStart};
use super::result::{RunEvent, RunResult};
use super::run::Run;
use super::step::Step;
use crate::agent::{Agent, RunState};
use crate::context::Cancel;
use crate::error::{RunError, RunFailure, SetupError};
use interrupts::Interrupts;
use perform::Performer;
use work::Work;

/// A run in progress: a stream of its events.
///
/// An error is the last item of the stream. After [`RunEvent::RunDone`] or an error it yields nothing more.
///
/// # Cancel safety
///
/// Dropping the stream cancels the run: the model's connection closes, running tools are dropped where they are, and no other tool begins.
/// Nothing goes on in the background, except a blocking tool that has begun, which cannot be stopped. Waiting for the next event and giving
/// up loses nothing.
///
/// ```
/// use openai_agents::testing::ScriptedModel;
/// use openai_agents::{Agent, Runner};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runner = Runner::new(ScriptedModel::text("The Seine."));
/// let mut run = runner.run(&Agent::builder("Guide").build()?, "The river of Paris?").stream();
/// // Before the head of an HTTP answer is sent: whether the model answers at all.
/// run.begun().await?;
/// let result = run.finish().await?;
/// assert_eq!(result.final_output(), "The Seine.");
/// # Ok(())
/// # }
/// ```
#[must_use = "a run does nothing until its stream is polled"]
pub struct RunStream {
    run: Run,
    /// What is being done for it.
    work: Work,
    interrupts: Interrupts,
    /// What came while something else was waited for.
    first_events: VecDeque<Result<RunEvent, RunError>>,
}

impl RunStream {
    pub(super) fn new(agent: &Agent, start: RunStart, setup: RunSetup) -> Self {
        let run = Run::new(agent, start, setup);
        Self {
            work: Work::default(),
            interrupts: Interrupts::of(&run),
            first_events: VecDeque::new(),
            run,
        }
    }

    /// Returns the next event.
    ///
    /// An error is the last one, and nothing comes after the end.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<RunEvent, RunError>> {
        StreamExt::next(self).await
    }

    /// Waits until the model's answer begins, or the run ends before that.
    ///
    /// The events are still to come.
    ///
    /// A server that streams a run needs it for its own status: errors of the request, of the model's server and of a session are known by
    /// then. [`ErrorKind::http_status`](crate::ErrorKind::http_status) gives the status of an error.
    ///
    /// ```
    /// use openai_agents::testing::ScriptedModel;
    /// use openai_agents::{Agent, Error, Runner};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// let runner = Runner::new(ScriptedModel::new([]));
    /// let agent = Agent::builder("Guide").build()?;
    /// let mut stream = runner.run(&agent, "Hello").stream();
    /// let status = stream.begun().await.map_or_else(|error| error.kind().http_status(), |()| 200);
    /// assert_eq!(status, 500);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The run's error, if it ends before the answer begins. The stream does not give it again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn begun(&mut self) -> Result<(), RunError> {
        // Events that come before the answer, such as the start of a turn or a verdict, do not say
        // whether the model answers. They are kept: `poll_next` gives them before it polls the run
        // again.
        let is_answer = |event: &Result<RunEvent, RunError>| {
            !event.as_ref().is_ok_and(RunEvent::is_before_answer)
        };
        while !self.first_events.iter().any(is_answer) {
            match poll_fn(|cx| self.poll_run(cx)).await {
                Some(event) => self.first_events.push_back(event),
                None => return Ok(()),
            }
        }
        // An error is the last that comes, so that it is the answer only where there is no other.
        if let Some(Err(_)) = self.first_events.iter().find(|event| is_answer(event)) {
            let error = self.first_events.pop_back();
            return error.map_or(Ok(()), |error| error.map(drop));
        }
        Ok(())
    }

    /// Waits until the run is between two steps, and gives its state.
    ///
    /// The state is for [`Runner::resume`](super::Runner::resume). It is `None` if the run has ended, or is past its last step.
    ///
    /// A run is between two steps once the model has answered, the tools of a turn are done, or a handoff has happened. The call waits for
    /// what is under way; before the first answer there is nothing to resume from. The state is the same as that of a pause at this place,
    /// to the byte. Calls that have not been made yet are made after the resume, and ask for approval then.
    ///
    /// The run itself goes on, and its events are still to come. Drop the stream before you resume the state, or the rest is done twice. If
    /// the run has a session, a state from before the last written turn cannot be resumed (`already_resumed`).
    ///
    /// ```
    /// use openai_agents::testing::{ScriptedModel, ScriptedTurn};
    /// use openai_agents::{Agent, FunctionTool, RunEvent, RunState, Runner};
    /// use serde_json::json;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// # struct NoParameters {}
    /// let look = FunctionTool::new("look", "Looks outside.", async |_cx, _: NoParameters| Ok::<_, String>("sun"))?;
    /// let agent = Agent::builder("Guide").tool(look).build()?;
    /// let runner = Runner::new(ScriptedModel::new([
    ///     ScriptedTurn::tool_call("look", json!({})),
    ///     ScriptedTurn::text("It is sunny."),
    /// ]));
    ///
    /// let mut run = runner.run(&agent, "The weather?").stream();
    /// // The program is to end now: the run goes on where it stands, in another.
    /// run.begun().await?;
    /// let state = run.to_state().await.ok_or("it is over")?.to_json()?;
    /// drop(run);
    /// let result = runner.resume(&agent, RunState::from_json(&state)?).await?;
    /// assert_eq!(result.final_output(), "It is sunny.");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn to_state(&mut self) -> Option<RunState> {
        self.run.ask_for_state();
        loop {
            match poll_fn(|cx| self.poll_progress(cx)).await {
                Some(RunOutput::Event(event)) => self.first_events.push_back(event),
                Some(RunOutput::State(state)) => return Some(*state),
                None => return None,
            }
        }
    }

    /// A run that cannot be driven.
    pub(in crate::agent::runner) fn setup_error(&mut self, error: SetupError) -> RunError {
        self.run.error(RunFailure::Setup(error))
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
        // Nobody will see the events, so the run does not even make them. The result or the error
        // comes all the same, as the run's last word.
        self.run.unwatch();
        while let Some(event) = self.next().await {
            if let RunEvent::RunDone { result } = event? {
                return Ok(*result);
            }
        }
        Err(self.run.error(RunFailure::Cancelled))
    }

    /// Returns a handle by which the run can be reached from elsewhere.
    pub fn handle(&self) -> RunHandle {
        RunHandle(Arc::clone(self.run.cx().control()))
    }

    /// Ends the run, now or after its turn, with the error `cancelled`.
    pub fn cancel(&self, when: Cancel) {
        self.run.cx().control().cancel(when);
    }
}

/// What comes out of a run.
#[expect(
    clippy::large_enum_variant,
    reason = "every event passes through it, and none is to be boxed for a state that is seldom asked for"
)]
enum RunOutput {
    Event(Result<RunEvent, RunError>),
    /// It stands between two steps, and nothing of the next has begun.
    State(Box<RunState>),
}

impl RunStream {
    fn poll_run(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<RunEvent, RunError>>> {
        loop {
            match std::task::ready!(self.poll_progress(cx)) {
                Some(RunOutput::Event(event)) => return Poll::Ready(Some(event)),
                // Whoever asked for it has dropped the future.
                Some(RunOutput::State(_)) => {}
                None => return Poll::Ready(None),
            }
        }
    }

    fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<Option<RunOutput>> {
        // The loop. One round does this:
        //
        // 1. Tell the run if somebody has cancelled it or its time is over.
        // 2. Ask the run for its next step.
        // 3. Hand something to the caller, or begin the step, or poll the step in progress and give
        //    its outcome to the run.
        //
        // `begin` only puts a step into `work`. Nothing of it happens until a later round polls it:
        // the run answers `Proceed` until it has the outcome.
        let Self {
            run,
            work,
            interrupts,
            ..
        } = self;
        loop {
            // A request to end comes before all else, so that nothing happens after it is known.
            if let Some(interrupt) = interrupts.take(work) {
                run.accept(interrupt);
            }
            match run.next() {
                Step::Emit(event) => return Poll::Ready(Some(RunOutput::Event(event))),
                Step::GiveState(state) => {
                    return Poll::Ready(Some(RunOutput::State(state)));
                }
                Step::Over => return Poll::Ready(None),
                Step::Proceed => match work.poll(cx) {
                    Poll::Ready(outcome) => run.accept(outcome),
                    // The step waits. Either its own waker or an interrupt brings the task back
                    // here.
                    Poll::Pending => run.accept(std::task::ready!(interrupts.poll(cx))),
                },
                step => Performer::of(run).begin(step, work),
            }
        }
    }
}

impl Stream for RunStream {
    type Item = Result<RunEvent, RunError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.first_events.pop_front() {
            Some(event) => Poll::Ready(Some(event)),
            None => self.poll_run(cx),
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
