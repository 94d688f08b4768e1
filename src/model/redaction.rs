//! Takes secrets out of what a server answers, before anyone sees it.

use std::collections::{HashMap, VecDeque};

use super::{ModelError, ModelEvent};
use crate::item::Item;
use crate::kind::ErrorKind;
use crate::secret::{Redactor, StreamRedactor};

/// Passes the events of one answer on, without the secrets that the server repeats.
///
/// A secret that is split over deltas is found too: what may be its beginning is held back until the next delta, or until another kind
/// of event says that the text is over.
pub(crate) struct EventRedactor {
    redactor: Redactor,
    texts: HashMap<Text, StreamRedactor>,
}

/// What a delta goes on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Text {
    Answer,
    Refusal,
    Reasoning,
    Arguments(usize),
}

impl EventRedactor {
    pub(crate) fn new(redactor: Redactor) -> Self {
        Self {
            redactor,
            texts: HashMap::new(),
        }
    }

    pub(crate) const fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Redacts the events behind the first `n_done`, which were redacted before.
    ///
    /// # Errors
    ///
    /// When an item is none any more without the secret.
    pub(crate) fn redact(
        &mut self,
        events: &mut VecDeque<ModelEvent>,
        n_done: usize,
    ) -> Result<(), ModelError> {
        if self.redactor.is_empty() || events.len() == n_done {
            return Ok(());
        }
        for event in events.split_off(n_done) {
            match event {
                ModelEvent::TextDelta { delta } => self.delta(Text::Answer, delta, events),
                ModelEvent::RefusalDelta { delta } => self.delta(Text::Refusal, delta, events),
                ModelEvent::ReasoningDelta { delta } => self.delta(Text::Reasoning, delta, events),
                ModelEvent::ToolCallDelta { index, delta } => {
                    self.delta(Text::Arguments(index), delta, events);
                }
                event => {
                    self.finish(events);
                    events.push_back(self.whole(event)?);
                }
            }
        }
        Ok(())
    }

    fn delta(&mut self, text: Text, delta: String, events: &mut VecDeque<ModelEvent>) {
        let stream = self
            .texts
            .entry(text)
            .or_insert_with(|| StreamRedactor::new(self.redactor.clone()));
        let shown = stream.push(delta);
        events.extend(text.event(shown));
    }

    /// Gives out what was held back.
    fn finish(&mut self, events: &mut VecDeque<ModelEvent>) {
        // What goes on behind it begins anew; an answer of many calls must not cost their number for each of them.
        for (text, mut stream) in self.texts.drain() {
            events.extend(text.event(stream.finish()));
        }
    }

    fn whole(&self, event: ModelEvent) -> Result<ModelEvent, ModelError> {
        Ok(match event {
            ModelEvent::ToolCallStarted { index, mut name } => {
                self.redactor.redact_in(&mut name);
                ModelEvent::ToolCallStarted { index, name }
            }
            ModelEvent::Other { mut name, json } => {
                self.redactor.redact_in(&mut name);
                let json = self.redactor.redact_json(&json).into_owned();
                ModelEvent::Other { name, json }
            }
            ModelEvent::ItemDone { item } => ModelEvent::ItemDone {
                item: self.item(item)?,
            },
            ModelEvent::ResponseDone(mut end) => {
                end.redact(&self.redactor);
                ModelEvent::ResponseDone(end)
            }
            ModelEvent::TextDelta { .. }
            | ModelEvent::RefusalDelta { .. }
            | ModelEvent::ReasoningDelta { .. }
            | ModelEvent::ToolCallDelta { .. } => event,
        })
    }

    fn item(&self, item: Item) -> Result<Item, ModelError> {
        if !self.redactor.is_in(item.to_json()) {
            return Ok(item);
        }
        Item::from_json(&self.redactor.redact_json(item.to_json())).map_err(|error| {
            let message = "an item of the answer repeats a key where it cannot be taken out";
            ModelError::new(ErrorKind::Inconsistent, message).with_source(error)
        })
    }
}

impl Text {
    /// The event of a delta, if there is something in it.
    fn event(self, delta: String) -> Option<ModelEvent> {
        let event = match self {
            _ if delta.is_empty() => return None,
            Self::Answer => ModelEvent::TextDelta { delta },
            Self::Refusal => ModelEvent::RefusalDelta { delta },
            Self::Reasoning => ModelEvent::ReasoningDelta { delta },
            Self::Arguments(index) => ModelEvent::ToolCallDelta { index, delta },
        };
        Some(event)
    }
}
