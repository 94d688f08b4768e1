use openai_agents::tool;

struct Weather;

/// Forecasts the weather.
#[tool]
async fn forecast() -> Weather {
    Weather
}

/// Forecasts the weather.
#[tool]
async fn try_forecast() -> Result<Weather, String> {
    Ok(Weather)
}

fn main() {}
