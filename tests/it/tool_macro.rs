//! `#[tool]`: what the model is told, and what the function gets.

use std::error::Error;
use std::time::Duration;

use openai_agents::context::States;
use openai_agents::tools::{IntoTool, ToolError, ToolFailure, ToolOptions};
use openai_agents::{FunctionTool, RunContext, ToolContext, ToolOutput, ToolRegistry, tool};
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
            "parameters": {
                "type": "object",
                "properties": {
                    "place": {
                        "type": "object",
                        "description": "Where.",
                        "properties": {
                            "city": {"type": "string", "description": "A city, such as Paris."},
                            "country": {"type": ["string", "null"]},
                        },
                        "required": ["city", "country"],
                        "additionalProperties": false,
                    },
                    "days": {
                        "type": "integer",
                        "description": "How many days ahead.",
                        "minimum": 0,
                        "default": 3,
                    },
                    "units": {
                        "type": "string",
                        "enum": ["metric", "imperial"],
                        "default": "metric",
                    },
                    "tags": {
                        "type": "array",
                        "items": {"type": "string"},
                        "description": "What to watch\nout for.",
                    },
                    "note": {"type": ["string", "null"]},
                },
                "required": ["place", "days", "units", "tags", "note"],
                "additionalProperties": false,
                "$defs": {
                    "Place": {
                        "type": "object",
                        "properties": {
                            "city": {"type": "string", "description": "A city, such as Paris."},
                            "country": {"type": ["string", "null"]},
                        },
                        "required": ["city", "country"],
                        "additionalProperties": false,
                    },
                    "Units": {"type": "string", "enum": ["metric", "imperial"]},
                },
            },
            "strict": true,
        })
    );
}

#[tokio::test]
async fn a_call_reaches_the_function() {
    let arguments = json!({
        "place": {"city": "Paris", "country": null},
        "days": 2,
        "units": "imperial",
        "tags": ["wind", "rain"],
        "note": "soon",
    });
    let output = call(forecast, &arguments).await.unwrap();
    let ToolOutput::Text(text) = output else {
        panic!("not a text");
    };
    assert_eq!(
        text,
        r#"{"place":{"city":"Paris","country":null},"days":2,"units":"imperial","tags":["rain","wind"],"note":"soon"}"#
    );
}

#[tokio::test]
async fn a_default_stands_in_for_null_and_for_nothing() {
    let with_null = json!({
        "place": {"city": "Paris", "country": null},
        "days": null,
        "units": null,
        "tags": [],
        "note": null,
    });
    let with_nothing = json!({"place": {"city": "Paris"}, "tags": []});
    let expected = r#"{"place":{"city":"Paris","country":null},"days":3,"units":"metric","tags":[],"note":null}"#;
    for arguments in [with_null, with_nothing] {
        let output = call(forecast, &arguments).await.unwrap();
        assert_eq!(output, ToolOutput::from(expected));
    }
}

#[tokio::test]
async fn bad_arguments_name_the_field() {
    let check = async |arguments: &str, expected: &str| {
        let error = call_with(forecast, States::new(), arguments)
            .await
            .unwrap_err();
        let ToolError::BadArguments { tool, detail } = &error else {
            panic!("{error:?}");
        };
        assert_eq!(tool, "forecast");
        assert!(detail.contains(expected), "{detail}");
    };
    check("nonsense", "they are not JSON").await;
    check("[]", "they must be a JSON object").await;
    check("", "missing field `place`").await;
    check(
        r#"{"place": {"city": "P"}, "tags": [], "day": 1}"#,
        "unknown field `day`",
    )
    .await;
    check(
        r#"{"place": {"city": 1}, "tags": []}"#,
        "field `place.city`: expected a string, found the number 1",
    )
    .await;
    check(
        r#"{"place": {"city": "P"}, "tags": ["a", 2]}"#,
        "field `tags[1]`: expected a string, found the number 2",
    )
    .await;
    check(
        r#"{"place": {"city": "P"}, "tags": [], "days": -1}"#,
        "field `days`: expected an integer from 0 to ",
    )
    .await;
}

