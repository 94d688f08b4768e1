//! What a run costs beside its model: the model here answers at once.

use divan::Bencher;
use futures_util::stream;
use openai_agents::future::BoxStream;
use openai_agents::item::FunctionCall;
use openai_agents::model::{Delivery, ModelError, ModelEvent, ModelRequest, ResponseMeta};
use openai_agents::{Agent, FunctionTool, Item, Limits, Model, RunError, RunRequest, Runner};
use tokio::runtime::Runtime;

const N_WORDS: usize = 100;

fn main() {
    divan::main();
}

/// One request, one text.
#[divan::bench]
fn one_turn(bencher: Bencher<'_, '_>) {
    bench(bencher, 0, |runner, agent| runner.run(agent, "go"));
}

/// The same in a hundred pieces.
#[divan::bench]
fn one_streamed_turn(bencher: Bencher<'_, '_>) {
    bench(bencher, 0, |runner, agent| {
        runner.run(agent, "go").delivery(Delivery::Stream)
    });
}

/// Ten turns with a tool call each, then the text.
#[divan::bench]
fn tool_loop_of_10(bencher: Bencher<'_, '_>) {
    bench(bencher, 10, |runner, agent| runner.run(agent, "go"));
}

fn bench(
    bencher: Bencher<'_, '_>,
    n_tool_turns: u32,
    request: impl Fn(&Runner, &Agent) -> RunRequest + Sync,
) {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Summands {
        a: i64,
        b: i64,
    }
    let add = FunctionTool::new("add", "Adds.", async |_cx, sum: Summands| {
        Ok::<_, String>(sum.a + sum.b)
    });
    let agent = add
        .map(|add| Agent::builder("A").instructions("Be brief.").tool(add))
        .map(openai_agents::agent::AgentBuilder::build);
    let (Ok(Ok(agent)), Ok(runtime)) = (agent, runtime()) else {
        return;
    };
    let runner = Runner::new(Instant { n_tool_turns }).limits(Limits::NONE);
    bencher.bench_local(|| -> Result<_, RunError> {
        runtime.block_on(request(&runner, &agent).into_future())
    });
}

fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().build()
}

/// Calls the tool in so many turns, then answers with a text.
struct Instant {
    n_tool_turns: u32,
}

impl Model for Instant {
    fn name(&self) -> &'static str {
        "instant"
    }

    fn call(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, ModelError>> {
        let item = if request.turn > self.n_tool_turns {
            Item::assistant("word ".repeat(N_WORDS))
        } else {
            let id = format!("call_{}", request.turn);
            FunctionCall::new(id, "add", r#"{"a":1,"b":2}"#).into()
        };
        let n_deltas = if request.delivery == Delivery::Stream {
            N_WORDS
        } else {
            0
        };
        let deltas = (0..n_deltas).map(|_| ModelEvent::TextDelta {
            delta: "word ".to_owned(),
        });
        let end = [
            ModelEvent::ItemDone { item },
            ModelEvent::ResponseDone(Box::<ResponseMeta>::default()),
        ];
        let events: Vec<_> = deltas.chain(end).map(Ok).collect();
        Box::pin(stream::iter(events))
    }
}
