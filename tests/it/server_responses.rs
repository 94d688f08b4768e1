//! `/v1/responses`: what clients of the Responses API see of an agent.

use openai_agents::model::ModelError;
use openai_agents::server::{Server, ToolItems};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, ErrorKind, FunctionTool, Item, ModelSettings, Runner, Usage};
use serde_json::{Value, json};

use crate::front::{Front, double, inputs};
use crate::support::NoArgs;

const PATH: &str = "/v1/responses";

fn asked(more: &Value) -> Value {
    let mut body = json!({"model": "Guide", "input": "hi"});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    body
}

fn types(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_response_is_whole_and_kept() {
    let turn = ScriptedTurn::text("Paris.").with_usage(Usage::of_request(7, 3, 10));
    let front = Front::of(&ScriptedModel::new([turn])).await;
    let body = asked(&json!({"temperature": 0.5, "max_output_tokens": 9, "metadata": {"a": "b"}}));
    let answer = front.post(PATH, &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut body = answer.json();
    let id = body["id"].as_str().unwrap().to_owned();
    let hex = id.strip_prefix("resp_").unwrap();
    assert!(body["created_at"].is_u64());
    body["created_at"] = json!(0);
    assert!(body["completed_at"].take().is_u64());
    assert_eq!(
        body,
        json!({
            "id": id, "object": "response", "created_at": 0, "completed_at": null, "status": "completed",
            "error": null, "incomplete_details": null,
            "output": [{
                "type": "message", "id": format!("msg_{hex}_0"), "status": "completed", "role": "assistant",
                "content": [{"type": "output_text", "text": "Paris.", "annotations": [], "logprobs": []}],
            }],
            "usage": {
                "input_tokens": 7, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens": 3, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 10,
            },
            "background": false, "instructions": null, "max_output_tokens": 9, "max_tool_calls": null,
            "model": "Guide", "parallel_tool_calls": true, "previous_response_id": null, "conversation": null,
            "prompt_cache_key": null, "reasoning": {"effort": null, "summary": null}, "safety_identifier": null,
            "service_tier": "default", "store": true, "temperature": 0.5,
            "text": {"format": {"type": "text"}, "verbosity": null}, "tool_choice": "auto", "tools": [],
            "top_logprobs": 0, "top_p": null, "truncation": "disabled", "user": null, "metadata": {"a": "b"},
        })
    );
    let path = format!("{PATH}/{id}");
    assert_eq!(front.get(&path).await.json()["output"], body["output"]);
    let cancelled = front.post(&format!("{path}/cancel"), &json!({})).await;
    assert_eq!(cancelled.code(), (400, "not_in_progress".to_owned()));
    let deleted = front.ask("DELETE", &path, &[], "").await.json();
    assert_eq!(
        deleted,
        json!({"id": id, "object": "response", "deleted": true})
    );
    assert_eq!(front.get(&path).await.code(), (404, "not_found".to_owned()));
    let next = front
        .post(PATH, &asked(&json!({"previous_response_id": id})))
        .await;
    assert_eq!(next.code(), (400, "previous_response_not_found".to_owned()));
}

#[tokio::test]
async fn a_stream_has_the_events_of_the_api() {
    let turn = ScriptedTurn::text("It is.").with_usage(Usage::of_request(7, 3, 10));
    let front = Front::of(&ScriptedModel::new([turn])).await;
    let answer = front.post(PATH, &asked(&json!({"stream": true}))).await;
    let events = answer.events();
    assert_eq!(
        types(&events),
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    let names = answer
        .body
        .lines()
        .filter_map(|line| line.strip_prefix("event: "));
    assert_eq!(names.collect::<Vec<_>>(), types(&events));
    for (n, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], n);
    }
    let id = &events[2]["item"]["id"];
    assert_eq!(
        events[4],
        json!({
            "type": "response.output_text.delta", "item_id": id, "output_index": 0, "content_index": 0,
            "delta": "It ", "logprobs": [], "sequence_number": 4,
        })
    );
    assert_eq!(events[6]["text"], "It is.");
    assert_eq!(events[8]["item"], events[9]["response"]["output"][0]);
    assert_eq!(events[9]["response"]["usage"]["total_tokens"], 10);
    assert_eq!(events[0]["response"]["status"], "in_progress");
    let id = events[9]["response"]["id"].as_str().unwrap();
    assert_eq!(
        front.get(&format!("{PATH}/{id}")).await.json(),
        events[9]["response"]
    );
}

#[tokio::test]
async fn tools_are_shown_as_calls_that_the_server_made() {
    let script = || {
        [
            ScriptedTurn::tool_calls([("double", json!({"n": 21})), ("double", json!({"n": 0}))]),
            ScriptedTurn::text("42"),
        ]
    };
    let model = ScriptedModel::new(script().into_iter().chain(script()));
    let agent = Agent::builder("Guide").tool(double()).build().unwrap();
    let front = Front::with_agent(&model, agent).await;
    let output = front.post(PATH, &asked(&json!({}))).await.json()["output"].clone();
    let hex = output[0]["id"]
        .as_str()
        .unwrap()
        .split('_')
        .nth(1)
        .unwrap()
        .to_owned();
    let told = "An error occurred while running the tool. Please try again.";
    assert_eq!(
        output,
        json!([
            {
                "type": "mcp_call", "id": format!("mcp_{hex}_0"), "status": "completed", "approval_request_id": null,
                "arguments": "{\"n\":21}", "error": null, "name": "double", "output": "42", "server_label": "Guide",
            },
            {
                "type": "mcp_call", "id": format!("mcp_{hex}_1"), "status": "failed", "approval_request_id": null,
                "arguments": "{\"n\":0}", "name": "double", "output": null, "server_label": "Guide",
                "error": {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": told}]},
            },
            {
                "type": "message", "id": format!("msg_{hex}_2"), "status": "completed", "role": "assistant",
                "content": [{"type": "output_text", "text": "42", "annotations": [], "logprobs": []}],
            },
        ])
    );
    let events = front
        .post(PATH, &asked(&json!({"stream": true})))
        .await
        .events();
    let call = |step| format!("response.mcp_call{step}");
    let kinds = types(&events);
    let calls: Vec<&&str> = kinds
        .iter()
        .filter(|kind| kind.starts_with("response.mcp_call"))
        .collect();
    let begin = [
        call(".in_progress"),
        call("_arguments.delta"),
        call("_arguments.done"),
    ];
    let mut expect: Vec<String> = begin.iter().chain(&begin).cloned().collect();
    expect.extend([call(".completed"), call(".failed")]);
    assert_eq!(calls, expect.iter().collect::<Vec<_>>());
    let last = &events.last().unwrap()["response"]["output"];
    assert_eq!(last[0]["output"], "42");
    let done = |item: &Value| {
        events
            .iter()
            .any(|event| event["type"] == "response.output_item.done" && event["item"] == *item)
    };
    assert!(last.as_array().unwrap().iter().all(done));
}

#[tokio::test]
async fn call_items_sent_back_are_a_call_and_its_output() {
    let call = json!({
        "type": "mcp_call", "id": "mcp_1_0", "status": "completed", "approval_request_id": null, "server_label": "Guide",
        "arguments": "{}", "error": null, "name": "look", "output": "a cat",
    });
    let failed = json!({
        "type": "mcp_call", "id": "mcp_1_1", "arguments": "{}", "name": "look", "server_label": "Guide",
        "error": "broken",
    });
    let text = json!({"type": "output_text", "text": "A cat.", "annotations": [], "logprobs": []});
    let message = json!({"type": "message", "id": "msg_1_2", "status": "completed", "role": "assistant", "content": [text]});
    let model = ScriptedModel::text("ok");
    let front = Front::of(&model).await;
    let body = asked(&json!({"input": [call, failed, message]}));
    assert_eq!(front.post(PATH, &body).await.status, 200);
    assert_eq!(
        inputs(&model, 0),
        json!([
            {"type": "function_call", "call_id": "mcp_1_0", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "mcp_1_0", "output": "a cat"},
            {"type": "function_call", "call_id": "mcp_1_1", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "mcp_1_1", "output": "broken"},
            {"type": "message", "role": "assistant", "content": [text]},
        ])
    );
}

#[tokio::test]
async fn tools_can_be_shown_as_function_calls() {
    let model = ScriptedModel::new([
        ScriptedTurn::tool_call("double", json!({"n": 21})),
        ScriptedTurn::text("42"),
    ]);
    let agent = Agent::builder("Guide").tool(double()).build().unwrap();
    let builder = Server::builder(Runner::new(model))
        .agent(agent)
        .tool_items(ToolItems::FunctionCalls);
    let front = Front::start(builder).await;
    let events = front
        .post(PATH, &asked(&json!({"stream": true})))
        .await
        .events();
    let output = &events.last().unwrap()["response"]["output"];
    let ids = [output[0]["id"].clone(), output[1]["id"].clone()];
    assert_eq!(
        [&output[0], &output[1]],
        [
            &json!({
                "type": "function_call", "id": ids[0], "status": "completed", "arguments": "{\"n\":21}",
                "call_id": "call_double", "name": "double",
            }),
            &json!({
                "type": "function_call_output", "id": ids[1], "status": "completed", "call_id": "call_double",
                "output": "42",
            }),
        ]
    );
    assert!(types(&events).contains(&"response.function_call_arguments.done"));
    assert_eq!(events[2]["item"]["call_id"], "call_double");
}

#[tokio::test]
async fn parameters_become_settings_and_others_are_refused() {
    let model = ScriptedModel::text("ok");
    let front = Front::of(&model).await;
    let body = asked(&json!({
        "temperature": 0.7, "top_p": 0.5, "max_output_tokens": 9, "tool_choice": "required",
        "reasoning": {"effort": "low", "summary": "auto"}, "text": {"format": {"type": "text"}, "verbosity": "low"},
        "include": [], "truncation": "disabled", "background": false, "safety_identifier": "s", "tools": [],
    }));
    assert_eq!(front.post(PATH, &body).await.status, 200);
    let expect = ModelSettings::default()
        .temperature(0.7)
        .top_p(0.5)
        .max_tokens(9)
        .tool_choice(openai_agents::model::ToolChoice::Required)
        .reasoning_effort("low")
        .reasoning_summary("auto")
        .verbosity("low")
        .extra_body("safety_identifier", "s");
    assert_eq!(*model.requests()[0].settings, expect);
    for (more, param) in [
        (json!({"tools": [{"type": "web_search"}]}), "tools[0].type"),
        (json!({"background": true}), "background"),
        (json!({"prompt": {"id": "p"}}), "prompt"),
        (json!({"messages": []}), "messages"),
        (json!({"text": {"x": 1}}), "text.x"),
        (
            json!({"text": {"format": {"type": "grammar"}}}),
            "text.format.type",
        ),
        (json!({"input": [{"type": "additional_tools"}]}), "input[0]"),
        (
            json!({"input": [{"role": "tool", "content": "x"}]}),
            "input[0].role",
        ),
    ] {
        let answer = front.post(PATH, &asked(&more)).await;
        assert_eq!(
            answer.code(),
            (400, "unsupported_parameter".to_owned()),
            "{answer:?}"
        );
        assert_eq!(answer.json()["error"]["param"], param);
    }
    let empty = front.post(PATH, &asked(&json!({"input": []}))).await;
    assert_eq!(empty.code(), (400, "invalid_value".to_owned()));
}

#[tokio::test]
async fn a_schema_holds_the_model_to_it() {
    let model = ScriptedModel::text(r#"{"city":"Paris"}"#);
    let front = Front::of(&model).await;
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false});
    let format = json!({"type": "json_schema", "name": "answer", "schema": schema, "strict": true});
    let answer = front
        .post(PATH, &asked(&json!({"text": {"format": format}})))
        .await
        .json();
    assert_eq!(
        answer["output"][0]["content"][0]["text"],
        r#"{"city":"Paris"}"#
    );
    assert_eq!(answer["text"]["format"], format);
    assert_eq!(model.requests()[0].output.as_ref().unwrap().schema, schema);
}

#[tokio::test]
async fn a_failure_is_a_status_and_in_a_stream_the_last_events() {
    let failing = || {
        let error = ModelError::new(ErrorKind::Transport, "the connection broke");
        ScriptedTurn::items([Item::assistant("Half")]).with_error(error)
    };
    let model = ScriptedModel::new([failing(), failing()]);
    let front = Front::of(&model).await;
    let answer = front.post(PATH, &asked(&json!({}))).await;
    assert_eq!(answer.code(), (502, "transport".to_owned()));
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    let events = front
        .post(PATH, &asked(&json!({"stream": true})))
        .await
        .events();
    let [.., error, failed] = &*events else {
        panic!("{events:?}");
    };
    assert_eq!(
        (&error["type"], &error["code"]),
        (&json!("error"), &json!("transport"))
    );
    assert_eq!(failed["type"], "response.failed");
    assert_eq!(
        failed["response"]["error"],
        json!({"code": "server_error", "message": "the connection broke", "kind": "transport"})
    );
    let id = failed["response"]["id"].as_str().unwrap();
    assert_eq!(
        front.get(&format!("{PATH}/{id}")).await.json()["status"],
        "failed"
    );
}

#[tokio::test]
async fn a_response_in_progress_can_be_cancelled() {
    let wait = FunctionTool::new("wait", "Waits.", async |_cx, _args: NoArgs| {
        std::future::pending::<()>().await;
        Ok::<_, String>(1)
    });
    let agent = Agent::builder("Guide").tool(wait.unwrap()).build().unwrap();
    let model = ScriptedModel::new([ScriptedTurn::tool_call("wait", json!({}))]);
    let front = Front::with_agent(&model, agent).await;
    let body = asked(&json!({"stream": true})).to_string();
    let mut stream = front.send("POST", PATH, &[], &body).await;
    let id = crate::front::read_until(&mut stream, "\"id\":\"resp_", "\"").await;
    let cancelled = front
        .post(&format!("{PATH}/resp_{id}/cancel"), &json!({}))
        .await
        .json();
    assert_eq!(cancelled["status"], "cancelled");
    let rest = crate::front::read_rest(&mut stream).await;
    assert!(rest.contains("response.failed"), "{rest}");
    assert_eq!(
        front.get(&format!("{PATH}/resp_{id}")).await.json()["status"],
        "cancelled"
    );
}
