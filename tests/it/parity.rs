//! A run over the Responses API and the same run of the Python Agents SDK, request by request.

use std::fs;
use std::path::Path;

use openai_agents::model::GptOssResponses;
use openai_agents::testing::{FakeServer, Reply};
use openai_agents::tools::{FunctionTool, ToolOptions};
use openai_agents::{Agent, Runner};
use serde_json::{Map, Value};

use crate::support::{bodies, value};

fn fixture(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/python-parity");
    serde_json::from_str(&fs::read_to_string(folder.join(name)).unwrap()).unwrap()
}

/// The paths at which two values differ, list places as `*`, with what each side has there.
fn differences(path: &str, ours: &Value, theirs: &Value, found: &mut Vec<(String, [Value; 2])>) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let keys = ours
                .keys()
                .chain(theirs.keys().filter(|key| !ours.contains_key(*key)));
            for key in keys {
                let at = |side: &Map<String, Value>| side.get(key).cloned().unwrap_or_default();
                differences(&format!("{path}/{key}"), &at(ours), &at(theirs), found);
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (ours, theirs) in ours.iter().zip(theirs) {
                differences(&format!("{path}/*"), ours, theirs, found);
            }
        }
        _ if ours == theirs => {}
        _ => found.push((path.to_owned(), [ours.clone(), theirs.clone()])),
    }
}

/// Differences that are not listed, and what is listed and does not differ.
#[track_caller]
fn assert_intended(found: &[(String, [Value; 2])], intended: &Value) {
    let listed = intended.as_object().unwrap();
    for (path, sides) in found {
        let entry = listed.get(path).unwrap_or(&Value::Null);
        let expected = [entry["ours"].clone(), entry["theirs"].clone()];
        assert!(entry["reason"].is_string(), "{path}: {sides:?}");
        assert_eq!(*sides, expected, "{path}");
    }
    for path in listed.keys() {
        assert!(
            found.iter().any(|(found, _)| found == path),
            "{path} does not differ any more"
        );
    }
}

/// An agent as the scenario declares it.
fn agent(scenario: &Value) -> Agent {
    let main = &scenario["agents"]["main"];
    let mut agent = Agent::builder(main["name"].as_str().unwrap())
        .instructions(main["instructions"].as_str().unwrap());
    for name in main["tools"].as_array().unwrap() {
        let name = name.as_str().unwrap();
        let declared = &scenario["tools"][name];
        let tool = FunctionTool::dynamic(
            name,
            declared["description"].as_str().unwrap(),
            declared["schema"].clone(),
            ToolOptions::default(),
            |_cx, arguments: Map<String, Value>| async move {
                let city = arguments["city"].as_str().unwrap();
                Ok::<_, String>(format!("Sunny in {city}"))
            },
        );
        agent = agent.tool(tool.unwrap());
    }
    agent.build().unwrap()
}

#[tokio::test]
async fn a_tool_loop_over_responses_is_that_of_the_python_sdk() {
    let (scenario, golden) = (
        fixture("responses_tool.scenario.json"),
        fixture("responses_tool.json"),
    );
    let intended = &fixture("intended-differences.json")["responses_tool"];
    let replies = scenario["steps"].as_array().unwrap();
    let server = FakeServer::start(replies.iter().map(|step| Reply::json(&step["json"])))
        .await
        .unwrap();
    let model = GptOssResponses::builder(format!("{}/v1", server.url()), "m")
        .api_key("sk-test")
        .build()
        .unwrap();

    let result = Runner::new(model)
        .run(&agent(&scenario), scenario["input"].as_str().unwrap())
        .await
        .unwrap();

    let theirs = golden["requests"].as_array().unwrap();
    let ours = bodies(&server);
    assert_eq!(ours.len(), theirs.len());
    let mut found = Vec::new();
    for (n, theirs) in theirs.iter().enumerate() {
        differences("", &ours[n], &theirs["body"], &mut found);
        let request = &server.requests()[n];
        assert_eq!(request.path, theirs["path"].as_str().unwrap());
        for name in ["authorization", "content-type"] {
            let expected = theirs["headers"][name].as_str();
            assert_eq!(request.header(name), expected, "{name}");
        }
    }
    assert_intended(&found, &intended["requests"]);

    let outcome = &golden["outcome"];
    let items: Vec<Value> = result.to_input_list().iter().map(value).collect();
    let mut found = Vec::new();
    differences("", &items.into(), &outcome["input_list"], &mut found);
    assert_intended(&found, &intended["input_list"]);
    assert_eq!(result.final_output(), outcome["final_output"]);
    assert_eq!(result.last_agent().name(), outcome["last_agent"]);
    assert_eq!(Value::from(result.turns()), outcome["turns"]);
    let usage = result.usage();
    for (key, ours) in [
        ("requests", usage.requests),
        ("input_tokens", usage.input_tokens),
        ("output_tokens", usage.output_tokens),
        ("total_tokens", usage.total_tokens),
    ] {
        assert_eq!(Value::from(ours), outcome["usage"][key], "{key}");
    }
}
