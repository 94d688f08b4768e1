//! The decisions of a run, without any I/O.
//!
//! [`Run::next`] says what to do, and [`Run::accept`] takes what became of it. There is no clock, no socket and no `await` here, so that
//! what a run does can be read, tested and saved between any two steps.
//!
//! Two fields say where a run stands: `next` is the decision that comes, and `awaited` the step in progress, as far as its outcome needs
//! something of it. While a step is in progress `next` says already what follows, so that an outcome has to name it only where it
//! depends on what came.
//!
//! # What is held back
//!
//! Events wait in the run until they may be seen. While an input guardrail that holds thinks, nothing goes out and no step begins: the
//! model may be asked beside it, because an answer that nobody sees does no harm, but a tool may not run. While an output guardrail
//! that holds may still be asked, what the model says stays here; it goes out as soon as the response turns out to be no final
//! output, since only that is judged. A run that fails while something is held drops it: no verdict is not a good one.
//!
//! # In which order
//!
//! Guardrails, then the session, then whoever watches. A turn is saved before the next request is made, because the request can fail
//! and the tools of the turn cannot be undone. The last turn is saved before the end is shown, so that whoever sees the end can
//! begin the next run of the session. What a guardrail withholds is taken out before the save.

mod start;
mod turns;
mod final_output;
mod handoff;
mod end;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::graph::Graph;
use super::layer::{Layers, StepOutcome};
use super::model_request::{RequestTemplate, ToolOffer};
use super::options::RunOptions;
use super::request::RunSetup;
use super::result::RunEvent;
use super::session::{SessionChangeStep, SessionClaim, SessionWriter};
use super::state::MachineState;
use super::step::{Holds, Outcome, Step};
use crate::agent::run_state::{HistoryOwner, SavedSession};
use crate::agent::{Agent, HandoffFilter, HandoffHistory};
use crate::context::{Cancel, RunContext};
use crate::error::{RunError, RunFailure};
use crate::guardrail::GuardrailResult;
use crate::item::{History, Item};
use crate::limits::LimitReached;
use crate::model::{ModelRequest, ResponseAccumulator};
use crate::session::SessionItems;

/// A run as a state machine.
pub(super) struct Run {
    setup: Arc<RunSetup>,
    state: MachineState,
    graph: Graph,
    template: RequestTemplate,
    history_owner: HistoryOwner,
    cx: RunContext,
    layers: Layers,
    next: Next,
    awaited: Option<Awaited>,
    /// Input guardrails that have not given their verdict.
    checks: Checks,
    events: VecDeque<Result<RunEvent, RunError>>,
    /// Whether anyone sees the events; for nobody none are made.
    is_watched: bool,
    /// Whether what the model says may yet be withheld by an output guardrail.
    holds_output: bool,
    /// Whether what is in progress has to be dropped first.
    must_stop: bool,
    /// That somebody wants the state.
    state_request: Option<StateRequest>,
    /// The end that was asked for, if it is not at once.
    requested_cancel: Option<Cancel>,
    /// Whether this turn's request offered tools.
    offer: ToolOffer,
    /// What a handoff whose agent was found leads to.
    handing_to: Option<Agent>,
    /// What is done to the conversation once the handoff has been told.
    filtering: Option<Box<(HandoffFilter, HandoffHistory)>>,
    session: Option<SessionWriter>,
    /// The session of a run that goes on, until it is claimed.
    saved_session: Option<SavedSession>,
}

/// What is decided next; in the order in which a run comes to it.
enum Next {
    /// Whether the parts of the run fit together, and what became of calls that waited.
    SetUp(Option<RunFailure>),
    /// Whether there is a session to read, or to claim for a run that goes on.
    OpenSession,
    ClaimSession(Box<(SessionWriter, SessionChangeStep)>),
    /// What the application makes of the session and the input.
    MergeInput(SessionItems),
    /// The input of a run that a journal continues, which does not wait for the first turn.
    SaveInput,
    /// Whether the input may be looked at.
    CheckInput,
    /// Whether there is a further turn, once the session has the one before and the tools are known.
    BeginTurn,
    /// Which tools are offered, if that has to be waited for.
    CheckOffers,
    /// What the turn asks.
    AskModel,
    PrepareRequest(Box<ModelRequest>),
    CallModel(Box<ModelRequest>),
    RunTools,
    HandOff(usize),
    FilterHistory,
    Pause,
    /// Whether the outputs of the tools end the run, as the application decides.
    DecideToolUse,
    /// Whether someone has sent more while the model gave its final output.
    TakeLastInput,
    EndAgent,
    /// Whether the final output stands.
    CheckOutput,
    /// What the session is still to have.
    Close(Vec<Item>, End),
    /// What the run had written is to leave its session, which it has lost.
    Withdraw(Option<Box<RunFailure>>),
    End(End),
    Over,
}

