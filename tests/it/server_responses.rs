//! `/v1/responses`: what clients of the Responses API see of an agent.

use openai_agents::model::ModelError;
use openai_agents::server::{Server, ToolItems};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, ErrorKind, FunctionTool, Item, ModelSettings, Runner, Usage};
use serde_json::{Value, json};

use crate::front::Front;

const PATH: &str = "/v1/responses";

fn asked(more: Value) -> Value {
    let mut body = json!({"model": "Guide", "input": "hi"});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    body
}

fn double() -> FunctionTool {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Args {
        n: i64,
    }
    FunctionTool::new("double", "Doubles.", async |_cx, args: Args| match args.n {
        0 => Err("zero".to_owned()),
        n => Ok(n * 2),
    })
    .unwrap()
}

fn types(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect()
}

/// The inputs of a model's request, as JSON.
fn inputs(model: &ScriptedModel, n: usize) -> Value {
    let requests = model.requests();
    let items = requests[n].items.iter();
    items
        .map(|item| serde_json::from_str::<Value>(item.to_json()).unwrap())
        .collect()
}

#[tokio::test]
async fn a_response_is_whole_and_kept() {
    let turn = ScriptedTurn::text("Paris.").with_usage(Usage::of_request(7, 3, 10));
    let front = Front::of(&ScriptedModel::new([turn])).await;
    let body = asked(json!({"temperature": 0.5, "max_output_tokens": 9, "metadata": {"a": "b"}}));
    let answer = front.post(PATH, &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut body = answer.json();
    let id = body["id"].as_str().unwrap().to_owned();
    let hex = id.strip_prefix("resp_").unwrap();
    assert!(body["created_at"].is_u64());
    body["created_at"] = json!(0);
    assert_eq!(
        body,
        json!({
            "id": id, "object": "response", "created_at": 0, "status": "completed", "error": null,
            "incomplete_details": null,
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
        .post(PATH, &asked(json!({"previous_response_id": id})))
        .await;
    assert_eq!(next.code(), (400, "previous_response_not_found".to_owned()));
}

#[tokio::test]
async fn a_stream_has_the_events_of_the_api() {
    let turn = ScriptedTurn::text("It is.").with_usage(Usage::of_request(7, 3, 10));
    let front = Front::of(&ScriptedModel::new([turn])).await;
    let answer = front.post(PATH, &asked(json!({"stream": true}))).await;
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
    let output = front.post(PATH, &asked(json!({}))).await.json()["output"].clone();
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
        .post(PATH, &asked(json!({"stream": true})))
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
    // What a client sends back is a call and its output again.
    let model = ScriptedModel::text("ok");
    let front = Front::of(&model).await;
    front
        .post(PATH, &json!({"model": "Guide", "input": output}))
        .await
        .json();
    let inputs = inputs(&model, 0);
    let kinds: Vec<&str> = inputs
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["type"].as_str().unwrap())
        .collect();
    let pair = ["function_call", "function_call_output"];
    assert_eq!(kinds, [pair[0], pair[1], pair[0], pair[1], "message"]);
    assert_eq!(inputs[4].get("id"), None);
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
        .post(PATH, &asked(json!({"stream": true})))
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
async fn any_response_can_be_gone_on_from() {
    let model = ScriptedModel::new(["one", "two", "three", "four"].map(ScriptedTurn::text));
    let front = Front::of(&model).await;
    let first = front
        .post(
            PATH,
            &asked(json!({"input": "a", "instructions": "Be brief."})),
        )
        .await
        .json();
    assert_eq!(first["instructions"], "Be brief.");
    let after = |input: &str, more: Value| {
        let mut body = asked(json!({"input": input, "previous_response_id": first["id"]}));
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        body
    };
    front.post(PATH, &after("b", json!({}))).await.json();
    let third = front
        .post(PATH, &after("c", json!({"stream": true})))
        .await
        .events();
    let third = third.last().unwrap()["response"]["id"].clone();
    let fourth = asked(json!({"input": "d", "previous_response_id": third, "store": false}));
    let fourth = front.post(PATH, &fourth).await.json();
    let texts = |n| -> Vec<String> {
        let text = |item: &Value| {
            item["content"]
                .as_str()
                .or(item["content"][0]["text"].as_str())
                .unwrap()
                .to_owned()
        };
        inputs(&model, n)
            .as_array()
            .unwrap()
            .iter()
            .map(text)
            .collect()
    };
    assert_eq!(texts(0), ["a"]);
    assert_eq!(texts(1), ["a", "one", "b"]);
    assert_eq!(texts(2), ["a", "one", "c"]);
    assert_eq!(texts(3), ["a", "one", "c", "three", "d"]);
    let instructions: Vec<_> = model
        .requests()
        .iter()
        .map(|request| request.instructions.clone())
        .collect();
    assert_eq!(instructions, [Some("Be brief.".into()), None, None, None]);
    // What is not stored is not kept.
    let id = fourth["id"].as_str().unwrap();
    assert_eq!(front.get(&format!("{PATH}/{id}")).await.status, 404);
    // Items of a kept response can be referred to.
    let model = ScriptedModel::new(["one", "two"].map(ScriptedTurn::text));
    let front = Front::of(&model).await;
    let first = front.post(PATH, &asked(json!({}))).await.json();
    let reference = json!({"type": "item_reference", "id": first["output"][0]["id"]});
    let body = asked(json!({"input": [reference, {"role": "user", "content": "b"}]}));
    front.post(PATH, &body).await.json();
    assert_eq!(inputs(&model, 1)[0]["content"][0]["text"], "one");
    let unknown = asked(json!({"input": [{"type": "item_reference", "id": "msg_1_0"}]}));
    assert_eq!(
        front.post(PATH, &unknown).await.code(),
        (404, "not_found".to_owned())
    );
}

#[tokio::test]
async fn a_conversation_is_a_session() {
    let model = ScriptedModel::new(["one", "two"].map(ScriptedTurn::text));
    let front = Front::of(&model).await;
    let first = front
        .post(
            PATH,
            &asked(json!({"input": "a", "conversation": "conv_1"})),
        )
        .await
        .json();
    assert_eq!(first["conversation"], json!({"id": "conv_1"}));
    front
        .post(
            PATH,
            &asked(json!({"input": "b", "conversation": {"id": "conv_1"}})),
        )
        .await
        .json();
    assert_eq!(inputs(&model, 1).as_array().unwrap().len(), 3);
    for (body, code) in [
        (
            json!({"conversation": "c", "previous_response_id": "resp_1"}),
            "invalid_value",
        ),
        (
            json!({"previous_response_id": first["id"]}),
            "invalid_value",
        ),
        (json!({"conversation": "resp_1"}), "invalid_value"),
        (json!({"conversation": ""}), "invalid_value"),
        (
            json!({"previous_response_id": "resp_unknown"}),
            "previous_response_not_found",
        ),
        (
            json!({"previous_response_id": "conv_1"}),
            "previous_response_not_found",
        ),
    ] {
        assert_eq!(
            front.post(PATH, &asked(body)).await.code(),
            (400, code.to_owned())
        );
    }
}

#[tokio::test]
async fn a_call_that_needs_approval_waits_for_the_clients_word() {
    for streams in [false, true] {
        let model = ScriptedModel::new([
            ScriptedTurn::tool_call("double", json!({"n": 21})),
            ScriptedTurn::text("42"),
        ]);
        let agent = Agent::builder("Guide")
            .tool(double().needs_approval())
            .build()
            .unwrap();
        let front = Front::with_agent(&model, agent).await;
        let ask = async |more: Value| {
            let mut body = asked(more);
            body["stream"] = json!(streams);
            let answer = front.post(PATH, &body).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            if streams {
                answer.events().last().unwrap()["response"].clone()
            } else {
                answer.json()
            }
        };
        let first = ask(json!({})).await;
        assert_eq!(first["status"], "completed");
        assert_eq!(first["output"][0]["status"], "incomplete");
        let request = &first["output"][1];
        assert_eq!(
            *request,
            json!({
                "type": "mcp_approval_request", "id": request["id"], "server_label": "Guide", "name": "double",
                "arguments": "{\"n\":21}",
            })
        );
        let early = front
            .post(PATH, &asked(json!({"previous_response_id": first["id"]})))
            .await;
        assert_eq!(early.code(), (409, "approval_required".to_owned()));
        let approval = json!({"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": true});
        let more = json!({"input": [approval], "previous_response_id": first["id"]});
        let second = ask(more.clone()).await;
        assert_eq!(second["output"][0]["output"], "42");
        assert_eq!(second["output"][0]["approval_request_id"], request["id"]);
        assert_eq!(second["output"][0]["arguments"], "{\"n\":21}");
        assert_eq!(second["output"][1]["content"][0]["text"], "42");
        assert_eq!(
            front.post(PATH, &asked(more)).await.code(),
            (409, "nothing_waits".to_owned())
        );
        assert_eq!(model.n_left(), 0);
    }
}

#[tokio::test]
async fn a_call_that_is_rejected_is_not_made() {
    let model = ScriptedModel::new([
        ScriptedTurn::tool_call("double", json!({"n": 21})),
        ScriptedTurn::text("Then not."),
    ]);
    let agent = Agent::builder("Guide")
        .tool(double().needs_approval())
        .build()
        .unwrap();
    let front = Front::with_agent(&model, agent).await;
    let first = front
        .post(PATH, &asked(json!({"conversation": "c"})))
        .await
        .json();
    let id = &first["output"][1]["id"];
    let answer = |id: &Value| json!([{"type": "mcp_approval_response", "approval_request_id": id, "approve": false, "reason": "No."}]);
    let unknown = json!(format!("{}x", id.as_str().unwrap()));
    let wrong = front
        .post(PATH, &asked(json!({"input": answer(&unknown)})))
        .await;
    assert_eq!(wrong.code(), (400, "invalid_value".to_owned()));
    let second = front
        .post(
            PATH,
            &asked(json!({"input": answer(id), "conversation": "c"})),
        )
        .await
        .json();
    assert_eq!(
        second["output"][1]["content"][0]["text"], "Then not.",
        "{second}"
    );
    assert_eq!(inputs(&model, 1)[2]["output"], "No.");
}

#[tokio::test]
async fn parameters_become_settings_and_others_are_refused() {
    let model = ScriptedModel::text("ok");
    let front = Front::of(&model).await;
    let body = asked(json!({
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
        (
            json!({"tools": [{"type": "function", "name": "f"}]}),
            "tools",
        ),
        (json!({"tools": [{"type": "web_search"}]}), "tools"),
        (json!({"background": true}), "background"),
        (json!({"truncation": "auto"}), "truncation"),
        (
            json!({"include": ["reasoning.encrypted_content"]}),
            "include",
        ),
        (json!({"prompt": {"id": "p"}}), "prompt"),
        (json!({"max_tool_calls": 2}), "max_tool_calls"),
        (json!({"text": {"x": 1}}), "text.x"),
        (
            json!({"text": {"format": {"type": "json_object"}}}),
            "text.format.type",
        ),
        (json!({"input": [{"type": "computer_call"}]}), "input[0]"),
        (
            json!({"input": [{"role": "tool", "content": "x"}]}),
            "input[0].role",
        ),
    ] {
        let answer = front.post(PATH, &asked(more)).await;
        assert_eq!(
            answer.code(),
            (400, "unsupported_parameter".to_owned()),
            "{answer:?}"
        );
        assert_eq!(answer.json()["error"]["param"], param);
    }
    let empty = front.post(PATH, &asked(json!({"input": []}))).await;
    assert_eq!(empty.code(), (400, "invalid_value".to_owned()));
}

#[tokio::test]
async fn a_schema_holds_the_model_to_it() {
    let model = ScriptedModel::text(r#"{"city":"Paris"}"#);
    let front = Front::of(&model).await;
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false});
    let format = json!({"type": "json_schema", "name": "answer", "schema": schema, "strict": true});
    let answer = front
        .post(PATH, &asked(json!({"text": {"format": format}})))
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
    let answer = front.post(PATH, &asked(json!({}))).await;
    assert_eq!(answer.code(), (502, "transport".to_owned()));
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    let events = front
        .post(PATH, &asked(json!({"stream": true})))
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
        json!({"code": "transport", "message": "the connection broke"})
    );
    let id = failed["response"]["id"].as_str().unwrap();
    assert_eq!(
        front.get(&format!("{PATH}/{id}")).await.json()["status"],
        "failed"
    );
}

#[tokio::test]
async fn a_response_in_progress_can_be_cancelled() {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct NoArgs {}
    let wait = FunctionTool::new("wait", "Waits.", async |_cx, _args: NoArgs| {
        std::future::pending::<()>().await;
        Ok::<_, String>(1)
    });
    let agent = Agent::builder("Guide").tool(wait.unwrap()).build().unwrap();
    let model = ScriptedModel::new([ScriptedTurn::tool_call("wait", json!({}))]);
    let front = Front::with_agent(&model, agent).await;
    let body = asked(json!({"stream": true})).to_string();
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
