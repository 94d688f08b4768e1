//! Names, outputs, arguments and function tools, case by case.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::*;
use crate::context::{RunContext, States};
use crate::kind::ErrorKind;

#[test]
fn names() {
    let check = |name: &str, expected: Result<(), &str>| {
        let actual = ToolName::new(name).map(|_| ()).map_err(|e| e.to_string());
        assert_eq!(actual, expected.map_err(str::to_owned), "{name:?}");
    };
    check("a", Ok(()));
    check("get_weather-2", Ok(()));
    check(&"x".repeat(64), Ok(()));
    check("", Err("a tool name cannot be empty"));
    check(
        "get weather",
        Err("the tool name \"get weather\" contains ' ', allowed are A-Z, a-z, 0-9, _ and -"),
    );
    check(
        "wetter_für",
        Err("the tool name \"wetter_für\" contains 'ü', allowed are A-Z, a-z, 0-9, _ and -"),
    );
    let long = "x".repeat(65);
    let message = format!("the tool name `{long}` has 65 characters, at most 64 are allowed");
    check(&long, Err(&message));
    assert!(serde_json::from_value::<ToolName>(json!("no dots.")).is_err());
}

#[derive(Serialize)]
struct Wrapped(&'static str);

#[derive(Serialize)]
enum Color {
    Red,
    Other(u8),
}

#[test]
fn outputs() {
    fn check(value: impl IntoToolOutput, expected: &str) {
        assert_eq!(ToolOutput::of(value).unwrap(), ToolOutput::from(expected));
    }
    check("a \"quoted\"\nline", "a \"quoted\"\nline");
    check("owned".to_owned(), "owned");
    check(Wrapped("inside"), "inside");
    check(Some("some"), "some");
    check(None::<&str>, "null");
    check('c', "c");
    check((), "");
    check(Color::Red, "Red");
    check(Color::Other(1), r#"{"Other":1}"#);
    check(true, "true");
    check(1.5, "1.5");
    check(vec!["a", "b"], r#"["a","b"]"#);
    check(("a", 1), r#"["a",1]"#);
    check(json!({"b": 1, "a": [null]}), r#"{"b":1,"a":[null]}"#);
    check(json!("text"), "text");
    check(ToolOutput::from("as it is"), "as it is");

    let error = ToolOutput::of(BTreeMap::from([(vec![1], 2)])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the output of the tool cannot be written as JSON"
    );
}

#[test]
fn parts_round_trip() {
    let parts = json!([
        {"type": "input_text", "text": "The chart:"},
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "high"},
        {"type": "input_image", "file_id": "file_1"},
        {"type": "input_file", "file_data": "data:text/plain;base64,AA==", "filename": "a.txt"},
        {"type": "input_file", "file_url": "https://example.com/a.pdf"},
        {"type": "input_image", "image_url": "u", "detail": "original"},
        {"type": "input_text", "text": "t", "extra": 1},
        {"type": "input_audio", "data": "AAAA"},
    ]);
    let output = ToolOutput::from_json(parts.clone());
    assert_eq!(output.to_json(), parts);
    let ToolOutput::Parts(parts) = output else {
        panic!("not parts");
    };
    let expected = ToolContent::image_base64("image/png", "AAAA").with_detail(ImageDetail::High);
    assert_eq!(parts[1], expected);
    let expected = ToolContent::file_base64("a.txt", "text/plain", "AA==");
    assert_eq!(parts[3], expected);
    assert!(
        parts[5..]
            .iter()
            .all(|part| matches!(part, ToolContent::Other(_)))
    );

    let other = ToolOutput::from_json(json!([{"type": "row"}]));
    assert_eq!(other, ToolOutput::from(r#"[{"type":"row"}]"#));
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct SearchQuery {
    query: String,
    #[serde(default)]
    page: u32,
    #[serde(default)]
    filters: Vec<Filter>,
    place: Option<WeatherPlace>,
    #[serde(default)]
    anything: Value,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Filter {
    Before { year: u32 },
    Site { name: String, exact: Option<bool> },
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct WeatherPlace {
    city: String,
    #[serde(default)]
    radius: f64,
    parent: Option<Box<Self>>,
}

fn search() -> FunctionTool {
    let options = ToolOptions::default().strict(false);
    FunctionTool::with_options(
        "search",
        "Searches.",
        options,
        async |_cx, search: SearchQuery| Ok::<_, String>(search),
    )
    .unwrap()
}

async fn invoke(tool: &FunctionTool, arguments: &str) -> Result<Value, ToolError> {
    let output = tool.invoke(context(tool, arguments)).await.into_output()?;
    let ToolOutput::Text(text) = output else {
        panic!("not a text");
    };
    Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn context(tool: &FunctionTool, arguments: &str) -> ToolContext {
    let run = RunContext::default();
    ToolContext::new(run, "Guide", tool.name().clone(), "call_1", arguments)
}

#[tokio::test]
async fn null_counts_as_absent_at_every_level() {
    let check = async |arguments: Value, expected: Value| {
        let actual = invoke(&search(), &arguments.to_string()).await.unwrap();
        assert_eq!(actual, expected);
    };
    let place = json!({"city": "Rome", "radius": 0.0, "parent": null});
    let empty = json!({"query": "q", "page": 0, "filters": [], "place": null, "anything": null});
    check(json!({"query": "q"}), empty.clone()).await;
    check(
        json!({"query": "q", "page": null, "filters": null, "place": null, "anything": null}),
        empty,
    )
    .await;
    check(
        json!({
            "query": "q",
            "filters": [{"kind": "site", "name": "a", "exact": null}],
            "place": {
                "city": "Rome",
                "radius": null,
                "parent": {"city": "Rome", "radius": null, "parent": null},
            },
        }),
        json!({
            "query": "q",
            "page": 0,
            "filters": [{"kind": "site", "name": "a", "exact": null}],
            "place": {"city": "Rome", "radius": 0.0, "parent": place},
            "anything": null,
        }),
    )
    .await;
}

#[tokio::test]
async fn null_for_what_must_be_there_is_refused() {
    let check = async |arguments: Value, expected: &str| {
        let error = invoke(&search(), &arguments.to_string()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadToolArguments);
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(
        json!({"query": null}),
        "field `query`: expected a string, found null",
    )
    .await;
    check(
        json!({"query": "q", "place": {"city": null}}),
        "field `place.city`: expected a string, found null",
    )
    .await;
    check(
        json!({"query": "q", "filters": [{"kind": "before", "year": null}]}),
        "field `filters[0]`: expected an integer from 0 to 4294967295, found null",
    )
    .await;
}

#[tokio::test]
async fn field_that_is_unknown_inside_of_the_arguments_is_refused() {
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Trip {
        place: Option<WeatherPlace>,
        filters: Vec<Filter>,
    }
    let search = FunctionTool::new("search", "Searches.", async |_cx, trip: Trip| {
        Ok::<_, String>(trip)
    });
    let search = search.unwrap();
    let check = async |more: Value, expected: &str| {
        let nothing = json!({"filters": [], "place": null});
        let mut arguments = nothing.as_object().unwrap().clone();
        arguments.extend(more.as_object().unwrap().clone());
        let result = invoke(&search, &Value::Object(arguments).to_string()).await;
        let actual = result.map_or_else(|error| error.to_string(), |_| "fine".to_owned());
        assert_eq!(actual, expected);
    };
    let parent = |more: Value| {
        let mut rome = json!({"city": "Rome", "radius": 1, "parent": null});
        let fields = rome.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        json!({"place": {"city": "Rome", "radius": 1, "parent": rome}})
    };
    check(parent(json!({})), "fine").await;
    check(
        parent(json!({"zip": 1})),
        "bad arguments for tool `search`: unknown field `place.parent.zip`, expected `city`, `radius`, `parent`",
    )
    .await;
    check(json!({"filters": [{"kind": "before", "year": 1}]}), "fine").await;
    check(
        json!({"filters": [{"kind": "before", "year": 1, "month": 2}]}),
        "bad arguments for tool `search`: unknown field `filters[0].month`, expected `kind`, `year`, `name`, `exact`",
    )
    .await;
}

#[tokio::test]
async fn a_dynamic_tool_gets_an_object() {
    let schema = json!({"properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["a"]});
    let options = ToolOptions::default();
    let tool = FunctionTool::dynamic(
        "dynamic",
        "Echoes.",
        schema,
        options,
        async |_cx, arguments: Map<String, Value>| Ok::<_, String>(arguments),
    )
    .unwrap();
    assert_eq!(tool.spec().parameters["type"], "object");
    assert_eq!(tool.spec().parameters["required"], json!(["a", "b"]));

    let actual = invoke(&tool, r#"{"a": 1, "b": null}"#).await.unwrap();
    assert_eq!(actual, json!({"a": 1}));
    let error = invoke(&tool, r#"{"a": 1, "c": 2}"#).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "bad arguments for tool `dynamic`: unknown field `c`, expected `a`, `b`"
    );
}

#[test]
fn definitions_that_cannot_be_offered() {
    let check = |name: &str, schema: Value, expected: &str| {
        let options = ToolOptions::default();
        let error =
            FunctionTool::dynamic(name, "", schema, options, async |_, _| Ok::<_, String>(()))
                .unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check("a b", json!({}), "the name of the tool is not allowed");
    check(
        "a",
        json!({"type": "string"}),
        "the arguments of tool `a` must be an object, not \"string\"",
    );
    check(
        "a",
        json!(true),
        "the arguments of tool `a` must be an object, not true",
    );
    check(
        "a",
        json!({"type": "object", "additionalProperties": {"type": "string"}}),
        "the schema of tool `a` cannot be strict",
    );
}

#[tokio::test]
async fn a_panic_ends_one_call_only() {
    let tool = FunctionTool::new("shaky", "Panics.", async |_cx, place: WeatherPlace| {
        assert!(place.city != "Pompeii", "the ground shakes");
        Ok::<_, String>(place.city)
    })
    .unwrap();
    let arguments = |city: &str| json!({"city": city, "radius": 1, "parent": null}).to_string();
    let error = invoke(&tool, &arguments("Pompeii")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ToolFailed);
    assert_eq!(
        error.to_string(),
        "tool `shaky` panicked: the ground shakes"
    );
    assert_eq!(invoke(&tool, &arguments("Rome")).await.unwrap(), "Rome");
}

#[test]
fn conditions_add_up() {
    struct Admin;
    let mut states = States::new();
    states.insert(Admin);
    let (admin, nobody) = (RunContext::new(states), RunContext::default());

    let tool = search().enabled_if(|cx| cx.state::<Admin>().is_ok());
    assert!(tool.is_enabled(&admin) && !tool.is_enabled(&nobody));
    let never = tool.clone().enabled_if(|_| false);
    assert!(!never.is_enabled(&admin) && tool.is_enabled(&admin));
    assert!(search().is_enabled(&nobody));
}

#[test]
fn a_registry_keeps_order_and_refuses_doubles() {
    let named = |name: &str, description: &str| {
        FunctionTool::new(name, description, async |_, place: WeatherPlace| {
            Ok::<_, String>(place.city)
        })
        .unwrap()
    };
    let mut tools = ToolRegistry::new();
    tools.register(named("b", "First.")).unwrap();
    tools.register(named("a", "Second.")).unwrap();
    let error = tools.register(named("b", "Third.")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "two tools are named `b`: \"First.\" and \"Third.\""
    );

    let names: Vec<_> = tools.iter().map(|tool| tool.name().as_str()).collect();
    assert_eq!(names, ["b", "a"]);
    assert_eq!(tools.get("a").unwrap().spec().description, "Second.");
    assert!(tools.get("c").is_none());
}

#[test]
fn options_have_defaults() {
    let options = ToolOptions::default();
    assert!(options.strict);
    assert_eq!(options.timeout, None::<Duration>);
    assert_eq!(options.failure, ToolFailure::TellModel);
    assert_eq!(options.timeout_failure, ToolFailure::TellModel);
    assert_eq!(options.max_output_bytes, 1_048_576);
}

proptest! {
    #[test]
    fn arbitrary_arguments_give_an_answer(text in ".*") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let result = runtime.block_on(invoke(&search(), &text));
        let panicked = matches!(result, Err(ToolError::Panicked { .. }));
        prop_assert!(!panicked);
    }

    #[test]
    fn string_output_is_unchanged(text in ".*") {
        prop_assert_eq!(ToolOutput::of(&text).unwrap(), ToolOutput::Text(text));
    }
}
