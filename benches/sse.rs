//! How fast bytes become server-sent events: about 150 bytes each, as chat deltas are, in chunks of 16 KB.

use bytes::Bytes;
use divan::{Bencher, black_box, counter::BytesCount};
use openai_agents::http::SseDecoder;

const CHUNK_BYTES: usize = 16 * 1024;
const N_EVENTS: usize = 10_000;

fn main() {
    divan::main();
}

/// Events of the shape that Chat Completions streams.
#[divan::bench]
fn chat_deltas(bencher: Bencher<'_, '_>) {
    let stream = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\
                  \"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"finish_reason\":null}]}\n\n"
        .repeat(N_EVENTS);
    decode_all(bencher, stream, CHUNK_BYTES);
}

/// Events with a name, as Responses streams them.
#[divan::bench]
fn responses_deltas(bencher: Bencher<'_, '_>) {
    let stream = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"item_id\":\"msg_1\",\
                  \"output_index\":0,\"content_index\":0,\"delta\":\" word\",\"sequence_number\":7}\n\n"
        .repeat(N_EVENTS);
    decode_all(bencher, stream, CHUNK_BYTES);
}

/// One event of 8 MB in chunks of 8 KB: time must grow with the bytes, not with the chunks.
#[divan::bench]
fn one_long_line(bencher: Bencher<'_, '_>) {
    let stream = format!("data: {}\n\n", "x".repeat(8 * 1024 * 1024));
    decode_all(bencher, stream, 8 * 1024);
}

fn decode_all(bencher: Bencher<'_, '_>, stream: String, chunk_bytes: usize) {
    let stream = Bytes::from(stream);
    bencher.counter(BytesCount::new(stream.len())).bench(|| {
        let mut decoder = SseDecoder::new(16 * 1024 * 1024);
        let mut n_data = 0;
        let mut rest = stream.clone();
        while !rest.is_empty() {
            decoder.push(rest.split_to(chunk_bytes.min(rest.len())));
            while let Ok(Some(event)) = decoder.next_event() {
                n_data += black_box(event.data).len();
            }
        }
        n_data
    });
}
