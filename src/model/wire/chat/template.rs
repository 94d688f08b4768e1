//! Bytes before and after the changing text in repeated chunks, so that these need not be parsed again.

use std::borrow::Cow;

use memchr::memchr2;
use serde::Deserialize;

use super::extra::Extra;
use super::types::{ChatBody, ChatCall, ChatMessage};

/// The bytes of the last event around its text, if the text was all that it brought.
///
/// A server writes thousands of chunks that differ in one text. Parsing each costs about 500 ns, comparing it with
/// the one before about 50. An event with the same bytes around another text means the same with that text,
/// whatever the bytes are: JSON is read from left to right, and a text that is a whole JSON string ends where the
/// one before ended. Anything else is left to the parser, and so is the event behind it: what a parsed event said
/// (a finish reason, a new call) may have changed what the next one means.
#[derive(Default)]
pub(super) struct DeltaTemplate {
    before: Vec<u8>,
    after: Vec<u8>,
    kind: DeltaKind,
}

/// What a delta is a piece of.
#[derive(Clone, Copy, Default)]
pub(super) enum DeltaKind {
    #[default]
    Text,
    Reasoning {
        /// Whether it came in the field `reasoning`, not `reasoning_content`.
        in_reasoning_field: bool,
    },
    Arguments {
        /// The place of the call.
        call: usize,
    },
}

impl DeltaTemplate {
    /// Returns the text of an event that matches; `None` leaves the event to the parser.
    pub(super) fn delta<'a>(&self, event: &'a [u8]) -> Option<(DeltaKind, Cow<'a, str>)> {
        if self.before.is_empty() {
            return None;
        }
        // An event that is shorter than both parts together fails one of the two strips, so the
        // text cannot overlap.
        let inner = event
            .strip_prefix(&*self.before)?
            .strip_suffix(&*self.after)?;
        // Without quote, backslash or control byte the bytes are the text. Otherwise the string is
        // parsed with its quotes.
        let text = if memchr2(b'"', b'\\', inner).is_none()
            && inner.iter().all(|byte| *byte >= 0x20)
        {
            Cow::Borrowed(std::str::from_utf8(inner).ok()?)
        } else {
            // The quotes belong to what stands around.
            let quoted = event.get(
                self.before.len().checked_sub(1)?..=event.len().checked_sub(self.after.len())?,
            )?;
            string(std::str::from_utf8(quoted).ok()?)?
        };
        Some((self.kind, text)).filter(|(_, text)| !text.is_empty())
    }

    /// Remembers the bytes around a text that was parsed out of an event.
    pub(super) fn learn(&mut self, event: &str, kind: DeltaKind, text: &str) {
        // The text borrows from the event, so that its place is the distance of their addresses.
        let at = text.as_ptr().addr().wrapping_sub(event.as_ptr().addr());
        let (Some(before), Some(after)) = (
            event.get(..at),
            event.get(at..).and_then(|rest| rest.strip_prefix(text)),
        ) else {
            return;
        };
        // The text must be one whole JSON string, or a later text could run over its end.
        if before.ends_with('"') && after.starts_with('"') {
            self.before.extend_from_slice(before.as_bytes());
            self.after.extend_from_slice(after.as_bytes());
            self.kind = kind;
        }
    }

    /// Leaves the next event to the parser.
    pub(super) fn forget(&mut self) {
        self.before.clear();
        self.after.clear();
    }
}

fn string(quoted: &str) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

    serde_json::from_str::<Text<'_>>(quoted)
        .ok()
        .map(|text| text.0)
}

/// Returns what an event brings if that is one piece of text, which stands there as it is, without escapes.
///
/// The call of a piece of arguments is not known here, and given as the first.
pub(super) fn single_delta<'a>(body: &ChatBody<'a>) -> Option<(DeltaKind, &'a str)> {
    let choice = body.choices.as_ref()?.only()?;
    let has_end = body.usage.is_some()
        || choice.finish_reason.is_some()
        || choice.index.is_some_and(|index| index > 0);
    let message = choice.message.as_ref().filter(|_| !has_end)?;
    // Lists and the like are put together from the events that have them, even if all have the same.
    let is_mark = |extra: &Extra<'_>| extra.iter().all(|(_, raw)| raw.get().starts_with('"'));
    let is_other = message.refusal.is_some()
        || message.function_call.is_some()
        || message.thinking_blocks.is_some()
        || message.annotations.is_some()
        || choice.logprobs.content.is_some()
        || !choice.logprobs.extra.is_empty()
        || !is_mark(&message.extra)
        || !is_mark(&choice.extra);
    if is_other {
        return None;
    }
    let text = |text: &Option<Cow<'a, str>>| text.clone().filter(|text| !text.is_empty());
    let calls = &message.tool_calls;
    let (kind, text) = match (text(&message.content), reasoning(message)) {
        (Some(text), None) if calls.is_empty() => (DeltaKind::Text, text),
        (None, Some((text, in_reasoning_field))) if calls.is_empty() => {
            (DeltaKind::Reasoning { in_reasoning_field }, text)
        }
        (None, None) => (DeltaKind::Arguments { call: 0 }, arguments(calls.only()?)?),
        _ => return None,
    };
    match text {
        Cow::Borrowed(text) if !text.is_empty() => Some((kind, text)),
        _ => None,
    }
}

fn reasoning<'a>(message: &ChatMessage<'a>) -> Option<(Cow<'a, str>, bool)> {
    let text = |text: &Option<Cow<'a, str>>| text.clone().filter(|text| !text.is_empty());
    match (text(&message.reasoning_content), text(&message.reasoning)) {
        (Some(text), None) => Some((text, false)),
        (None, Some(text)) => Some((text, true)),
        _ => None,
    }
}

/// Returns a piece of arguments that comes without anything else of a call.
fn arguments<'a>(call: &ChatCall<'a>) -> Option<Cow<'a, str>> {
    let function = call.function.as_ref()?;
    let is_more = call.id.is_some()
        || call.r#type.is_some()
        || function.name.is_some()
        || !call.extra.is_empty();
    function.arguments.clone().filter(|_| !is_more)
}
