//! A final output that cannot stand: the model is asked again, the application gives another, or it is withheld.

use super::{Next, Run};
use crate::agent::runner::options::InvalidOutput;
use crate::agent::runner::resolve::checked;
use crate::agent::runner::turn::{CallStatus, PendingTurn};
use crate::error::RunFailure;
use crate::item::{Item, answered_call_id, with_other_text};
use crate::journal::ToolOutcome;

/// What stands in the transcript for a tool output that ended the run and was tripped over; the Python SDK's words.
const WITHHELD: &str = "Output withheld by an output guardrail.";

impl Run {
    /// Checks the final output that a tool call gives; the model is told what is wrong, if that was asked for.
    pub(super) fn check_output_calls(&mut self, turn: &mut PendingTurn) -> Result<(), RunFailure> {
        for call in &mut turn.calls {
            if !matches!(call.status, CallStatus::Output) {
                continue;
            }
            let output = checked(&self.state.agent, call.call.arguments.clone());
            if let Err(failure) = output {
                let complaint = self.complaint(failure)?;
                call.status = CallStatus::Done(ToolOutcome::by_runner(&complaint));
            }
        }
        Ok(())
    }

    /// Lets the model correct a final output of the wrong form, if that was asked for.
    pub(super) fn ask_again(&mut self, failure: RunFailure) -> Result<(), RunFailure> {
        let complaint = self.complaint(failure)?;
        self.state.extend([Item::user(complaint)]);
        self.next = Next::BeginTurn;
        Ok(())
    }

    /// What the model is told of a final output of the wrong form, as often as that was asked for.
    fn complaint(&mut self, failure: RunFailure) -> Result<String, RunFailure> {
        let InvalidOutput::AskAgain { max } = self.options().invalid_output else {
            return Err(failure);
        };
        let what = match &failure {
            RunFailure::InvalidOutput { error, .. } => error.to_string(),
            RunFailure::EmptyResponse if self.state.agent.output_type().is_some() => {
                "the final output is empty".to_owned()
            }
            _ => return Err(failure),
        };
        // Counted for the whole run, over turns and handoffs: it bounds what a model that never gets it right can cost.
        if self.state.n_asked_again >= max {
            return Err(failure);
        }
        self.state.n_asked_again += 1;
        Ok(format!(
            "That was not the form that was asked for: {what}. Give the final answer again, as JSON that fits the schema and nothing else."
        ))
    }

    /// Takes the final output out of the conversation, which a guardrail tripped over.
    pub(super) fn withhold(&mut self) {
        self.state.final_output = None;
        let turn = self
            .state
            .history
            .get(self.state.n_before_turn..)
            .unwrap_or_default();
        // What a tool gave cannot be taken out whole: its call would stand there without an output.
        if !turn.iter().any(|item| answered_call_id(item).is_some()) {
            self.state.drop_turn();
            return;
        }
        // So the call keeps an output, but one that says nothing of what was withheld.
        let text = self.options().withheld_output_text.as_deref();
        let text = text.unwrap_or(WITHHELD);
        let withheld = turn
            .iter()
            .map(|item| with_other_text(item, text).unwrap_or_else(|| item.clone()));
        let withheld: Vec<Item> = withheld.collect();
        self.state.drop_turn();
        self.state.extend(withheld);
    }

    /// Ends the run with the output that the application gives in place of a failure, if it gives one.
    pub(super) fn recover(&mut self, failure: &RunFailure) -> Option<Result<(), RunFailure>> {
        let is_recoverable = matches!(
            failure,
            RunFailure::Limit(_) | RunFailure::Refusal { .. } | RunFailure::InvalidOutput { .. }
        );
        let recover = self.options().recover.clone().filter(|_| is_recoverable)?;
        let recovery = recover(failure, &self.progress())?;
        Some(
            checked(&self.state.agent, recovery.final_output).map(|output| {
                // The recovered output may end a turn in the middle. Its calls go, because a
                // conversation with open calls could not be sent again.
                self.close_calls();
                if recovery.in_history {
                    self.state.extend([Item::assistant(output.as_str())]);
                }
                self.finish_with(output);
            }),
        )
    }

    /// Leaves out calls that will have no output.
    fn close_calls(&mut self) {
        self.end_turn(None);
        let mut progress = self.state.progress(&self.cx);
        let n_before = progress.items.len();
        progress.drop_open_calls();
        if progress.items.len() < n_before {
            self.state.history = [progress.input, progress.items].concat().into();
        }
    }
}
