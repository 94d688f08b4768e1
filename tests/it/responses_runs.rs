//! Runs over the Responses API: what goes over the wire, turn by turn, and who keeps the conversation.

use openai_agents::model::{Delivery, Dialect, OpenAiChat};
use openai_agents::testing::{FakeServer, Reply};
use openai_agents::tools::HostedTool;
use openai_agents::{Agent, ErrorKind, Item, RunError, RunRequest, RunResult, Runner};
use serde_json::{Value, json};

use crate::support::{
    SAYS_DONE, bodies, chat, instant, output, response, response_events, responses, value,
};

// Spaces, escapes, the order of the fields and numbers show whether the bytes are the server's.
const THOUGHT: &str = r#"{"id": "rs_1", "type":"reasoning","summary":[ ],"encrypted_content":"gAAAA\/\u00e9==","x":1.50}"#;
const CALL: &str = r#"{"status":"completed","type": "function_call","id":"fc_1","call_id":"c1","name":"look","arguments":"{ }","x_n":1e2}"#;

/// An agent that can look.
fn looker() -> Agent {
    Agent::builder("A")
        .instructions("Be brief.")
        .tool(instant("look", "wet"))
        .build()
        .unwrap()
}

/// Begins a run of the agent, answered whole or in pieces.
type Begin = fn(&Runner, &Agent) -> RunRequest;

/// Makes a response with an id and items.
type MakeResponse = fn(&str, &[&str]) -> Reply;

const BOTH: [(Begin, MakeResponse); 2] = [
    (|runner, agent| runner.run(agent, "Weather?"), response),
    (
        |runner, agent| runner.run(agent, "Weather?").delivery(Delivery::Stream),
        response_events,
    ),
];

/// A run in which the model looks and is done.
async fn look(
    begin: Begin,
    reply: MakeResponse,
    set: fn(RunRequest) -> RunRequest,
) -> (FakeServer, RunResult) {
    let replies = [
        reply("resp_1", &[THOUGHT, CALL]),
        reply("resp_2", &[SAYS_DONE]),
    ];
    let server = FakeServer::start(replies).await.unwrap();
    let request = begin(&Runner::new(responses(&server)), &looker());
    let result = set(request).await.unwrap();
    assert_eq!(result.final_output(), "done");
    assert_eq!((result.turns(), result.usage().total_tokens), (2, 10));
    assert_eq!(result.deviations().next(), None);
    (server, result)
}

fn tools() -> Value {
    json!([{
        "type": "function", "name": "look", "description": "For a test.",
        "parameters": { "type": "object", "properties": {}, "required": [], "additionalProperties": false },
        "strict": true,
    }])
}

/// A request's body with what all of them have.
fn body(is_stream: bool, fields: &Value) -> Value {
    let mut body = json!({ "model": "m", "instructions": "Be brief.", "tools": tools() });
    let object = body.as_object_mut().unwrap();
    if is_stream {
        object.insert("stream".to_owned(), true.into());
    }
    object.extend(fields.as_object().unwrap().clone());
    body
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

fn question() -> Value {
    value(&Item::user("Weather?"))
}

fn wet() -> Value {
    value(&output("c1", "wet"))
}

/// Everything that the run added, whoever keeps the conversation.
#[track_caller]
fn assert_whole(result: &RunResult) {
    let items: Vec<Value> = result.items().iter().map(value).collect();
    assert_eq!(
        items,
        [parsed(THOUGHT), parsed(CALL), wet(), parsed(SAYS_DONE)]
    );
}

#[tokio::test]
async fn a_tool_loop_is_these_requests_and_no_other() {
    for (begin, reply) in BOTH {
        let (server, result) = look(begin, reply, |request| request).await;

        let second = [question(), parsed(THOUGHT), parsed(CALL), wet()];
        let is_stream = server.requests()[0].json().unwrap()["stream"] == true;
        assert_eq!(
            bodies(&server),
            [
                body(is_stream, &json!({ "input": [question()] })),
                body(is_stream, &json!({ "input": second })),
            ]
        );
        let request = &server.requests()[1];
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("POST", "/v1/responses")
        );
        assert_whole(&result);
        let ids: Vec<_> = result
            .responses()
            .iter()
            .map(|end| end.response_id.as_deref())
            .collect();
        assert_eq!(ids, [Some("resp_1"), Some("resp_2")]);
    }
}