#[tokio::test]
async fn arguments_field_given_twice_names_the_field() {
    for (arguments, twice) in [
        (
            r#"{"place": {"city": "P"}, "tags": [], "tags": []}"#,
            "tags",
        ),
        (
            r#"{"place": {"city": "P", "city": "Q"}, "tags": []}"#,
            "place.city",
        ),
    ] {
        let error = call_with(forecast, States::new(), arguments)
            .await
            .unwrap_err();
        let expect =
            format!("bad arguments for tool `forecast`: the field `{twice}` appears twice");
        assert_eq!(error.to_string(), expect);
    }
}

#[tokio::test]
async fn an_error_of_any_type_is_the_source() {
    let arguments = json!({"place": {"city": "P"}, "tags": [], "days": 15});
    let error = call(forecast, &arguments).await.unwrap_err();
    assert_eq!(error.to_string(), "tool `forecast` failed");
    assert_eq!(source(&error), "15 days are too many");

    let error = call(typed_error, &json!({})).await.unwrap_err();
    assert_eq!(source(&error), "the station is silent");
    let error = call(boxed_error, &json!({"number": "x"}))
        .await
        .unwrap_err();
    assert_eq!(source(&error), "invalid digit found in string");
    let error = call(aliased, &json!({})).await.unwrap_err();
    assert_eq!(source(&error), "the station is silent");
}

#[derive(Debug, thiserror::Error)]
#[error("the station is silent")]
struct SilentStation;

/// Asks a station.
#[tool]
async fn typed_error() -> Result<String, SilentStation> {
    Err(SilentStation)
}

/// Reads a number.
#[tool]
fn boxed_error(number: String) -> Result<u32, Box<dyn Error + Send + Sync>> {
    Ok(number.parse()?)
}

type Reading = Result<String, SilentStation>;

/// Asks a station, by a `Result` under another name.
#[tool]
async fn aliased() -> Reading {
    Err(SilentStation)
}

/// Counts down, on a thread that may block.
#[tool]
fn count_down(from: u32) -> String {
    match from {
        0 => "lift-off".to_owned(),
        // The function is still there under its own name.
        _ => format!("{from} {}", count_down(from - 1)),
    }
}

/// Does nothing.
#[tool]
fn nothing() {}

/// Panics.
#[tool]
fn panics(message: String) {
    panic!("{message}");
}

#[tokio::test]
async fn a_plain_function_is_called_on_another_thread() {
    let output = call(count_down, &json!({"from": 2})).await.unwrap();
    assert_eq!(output, ToolOutput::from("2 1 lift-off"));
    let output = call_with(nothing, States::new(), "").await.unwrap();
    assert_eq!(output, ToolOutput::from(""));
    let error = call(panics, &json!({"message": "boom"})).await.unwrap_err();
    assert_eq!(error.to_string(), "tool `panics` panicked: boom");
}

struct Stock(u32);

/// Looks into the stock.
#[tool]
fn stock(cx: &ToolContext, item: String) -> Result<String, openai_agents::context::MissingState> {
    let n_left = cx.state::<Stock>()?.0;
    Ok(format!("{n_left} of {item} for {}", cx.call_id()))
}

/// Looks into the stock.
#[tool]
async fn stock_async(
    cx: &openai_agents::ToolContext,
    item: String,
) -> Result<String, openai_agents::context::MissingState> {
    let n_left = cx.state::<Stock>()?.0;
    tokio::task::yield_now().await;
    Ok(format!("{n_left} of {item} for {}", cx.call_id()))
}

#[tokio::test]
async fn the_context_is_not_a_parameter_of_the_model() {
    let arguments = r#"{"item": "tea"}"#;
    let states = || {
        let mut states = States::new();
        states.insert(Stock(7));
        states
    };
    let expected = ToolOutput::from("7 of tea for call_1");
    assert_eq!(
        call_with(stock, states(), arguments).await.unwrap(),
        expected
    );
    assert_eq!(
        call_with(stock_async, states(), arguments).await.unwrap(),
        expected
    );

    let error = call_with(stock, States::new(), arguments)
        .await
        .unwrap_err();
    let expected = format!(
        "tool `stock` needs the state of type `{}`, which was not given: give it by `.state(..)` of the runner or the run",
        std::any::type_name::<Stock>()
    );
    assert_eq!(error.to_string(), expected);
}