/// How a run ends.
enum End {
    Finish,
    Fail(Box<RunFailure>),
}

/// The step in progress, as far as its outcome needs something of it.
enum Awaited {
    /// That it is done; what follows was decided with it.
    Done,
    Session,
    MergedInput(SessionItems),
    ClaimRead(SessionClaim),
    ClaimWrite(SessionWriter),
    Saved(Vec<Item>),
    Withdrawn(String, Option<Box<RunFailure>>),
    ToolLists,
    Offers,
    ToolUse,
    Input,
    Request,
    Response(ResponseAccumulator),
    Outputs,
    Filtered,
    OutputVerdicts,
    LastWord(Box<Result<RunEvent, RunError>>),
}

/// Asks for the state of the run as soon as it stands between two steps.
struct StateRequest;

/// How many input guardrails think.
#[derive(Default)]
struct Checks {
    n_asked: usize,
    /// Those that let nothing out before their verdict.
    n_holding: usize,
}

impl Run {
    /// Says what to do next.
    pub(super) fn next(&mut self) -> Step {
        loop {
            // First, so that nothing of a turn that has failed goes on while a slow reader takes the events.
            if std::mem::take(&mut self.must_stop) {
                return Step::Stop;
            }
            // What may be seen goes out first, so that a watcher gets an event before the next step
            // begins.
            if !self.is_held()
                && let Some(event) = self.events.pop_front()
            {
                return Step::Emit(event);
            }
            // Something is in progress. The driver polls it and gives us the outcome.
            if self.awaited.is_some() || self.waits_for_verdicts() {
                return Step::Proceed;
            }
            // Nothing is in progress here, so this is where a run can be saved.
            if self.state_request.is_some() && self.follows_from_state() {
                return self.give_state();
            }
            // A decision without a step has set `next`, and the loop takes that decision. This
            // ends, because every chain of decisions comes to a step or to `Over`.
            match self.decide() {
                Ok(Some(step)) => return step,
                Ok(None) => {}
                Err(failure) => self.fail(failure),
            }
        }
    }

    /// Takes what became of a step.
    pub(super) fn accept(&mut self, outcome: Outcome) {
        if let Err(failure) = self.take(outcome) {
            self.fail(failure);
        }
    }

    /// Decides one thing; nothing to do if that leads to the next decision.
    fn decide(&mut self) -> Result<Option<Step>, RunFailure> {
        // Whoever decides says what follows; this only fills the place meanwhile.
        match std::mem::replace(&mut self.next, Next::BeginTurn) {
            Next::SetUp(failure) => self.set_up(failure),
            Next::OpenSession => self.open_session(),
            Next::ClaimSession(claim) => Ok(Some(self.claim_session(*claim))),
            Next::MergeInput(read) => Ok(self.merge_input(read)),
            Next::SaveInput => {
                self.next = Next::CheckInput;
                Ok(self.save(Vec::new()))
            }
            Next::CheckInput => Ok(self.check_blocking()),
            Next::BeginTurn => self.begin_turn(),
            Next::CheckOffers => Ok(self.check_offers()),
            Next::AskModel => self.ask_model(),
            Next::PrepareRequest(request) => self.prepare_request(*request).map(Some),
            Next::CallModel(request) => self.call_model(*request).map(Some),
            Next::RunTools => Ok(Some(self.run_tools())),
            Next::HandOff(n) => self.hand_off(n).map(Some),
            Next::FilterHistory => Ok(self.filter_history()),
            Next::Pause => Ok(Some(self.pause())),
            Next::DecideToolUse => Ok(self.decide_tool_use()),
            Next::TakeLastInput => Ok(Some(self.take_last_input())),
            Next::EndAgent => Ok(self.end_agent()),
            Next::CheckOutput => Ok(self.check_output()),
            Next::Close(items, end) => {
                self.next = Next::End(end);
                Ok(self.save(items))
            }
            Next::Withdraw(after) => Ok(self.withdraw(after)),
            Next::End(end) => Ok(Some(self.end(end))),
            Next::Over => {
                self.next = Next::Over;
                Ok(Some(Step::Over))
            }
        }
    }

