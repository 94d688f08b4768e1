//! The decoders of answers without a socket, for fuzzing: what they make of any bytes, however these are cut.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::http::SseDecoder;
use crate::model::wire::{Answer, AnswerLimits, DecodeContext, chat, harmony, responses};
use crate::model::{ModelError, ModelEvent};

/// The most that an event may have here.
const MAX_EVENT_BYTES: usize = 1024 * 1024;

/// An API whose answers are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a new wire is to be fuzzed too")]
pub enum Wire {
    /// `/chat/completions`.
    Chat,
    /// `/responses`.
    Responses,
    /// `/completions` with Harmony text.
    Harmony,
}

/// Decodes a stream that comes in pieces, as an exchange does, and shows the events and the error.
pub fn decode_stream(wire: Wire, pieces: &[&[u8]]) -> String {
    match wire {
        Wire::Chat => show(&stream(chat_decoder(), pieces)),
        Wire::Responses => show(&stream(responses::Decoder::new(context()), pieces)),
        Wire::Harmony => show(&stream(harmony::Decoder::new(context()), pieces)),
    }
}

/// Decodes a whole answer, and shows its items or the error.
pub fn decode_body(wire: Wire, body: &[u8]) -> String {
    match wire {
        Wire::Chat => format!("{:?}", chat_decoder().decode(body)),
        Wire::Responses => format!("{:?}", responses::Decoder::new(context()).decode(body)),
        Wire::Harmony => format!("{:?}", harmony::Decoder::new(context()).decode(body)),
    }
}

fn chat_decoder() -> chat::Decoder {
    chat::Decoder::new(context())
}

fn context() -> DecodeContext {
    DecodeContext::new(1, Arc::default(), AnswerLimits::default())
}

fn stream(mut answer: impl Answer, pieces: &[&[u8]]) -> (VecDeque<ModelEvent>, Option<ModelError>) {
    let mut events = VecDeque::new();
    let error = decode(&mut answer, pieces, &mut events).err();
    (events, error)
}

fn decode(
    answer: &mut impl Answer,
    pieces: &[&[u8]],
    events: &mut VecDeque<ModelEvent>,
) -> Result<(), ModelError> {
    let mut sse = SseDecoder::new(MAX_EVENT_BYTES);
    for piece in pieces {
        sse.push(Bytes::copy_from_slice(piece));
        while let Ok(Some(event)) = sse.next_event() {
            answer.event(event.event, event.data, events)?;
            if answer.is_done() {
                return Ok(());
            }
        }
    }
    if let Ok(Some(event)) = sse.finish() {
        answer.event(event.event, event.data, events)?;
    }
    if answer.is_done() {
        return Ok(());
    }
    answer.end(events)
}

fn show((events, error): &(VecDeque<ModelEvent>, Option<ModelError>)) -> String {
    format!("{events:#?}\n{error:#?}")
}

/// The methods whose answers [`decode_mcp_answer`] reads.
#[cfg(feature = "mcp-client")]
pub const MCP_METHODS: [&str; 9] = [
    "initialize",
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "prompts/list",
    "prompts/get",
    "completion/complete",
];

/// Reads any bytes as a message that an MCP server sends to a client whose request 7 waits for its answer, and shows what it makes of them.
#[cfg(feature = "mcp-client")]
pub fn decode_mcp_answer(method: &str, bytes: &[u8]) -> String {
    crate::mcp::probe::read(method, bytes)
}
