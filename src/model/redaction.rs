//! Takes secrets out of what a server answers, before anyone sees it.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};

use super::{ModelError, ModelEvent};
use crate::item::{Content, Item, ItemKind, Message, Part, Role};
use crate::kind::ErrorKind;
use crate::secret::{Redactor, StreamRedactor};

/// Passes the events of one answer on, without the secrets that the server repeats.
///
/// A secret that is split over deltas is found too: what may be its beginning is held back until the next delta, or until another kind
/// of event says that the text is over.
pub(crate) struct EventRedactor {
    redactor: Redactor,
    texts: HashMap<TextKind, StreamRedactor>,
}

/// What a delta goes on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum TextKind {
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
        // Nothing to take out, or nothing new to look at.
        if self.redactor.is_empty() || events.len() == n_done {
            return Ok(());
        }
        let is_whole = |event: &ModelEvent| !event.is_delta();
        // The usual case of a whole answer: redact in place, without a second queue.
        if self.texts.is_empty() && events.iter().skip(n_done).all(is_whole) {
            let mut whole = events.iter_mut().skip(n_done);
            return whole.try_for_each(|event| self.whole(event));
        }
        for mut event in events.split_off(n_done) {
            match event {
                ModelEvent::TextDelta { delta } => self.delta(TextKind::Answer, delta, events),
                ModelEvent::RefusalDelta { delta } => self.delta(TextKind::Refusal, delta, events),
                ModelEvent::ReasoningDelta { delta } => {
                    self.delta(TextKind::Reasoning, delta, events);
                }
                ModelEvent::ToolCallDelta { index, delta } => {
                    self.delta(TextKind::Arguments(index), delta, events);
                }
                ModelEvent::ToolCallStarted { .. }
                | ModelEvent::Other { .. }
                | ModelEvent::ItemDone { .. }
                | ModelEvent::ResponseDone(_) => {
                    // A new kind of event says that the text before it is over, so what was held
                    // back goes first.
                    self.finish(events);
                    self.whole(&mut event)?;
                    events.push_back(event);
                }
            }
        }
        Ok(())
    }

    fn delta(&mut self, text: TextKind, delta: String, events: &mut VecDeque<ModelEvent>) {
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

    /// Redacts an event that is not a piece of a text.
    fn whole(&self, event: &mut ModelEvent) -> Result<(), ModelError> {
        match event {
            ModelEvent::ToolCallStarted { call_id, name, .. } => {
                self.redactor.redact_in(call_id);
                self.redactor.redact_in(name);
            }
            ModelEvent::Other { name, json } => {
                self.redactor.redact_in(name);
                if let Cow::Owned(redacted) = self.redactor.redact_json(json) {
                    *json = redacted;
                }
            }
            ModelEvent::ItemDone { item } => {
                if self.is_in(item) {
                    *item = self.item(item)?;
                }
            }
            ModelEvent::ResponseDone(meta) => meta.redact(&self.redactor),
            ModelEvent::TextDelta { .. }
            | ModelEvent::RefusalDelta { .. }
            | ModelEvent::ReasoningDelta { .. }
            | ModelEvent::ToolCallDelta { .. } => {}
        }
        Ok(())
    }

    /// Whether an item holds a secret. One that has nothing but its texts is not written as JSON for that.
    fn is_in(&self, item: &Item) -> bool {
        match item.kind() {
            ItemKind::FunctionCall(call) if call.extra.is_empty() => {
                let texts = [&call.call_id, &call.name, &call.arguments];
                texts.iter().any(|text| self.redactor.is_in(text))
            }
            ItemKind::Message(message) if !item.has_json() => {
                let known = self.is_in_texts(message);
                known.unwrap_or_else(|| self.redactor.is_in(item.to_json()))
            }
            _ => self.redactor.is_in(item.to_json()),
        }
    }

    /// Whether a message that was put together from texts holds a secret; nothing if it has more than texts.
    fn is_in_texts(&self, message: &Message) -> Option<bool> {
        let Content::Parts(parts) = &message.content else {
            return None;
        };
        let parts = parts.iter().map(|part| match part {
            Part::OutputText { text } | Part::Refusal { refusal: text } => Some(&**text),
            Part::InputText { .. }
            | Part::Image { .. }
            | Part::Audio { .. }
            | Part::File { .. }
            | Part::Unknown(_) => None,
        });
        let extra = message.extra.iter();
        let extra = extra.map(|(key, value)| value.as_str().filter(|_| key == "status"));
        if message.role != Role::Assistant {
            return None;
        }
        let mut texts = parts.chain(extra);
        texts.try_fold(false, |is_in, text| {
            Some(is_in | self.redactor.is_in(text?))
        })
    }

    fn item(&self, item: &Item) -> Result<Item, ModelError> {
        Item::from_json(&self.redactor.redact_json(item.to_json())).map_err(|error| {
            let message = "an item of the answer repeats a key where it cannot be taken out";
            ModelError::new(ErrorKind::Inconsistent, message).with_source(error)
        })
    }
}

impl TextKind {
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
