use openai_agents::tool;

/// Forecasts the weather.
#[tool]
async fn forecast(city: &str, days: &[u32], note: Option<&str>) -> String {
    format!("{city} {days:?} {note:?}")
}

fn main() {}
