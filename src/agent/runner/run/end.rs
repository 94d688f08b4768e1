//! How a run ends: by its final output, a pause or a failure; and what its session has of it by then.
//!
//! A turn is saved before the next begins and the last before the run is over, so that whoever sees the end of a run finds it in
//! the session. Guardrails come before that: what they withhold is never written.

use super::{Awaited, Checks, End, Next, Run};
use crate::agent::run_state::{RunState, SavedSession};
use crate::agent::runner::options::TrippedInput;
use crate::agent::runner::result::{RunEvent, RunResult};
use crate::agent::runner::session::SessionWriter;
use crate::agent::runner::snapshot::save;
use crate::agent::runner::step::{FailureNote, InputAfter, Step};
use crate::error::{RunError, RunFailure, RunProgress, drop_open_calls};
use crate::guardrail::{GuardrailResult, GuardrailStage};
use crate::item::{Item, answered_call_id};
use crate::session::{SessionError, SessionVersion};

impl Run {
    /// Lets the run end with this output, if nothing was sent to it meanwhile and no guardrail trips over it.
    pub(super) fn finish_with(&mut self, output: String) {
        self.state.final_output = Some(output.into());
        self.next = Next::TakeLastInput;
    }

    /// What was sent before the run is known to end is answered in a further turn, so that nothing which was accepted is lost.
    pub(super) fn take_last_input(&mut self) -> Step {
        self.next = Next::EndAgent;
        self.awaited = Some(Awaited::Input);
        Step::TakeInput(InputAfter::Refused)
    }

    pub(super) fn end_agent(&mut self) -> Option<Step> {
        let output = self.state.final_output.clone()?;
        self.next = Next::CheckOutput;
        self.awaited = Some(Awaited::Done);
        Some(Step::EndAgent(output))
    }

    pub(super) fn check_output(&mut self) -> Option<Step> {
        let guardrails: Vec<_> = self.output_guardrails().cloned().collect();
        let output = self.state.final_output.clone()?;
        if guardrails.is_empty() {
            self.next = Next::Close(self.unsaved(), End::Finish);
            return None;
        }
        self.next = Next::CheckOutput;
        self.awaited = Some(Awaited::OutputVerdicts);
        Some(Step::CheckOutput(output, guardrails))
    }

    /// Takes a verdict on the final output, which leaves the conversation if it tripped.
    pub(super) fn take_output_verdict(
        &mut self,
        result: GuardrailResult,
    ) -> Result<(), RunFailure> {
        if result.is_tripped {
            self.withhold();
        }
        self.note(result)
    }

    pub(super) fn unsaved(&self) -> Vec<Item> {
        let session = self.session.as_ref();
        let unsaved = session.map(|session| session.unsaved(&self.state.history));
        unsaved.unwrap_or_default().to_vec()
    }

    /// Writes what the session does not have yet, if there is a session and something to write.
    pub(super) fn save(&mut self, items: Vec<Item>) -> Option<Step> {
        let session = self.session.as_ref()?;
        if items.is_empty() && !session.has_waiting_input() {
            return None;
        }
        let change = session.append(self.state.turn, &items);
        self.awaited = Some(Awaited::Saved(items));
        Some(Step::SaveTurn(change))
    }

    pub(super) fn saved(&mut self, items: Vec<Item>, version: SessionVersion) {
        if let Some(session) = &mut self.session {
            session.appended(version, items);
        }
    }

    /// What the session could not be told of is in the saved state; a session that another has changed is left as it was before the run.
    pub(super) fn save_failed(&mut self, error: SessionError) -> Result<(), RunFailure> {
        // If the run was failing already, that failure is kept as `after`. Otherwise the session's
        // error would hide why the run ended.
        let after = match std::mem::replace(&mut self.next, Next::Over) {
            Next::End(End::Fail(failure)) => Some(failure),
            _ => None,
        };
        if matches!(error, SessionError::Conflict { .. }) {
            self.next = Next::Withdraw(after);
            return Ok(());
        }
        Err(self.session_failed(error, after))
    }

    pub(super) fn withdraw(&mut self, after: Option<Box<RunFailure>>) -> Option<Step> {
        // Taken, so that nothing of this run is written to the session any more.
        let session = self.session.take()?;
        self.next = Next::Over;
        self.awaited = Some(Awaited::Withdrawn(session.id(), after));
        let (session, writes) = session.into_written();
        Some(Step::WithdrawTurns(session, writes))
    }

    pub(super) fn session_failed(
        &self,
        error: SessionError,
        after: Option<Box<RunFailure>>,
    ) -> RunFailure {
        RunFailure::Session {
            error,
            state: Box::new(self.save_state()),
            after,
        }
    }

    /// Saves the run, as it stands between two steps.
    pub(super) fn save_state(&self) -> RunState {
        let kept = (self.options().limits, self.cx.ledger(), &self.history_owner);
        save(&self.state, kept, self.session_state())
    }

    /// What a saved state says of the session.
    fn session_state(&self) -> Option<SavedSession> {
        let session = self.session.as_ref()?;
        Some(session.saved(self.state.own_input()))
    }

    /// Gives the state to whoever has asked for it, as a pause would; what is decided next stays.
    pub(super) fn give_state(&mut self) -> Step {
        // As before a pause: a state can be claimed only in a session that has something of the run.
        if let Some(step) = self.save(Vec::new()) {
            return step;
        }
        self.state_request = None;
        Step::GiveState(Box::new(self.save_state()))
    }

