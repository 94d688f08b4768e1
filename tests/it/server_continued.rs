//! What a response goes on from: an earlier response, a conversation, a call that waited.

use openai_agents::Agent;
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use serde_json::{Value, json};

use crate::front::{Front, double, inputs};

const PATH: &str = "/v1/responses";

fn asked(more: &Value) -> Value {
    let mut body = json!({"model": "Guide", "input": "hi"});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn stored_response_can_be_continued() {
    let model = ScriptedModel::new(["one", "two", "three", "four"].map(ScriptedTurn::text));
    let front = Front::of(&model).await;
    let first = front
        .post(
            PATH,
            &asked(&json!({"input": "a", "instructions": "Be brief."})),
        )
        .await
        .json();
    assert_eq!(first["instructions"], "Be brief.");
    let after = |input: &str, more: Value| {
        let mut body = asked(&json!({"input": input, "previous_response_id": first["id"]}));
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
    let fourth = asked(&json!({"input": "d", "previous_response_id": third, "store": false}));
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
    let first = front.post(PATH, &asked(&json!({}))).await.json();
    let reference = json!({"type": "item_reference", "id": first["output"][0]["id"]});
    let body = asked(&json!({"input": [reference, {"role": "user", "content": "b"}]}));
    front.post(PATH, &body).await.json();
    assert_eq!(inputs(&model, 1)[0]["content"][0]["text"], "one");
    let unknown = asked(&json!({"input": [{"type": "item_reference", "id": "msg_1_0"}]}));
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
            &asked(&json!({"input": "a", "conversation": "conv_1"})),
        )
        .await
        .json();
    assert_eq!(first["conversation"], json!({"id": "conv_1"}));
    front
        .post(
            PATH,
            &asked(&json!({"input": "b", "conversation": {"id": "conv_1"}})),
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
            front.post(PATH, &asked(&body)).await.code(),
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
            let mut body = asked(&more);
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
            .post(PATH, &asked(&json!({"previous_response_id": first["id"]})))
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
            front.post(PATH, &asked(&more)).await.code(),
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
        .post(PATH, &asked(&json!({"conversation": "c"})))
        .await
        .json();
    let id = &first["output"][1]["id"];
    let answer = |id: &Value| json!([{"type": "mcp_approval_response", "approval_request_id": id, "approve": false, "reason": "No."}]);
    let unknown = json!(format!("{}x", id.as_str().unwrap()));
    let wrong = front
        .post(PATH, &asked(&json!({"input": answer(&unknown)})))
        .await;
    assert_eq!(wrong.code(), (400, "invalid_value".to_owned()));
    let second = front
        .post(
            PATH,
            &asked(&json!({"input": answer(id), "conversation": "c"})),
        )
        .await
        .json();
    assert_eq!(
        second["output"][1]["content"][0]["text"], "Then not.",
        "{second}"
    );
    assert_eq!(inputs(&model, 1)[2]["output"], "No.");
}
