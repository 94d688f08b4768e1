//! Hooks that watch what happens: `scripts/model-server run -- cargo run --example 10_hooks`.
#![expect(
    clippy::print_stdout,
    reason = "what the hooks see is what the program prints"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use openai_agents::agent::{HookResult, Hooks};
use openai_agents::model::{ModelRequest, ModelResponse};
use openai_agents::{Agent, RunContext, ToolContext, config, tool};

/// Add two numbers
#[tool]
async fn add(a: i64, b: i64) -> Option<i64> {
    a.checked_add(b)
}

/// Counts the model's calls and shows them, and those of tools; clones share the count.
#[derive(Clone, Default)]
struct Watch {
    n_requests: Arc<AtomicU64>,
}

impl Hooks for Watch {
    async fn on_model_start(
        &self,
        _: &RunContext,
        agent: &Agent,
        request: &ModelRequest,
    ) -> HookResult {
        let n = self.n_requests.fetch_add(1, Ordering::Relaxed) + 1;
        println!(
            "{n}. {} asks with {} items",
            agent.name(),
            request.items.len()
        );
        Ok(())
    }

    async fn on_model_end(
        &self,
        _: &RunContext,
        _: &Agent,
        response: &ModelResponse,
    ) -> HookResult {
        println!("   {} items come back", response.items.len());
        Ok(())
    }

    async fn on_tool_end(&self, cx: &ToolContext, output: &str) -> HookResult {
        println!("   {}({}) gave {output}", cx.tool_name(), cx.arguments());
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let watch = Watch::default();
    let agent = Agent::builder("Guide").tool(add).build()?;
    // On the runner they see all of its runs; on an agent, what that agent does.
    let runner = config::load()?.runner()?.hooks(watch.clone());
    for prompt in ["What is the sum of 100 and 250?", "And of 1 and 2?"] {
        println!("{}", runner.run(&agent, prompt).await?.final_output());
    }
    println!("{} requests", watch.n_requests.load(Ordering::Relaxed));
    Ok(())
}