#[tool(
    name = "look-up",
    description = "Looks things up.",
    strict = false,
    timeout_secs = 2.5,
    failure = tell_model_detail,
    timeout_failure = raise,
    max_output_bytes = 100
)]
async fn look_up(
    #[tool(name = "type")] kind: String,
    #[tool(name = "range")] (from, to): (u32, u32),
    #[default("en")]
    #[schemars(length(min = 2))]
    language: String,
    look_up: Option<u8>,
) -> Vec<String> {
    vec![
        kind,
        (from + to).to_string(),
        language,
        format!("{look_up:?}"),
    ]
}

#[tokio::test]
async fn options_shape_the_tool() {
    let tool = look_up.into_tool().unwrap();
    let expected = ToolOptions::default()
        .strict(false)
        .timeout(Duration::from_millis(2500))
        .failure(ToolFailure::TellModelDetail)
        .timeout_failure(ToolFailure::Raise)
        .max_output_bytes(100);
    assert_eq!(tool.options(), &expected);

    let spec = serde_json::to_value(tool.spec()).unwrap();
    assert_eq!(spec["name"], "look-up");
    assert_eq!(spec["description"], "Looks things up.");
    assert_eq!(spec["strict"], false);
    assert_eq!(spec["parameters"]["required"], json!(["type", "range"]));
    assert_eq!(
        spec["parameters"]["properties"]["language"],
        json!({"type": "string", "minLength": 2, "default": "en"})
    );

    let arguments = json!({"type": "word", "range": [1, 2], "unknown": true});
    let output = call(tool, &arguments).await.unwrap();
    assert_eq!(output, ToolOutput::from(r#"["word","3","en","None"]"#));
}

/// Deletes a file.
#[tool(needs_approval)]
async fn delete(path: String) -> String {
    path
}

/// Books a journey.
#[tool(needs_approval = rules::is_far)]
fn book(city: String) -> String {
    city
}

mod rules {
    use openai_agents::RunContext;
    use openai_agents::item::FunctionCall;

    /// Everything is far that is not said to be near.
    pub(super) fn is_far(_cx: &RunContext, call: &FunctionCall) -> bool {
        !call.arguments.contains("near")
    }
}

#[tokio::test]
async fn calls_wait_for_approval_as_the_option_says() {
    let asks = async |tool: FunctionTool, arguments: &str| {
        let run = RunContext::default();
        let cx = ToolContext::new(run, "Guide", tool.name().clone(), "call_1", arguments);
        tool.asks_approval(&cx).await.unwrap()
    };
    assert!(asks(delete.into_tool().unwrap(), "{}").await);
    assert!(asks(book.into_tool().unwrap(), r#"{"city":"far"}"#).await);
    assert!(!asks(book.into_tool().unwrap(), r#"{"city":"near"}"#).await);
    assert!(!asks(forecast.into_tool().unwrap(), "{}").await);
    // What an application adds to a tool stands in place of what the tool says itself.
    let never = delete.into_tool().unwrap().needs_approval_if(|_, _| false);
    assert!(!asks(never, "{}").await);
}

/// Has a keyword for a name and for a parameter.
#[tool]
async fn r#match(r#type: String) -> String {
    r#type
}

#[tokio::test]
async fn raw_identifiers_lose_their_prefix() {
    let tool = r#match.into_tool().unwrap();
    assert_eq!(tool.name(), "match");
    let output = call(tool, &json!({"type": "x"})).await.unwrap();
    assert_eq!(output, ToolOutput::from("x"));
}

/// Is not there.
#[tool]
#[cfg(any())]
fn absent(parameter: NoSuchType) {}

#[test]
fn tools_and_function_tools_register_alike() {
    let mut tools = ToolRegistry::new();
    tools.register(forecast).unwrap();
    tools.register(stock.into_tool().unwrap()).unwrap();
    let names: Vec<_> = tools.specs().map(|spec| spec.name.as_str()).collect();
    assert_eq!(names, ["forecast", "stock"]);
    assert_eq!(
        tools.register(forecast).unwrap_err().to_string(),
        "two tools are named `forecast`: \"Forecasts the weather.\\n\\nNot for the past.\" and \
         \"Forecasts the weather.\\n\\nNot for the past.\""
    );
}

fn source(error: &ToolError) -> String {
    error.source().unwrap().to_string()
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
    tool.invoke(cx).await.into_output()
}
