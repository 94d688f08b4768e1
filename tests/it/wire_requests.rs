//! What goes over the wire of `/chat/completions`, seen by the server.

use openai_agents::item::{Message, Part, Role};
use openai_agents::model::{Delivery, Dialect, OpenAiChat, ToolChoice};
use openai_agents::testing::{FakeServer, Reply};
use openai_agents::{Agent, Item, ModelSettings, RunResult, Runner};
use serde_json::{Value, json};

use crate::support::{
    agent, bodies, call, chat, instant, output, streamed, whole, whole_text, wire_call,
};

const NO_PARAMETERS: &str =
    r#"{"type":"object","properties":{},"required":[],"additionalProperties":false}"#;

fn no_parameters() -> Value {
    serde_json::from_str(NO_PARAMETERS).unwrap()
}

#[tokio::test]
async fn a_run_is_these_requests_and_no_other() {
    let calls = json!({ "role": "assistant", "content": null, "tool_calls": [wire_call(0, "c1", "look", "{}")] });
    let server = FakeServer::start([whole(&calls, "tool_calls"), whole_text("Rain.")])
        .await
        .unwrap();
    let agent = Agent::builder("A")
        .instructions("Be brief.")
        .tool(instant("look", "wet"))
        .build()
        .unwrap();

    let result = Runner::new(chat(&server))
        .run(&agent, "Weather?")
        .await
        .unwrap();

    assert_eq!(result.final_output(), "Rain.");
    assert_eq!(result.usage().total_tokens, 10);
    let tools = json!([{
        "type": "function",
        "function": { "name": "look", "description": "For a test.", "parameters": no_parameters(), "strict": true },
    }]);
    let first = json!([
        { "role": "system", "content": "Be brief." },
        { "role": "user", "content": "Weather?" },
    ]);
    let mut second = first.clone();
    second.as_array_mut().unwrap().extend([
        json!({ "role": "assistant", "content": null, "tool_calls": [
            { "id": "c1", "type": "function", "function": { "name": "look", "arguments": "{}" } },
        ] }),
        json!({ "role": "tool", "tool_call_id": "c1", "content": "wet" }),
    ]);
    assert_eq!(
        bodies(&server),
        [
            json!({ "model": "m", "tools": tools, "messages": first }),
            json!({ "model": "m", "tools": tools, "messages": second }),
        ]
    );
    let request = &server.requests()[0];
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/v1/chat/completions")
    );
    let mut names: Vec<_> = request
        .headers
        .iter()
        .map(|(name, _)| name.to_ascii_lowercase())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "authorization",
            "content-length",
            "content-type",
            "host",
            "user-agent"
        ]
    );
    assert_eq!(
        request.header("authorization"),
        Some("Bearer sk-secret-key-123")
    );
    assert_eq!(request.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn a_streamed_run_asks_for_a_stream_and_its_usage() {
    let server = FakeServer::start([streamed(&[json!({ "content": "Hi." })], "stop")])
        .await
        .unwrap();
    let result = Runner::new(chat(&server))
        .run(&agent([]), "Hi?")
        .delivery(Delivery::Stream)
        .await
        .unwrap();
    assert_eq!(result.usage().total_tokens, 5);
    assert_eq!(
        bodies(&server),
        [json!({
            "model": "m", "stream": true, "stream_options": { "include_usage": true },
            "messages": [{ "role": "user", "content": "Hi?" }],
        })]
    );
}

#[tokio::test]
async fn settings_go_over_the_wire() {
    let server = FakeServer::start([whole_text("Hi.")]).await.unwrap();
    let settings = ModelSettings::default()
        .temperature(0.5)
        .top_p(0.9)
        .frequency_penalty(0.1)
        .presence_penalty(0.2)
        .max_tokens(100)
        .stop(vec!["END".to_owned()])
        .seed(7)
        .tool_choice(ToolChoice::Function("look".to_owned()))
        .parallel_tool_calls(false)
        .reasoning_effort("low")
        .verbosity("high")
        .top_logprobs(3)
        .store(false)
        .extra_body("top_k", 40)
        .extra_body("chat_template_kwargs", json!({ "enable_thinking": false }))
        .extra_header("x-team", "blue");
    let runner = Runner::new(chat(&server));
    let request = runner
        .run(&agent([instant("look", "")]), "Hi?")
        .model_settings(settings);
    request.await.unwrap();

    let mut body = bodies(&server).remove(0);
    let body = body.as_object_mut().unwrap();
    for key in ["model", "messages", "tools"] {
        assert!(body.remove(key).is_some(), "{key}");
    }
    assert_eq!(
        Value::Object(body.clone()),
        json!({
            "temperature": 0.5, "top_p": 0.9, "frequency_penalty": 0.1, "presence_penalty": 0.2,
            "max_tokens": 100, "stop": ["END"], "seed": 7,
            "tool_choice": { "type": "function", "function": { "name": "look" } },
            "parallel_tool_calls": false, "reasoning_effort": "low", "verbosity": "high",
            "logprobs": true, "top_logprobs": 3, "store": false,
            "top_k": 40, "chat_template_kwargs": { "enable_thinking": false },
        })
    );
    assert_eq!(server.requests()[0].header("x-team"), Some("blue"));
}

#[tokio::test]
async fn a_field_that_is_set_twice_is_refused_before_anything_is_sent() {
    for (settings, says) in [
        (
            ModelSettings::default().seed(1).extra_body("seed", 2),
            "`seed` is set twice, once by extra_body",
        ),
        (
            ModelSettings::default().extra_body("messages", json!([])),
            "`messages` cannot be set by extra_body",
        ),
    ] {
        let server = FakeServer::start([]).await.unwrap();
        let request = Runner::new(chat(&server))
            .run(&agent([]), "Hi?")
            .model_settings(settings);
        let error = request.await.unwrap_err();
        assert_eq!(
            (error.kind().as_str(), error.to_string().as_str()),
            ("config", says)
        );
        assert_eq!(server.n_connections(), 0);
    }
}

#[tokio::test]
async fn images_audio_and_files_are_input() {
    let server = FakeServer::start([whole_text("I see.")]).await.unwrap();
    let file = |data: Option<&str>, id: Option<&str>, name: Option<&str>| Part::File {
        file_data: data.map(str::to_owned),
        file_id: id.map(str::to_owned),
        filename: name.map(str::to_owned),
    };
    let parts = vec![
        Part::text("What is it?"),
        Part::image("https://example.com/a.png"),
        Part::Image {
            image_url: "data:image/png;base64,AA==".to_owned(),
            detail: Some("low".to_owned()),
        },
        Part::Audio {
            data: "UklGRg==".to_owned(),
            format: "wav".to_owned(),
        },
        file(
            Some("data:application/pdf;base64,AA=="),
            None,
            Some("a.pdf"),
        ),
        file(None, Some("file-1"), None),
    ];
    Runner::new(chat(&server))
        .run(&agent([]), Message::from_parts(Role::User, parts))
        .await
        .unwrap();
    assert_eq!(
        bodies(&server)[0]["messages"],
        json!([{ "role": "user", "content": [
            { "type": "text", "text": "What is it?" },
            { "type": "image_url", "image_url": { "url": "https://example.com/a.png", "detail": "auto" } },
            { "type": "image_url", "image_url": { "url": "data:image/png;base64,AA==", "detail": "low" } },
            { "type": "input_audio", "input_audio": { "data": "UklGRg==", "format": "wav" } },
            { "type": "file", "file": { "file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf" } },
            { "type": "file", "file": { "file_id": "file-1" } },
        ] }])
    );
}

fn functions(server: &FakeServer) -> OpenAiChat {
    let mut dialect = Dialect::default();
    dialect.force_functions = true;
    OpenAiChat::builder(server.url(), "m")
        .dialect(dialect)
        .build()
        .unwrap()
}

fn legacy_call(id_in_body: &str) -> Value {
    json!({ "role": "assistant", "content": null, "function_call": { "name": "look", "arguments": id_in_body } })
}

/// The legacy messages of one call and its output.
fn legacy_messages(arguments: &str, content: &str) -> [Value; 2] {
    [
        legacy_call(arguments),
        json!({ "role": "function", "name": "look", "content": content }),
    ]
}

#[tokio::test]
async fn legacy_functions_go_out_and_come_in() {
    let pieces = [
        json!({ "role": "assistant", "content": null, "function_call": { "name": "look", "arguments": "" } }),
        json!({ "function_call": { "arguments": "{" } }),
        json!({ "function_call": { "arguments": "}" } }),
    ];
    let scripts = [
        [
            whole(&legacy_call("{}"), "function_call"),
            whole_text("Rain."),
        ],
        [
            streamed(&pieces, "function_call"),
            streamed(&[json!({ "content": "Rain." })], "stop"),
        ],
    ];
    for (n, script) in scripts.into_iter().enumerate() {
        let server = FakeServer::start(script).await.unwrap();
        let runner = Runner::new(functions(&server));
        let agent = agent([instant("look", "wet")]);
        let settings = ModelSettings::default()
            .tool_choice(ToolChoice::Function("look".to_owned()))
            .parallel_tool_calls(true);
        let request = if n == 0 {
            runner.run(&agent, "Go.").delivery(Delivery::Whole)
        } else {
            runner.run(&agent, "Go.").delivery(Delivery::Stream)
        };
        let result = request.model_settings(settings).await.unwrap();

        assert_eq!(
            result.items()[..2],
            [call("call_1_0", "look", "{}"), output("call_1_0", "wet")]
        );
        // The legacy form has no place for it, which is said in each turn.
        let codes: Vec<_> = result.deviations().map(|it| &*it.code).collect();
        assert_eq!(codes, ["parallel_tool_calls_not_sent"; 2]);
        let bodies = bodies(&server);
        assert_eq!(
            bodies[0]["functions"],
            json!([{ "name": "look", "description": "For a test.", "parameters": no_parameters() }])
        );
        assert_eq!(bodies[0]["function_call"], json!({ "name": "look" }));
        for key in ["tools", "tool_choice", "parallel_tool_calls"] {
            assert_eq!(bodies[0].get(key), None);
        }
        let [call, output] = legacy_messages("{}", "wet");
        assert_eq!(
            bodies[1]["messages"],
            json!([{ "role": "user", "content": "Go." }, call, output])
        );
    }
}

/// Legacy calls have no ids, so those that are made up for them come again in a next run.
#[tokio::test]
async fn legacy_outputs_stay_with_their_calls_over_several_runs() {
    let server = FakeServer::start([
        whole(&legacy_call("{}"), "function_call"),
        whole_text("First."),
        whole(&legacy_call("{}"), "function_call"),
        whole_text("Second."),
    ])
    .await
    .unwrap();
    let runner = Runner::new(functions(&server));
    let first = runner
        .run(&agent([instant("look", "wet")]), "One.")
        .await
        .unwrap();
    let mut input = first.to_input_list();
    input.push(Item::user("Two."));
    runner
        .run(&agent([instant("look", "dry")]), input)
        .await
        .unwrap();

    let [call, wet] = legacy_messages("{}", "wet");
    let [_, dry] = legacy_messages("{}", "dry");
    assert_eq!(
        bodies(&server)[3]["messages"],
        json!([
            { "role": "user", "content": "One." }, call, wet,
            { "role": "assistant", "content": "First." },
            { "role": "user", "content": "Two." }, call, dry,
        ])
    );
}

#[tokio::test]
async fn a_minimal_payload_has_nothing_else() {
    let mut dialect = Dialect::default();
    dialect.min_payload = true;
    let server = FakeServer::start([
        whole_text("Hi."),
        streamed(&[json!({ "content": "Hi." })], "stop"),
    ])
    .await
    .unwrap();
    let model = OpenAiChat::builder(server.url(), "m")
        .dialect(dialect)
        .build()
        .unwrap();
    let runner = Runner::new(model);
    let agent = agent([instant("look", "")]);
    let settings = ModelSettings::default()
        .temperature(0.5)
        .extra_body("top_k", 1);
    runner
        .run(&agent, "Hi?")
        .model_settings(settings.clone())
        .await
        .unwrap();
    runner
        .run(&agent, "Hi?")
        .delivery(Delivery::Stream)
        .model_settings(settings)
        .await
        .unwrap();
    let messages = json!([{ "role": "user", "content": "Hi?" }]);
    assert_eq!(
        bodies(&server),
        [
            json!({ "model": "m", "messages": messages }),
            json!({ "model": "m", "stream": true, "messages": messages }),
        ]
    );
}

#[tokio::test]
async fn all_turns_share_one_connection() {
    let call = |n: usize| {
        let id = format!("c{n}");
        json!({ "role": "assistant", "tool_calls": [wire_call(0, &id, "look", "{}")] })
    };
    let mut replies: Vec<Reply> = (0..4).map(|n| whole(&call(n), "tool_calls")).collect();
    replies.push(whole_text("First."));
    replies.extend((0..4).map(|n| streamed(&[call(n)], "tool_calls")));
    replies.push(streamed(&[json!({ "content": "Second." })], "stop"));
    let server = FakeServer::start(replies).await.unwrap();
    let runner = Runner::new(chat(&server));
    let agent = agent([instant("look", "wet")]);

    let whole: RunResult = runner.run(&agent, "Go.").await.unwrap();
    let streamed = runner
        .run(&agent, "Go.")
        .delivery(Delivery::Stream)
        .await
        .unwrap();

    assert_eq!((whole.turns(), streamed.turns()), (5, 5));
    assert_eq!(whole.items()[..8], streamed.items()[..8]);
    assert_eq!(bodies(&server).len(), 10);
    assert_eq!(server.n_connections(), 1);
}