    fn take(&mut self, outcome: Outcome) -> Result<(), RunFailure> {
        match outcome {
            Outcome::Step(outcome) => self.take_outcome(outcome),
            Outcome::Tool(event) => self.take_tool_event(event),
            Outcome::InputVerdict(holds, result) => {
                // A guardrail that failed has judged nothing. That ends the run, because nobody has
                // said that the input may pass.
                let result = result?;
                self.note(result)?;
                // What was held back stays so after a verdict that ends the run.
                self.checks.n_asked = self.checks.n_asked.saturating_sub(1);
                if holds == Holds::Everything {
                    self.checks.n_holding = self.checks.n_holding.saturating_sub(1);
                }
                Ok(())
            }
            Outcome::OutputVerdict(result) => self.take_output_verdict(result?),
            Outcome::Input(items) => {
                self.awaited = None;
                self.take_input(items);
                Ok(())
            }
            Outcome::Ended => self.take_end(),
            // What ends already is not ended again: the session is to have what it is to have.
            Outcome::Cancelled(_) | Outcome::TimeOver if self.is_closing() => Ok(()),
            Outcome::Cancelled(Cancel::AfterTurn) => {
                self.requested_cancel = Some(Cancel::AfterTurn);
                Ok(())
            }
            Outcome::Cancelled(Cancel::Now) => Err(RunFailure::Cancelled),
            // An output that is there came in time.
            Outcome::TimeOver if self.awaited.is_none() && self.state.final_output.is_some() => {
                Ok(())
            }
            Outcome::TimeOver => match self.max_duration() {
                Some(limit) => Err(RunFailure::Limit(LimitReached::Duration { limit })),
                None => Ok(()),
            },
        }
    }

    /// Takes an outcome of the step in progress.
    fn take_outcome(&mut self, outcome: StepOutcome) -> Result<(), RunFailure> {
        let awaited = match self.awaited.take() {
            Some(Awaited::LastWord(word)) => {
                // No layer changes how a run ended.
                self.events.push_back(*word);
                return Ok(());
            }
            Some(awaited) => awaited,
            None => return Ok(()),
        };
        // These pairs are the whole protocol between steps and outcomes. Any other pair comes from
        // a layer that gave the wrong outcome; the run then fails with the name of the step.
        match (awaited, outcome) {
            // First, since this step ends the run whatever its outcome is: the run has lost its
            // session. The error says whether its items could be taken out again.
            (Awaited::Withdrawn(session, after), outcome) => Err(RunFailure::SessionConflict {
                session,
                left: match outcome {
                    StepOutcome::SessionFailed(error) => Some(error),
                    _ => None,
                },
                after,
            }),
            (_, StepOutcome::Failed(failure)) => Err(failure),
            (Awaited::Done, StepOutcome::Done) => Ok(()),
            (Awaited::Session, StepOutcome::SessionRead(read)) => {
                self.loaded(read);
                Ok(())
            }
            (Awaited::MergedInput(read), StepOutcome::InputMerged(items)) => {
                self.merged(read, items);
                Ok(())
            }
            (Awaited::ClaimRead(claim), StepOutcome::SessionRead(read)) => self.claim(claim, read),
            (Awaited::ClaimWrite(session), StepOutcome::SessionWritten(version)) => {
                self.claimed(session, version);
                Ok(())
            }
            (Awaited::ClaimWrite(session), StepOutcome::SessionFailed(error)) => {
                Err(self.claim_failed(&session, error))
            }
            (Awaited::Saved(items), StepOutcome::SessionWritten(version)) => {
                self.saved(items, version);
                Ok(())
            }
            (Awaited::Saved(_), StepOutcome::SessionFailed(error)) => self.save_failed(error),
            (_, StepOutcome::SessionFailed(error)) => Err(self.session_failed(error, None)),
            (Awaited::ToolLists, StepOutcome::ToolsListed(lists)) => self.accept_tools(lists),
            (Awaited::Offers, StepOutcome::OffersChecked(withheld)) => {
                self.state.withheld = withheld.into_iter().collect();
                Ok(())
            }
            (Awaited::ToolUse, StepOutcome::ToolUseDecided(output)) => {
                self.tool_use_decided(output);
                Ok(())
            }
            (Awaited::Request, StepOutcome::RequestPrepared(request)) => {
                self.next = Next::CallModel(request);
                Ok(())
            }
            (Awaited::Response(fold), StepOutcome::Model(event)) => {
                self.take_model_event(fold, event)
            }
            (Awaited::Filtered, StepOutcome::HistoryFiltered(history)) => {
                self.handed_off(Some(*history));
                Ok(())
            }
            (awaited, _) => Err(awaited.without_outcome()),
        }
    }

    /// Takes that the step in progress gives no more.
    fn take_end(&mut self) -> Result<(), RunFailure> {
        match self.awaited.take() {
            None => Ok(()),
            Some(Awaited::Outputs) => {
                self.advance();
                Ok(())
            }
            Some(Awaited::OutputVerdicts) => {
                self.next = Next::Close(self.unsaved(), End::Finish);
                Ok(())
            }
            // The model's stream ended without `ResponseDone`. `finish` says what is missing.
            Some(Awaited::Response(fold)) => {
                let response = fold.finish().map_err(RunFailure::Model)?;
                self.accept_response(response)
            }
            Some(Awaited::LastWord(word)) => {
                self.events.push_back(*word);
                Ok(())
            }
            Some(awaited) => Err(awaited.without_outcome()),
        }
    }

