//! Tools that a client brings: the agent's model may call them beside the agent's own, and the calls are the answer.

use openai_agents::model::ToolChoice;
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, Item};
use serde_json::{Value, json};

use crate::front::{Front, double, inputs};

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";

fn tool() -> Value {
    json!({"type": "function", "function": {
        "name": "ask", "description": "Asks.", "parameters": {"type": "object", "properties": {"q": {"type": "string"}}},
    }})
}

fn flat_tool() -> Value {
    json!({"type": "function", "name": "ask", "parameters": {"type": "object", "properties": {"q": {"type": "string"}}}})
}

fn asks() -> ScriptedTurn {
    ScriptedTurn::tool_call("ask", json!({"q": "who"}))
}

async fn guide(turns: impl IntoIterator<Item = ScriptedTurn>) -> (Front, ScriptedModel) {
    let model = ScriptedModel::new(turns);
    let agent = Agent::builder("Guide").tool(double()).build().unwrap();
    (Front::with_agent(&model, agent).await, model)
}

fn chat(messages: &Value) -> Value {
    json!({"model": "Guide", "messages": messages, "tools": [tool()]})
}

/// Takes the ids out, which are random, and gives them.
fn without_ids(message: &mut Value) -> Vec<String> {
    let calls = message["tool_calls"].as_array_mut().unwrap().iter_mut();
    let id = |call: &mut Value| call["id"].take().as_str().unwrap().to_owned();
    calls.map(id).collect()
}

#[tokio::test]
async fn calls_of_a_clients_tool_are_the_answer() {
    let (front, model) = guide([asks()]).await;
    let user = json!({"role": "user", "content": "hi"});
    let mut answer = front.post(CHAT, &chat(&json!([user]))).await.json();
    let ids = without_ids(&mut answer["choices"][0]["message"]);
    assert!(ids[0].starts_with("call_"));
    assert_eq!(
        answer["choices"],
        json!([{
            "index": 0,
            "message": {
                "role": "assistant", "content": null, "refusal": null, "annotations": [],
                "tool_calls": [{"id": null, "type": "function", "function": {"name": "ask", "arguments": "{\"q\":\"who\"}"}}],
            },
            "logprobs": null,
            "finish_reason": "tool_calls",
        }])
    );
    let requests = model.requests();
    let names: Vec<&str> = requests[0]
        .tools
        .specs()
        .iter()
        .map(|spec| &*spec.name)
        .collect();
    assert_eq!(names, ["double", "ask"]);
}

