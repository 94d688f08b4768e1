//! Takes secrets out of what a realtime server says, also one that is split over several events.

use std::collections::{HashMap, VecDeque};

use serde_json::Value;

use crate::model::realtime::{ItemContent, ReceivedEvent, ServerEvent};
use crate::secret::{Redactor, StreamRedactor};

/// How many texts are looked at side by side; a model says one thing at a time.
const MAX_TEXTS: usize = 64;

/// The texts that come in pieces.
pub(super) struct DeltaRedactor {
    redactor: Redactor,
    texts: HashMap<(String, u32), RedactedText>,
}

struct RedactedText {
    stream: StreamRedactor,
    /// The last piece, whose form the rest takes that was held back.
    last: ItemContent<String>,
    /// Its JSON, if that is kept.
    json: Option<String>,
}

impl DeltaRedactor {
    pub(super) fn new(redactor: Redactor) -> Self {
        Self {
            redactor,
            texts: HashMap::new(),
        }
    }

    /// Passes an event on, whose own secrets were taken out already.
    pub(super) fn pass(&mut self, received: ReceivedEvent, out: &mut VecDeque<ReceivedEvent>) {
        if self.redactor.is_empty() {
            return out.push_back(received);
        }
        match received.event {
            ServerEvent::TextDelta(delta) => {
                let key = (delta.item_id.clone(), delta.content_index);
                if self.texts.len() >= MAX_TEXTS && !self.texts.contains_key(&key) {
                    self.finish(out);
                }
                let text = self.texts.entry(key).or_insert_with(|| RedactedText {
                    stream: StreamRedactor::new(self.redactor.clone()),
                    last: delta.clone(),
                    json: None,
                });
                text.json.clone_from(&received.json);
                let content = text.stream.push(delta.content.clone());
                if !content.is_empty() {
                    let json = with_delta(received.json, &content);
                    let event = ServerEvent::TextDelta(ItemContent { content, ..delta });
                    out.push_back(ReceivedEvent {
                        event,
                        json,
                        ..received
                    });
                }
            }
            // Audio comes between the pieces of its transcript.
            ServerEvent::AudioDelta(_) => out.push_back(received),
            event => {
                self.finish(out);
                out.push_back(ReceivedEvent { event, ..received });
            }
        }
    }

    /// Gives out what was held back.
    fn finish(&mut self, out: &mut VecDeque<ReceivedEvent>) {
        for (_, mut text) in self.texts.drain() {
            let content = text.stream.finish();
            if !content.is_empty() {
                let n_bytes = content.len();
                let json = with_delta(text.json, &content);
                let event = ServerEvent::TextDelta(ItemContent {
                    content,
                    ..text.last
                });
                out.push_back(ReceivedEvent {
                    event,
                    deviations: Vec::new(),
                    n_bytes,
                    json,
                });
            }
        }
    }
}

/// The JSON of an event whose piece of text is another now; JSON that cannot be changed is not kept.
fn with_delta(json: Option<String>, content: &str) -> Option<String> {
    let mut event: Value = serde_json::from_str(&json?).ok()?;
    let delta = event.get_mut("delta")?;
    if delta.as_str() != Some(content) {
        *delta = content.into();
    }
    Some(event.to_string())
}
