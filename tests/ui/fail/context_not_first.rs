use openai_agents::{ToolContext, tool};

/// Looks into the stock.
#[tool]
async fn stock(item: String, cx: &ToolContext) -> String {
    format!("{item} {}", cx.call_id())
}

/// Looks into the stock.
#[tool]
async fn owned(cx: ToolContext) -> String {
    cx.call_id().to_owned()
}

fn main() {}
