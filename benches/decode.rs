//! How fast the bytes of a chat stream become model events, on one core: server-sent events, JSON, and what it means.

use bytes::Bytes;
use divan::{Bencher, counter::BytesCount};
use openai_agents::__private::bench::decode_chat_stream;

const N_EVENTS: usize = 5_000;
const CHUNK_BYTES: usize = 16 * 1024;

fn main() {
    divan::main();
}

/// One token each, as vLLM sends them.
#[divan::bench]
fn text(bencher: Bencher<'_, '_>) {
    decode(bencher, &deltas(r#"{"content":" word"}"#), CHUNK_BYTES);
}

/// The same with one event in each read, as from a model that is slower than the network.
#[divan::bench]
fn text_event_by_event(bencher: Bencher<'_, '_>) {
    let stream = deltas(r#"{"content":" word"}"#);
    let n_bytes = stream.find("\n\n").map_or(1, |at| at + 2);
    decode(bencher, &stream, n_bytes);
}

/// Text with escapes, which cannot be borrowed from the received bytes.
#[divan::bench]
fn escaped_text(bencher: Bencher<'_, '_>) {
    decode(
        bencher,
        &deltas(r#"{"content":"\n\u00e9 \"word\""}"#),
        CHUNK_BYTES,
    );
}

#[divan::bench]
fn reasoning(bencher: Bencher<'_, '_>) {
    decode(
        bencher,
        &deltas(r#"{"reasoning_content":" word"}"#),
        CHUNK_BYTES,
    );
}

/// The arguments of one call in small pieces.
#[divan::bench]
fn arguments(bencher: Bencher<'_, '_>) {
    let begin = chunk(
        r#"{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"t","arguments":""}}]}"#,
    );
    let stream = begin + &deltas(r#"{"tool_calls":[{"index":0,"function":{"arguments":" 1,"}}]}"#);
    decode(bencher, &stream, CHUNK_BYTES);
}

fn deltas(delta: &str) -> String {
    chunk(delta).repeat(N_EVENTS)
}

fn chunk(delta: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-6f1a4c0e9d8b4f0f\",\"object\":\"chat.completion.chunk\",\"created\":1750000000,\
         \"model\":\"Qwen/Qwen3-8B\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\
         \"finish_reason\":null}}]}}\n\n"
    )
}

fn decode(bencher: Bencher<'_, '_>, stream: &str, chunk_bytes: usize) {
    let chunks: Vec<Bytes> = stream
        .as_bytes()
        .chunks(chunk_bytes)
        .map(Bytes::copy_from_slice)
        .collect();
    bencher
        .counter(BytesCount::new(stream.len()))
        .bench(|| decode_chat_stream(&chunks));
}
