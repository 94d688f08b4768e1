//! Guardrails on what the agent says, while it says it.

use std::collections::HashSet;

use super::{Connection, GuardrailCheck, Machine, MachineStep};
use crate::guardrail::GuardrailResult;
use crate::model::realtime::NewItem;
use crate::realtime::event::{InterruptedBy, RealtimeEvent};

/// How much more is said before guardrails look again, in bytes of text; the Python SDK's measure.
const CHECK_INTERVAL_BYTES: usize = 100;

/// What guardrails have looked at.
#[derive(Debug, Default)]
pub(super) struct GuardrailState {
    /// The item that is being said, and how much of it was looked at.
    item: Option<(String, usize)>,
    /// The answers that were stopped: one stop and one correction each.
    tripped: HashSet<u64>,
    /// The answers that correct another.
    corrections: HashSet<u64>,
}

impl Machine {
    /// Has guardrails look at what is being said, if there is enough of it that is new.
    pub(super) fn check_new_text(&mut self, item_id: &str, response: u64) {
        self.queue_guardrail_check(item_id, response, CHECK_INTERVAL_BYTES);
    }

    /// Has guardrails look at all that was said.
    pub(super) fn check_whole_text(&mut self, item_id: &str, response: u64) {
        self.queue_guardrail_check(item_id, response, 1);
    }

    fn queue_guardrail_check(&mut self, item_id: &str, response: u64, least_bytes: usize) {
        let agent = match self.responses.active() {
            Some(active) => active.agent.clone(),
            None => self.agent.clone(),
        };
        if agent.output_guardrails().is_empty() || self.guard.tripped.contains(&response) {
            return;
        }
        let n_checked = match &self.guard.item {
            Some((item, n_bytes)) if item == item_id => *n_bytes,
            _ => 0,
        };
        let Some(text) = self.conversation.text(item_id) else {
            return;
        };
        if text.len() < n_checked + least_bytes {
            return;
        }
        self.guard.item = Some((item_id.to_owned(), text.len()));
        self.steps
            .push_back(MachineStep::CheckGuardrails(GuardrailCheck {
                response,
                item_id: item_id.to_owned(),
                agent,
                text,
            }));
    }

    pub(super) fn on_guardrail_results(
        &mut self,
        response: u64,
        item_id: &str,
        results: Vec<GuardrailResult>,
    ) {
        let tripped: Vec<GuardrailResult> = results
            .into_iter()
            .filter(|result| result.is_tripped)
            .collect();
        if tripped.is_empty() || !self.guard.tripped.insert(response) {
            return;
        }
        if self.connection != Connection::Open {
            // The answer is gone with its connection.
            return;
        }
        self.interrupt(InterruptedBy::Guardrail, Some(response));
        let names: Vec<String> = tripped
            .iter()
            .map(|result| result.guardrail.clone())
            .collect();
        for result in tripped {
            let item_id = item_id.to_owned();
            self.emit(RealtimeEvent::GuardrailTripped { item_id, result });
        }
        // A correction that trips as well is not corrected: that would have no end.
        if self.guard.corrections.contains(&response) {
            return;
        }
        let words = format!("guardrail triggered: {}", names.join(", "));
        self.create_item(NewItem::message("system", words));
        self.responses.request_correction();
    }
}

impl GuardrailState {
    /// Notes that an answer is a correction.
    pub(super) fn corrects(&mut self, response: u64) {
        self.corrections.insert(response);
    }
}