#[tokio::test]
async fn turn_before_a_client_call_is_sent_again() {
    let two = ScriptedTurn::tool_calls([("double", json!({"n": 1})), ("ask", json!({"q": "who"}))]);
    let turns = [
        ScriptedTurn::tool_call("double", json!({"n": 21})),
        two,
        ScriptedTurn::text("It is Ann."),
    ];
    let (front, model) = guide(turns).await;
    let user = json!({"role": "user", "content": "hi"});
    let answer = front.post(CHAT, &chat(&json!([user]))).await.json();
    let message = &answer["choices"][0]["message"];
    let id = &message["tool_calls"][0]["id"];
    assert_eq!(message["tool_calls"].as_array().unwrap().len(), 1);
    let output = json!({"role": "tool", "tool_call_id": id, "content": "Ann"});
    let again = chat(&json!([user, message, output]));
    let answer = front.post(CHAT, &again).await.json();
    assert_eq!(answer["choices"][0]["message"]["content"], "It is Ann.");
    let call = |id: &str, arguments: &str| json!({"type": "function_call", "call_id": format!("call_{id}"), "name": id.trim_end_matches("_1"), "arguments": arguments});
    let output = |name: &str, text: &str| json!({"type": "function_call_output", "call_id": format!("call_{name}"), "output": text});
    assert_eq!(
        inputs(&model, 2),
        json!([
            {"type": "message", "role": "user", "content": "hi"},
            call("double", "{\"n\":21}"),
            output("double", "42"),
            call("double", "{\"n\":1}"),
            call("ask_1", "{\"q\":\"who\"}"),
            output("double", "2"),
            output("ask_1", "Ann"),
        ])
    );
    // Another call than the one that was handed out is the client's own story.
    let mut other = message.clone();
    other["tool_calls"][0]["function"]["arguments"] = json!("{}");
    let output = json!({"role": "tool", "tool_call_id": id, "content": "Ann"});
    front.post(CHAT, &chat(&json!([user, other, output]))).await;
    assert_eq!(model.requests().len(), 4);
    assert_eq!(inputs(&model, 3).as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_stream_ends_with_the_calls_of_a_clients_tool() {
    let (front, _) = guide([asks()]).await;
    let mut body = chat(&json!([{"role": "user", "content": "hi"}]));
    body["stream"] = json!(true);
    let mut events = front.post(CHAT, &body).await.events();
    let [_, calls, end] = events.as_mut_slice() else {
        panic!("{events:?}")
    };
    without_ids(&mut calls["choices"][0]["delta"]);
    assert_eq!(
        calls["choices"][0]["delta"],
        json!({"tool_calls": [
            {"index": 0, "id": null, "type": "function", "function": {"name": "ask", "arguments": "{\"q\":\"who\"}"}},
        ]})
    );
    assert_eq!(end["choices"][0]["finish_reason"], "tool_calls");
}

#[tokio::test]
async fn a_tool_that_must_be_called_is_asked_for_in_every_turn() {
    let turns = || [ScriptedTurn::tool_call("double", json!({"n": 1})), asks()];
    let named = json!({"type": "function", "function": {"name": "ask"}});
    for (choice, expect) in [
        (json!("required"), Some(ToolChoice::Required)),
        (named, Some(ToolChoice::Function("ask".to_owned()))),
        (json!("auto"), None),
    ] {
        let (front, model) = guide(turns()).await;
        let mut body = chat(&json!([{"role": "user", "content": "hi"}]));
        body["tool_choice"] = choice;
        assert_eq!(front.post(CHAT, &body).await.status, 200);
        assert_eq!(model.requests()[1].settings.tool_choice, expect);
    }
}

#[tokio::test]
async fn tools_that_the_agent_has_or_the_provider_runs_are_refused() {
    let (front, model) = guide([]).await;
    let named = |name: &str| json!({"type": "function", "function": {"name": name}});
    for (tools, param, code) in [
        (json!([named("double")]), "tools", "unsupported_parameter"),
        (json!([tool(), tool()]), "tools[1]", "invalid_value"),
        (
            json!([named("a b")]),
            "tools[0].function.name",
            "invalid_value",
        ),
        (
            json!([{"type": "custom", "custom": {"name": "x"}}]),
            "tools[0].type",
            "unsupported_parameter",
        ),
    ] {
        let mut body = chat(&json!([{"role": "user", "content": "hi"}]));
        body["tools"] = tools;
        let answer = front.post(CHAT, &body).await;
        assert_eq!(answer.code(), (400, code.to_owned()));
        assert_eq!(answer.json()["error"]["param"], param);
    }
    assert_eq!(model.requests().len(), 0);
}

fn asked(more: &Value) -> Value {
    let mut body = json!({"model": "Guide", "input": "hi", "tools": [flat_tool()]});
    let more = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    body
}

#[tokio::test]
async fn a_response_goes_on_with_the_outputs_of_a_clients_tool() {
    let two =
        || ScriptedTurn::tool_calls([("double", json!({"n": 1})), ("ask", json!({"q": "who"}))]);
    for (more, goes_on_by) in [
        (json!({}), "previous_response_id"),
        (json!({"conversation": "conv_1"}), "conversation"),
    ] {
        let (front, model) = guide([two(), ScriptedTurn::text("Ann.")]).await;
        let first = front.post(RESPONSES, &asked(&more)).await.json();
        let output = first["output"].as_array().unwrap();
        let kinds: Vec<&Value> = output.iter().map(|item| &item["type"]).collect();
        assert_eq!(kinds, ["mcp_call", "function_call"]);
        assert_eq!(
            (&first["status"], &first["tools"]),
            (&json!("completed"), &json!([flat_tool()]))
        );
        assert_eq!(
            output[1],
            json!({
                "type": "function_call", "id": output[1]["id"], "status": "completed", "arguments": "{\"q\":\"who\"}",
                "call_id": "call_ask_1", "name": "ask",
            })
        );
        let from = if goes_on_by == "conversation" {
            &json!("conv_1")
        } else {
            &first["id"]
        };
        let without = front
            .post(
                RESPONSES,
                &asked(&json!({goes_on_by: from, "input": "go on"})),
            )
            .await;
        assert_eq!(without.code(), (400, "invalid_value".to_owned()));
        let outputs =
            json!([{"type": "function_call_output", "call_id": "call_ask_1", "output": "Ann"}]);
        let second = front
            .post(
                RESPONSES,
                &asked(&json!({goes_on_by: from, "input": outputs})),
            )
            .await
            .json();
        assert_eq!(
            second["output"][0]["content"][0]["text"], "Ann.",
            "{second}"
        );
        assert_eq!(
            inputs(&model, 1),
            json!([
                {"type": "message", "role": "user", "content": "hi"},
                {"type": "function_call", "call_id": "call_double", "name": "double", "arguments": "{\"n\":1}"},
                {"type": "function_call", "call_id": "call_ask_1", "name": "ask", "arguments": "{\"q\":\"who\"}"},
                {"type": "function_call_output", "call_id": "call_double", "output": "2"},
                {"type": "function_call_output", "call_id": "call_ask_1", "output": "Ann"},
            ])
        );
    }
}

#[tokio::test]
async fn a_response_that_is_not_stored_hands_calls_out_too() {
    let (front, model) = guide([asks(), ScriptedTurn::text("Ann.")]).await;
    let first = front
        .post(RESPONSES, &asked(&json!({"store": false, "stream": true})))
        .await
        .events();
    let response = &first.last().unwrap()["response"];
    assert_eq!(response["status"], "completed");
    let call = &response["output"][0];
    let output = json!({"type": "function_call_output", "call_id": "call_ask", "output": "Ann"});
    let input = json!([{"role": "user", "content": "hi"}, call, output]);
    let body = asked(&json!({"store": false, "input": input}));
    assert_eq!(front.post(RESPONSES, &body).await.status, 200);
    let items = model.requests()[1]
        .items
        .iter()
        .map(Item::to_json)
        .collect::<Vec<_>>()
        .len();
    assert_eq!(items, 3);
}
