use openai_agents::tool;

/// Forecasts the weather.
#[tool]
async fn forecast(#[default(true)] days: u32) -> u32 {
    days
}

fn main() {}
