//! The ends of a run: a result, a pause, an error.

use super::{After, Phase, RunStream};
use crate::agent::runner::options::TrippedInput;
use crate::agent::runner::result::{RunEvent, RunResult};
use crate::agent::runner::session::SessionWriter;
use crate::error::{RunFailure, drop_open_calls};
use crate::guardrail::GuardrailStage;
use crate::item::{Item, ItemKind};

impl RunStream {
    /// Ends the run when the session has all of it.
    pub(super) fn done(&mut self, output: String) {
        self.is_closing = true;
        self.save_then(self.unsaved(), After::Done(output));
    }

    pub(super) fn over(&mut self, final_output: String) {
        self.phase = Phase::Over;
        self.holds_output = false;
        self.run.cx().control().end();
        let result = Box::new(RunResult {
            final_output,
            progress: self.run.progress(),
        });
        self.events.push_back(Ok(RunEvent::RunDone { result }));
    }

    /// The run waits for decisions, of which its caller is told.
    pub(super) fn pause(&mut self) -> RunFailure {
        let state = self.run.save(self.saved_session());
        for interruption in state.interruptions() {
            self.events
                .push_back(Ok(RunEvent::ApprovalRequired { interruption }));
        }
        RunFailure::ApprovalRequired {
            state: Box::new(state),
        }
    }

    /// Ends the run by an error, unless the application has an output for it; what is still running is dropped.
    pub(super) fn fail(&mut self, failure: RunFailure) {
        let is_held = self.is_held();
        let completed = self.stop_tools();
        self.checks.stop();
        let failure = match self.run.recover(&failure) {
            Some(Ok(())) => {
                self.phase = Phase::Decide;
                return;
            }
            Some(Err(failure)) => failure,
            None => failure,
        };
        if is_held {
            // Nothing goes out without a verdict, also when there will be none.
            self.events.clear();
            self.holds_output = false;
        }
        if is_of_session(&failure) {
            // What could be written is written, and nothing else can be.
            return self.end_with(failure);
        }
        if self.forgets_input(&failure) {
            self.keeper.iter_mut().for_each(SessionWriter::drop_input);
            return self.end_with(failure);
        }
        let items = match &failure {
            // A final output that was withheld has left the conversation by now; one that nobody judged is not kept.
            RunFailure::GuardrailTripped { .. } | RunFailure::CallbackFailed { .. }
                if self.is_ending =>
            {
                self.unsaved()
            }
            _ => completed,
        };
        self.is_closing = true;
        self.save_then(items, After::Fail(Box::new(failure)));
    }

    /// Whether an input that a guardrail tripped over is to leave no trace.
    fn forgets_input(&self, failure: &RunFailure) -> bool {
        let is_forgotten = self.run.options().tripped_input == TrippedInput::Forget;
        match failure {
            RunFailure::GuardrailTripped { result } => {
                is_forgotten && result.stage == GuardrailStage::Input
            }
            _ => false,
        }
    }

    pub(super) fn end_with(&mut self, failure: RunFailure) {
        self.phase = Phase::Over;
        self.run.cx().control().end();
        // Behind what led to it, such as the end of the response.
        let error = self.run.fail(failure);
        self.events.push_back(Err(error));
    }

    /// Drops the tools that run; gives what the session is to have of the turn, if some had finished and no journal will let it be
    /// finished.
    fn stop_tools(&mut self) -> Vec<Item> {
        let Phase::Tools(pool) = std::mem::replace(&mut self.phase, Phase::Over) else {
            return Vec::new();
        };
        self.run.keep_outcomes(pool.into_ended());
        self.run.end_turn(None);
        if self.run.options().journal.continues() {
            return Vec::new();
        }
        let mut items = self.unsaved();
        drop_open_calls(&mut items);
        let is_output = |item: &Item| matches!(item.kind(), ItemKind::FunctionCallOutput(_));
        if items.iter().any(is_output) {
            items
        } else {
            Vec::new()
        }
    }
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
