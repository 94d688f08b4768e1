use openai_agents::tool;

struct Place {
    city: String,
}

/// Forecasts the weather.
#[tool]
async fn forecast(days: u32, place: Place) -> String {
    format!("{} {days}", place.city)
}

fn main() {}
