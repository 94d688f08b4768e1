//! The decoders of answers without a socket, for fuzzing: what they make of any bytes, however these are cut.

use std::collections::VecDeque;
#[cfg(feature = "realtime")]
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;

use crate::http::SseDecoder;
use crate::model::wire::{
    DecodeContext, ResponseDecoder, ResponseLimits, chat, harmony, responses,
};
use crate::model::{ModelError, ModelEvent};
#[cfg(feature = "realtime")]
use crate::realtime::probe::ProbeInput;

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

/// Decodes a stream that comes in pieces, as an exchange does.
///
/// Shows the events and the error.
pub fn decode_stream(wire: Wire, pieces: &[&[u8]]) -> String {
    show(wire, |decoder, events| stream(decoder, pieces, events))
}

/// Decodes a whole answer, and shows its events or the error.
pub fn decode_body(wire: Wire, body: &[u8]) -> String {
    show(wire, |decoder, events| decoder.on_body(body, events))
}

fn stream(
    decoder: &mut dyn ResponseDecoder,
    pieces: &[&[u8]],
    events: &mut VecDeque<ModelEvent>,
) -> Result<(), ModelError> {
    let is_complete =
        |events: &VecDeque<ModelEvent>| matches!(events.back(), Some(ModelEvent::ResponseDone(_)));
    let mut sse = SseDecoder::new(MAX_EVENT_BYTES);
    for piece in pieces {
        sse.push(Bytes::copy_from_slice(piece));
        while let Ok(Some(event)) = sse.next_event() {
            decoder.on_event(event.event, event.data, events)?;
            if is_complete(events) {
                return Ok(());
            }
        }
    }
    if let Ok(Some(event)) = sse.finish() {
        decoder.on_event(event.event, event.data, events)?;
    }
    if is_complete(events) {
        return Ok(());
    }
    decoder.on_end(events)
}

fn show(
    wire: Wire,
    decode: impl FnOnce(&mut dyn ResponseDecoder, &mut VecDeque<ModelEvent>) -> Result<(), ModelError>,
) -> String {
    let cx = DecodeContext::new(1, Arc::default(), ResponseLimits::default());
    let mut decoder: Box<dyn ResponseDecoder> = match wire {
        Wire::Chat => Box::new(chat::ChatDecoder::new(cx)),
        Wire::Responses => Box::new(responses::ResponsesDecoder::new(cx)),
        Wire::Harmony => Box::new(harmony::HarmonyDecoder::new(cx)),
    };
    let mut events = VecDeque::new();
    let error = decode(&mut *decoder, &mut events).err();
    // As an exchange does: an error has what was received before it.
    let error = error.map(|error| error.with_received(decoder.take_received()));
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

/// Reads any bytes as a message that an MCP server sends to a client.
///
/// The client's request 7 waits for its answer. Shows what the client makes of the bytes.
#[cfg(feature = "mcp-client")]
pub fn decode_mcp_answer(method: &str, bytes: &[u8]) -> String {
    crate::mcp::probe::read(method, bytes)
}

/// Plays lines to the machine of a realtime session that begins with the first agent.
///
/// Gives what it did, and what it must not do.
///
/// A line that begins with `{` is an event of the server; one that cannot be understood would end the session, and is only shown. The
/// others move the clock or stand for the user, as `+120`, `text Hello`, `audio 960`, `commit`, `interrupt`, `played item_1 300`, `close 1001`.
#[cfg(feature = "realtime")]
pub fn play_realtime(
    agents: &[crate::realtime::RealtimeAgent],
    bytes: &[u8],
) -> (String, Vec<String>) {
    let text = String::from_utf8_lossy(bytes);
    let mut broken = String::new();
    let inputs = text.lines().filter_map(|line| {
        if !line.starts_with('{') {
            return realtime_input(line);
        }
        match crate::model::wire::realtime::decode(line) {
            Ok(received) => Some(ProbeInput::Server(received)),
            Err(error) => {
                writeln!(broken, "{error:?}").ok();
                None
            }
        }
    });
    let result = crate::realtime::probe::play(agents, inputs);
    (broken + &result.log, result.complaints)
}

#[cfg(feature = "realtime")]
fn realtime_input(line: &str) -> Option<ProbeInput> {
    let ms = |text: &str| text.parse().ok().map(std::time::Duration::from_millis);
    if let Some(time) = line.strip_prefix('+') {
        return ms(time).map(ProbeInput::Pass);
    }
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "text" => Some(ProbeInput::Text(rest.to_owned())),
        "audio" => {
            let n_bytes = rest.parse::<u16>().ok()?;
            Some(ProbeInput::Audio(n_bytes.into()))
        }
        "commit" => Some(ProbeInput::Commit),
        "interrupt" => Some(ProbeInput::Interrupt),
        "played" => {
            let (item_id, position) = rest.split_once(' ')?;
            Some(ProbeInput::Played(item_id.to_owned(), ms(position)?))
        }
        "oldest" => Some(ProbeInput::EndOldest),
        "newest" => Some(ProbeInput::EndNewest),
        "approve" => Some(ProbeInput::Decide { is_approved: true }),
        "reject" => Some(ProbeInput::Decide { is_approved: false }),
        "close" => rest.parse().ok().map(ProbeInput::Close),
        _ => None,
    }
}
