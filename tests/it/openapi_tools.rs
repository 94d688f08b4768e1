//! Tools from an `OpenAPI` document: what is sent for a call, and what cannot be called.

use openai_agents::testing::{FakeServer, Reply};
use openai_agents::tools::openapi::{OpenApiOptions, openapi_tools};
use openai_agents::tools::{ToolCallResult, ToolError};
use openai_agents::{FunctionTool, RunContext, Secret, ToolContext};
use serde_json::{Value, json};

/// A shop for pets, as the examples of the specification have it, with what they leave out.
const PETS: &str = include_str!("../fixtures/openapi/pets.yaml");

fn tools(server: &str) -> Vec<FunctionTool> {
    let options = OpenApiOptions::new(server).unwrap();
    let options = options
        .header("X-Key", &Secret::new("sk-4711-very-secret"))
        .unwrap();
    openapi_tools(PETS, options).unwrap()
}

async fn call(tool: &FunctionTool, arguments: Value) -> Result<String, String> {
    let name = tool.name().clone();
    let cx = ToolContext::new(
        RunContext::default(),
        "A",
        name,
        "c1",
        arguments.to_string(),
    );
    match tool.invoke_approved(cx).await.into_output() {
        Ok(output) => Ok(output.to_json().as_str().unwrap().to_owned()),
        Err(ToolError::Failed { source, .. }) => Err(source.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn openapi_operations_become_tools_with_their_schemas() {
    let tools = tools("https://pets.example");
    let specs: Vec<_> = tools.iter().map(FunctionTool::spec).collect();
    let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
    assert_eq!(names, ["listPets", "addPet", "put_pets_id_notes_id2"]);
    assert_eq!(specs[0].description, "Lists pets.\nAt most a hundred.");
    assert_eq!(specs[1].description, "Calls POST /pets.");
    assert_eq!(
        specs[0].parameters,
        json!({
            "type": "object",
            "properties": {
                "X-Trace": {"type": "string"},
                "tag": {"type": "array", "items": {"type": "string"}},
                "ids": {"type": "array", "items": {"type": "integer"}},
                "limit": {"type": ["integer", "null"], "description": "How many."},
            },
            "required": ["limit"],
            "additionalProperties": false,
        })
    );
    let pet = "#/$defs/components_schemas_Pet";
    assert_eq!(
        specs[1].parameters["properties"]["body"],
        json!({"$ref": pet})
    );
    assert_eq!(
        specs[1].parameters["$defs"]["components_schemas_Pet"]["properties"]["parents"],
        json!({"type": "array", "items": {"$ref": pet}})
    );
    let notes = specs[2].parameters["properties"].as_object().unwrap();
    let arguments: Vec<&String> = notes.keys().collect();
    assert_eq!(arguments, ["id_in_path", "id2", "id_in_query", "body"]);
}

#[tokio::test]
async fn openapi_calls_are_sent_as_the_document_says() {
    let replies = [
        Reply::json(&json!([{"name": "Rex"}])),
        Reply::status(201, "{}"),
        Reply::new(204),
    ];
    let server = FakeServer::start(replies).await.unwrap();
    let tools = tools(&format!("http://{}/v1/", server.address()));
    let arguments = json!({"tag": ["a b", "c&d"], "ids": [1, 2], "limit": 5, "X-Trace": "t"});
    let output = call(&tools[0], arguments).await.unwrap();
    assert_eq!(output, "200 application/json\n[{\"name\":\"Rex\"}]");
    call(&tools[1], json!({"body": {"name": "Rex"}}))
        .await
        .unwrap();
    let arguments = json!({
        "id_in_path": "a/../b", "id2": "é", "id_in_query": "q", "body": {"text": "x y", "n": 1},
    });
    assert_eq!(call(&tools[2], arguments).await, Ok("204".to_owned()));
    let requests = server.requests();
    let lines: Vec<String> = requests
        .iter()
        .map(|request| format!("{} {}", request.method, request.path))
        .collect();
    assert_eq!(
        lines,
        [
            "GET /v1/pets?tag=a%20b&tag=c%26d&ids=1%2C2&limit=5",
            "POST /v1/pets",
            "PUT /v1/pets/a%2F..%2Fb/notes/%C3%A9?id=q",
        ]
    );
    assert_eq!(requests[0].header("x-key"), Some("sk-4711-very-secret"));
    assert_eq!(requests[0].header("x-trace"), Some("t"));
    assert_eq!(requests[0].header("authorization"), None);
    assert_eq!(requests[1].json(), Some(json!({"name": "Rex"})));
    assert_eq!(requests[2].body, "text=x%20y&n=1");
}

#[tokio::test]
async fn openapi_answers_are_bounded_and_free_of_secrets() {
    let repeats = Reply::status(403, "key sk-4711-very-secret is wrong");
    let elsewhere = Reply::new(302).header("location", "http://127.0.0.1:1/");
    let server = FakeServer::start([repeats, elsewhere]).await.unwrap();
    let url = format!("http://{}", server.address());
    let list = &tools(&url)[0];
    let refused = call(list, json!({"limit": 1})).await.unwrap();
    assert!(
        refused.starts_with("403 ") && refused.ends_with("key [redacted] is wrong"),
        "{refused}"
    );
    // No redirect is followed: the key would go along.
    assert_eq!(call(list, json!({"limit": 1})).await, Ok("302".to_owned()));
    assert_eq!(server.requests().len(), 2);

    let long = FakeServer::start([Reply::status(200, "x".repeat(10_000))])
        .await
        .unwrap();
    let options = OpenApiOptions::new(&format!("http://{}", long.address())).unwrap();
    let tools = openapi_tools(PETS, options.max_answer_bytes(10)).unwrap();
    let arguments = json!({"limit": 1, "X-Key": "k"});
    let cut = call(&tools[0], arguments).await.unwrap();
    assert!(cut.ends_with("xxxxxxxxxx\n[the rest is left out]"), "{cut}");
}

#[tokio::test]
async fn openapi_paths_lead_to_no_other_operation() {
    let server = FakeServer::start([]).await.unwrap();
    let tools = tools(&format!("http://{}", server.address()));
    for id in ["..", ".", ""] {
        let refused = call(&tools[2], json!({"id_in_path": id, "id2": "x"})).await;
        let expected = "`id_in_path` cannot be sent: it would be another path";
        assert_eq!(refused, Err(expected.to_owned()));
    }
    let header = json!({"limit": 1, "X-Trace": "a\r\nX-Key: b"});
    assert!(call(&tools[0], header).await.is_err());
    assert_eq!(server.n_connections(), 0);
}

#[tokio::test]
async fn openapi_operations_that_change_something_wait_for_approval() {
    let tools = tools("http://127.0.0.1:1");
    for (tool, waits) in tools.iter().zip([false, true, true]) {
        let arguments = json!({"limit": 1, "body": {"name": "x"}, "id_in_path": "x", "id2": "y"});
        let cx = ToolContext::new(
            RunContext::default(),
            "A",
            tool.name().clone(),
            "c1",
            arguments.to_string(),
        );
        assert_eq!(
            tool.asks_approval(&cx).await.unwrap(),
            waits,
            "{}",
            tool.name()
        );
        if waits {
            let result = tool.invoke(cx).await;
            assert!(matches!(
                result,
                ToolCallResult::ApprovalRequired { .. } | ToolCallResult::Refused { .. }
            ));
        }
    }
}

#[test]
fn openapi_documents_that_cannot_be_called_say_where() {
    let check = |document: &str, expected: &str| {
        let options = OpenApiOptions::new("http://pets.example").unwrap();
        let error = openapi_tools(document, options).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let with = |operation: &str| {
        let head = "openapi: 3.1.0\npaths:\n  /a/{x}:\n    post:\n      operationId: a\n";
        format!("{head}{operation}")
    };
    check(
        "swagger: '2.0'",
        "the document says `openapi: (nothing)`; 3.0 and 3.1 can be read",
    );
    check(
        "openapi: 4.0.0",
        "the document says `openapi: 4.0.0`; 3.0 and 3.1 can be read",
    );
    check(
        &with(""),
        "POST /a/{x}: the path has `{x}`, and no parameter says what it is",
    );
    check(
        &with("      requestBody: { content: { multipart/form-data: {} } }"),
        "POST /a/{x}: the body can be multipart/form-data only, which cannot be sent",
    );
    check(
        &with("      parameters: [{ $ref: 'other.yaml#/x' }]"),
        "POST /a/{x}: `other.yaml#/x` refers to another document, and only this one is read",
    );
    check(
        &with("      parameters: [{ name: f, in: query, style: deepObject, schema: {} }]"),
        "POST /a/{x}: the parameter `f` has the style `deepObject`, which cannot be sent",
    );
    check(
        &with(
            "      parameters: [{ $ref: '#/c/a' }]\nc: { a: { $ref: '#/c/b' }, b: { $ref: '#/c/a' } }",
        ),
        "POST /a/{x}: references lead in a circle",
    );
    let twice = "openapi: 3.0.0\npaths: { /a: { get: { operationId: x y } }, /b: { get: { operationId: x_y } } }";
    check(twice, "two operations give a tool the name `x_y`");
    let options = OpenApiOptions::new("http://pets.example")
        .unwrap()
        .only(["feedPet"]);
    let error = openapi_tools(PETS, options).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the document has no operation `feedPet`; it has: listPets, addPet, put_pets_id_notes_id2"
    );
}