    /// Whether nothing goes out yet.
    const fn is_held(&self) -> bool {
        self.holds_output || self.checks.n_holding > 0
    }

    /// Whether nothing happens before guardrails have answered: those that hold, and at the end of what has begun the others too, so that
    /// no further turn, no pause and no end comes before a verdict.
    const fn waits_for_verdicts(&self) -> bool {
        self.checks.n_holding > 0
            || (self.checks.n_asked > 0 && !matches!(self.next, Next::RunTools))
    }

    /// Whether what is decided next follows from the state alone, so that a run which is restored from it decides the same.
    ///
    /// These are the decisions that [`advance`](Self::advance) comes to, which is how a restored run finds its place. All others need what
    /// only this execution knows: a session half opened, a request half made, an end half written. Nor does a run go on from before its
    /// first answer, or while guardrails think about its input: nothing of that is in the state.
    const fn follows_from_state(&self) -> bool {
        self.state.turn > 0
            && self.checks.n_asked == 0
            && matches!(
                self.next,
                Next::BeginTurn
                    | Next::RunTools
                    | Next::HandOff(_)
                    | Next::Pause
                    | Next::DecideToolUse
                    | Next::TakeLastInput
            )
    }

    /// Has the run give its state as soon as it stands between two steps.
    pub(super) const fn ask_for_state(&mut self) {
        self.state_request = Some(StateRequest);
    }

    /// Whether the end is decided, so that nothing but the last write to the session is waited for.
    const fn is_closing(&self) -> bool {
        matches!(
            self.next,
            Next::Close(..) | Next::End(_) | Next::Withdraw(_) | Next::Over
        )
    }

    /// Notes what a guardrail said, and fails if it tripped.
    fn note(&mut self, result: GuardrailResult) -> Result<(), RunFailure> {
        // Kept before it ends the run: the error and the saved state have the verdict that tripped, too.
        self.state.guardrails.push(result.clone());
        let shown = result.clone();
        self.show(|| RunEvent::GuardrailDone { result: shown });
        if result.is_tripped {
            let result = Box::new(result);
            return Err(RunFailure::GuardrailTripped { result });
        }
        Ok(())
    }

    /// Makes no events from now on, but for the last.
    pub(super) const fn unwatch(&mut self) {
        self.is_watched = false;
    }

    fn show(&mut self, event: impl FnOnce() -> RunEvent) {
        if self.is_watched {
            self.events.push_back(Ok(event()));
        }
    }

    /// Whether a journal lets the run be continued after a failure.
    fn is_continued(&self) -> bool {
        let journal = self.options().journal.as_ref();
        journal.is_some_and(|journal| journal.continues())
    }

    fn options(&self) -> &RunOptions {
        &self.setup.options
    }

    pub(super) fn setup(&self) -> &Arc<RunSetup> {
        &self.setup
    }

    /// The conversation as the model sees it.
    pub(super) fn seen(&self) -> &History {
        self.state.seen()
    }

    pub(super) fn agent(&self) -> &Agent {
        &self.state.agent
    }

    pub(super) fn cx(&self) -> &RunContext {
        &self.cx
    }

    pub(super) fn layers(&self) -> &Layers {
        &self.layers
    }

    /// By what the run is known to those around it when it goes on.
    pub(super) fn pause_key(&self) -> u64 {
        self.state.pause_key()
    }

    /// The turn, from 1; 0 before the first.
    pub(super) fn turn(&self) -> u32 {
        self.state.turn
    }

    pub(super) fn max_duration(&self) -> Option<Duration> {
        self.options().limits.max_duration
    }
}

impl Awaited {
    /// A step that ended without an outcome, or with that of another: a layer gave it.
    fn without_outcome(self) -> RunFailure {
        RunFailure::Layer {
            step: match self {
                Self::Done | Self::Input | Self::LastWord(_) => "a callback",
                Self::Session | Self::ClaimRead(_) => "read_session",
                Self::MergedInput(_) => "merge_input",
                Self::ClaimWrite(_) | Self::Saved(_) => "write_session",
                Self::Withdrawn(..) => "withdraw_turns",
                Self::ToolLists => "list_tools",
                Self::Offers => "check_offers",
                Self::ToolUse => "decide_tool_use",
                Self::Request => "prepare_request",
                Self::Response(_) => "call_model",
                Self::Outputs => "call_tool",
                Self::Filtered => "filter_history",
                Self::OutputVerdicts => "check_output",
            },
        }
    }
}
