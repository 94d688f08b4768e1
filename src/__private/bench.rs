//! The wire without a socket, for benchmarks.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::http::SseDecoder;
use crate::model::wire::{DecodeContext, ResponseDecoder, ResponseLimits, chat};
use crate::model::{Dialect, ModelError, ModelRequest};

/// Decodes a chat stream's chunks as an exchange does, and counts the model events.
///
/// # Errors
///
/// What is wrong with the stream.
pub fn decode_chat_stream(chunks: &[Bytes]) -> Result<usize, ModelError> {
    let mut sse = SseDecoder::new(32 * 1024 * 1024);
    let mut answer = chat::ChatDecoder::new(DecodeContext::new(
        1,
        Arc::default(),
        ResponseLimits::default(),
    ));
    let mut events = VecDeque::new();
    let mut n_events = 0;
    for chunk in chunks {
        sse.push(chunk.clone());
        while let Ok(Some(event)) = sse.next_event() {
            answer.on_event(event.event, event.data, &mut events)?;
        }
        // The caller takes them before the next chunk is read.
        n_events += events.drain(..).count();
    }
    Ok(n_events)
}

/// Encodes the body of a chat request.
///
/// # Errors
///
/// What cannot be sent.
pub fn encode_chat(request: &ModelRequest) -> Result<Bytes, ModelError> {
    chat::encode(request, "model", &Dialect::default())
}