    /// The run waits for decisions, of which its caller is told.
    ///
    /// Whoever goes on with it claims the session by a change of it, for which something has to be there: the question at least.
    pub(super) fn pause(&mut self) -> Step {
        self.next = Next::Pause;
        if let Some(step) = self.save(Vec::new()) {
            return step;
        }
        let state = Box::new(self.save_state());
        let interruptions = state.interruptions();
        for interruption in &interruptions {
            let interruption = interruption.clone();
            self.events
                .push_back(Ok(RunEvent::ApprovalRequired { interruption }));
        }
        let error = self.error(RunFailure::ApprovalRequired { state });
        self.last_word(Err(error));
        Step::Pause(interruptions)
    }

    pub(super) fn end(&mut self, end: End) -> Step {
        match end {
            End::Finish => {
                // Every guardrail has let the output pass by now, so what was held back goes out
                // before the result.
                self.holds_output = false;
                let output = self.state.final_output.take().unwrap_or_default();
                let result = Box::new(RunResult {
                    final_output: (*output).to_owned(),
                    progress: self.state.take_progress(&self.cx),
                });
                self.last_word(Ok(RunEvent::RunDone { result }));
                Step::Finish(output)
            }
            End::Fail(failure) => {
                // The layers hear only of kind and message: the error itself, with the whole
                // progress, goes to the caller.
                let note = FailureNote {
                    kind: failure.kind(),
                    message: failure.to_string(),
                };
                let error = self.error(*failure);
                self.last_word(Err(error));
                Step::Fail(note)
            }
        }
    }

    /// What is said last, behind what led to it.
    fn last_word(&mut self, word: Result<RunEvent, RunError>) {
        self.next = Next::Over;
        self.awaited = Some(Awaited::LastWord(Box::new(word)));
    }

    /// Ends the run by an error, unless the application has an output for it; what is still running is dropped.
    pub(super) fn fail(&mut self, failure: RunFailure) {
        // Looked at first: what follows changes what they depend on.
        let is_held = self.is_held();
        let is_ending = matches!(self.next, Next::CheckOutput);
        let is_closing = self.is_closing();
        // Before anything is decided about the failure: who recovers from it, or saves the run, finds the turn closed.
        let completed = self.stop_tools();
        self.awaited = None;
        self.state.is_input_unjudged |= self.checks.n_asked > 0;
        self.checks = Checks::default();
        // Also if the run recovers: what was begun belongs to a turn that is over.
        self.must_stop = true;
        let recovered = if is_closing {
            None
        } else {
            self.recover(&failure)
        };
        let failure = match recovered {
            Some(Ok(())) => return,
            Some(Err(failure)) => failure,
            None => failure,
        };
        if is_held {
            // Nothing goes out without a verdict, also when there will be none.
            self.events.retain(is_verdict);
            self.holds_output = false;
        }
        if is_of_session(&failure) || is_closing {
            // What could be written is written, and nothing else can be.
            self.next = Next::End(End::Fail(Box::new(failure)));
            return;
        }
        if self.forgets_input(&failure) {
            self.session.iter_mut().for_each(SessionWriter::drop_input);
            self.next = Next::End(End::Fail(Box::new(failure)));
            return;
        }
        let items = match &failure {
            // A final output that was withheld has left the conversation by now; one that nobody judged is not kept.
            RunFailure::GuardrailTripped { .. } | RunFailure::CallbackFailed { .. }
                if is_ending =>
            {
                self.unsaved()
            }
            _ => completed,
        };
        self.next = Next::Close(items, End::Fail(Box::new(failure)));
    }

    /// Whether an input that a guardrail tripped over is to leave no trace.
    fn forgets_input(&self, failure: &RunFailure) -> bool {
        let is_forgotten = self.options().tripped_input == TrippedInput::Forget;
        match failure {
            RunFailure::GuardrailTripped { result } => {
                is_forgotten && result.stage == GuardrailStage::Input
            }
            _ => false,
        }
    }

    /// Ends a turn whose tools are dropped; gives what the session is to have of it, if some had finished and no journal will let it be
    /// finished.
    fn stop_tools(&mut self) -> Vec<Item> {
        if !matches!(self.awaited, Some(Awaited::Outputs)) {
            return Vec::new();
        }
        self.end_turn(None);
        if self.is_continued() {
            return Vec::new();
        }
        let mut items = self.unsaved();
        drop_open_calls(&mut items);
        // Without a finished call, nothing has happened that the next run must know of.
        let is_output = |item: &Item| answered_call_id(item).is_some();
        if items.iter().any(is_output) {
            items
        } else {
            Vec::new()
        }
    }

    pub(in crate::agent::runner) fn error(&mut self, failure: RunFailure) -> RunError {
        if !matches!(failure, RunFailure::ApprovalRequired { .. }) {
            // What was done stays; calls without an output are left out of the progress.
            self.end_turn(None);
        }
        RunError::new(failure, self.progress())
    }

    pub(super) fn progress(&self) -> RunProgress {
        self.state.progress(&self.cx)
    }
}

/// Whether an event is the verdict of a guardrail, which is no part of what is held back for one.
const fn is_verdict(event: &Result<RunEvent, RunError>) -> bool {
    matches!(event, Ok(RunEvent::GuardrailDone { .. }))
}

/// Whether it is the session itself that failed.
const fn is_of_session(failure: &RunFailure) -> bool {
    matches!(
        failure,
        RunFailure::Session { .. }
            | RunFailure::SessionConflict { .. }
            | RunFailure::AlreadyResumed { .. }
    )
}
