//! Chooses which text of a run is the text of the chat answer.

use crate::agent::Agent;
use crate::agent::runner::{RunEvent, RunResult};
use crate::item::{Item, ItemKind, Role};

/// Stands between the texts of two turns.
const BETWEEN_TURNS: &str = "\n\n";

/// Collects the text of all turns, in the order in which it comes.
///
/// The answer of a run with a typed output is the final output alone, since text before it would not be of its type.
#[derive(Debug, Default)]
pub(super) struct AnswerText {
    /// Whether only the final output counts.
    is_typed: bool,
    /// How many bytes of the message that comes in were deltas; the text itself can be large.
    n_message_bytes: usize,
    /// The text of the latest message that was whole.
    last: Option<String>,
    has_text: bool,
    is_new_turn: bool,
}

impl AnswerText {
    /// Begins the text of an answer of this agent.
    pub(super) fn of(agent: &Agent) -> Self {
        Self {
            is_typed: agent.output_type().is_some(),
            ..Self::default()
        }
    }

    /// Returns the new text of an event.
    pub(super) fn take(&mut self, event: &RunEvent) -> Option<String> {
        match event {
            RunEvent::TurnStarted { .. } => {
                self.is_new_turn = self.has_text;
                None
            }
            RunEvent::TextDelta { delta } => {
                self.n_message_bytes += delta.len();
                self.show(delta)
            }
            RunEvent::ItemDone { item } => {
                let whole = assistant_text(item)?;
                let n_shown = std::mem::take(&mut self.n_message_bytes);
                // A model that answers whole gives no deltas.
                let rest = whole.get(n_shown..).unwrap_or_default().to_owned();
                self.last = Some(whole);
                self.show(&rest)
            }
            _ => None,
        }
    }

    /// Returns what is missing once the run is over: an output that no message of the model is.
    pub(super) fn end(&mut self, result: &RunResult) -> Option<String> {
        let output = result.final_output();
        if self.is_typed {
            return Some(output.to_owned());
        }
        if self.last.as_deref() == Some(output) {
            return None;
        }
        self.is_new_turn = self.has_text;
        self.show(output)
    }

    fn show(&mut self, text: &str) -> Option<String> {
        if self.is_typed || text.is_empty() {
            return None;
        }
        self.has_text = true;
        let between = if std::mem::take(&mut self.is_new_turn) {
            BETWEEN_TURNS
        } else {
            ""
        };
        Some(format!("{between}{text}"))
    }
}

fn assistant_text(item: &Item) -> Option<String> {
    match item.kind() {
        ItemKind::Message(message) if message.role == Role::Assistant => Some(message.text("")),
        _ => None,
    }
}