#[tokio::test]
async fn encrypted_reasoning_goes_back_byte_for_byte_in_its_place() {
    for (begin, reply) in BOTH {
        let (server, _) = look(begin, reply, |request| request).await;
        let body = String::from_utf8(server.requests()[1].body.to_vec()).unwrap();
        let input = [
            Item::user("Weather?").to_json(),
            THOUGHT,
            CALL,
            output("c1", "wet").to_json(),
        ]
        .join(",");
        assert!(body.ends_with(&format!(r#""input":[{input}]}}"#)), "{body}");
    }
}

/// What `to_input_list` gives continues the conversation in a next run.
#[tokio::test]
async fn a_next_run_begins_with_all_items_of_the_last() {
    let (server, result) = look(BOTH[0].0, response, |request| request).await;
    server.push(response("resp_3", &[SAYS_DONE]));
    let mut input = result.to_input_list();
    input.push(Item::user("And now?"));

    Runner::new(responses(&server))
        .run(&looker(), input)
        .await
        .unwrap();

    assert_eq!(
        bodies(&server)[2]["input"],
        json!([
            question(),
            parsed(THOUGHT),
            parsed(CALL),
            wet(),
            parsed(SAYS_DONE),
            value(&Item::user("And now?"))
        ])
    );
}

#[tokio::test]
async fn a_chained_run_sends_only_what_is_new() {
    for (begin, reply) in BOTH {
        let (server, result) = look(begin, reply, RunRequest::chain_responses).await;
        let is_stream = server.requests()[0].json().unwrap()["stream"] == true;
        assert_eq!(
            bodies(&server),
            [
                body(is_stream, &json!({ "input": [question()] })),
                body(
                    is_stream,
                    &json!({ "previous_response_id": "resp_1", "input": [wet()] })
                ),
            ]
        );
        assert_whole(&result);
        assert_eq!(result.to_input_list().len(), 5);
    }
}

#[tokio::test]
async fn a_stored_response_is_continued() {
    let (server, result) = look(BOTH[0].0, response, |request| {
        request.previous_response_id("resp_0")
    })
    .await;
    assert_eq!(
        bodies(&server),
        [
            body(
                false,
                &json!({ "previous_response_id": "resp_0", "input": [question()] })
            ),
            body(
                false,
                &json!({ "previous_response_id": "resp_1", "input": [wet()] })
            ),
        ]
    );
    assert_whole(&result);
}

#[tokio::test]
async fn a_stored_conversation_is_continued() {
    let (server, result) = look(BOTH[0].0, response, |request| {
        request.conversation_id("conv_1")
    })
    .await;
    assert_eq!(
        bodies(&server),
        [
            body(
                false,
                &json!({ "conversation": "conv_1", "input": [question()] })
            ),
            body(
                false,
                &json!({ "conversation": "conv_1", "input": [wet()] })
            ),
        ]
    );
    assert_whole(&result);
}

/// Each response of a longer chain is continued from the one before it, not from the first.
#[tokio::test]
async fn a_chain_goes_from_response_to_response() {
    let second_call = CALL.replace("c1", "c2").replace("fc_1", "fc_2");
    let replies = [
        response("resp_1", &[CALL]),
        response("resp_2", &[&second_call]),
        response("resp_3", &[SAYS_DONE]),
    ];
    let server = FakeServer::start(replies).await.unwrap();

    Runner::new(responses(&server))
        .run(&looker(), "Weather?")
        .chain_responses()
        .await
        .unwrap();

    let bodies = bodies(&server);
    assert_eq!(
        (&bodies[1]["previous_response_id"], &bodies[1]["input"]),
        (&json!("resp_1"), &json!([wet()]))
    );
    assert_eq!(
        (&bodies[2]["previous_response_id"], &bodies[2]["input"]),
        (&json!("resp_2"), &json!([value(&output("c2", "wet"))]))
    );
}

#[tokio::test]
async fn a_response_without_an_id_cannot_be_chained() {
    let whole = json!({ "status": "completed", "output": [parsed(CALL)] });
    let server = FakeServer::start([Reply::json(&whole)]).await.unwrap();

    let error = Runner::new(responses(&server))
        .run(&looker(), "Weather?")
        .chain_responses()
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::MissingField);
    assert_eq!(
        error.to_string(),
        "the response has no id, so that the next request cannot continue it"
    );
    assert_eq!(bodies(&server).len(), 1);

    // Nothing is to be continued after an answer.
    let last = json!({ "status": "completed", "output": [parsed(SAYS_DONE)] });
    server.push(Reply::json(&last));
    let result = Runner::new(responses(&server))
        .run(&looker(), "Weather?")
        .chain_responses()
        .await
        .unwrap();
    assert_eq!(result.final_output(), "done");
}

#[track_caller]
fn assert_refused(error: &RunError, words: &str) {
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    let says = format!("{words} exists on the Responses API only, not on the chat API");
    assert_eq!(error.to_string(), says);
}

#[tokio::test]
async fn the_chat_api_refuses_what_only_responses_has_before_anything_is_sent() {
    let server = FakeServer::start([]).await.unwrap();
    let runner = Runner::new(chat(&server));
    let continued: [fn(RunRequest) -> RunRequest; 3] = [
        RunRequest::chain_responses,
        |request| request.previous_response_id("resp_0"),
        |request| request.conversation_id("conv_1"),
    ];
    // A body that leaves everything else out would still have to hold the whole conversation.
    let mut dialect = Dialect::default();
    dialect.min_payload = true;
    let minimal = OpenAiChat::builder(server.url(), "m").dialect(dialect);
    let minimal = Runner::new(minimal.build().unwrap());
    for set in continued {
        for (begin, _) in BOTH {
            for runner in [&runner, &minimal] {
                let error = set(begin(runner, &looker())).await.unwrap_err();
                assert_refused(&error, "a conversation that the server keeps");
            }
        }
    }
    let searcher = Agent::builder("A").hosted_tool(HostedTool::web_search());
    let error = runner
        .run(&searcher.build().unwrap(), "go")
        .await
        .unwrap_err();
    assert_refused(&error, "the hosted tool `web_search`");
    assert_eq!(server.n_connections(), 0);
}
