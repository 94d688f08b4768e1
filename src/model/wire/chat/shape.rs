//! The shape of a stream's events: most differ from the one before in one piece of text only, and need not be parsed again.

use std::borrow::Cow;

use memchr::memchr2;

use super::types::Body;

/// What stood around the text of the last event that brought text and nothing else.
///
/// An event with the same bytes around another text means the same with another text, whatever the bytes are: JSON is read from left
/// to right, and the text ends where it did before, since it has no quote and no escape.
#[derive(Default)]
pub(super) struct Shape {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Shape {
    /// Gives the text of an event of this shape; `None` leaves the event to the parser.
    pub(super) fn text<'a>(&self, event: &'a [u8]) -> Option<&'a str> {
        if self.before.is_empty() {
            return None;
        }
        let text = event
            .strip_prefix(&*self.before)?
            .strip_suffix(&*self.after)?;
        let is_plain = !text.is_empty()
            && memchr2(b'"', b'\\', text).is_none()
            && text.iter().all(|byte| *byte >= 0x20);
        std::str::from_utf8(text).ok().filter(|_| is_plain)
    }

    /// Remembers what stands around a text that was parsed out of an event.
    pub(super) fn learn(&mut self, event: &str, text: &str) {
        self.before.clear();
        self.after.clear();
        // The text borrows from the event, so that its place is the distance of their addresses.
        let at = text.as_ptr().addr().wrapping_sub(event.as_ptr().addr());
        let (Some(before), Some(after)) = (
            event.get(..at),
            event.get(at..).and_then(|rest| rest.strip_prefix(text)),
        ) else {
            return;
        };
        if before.ends_with('"') && after.starts_with('"') {
            self.before.extend_from_slice(before.as_bytes());
            self.after.extend_from_slice(after.as_bytes());
        }
    }
}

/// Gives the text of an event that brings text and nothing else, if it stands there as it is, without escapes.
pub(super) fn lone_text<'a>(body: &Body<'a>) -> Option<&'a str> {
    let [choice] = body.choices.as_deref()? else {
        return None;
    };
    let message = choice.message.as_ref()?;
    let Some(Cow::Borrowed(text)) = message.content.0 else {
        return None;
    };
    let is_empty = |text: &Option<Cow<'_, str>>| text.as_ref().is_none_or(|text| text.is_empty());
    let is_alone = body.usage.is_none()
        && choice.index.is_none_or(|index| index == 0)
        && choice.finish_reason.is_none()
        && is_empty(&message.reasoning_content.0)
        && is_empty(&message.reasoning.0)
        && message.refusal.is_none()
        && message.tool_calls.is_none()
        && message.function_call.is_none()
        && message.thinking_blocks.is_none()
        && message.audio.is_none();
    Some(text).filter(|text| is_alone && !text.is_empty())
}
