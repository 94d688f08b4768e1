//! How long it takes to write the body of a request, by the length of the conversation.

use divan::{Bencher, counter::BytesCount};
use openai_agents::__private::bench::encode_chat;
use openai_agents::Item;
use openai_agents::item::{FunctionCall, FunctionCallOutput, History};
use openai_agents::model::ModelRequest;

const N_TURNS: [usize; 3] = [10, 100, 400];

fn main() {
    divan::main();
}

/// The request of the next turn: all but its last two items were sent before.
#[divan::bench(args = N_TURNS)]
fn next_turn(bencher: Bencher<'_, '_>, n_turns: usize) {
    let sent = History::from(conversation(n_turns));
    let request = ModelRequest::new(sent.clone());
    let n_bytes = encode_chat(&request).map_or(0, |body| body.len());
    bencher
        .counter(BytesCount::new(n_bytes))
        .with_inputs(|| {
            let mut history = sent.clone();
            history.extend(turn(n_turns));
            ModelRequest::new(history)
        })
        .bench_refs(|request| encode_chat(request));
}

/// The same items in a new conversation, as from a session: each keeps its own bytes.
#[divan::bench(args = N_TURNS)]
fn known_items(bencher: Bencher<'_, '_>, n_turns: usize) {
    let items = conversation(n_turns);
    let n_bytes = encode_chat(&ModelRequest::new(items.clone())).map_or(0, |body| body.len());
    bencher
        .counter(BytesCount::new(n_bytes))
        .with_inputs(|| ModelRequest::new(items.clone()))
        .bench_refs(|request| encode_chat(request));
}

/// Items that were never sent.
#[divan::bench(args = N_TURNS)]
fn new_items(bencher: Bencher<'_, '_>, n_turns: usize) {
    let n_bytes =
        encode_chat(&ModelRequest::new(conversation(n_turns))).map_or(0, |body| body.len());
    bencher
        .counter(BytesCount::new(n_bytes))
        .with_inputs(|| ModelRequest::new(conversation(n_turns)))
        .bench_refs(|request| encode_chat(request));
}

fn conversation(n_turns: usize) -> Vec<Item> {
    let question = Item::user("What is the weather in all the cities of the list?");
    [question]
        .into_iter()
        .chain((0..n_turns).flat_map(turn))
        .collect()
}

/// A call with its output, of about 400 bytes.
fn turn(n: usize) -> [Item; 2] {
    let id = format!("call_{n:024}");
    let arguments = format!("{{\"city\":\"City {n}\",\"days\":3,\"units\":\"metric\"}}");
    let output = "Sunny with some clouds in the afternoon, wind from the west. ".repeat(4);
    [
        FunctionCall::new(&id, "get_weather", arguments).into(),
        FunctionCallOutput::new(&id, output.into()).into(),
    ]
}
