//! A model of your own, without a server: `cargo run --example 11_custom_model`.
//!
//! A model gives events: deltas while it writes, if it was asked to stream, each item when it is complete, and the end. Without the
//! items the answer is empty, whatever the deltas showed.
#![expect(clippy::print_stdout, reason = "the answer is what the program prints")]

use futures_util::stream;
use openai_agents::future::BoxStream;
use openai_agents::item::ItemKind;
use openai_agents::model::{Delivery, ModelError, ModelEvent, ModelRequest};
use openai_agents::{Agent, Item, Model, Runner};

/// Says again what the user said last, word by word.
struct Parrot;

impl Model for Parrot {
    fn name(&self) -> &'static str {
        "parrot"
    }

    fn call(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, ModelError>> {
        let said = request
            .items
            .iter()
            .rev()
            .find_map(|item| match item.kind() {
                ItemKind::Message(message) => Some(message.text(" ")),
                _ => None,
            });
        let answer = format!("{}!", said.unwrap_or_default());
        let mut events = Vec::new();
        if request.delivery == Delivery::Stream {
            for word in answer.split_inclusive(' ') {
                let delta = word.to_owned();
                events.push(ModelEvent::TextDelta { delta });
            }
        }
        events.push(ModelEvent::ItemDone {
            item: Item::assistant(answer),
        });
        events.push(ModelEvent::ResponseDone(Box::default()));
        Box::pin(stream::iter(events.into_iter().map(Ok)))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let agent = Agent::builder("Polly").build()?;
    let runner = Runner::new(Parrot);
    println!(
        "{}",
        runner.run(&agent, "Pieces of eight").await?.final_output()
    );
    println!(
        "{}",
        runner
            .run(&agent, "Land ahoy")
            .stream()
            .finish()
            .await?
            .final_output()
    );
    Ok(())
}
