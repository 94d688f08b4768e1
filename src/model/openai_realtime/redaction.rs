//! Takes secrets out of what a realtime server says, also one that is split over several events.

use std::collections::VecDeque;

use serde_json::Value;

use crate::model::realtime::{ItemContent, ReceivedEvent, ServerEvent};
use crate::secret::{Redactor, StreamRedactor};

/// How many texts are looked at side by side: a model says one thing at a time, while what users said is transcribed.
const MAX_TEXTS: usize = 64;

/// The texts that come in pieces, each until its end: what comes between two pieces must not let half of a secret through.
pub(super) struct DeltaRedactor {
    redactor: Redactor,
    texts: Vec<RedactedText>,
}

struct RedactedText {
    id: TextId,
    stream: StreamRedactor,
    /// The last piece, whose form the rest takes that was held back.
    last: ServerEvent,
    /// Its JSON, if that is kept.
    json: Option<String>,
}

/// Says which text a piece belongs to.
#[derive(Debug, PartialEq, Eq)]
struct TextId {
    kind: TextKind,
    item_id: String,
    index: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum TextKind {
    /// The model says or writes it.
    Model,
    /// A user said it.
    User,
    /// Anything else that comes in pieces, such as the arguments of a call; this is the event's name before `.delta`.
    Other(String),
}

impl DeltaRedactor {
    pub(super) const fn new(redactor: Redactor) -> Self {
        Self {
            redactor,
            texts: Vec::new(),
        }
    }

    /// Passes an event on, whose own secrets were taken out already.
    pub(super) fn pass(&mut self, received: ReceivedEvent, out: &mut VecDeque<ReceivedEvent>) {
        if self.redactor.is_empty() {
            return out.push_back(received);
        }
        let Some((id, piece)) = piece_of(&received.event) else {
            self.finish_texts(|id| id.ends_with(&received.event), out);
            return out.push_back(received);
        };
        let known = self.texts.iter().position(|text| text.id == id);
        let at = known.unwrap_or_else(|| {
            if self.texts.len() >= MAX_TEXTS {
                self.texts.remove(0).finish(out);
            }
            self.texts.push(RedactedText {
                id,
                stream: StreamRedactor::new(self.redactor.clone()),
                last: received.event.clone(),
                json: None,
            });
            self.texts.len() - 1
        });
        let Some(text) = self.texts.get_mut(at) else {
            return;
        };
        text.last = received.event;
        text.json = received.json;
        let content = text.stream.push(piece);
        // Nothing is said by a piece that is held back, but what was odd about it.
        if !content.is_empty() || !received.deviations.is_empty() {
            out.push_back(ReceivedEvent {
                event: with_piece(text.last.clone(), &content),
                json: with_delta(text.json.as_deref(), &content),
                ..received
            });
        }
    }

    /// Gives out all that was held back: nothing comes any more.
    pub(super) fn finish(&mut self, out: &mut VecDeque<ReceivedEvent>) {
        self.finish_texts(|_| true, out);
    }

    fn finish_texts(
        &mut self,
        is_over: impl Fn(&TextId) -> bool,
        out: &mut VecDeque<ReceivedEvent>,
    ) {
        for text in self.texts.extract_if(.., |text| is_over(&text.id)) {
            text.finish(out);
        }
    }
}

impl RedactedText {
    fn finish(mut self, out: &mut VecDeque<ReceivedEvent>) {
        let content = self.stream.finish();
        if !content.is_empty() {
            out.push_back(ReceivedEvent {
                n_bytes: content.len(),
                event: with_piece(self.last, &content),
                deviations: Vec::new(),
                json: with_delta(self.json.as_deref(), &content),
            });
        }
    }
}

impl TextId {
    /// Whether an event says that nothing more comes of the text.
    fn ends_with(&self, event: &ServerEvent) -> bool {
        let is_item = |item_id: &str| self.item_id == item_id;
        match event {
            ServerEvent::TextDone(text) => {
                self.kind == TextKind::Model
                    && is_item(&text.item_id)
                    && self.index == u64::from(text.content_index)
            }
            ServerEvent::InputTranscriptDone { item_id, .. }
            | ServerEvent::InputTranscriptFailed { item_id, .. } => {
                self.kind == TextKind::User && is_item(item_id)
            }
            ServerEvent::OutputItemDone { item, .. } => {
                self.kind != TextKind::User && is_item(item.id())
            }
            ServerEvent::ItemDeleted { item_id } => is_item(item_id),
            ServerEvent::ResponseDone(_) => self.kind != TextKind::User,
            ServerEvent::Other { name, json } => {
                let TextKind::Other(kind) = &self.kind else {
                    return false;
                };
                name.strip_suffix(".done") == Some(kind)
                    && serde_json::from_str(json)
                        .is_ok_and(|event| place_of(&event) == (self.item_id.clone(), self.index))
            }
            _ => false,
        }
    }
}

/// Returns the piece of a text that an event brings.
fn piece_of(event: &ServerEvent) -> Option<(TextId, String)> {
    let (kind, item_id, index, piece) = match event {
        ServerEvent::TextDelta(delta) => (
            TextKind::Model,
            delta.item_id.clone(),
            u64::from(delta.content_index),
            delta.content.clone(),
        ),
        ServerEvent::InputTranscriptDelta { item_id, delta } => {
            (TextKind::User, item_id.clone(), 0, delta.clone())
        }
        ServerEvent::Other { name, json } => {
            let kind = TextKind::Other(name.strip_suffix(".delta")?.to_owned());
            let mut event: Value = serde_json::from_str(json).ok()?;
            let (item_id, index) = place_of(&event);
            let Value::String(piece) = event.get_mut("delta")?.take() else {
                return None;
            };
            (kind, item_id, index, piece)
        }
        _ => return None,
    };
    let id = TextId {
        kind,
        item_id,
        index,
    };
    Some((id, piece))
}

/// The item that an event names, and which part of it.
fn place_of(event: &Value) -> (String, u64) {
    let item_id = event.get("item_id").and_then(Value::as_str);
    let index = event.get("content_index").and_then(Value::as_u64);
    (
        item_id.unwrap_or_default().to_owned(),
        index.unwrap_or_default(),
    )
}

/// The event with another piece of text.
fn with_piece(event: ServerEvent, content: &str) -> ServerEvent {
    match event {
        ServerEvent::TextDelta(delta) => ServerEvent::TextDelta(ItemContent {
            content: content.to_owned(),
            ..delta
        }),
        ServerEvent::InputTranscriptDelta { item_id, .. } => ServerEvent::InputTranscriptDelta {
            item_id,
            delta: content.to_owned(),
        },
        ServerEvent::Other { name, json } => {
            let json = with_delta(Some(&json), content).unwrap_or_default();
            ServerEvent::Other { name, json }
        }
        other => other,
    }
}

/// The JSON of an event whose piece of text is another now; JSON that cannot be changed is not kept.
fn with_delta(json: Option<&str>, content: &str) -> Option<String> {
    let mut event: Value = serde_json::from_str(json?).ok()?;
    *event.get_mut("delta")? = content.into();
    Some(event.to_string())
}
