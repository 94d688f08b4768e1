//! `#[tool]`: what the model is told, and what the function gets.

use std::error::Error;

use openai_agents::tools::{IntoTool, ToolError, ToolFailure, ToolName, ToolOptions};
use openai_agents::{RunContext, States, ToolContext, ToolOutput, ToolRegistry, tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Units {
    #[default]
    Metric,
    Imperial,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Place {
    /// A city, such as Paris.
    city: String,
    country: Option<String>,
}

#[derive(Serialize)]
struct Forecast {
    place: Place,
    days: u32,
    units: Units,
    tags: Vec<String>,
    note: Option<String>,
}

/// Forecasts the weather.
///
/// Not for the past.
#[tool]
async fn forecast(
    /// Where.
    place: Place,
    /// How many days ahead.
    #[default(3)]
    days: u32,
    #[tool(default = Units::Metric)] units: Units,
    /// What to watch
    /// out for.
    mut tags: Vec<String>,
    note: Option<String>,
) -> Result<Forecast, String> {
    if days > 14 {
        return Err(format!("{days} days are too many"));
    }
    tags.sort();
    Ok(Forecast {
        place,
        days,
        units,
        tags,
        note,
    })
}

#[test]
fn spec_of_a_rich_function() {
    let tool = forecast.into_tool().unwrap();
    assert_eq!(
        serde_json::to_value(tool.spec()).unwrap(),
        json!({
            "name": "forecast",
            "description": "Forecasts the weather.\n\nNot for the past.",
            "parameters": {},
            "strict": true,
        })
    );
}

async fn call(tool: impl IntoTool, arguments: &Value) -> Result<ToolOutput, ToolError> {
    call_with(tool, States::new(), &arguments.to_string()).await
}

async fn call_with(
    tool: impl IntoTool,
    states: States,
    arguments: &str,
) -> Result<ToolOutput, ToolError> {
    let tool = tool.into_tool().unwrap();
    let run = RunContext::new(states);
    let cx = ToolContext::new(run, "Guide", tool.name().clone(), "call_1", arguments);
    tool.invoke(cx, arguments).await
}
