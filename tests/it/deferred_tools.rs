//! Tools that a model is shown only once it has looked for them.

use openai_agents::agent::runner::UnknownTool;
use openai_agents::agent::{AgentBuilder, AgentError};
use openai_agents::model::{GptOssCompletions, LiteLlm, Model, OpenAiChat, OpenAiResponses};
use openai_agents::testing::{FakeServer, Reply, ScriptedModel, ScriptedTurn};
use openai_agents::tools::{HostedTool, ToolNamespace, ToolOptions};
use openai_agents::{
    Agent, ErrorKind, FunctionTool, Item, RunEvent, RunState, Runner, error::error_chain,
};
use serde_json::{Value, json};

use crate::support::{
    SAYS_DONE, agent, bodies, call, instant, offered, play, response, responses, value,
};

fn described(name: &str, description: &str) -> FunctionTool {
    let schema = json!({"type": "object", "properties": {}});
    let answer = |_, _| async { Ok::<_, String>("ok") };
    FunctionTool::dynamic(name, description, schema, ToolOptions::default(), answer).unwrap()
}

fn many(n_tools: usize) -> impl Iterator<Item = FunctionTool> {
    (0..n_tools).map(|n| described(&format!("tool_{n}"), "Does one of many things."))
}

fn deferring(tools: impl IntoIterator<Item = FunctionTool>) -> AgentBuilder {
    let agent = Agent::builder("A").defer_tools();
    tools.into_iter().fold(agent, AgentBuilder::tool)
}

fn search(query: &str) -> ScriptedTurn {
    ScriptedTurn::tool_call("search_tools", json!({ "query": query }))
}

/// The texts of the tool outputs that a request has.
fn outputs(items: &[Item]) -> Vec<String> {
    let outputs = items.iter().map(value);
    let outputs = outputs.filter(|item| item["type"] == "function_call_output");
    outputs
        .map(|item| item["output"].as_str().unwrap().to_owned())
        .collect()
}

type MakeModel = fn(&str) -> Box<dyn Model>;

/// The request of an agent with so many tools, as it goes out.
async fn request_bytes(model: MakeModel, agent: AgentBuilder) -> Vec<u8> {
    let server = FakeServer::start([Reply::status(500, "no answer is needed")])
        .await
        .unwrap();
    let agent = agent.build().unwrap();
    let runner = Runner::shared(model(&server.url()).into());
    runner.run(&agent, "go").await.unwrap_err();
    server.requests()[0].body.to_vec()
}

#[tokio::test]
async fn five_hundred_deferred_tools_take_the_bytes_of_ten_on_every_wire() {
    let models: [(&str, MakeModel); 4] = [
        ("chat", |url| {
            Box::new(OpenAiChat::builder(url, "m").build().unwrap())
        }),
        ("responses", |url| {
            Box::new(OpenAiResponses::builder(url, "m").build().unwrap())
        }),
        ("completions", |url| {
            let model = GptOssCompletions::builder(url, "m").current_date("2026-11-27");
            Box::new(model.build().unwrap())
        }),
        ("litellm", |url| {
            Box::new(LiteLlm::builder(url, "m").build().unwrap())
        }),
    ];
    for (wire, model) in models {
        let ten = request_bytes(model, deferring(many(10))).await;
        let many_more = request_bytes(model, deferring(many(500))).await;
        assert_eq!(
            String::from_utf8(many_more).unwrap(),
            String::from_utf8(ten.clone()).unwrap(),
            "{wire}"
        );
        let shown = many(10).fold(Agent::builder("A"), AgentBuilder::tool);
        let shown = request_bytes(model, shown).await;
        assert!(shown.len() > ten.len(), "{wire}");
    }
}

#[tokio::test]
async fn tools_that_a_model_finds_are_offered_behind_all_others_from_the_next_turn_on() {
    let model = ScriptedModel::new([
        search("weather"),
        ScriptedTurn::tool_call("get_weather", json!({})),
        search("mail"),
        ScriptedTurn::text("done"),
    ]);
    let agent = deferring(many(20))
        .tool(described("send_mail", "Sends a mail."))
        .tool(described("get_weather", "Says how the weather is."))
        .tool(instant("look", "wet").never_defer());
    let agent = agent.build().unwrap();
    let (events, result) = play(Runner::new(model.clone()).run(&agent, "go")).await;
    result.unwrap();
    let offers: Vec<_> = model
        .requests()
        .iter()
        .map(|it| offered(it).join(" "))
        .collect();
    assert_eq!(
        offers,
        [
            "look search_tools",
            "look search_tools get_weather",
            "look search_tools get_weather",
            "look search_tools get_weather send_mail",
        ]
    );
    assert_eq!(
        outputs(&model.requests()[3].items),
        [
            "These tools can be called from now on: get_weather.",
            "ok",
            "These tools can be called from now on: send_mail.",
        ]
    );
    let shown = events.iter().filter_map(|event| match event {
        RunEvent::ToolOutputDone { name, .. } => Some(name.as_str()),
        _ => None,
    });
    assert_eq!(
        shown.collect::<Vec<_>>(),
        ["search_tools", "get_weather", "search_tools"]
    );
}

#[tokio::test]
async fn search_names_the_groups_of_tools_and_no_tool() {
    let group = ToolNamespace::new("crm", "Customers and their orders.").unwrap();
    let tools = ["list_orders", "find_customer"].map(|name| {
        described(name, "Looks.")
            .namespace(group.clone())
            .defer_loading()
    });
    let model = ScriptedModel::text("done");
    Runner::new(model.clone())
        .run(&agent(tools), "go")
        .await
        .unwrap();
    let spec = model.requests()[0].tools.specs()[0].clone();
    assert_eq!(
        serde_json::to_value(spec).unwrap(),
        json!({
            "name": "search_tools",
            "description": "Finds tools that are not shown here, of which there are more. \
                The tools that it finds can be called from the next turn on. Among them are:\n\
                - crm: Customers and their orders.",
            "parameters": {
                "type": "object",
                "properties": {"query": {
                    "type": "string",
                    "description": "What is to be done, in a few words, or the name of a tool.",
                }},
                "required": ["query"],
                "additionalProperties": false,
            },
            "strict": true,
        })
    );
}

#[tokio::test]
async fn search_without_a_result_or_a_query_is_answered_and_changes_nothing() {
    let model = ScriptedModel::new([
        search("weather"),
        ScriptedTurn::tool_call("search_tools", json!({ "words": "tool" })),
        ScriptedTurn::text("done"),
    ]);
    let agent = deferring(many(3)).build().unwrap();
    Runner::new(model.clone()).run(&agent, "go").await.unwrap();
    assert_eq!(offered(&model.requests()[2]), ["search_tools"]);
    assert_eq!(
        outputs(&model.requests()[2].items),
        [
            "No tool fits. Other words may find one.",
            "The arguments are no object with the text `query`.",
        ]
    );
}

#[tokio::test]
async fn tool_that_a_model_calls_without_having_found_it_is_shown_and_not_called() {
    let danger = crate::support::tool("danger", |_| async { panic!("it was not shown") });
    let model = ScriptedModel::new([
        ScriptedTurn::tool_call("danger", json!({ "guessed": 1 })),
        ScriptedTurn::text("done"),
    ]);
    let agent = deferring([danger]).build().unwrap();
    Runner::new(model.clone()).run(&agent, "go").await.unwrap();
    assert_eq!(offered(&model.requests()[1]), ["search_tools", "danger"]);
    assert_eq!(
        outputs(&model.requests()[1].items),
        [
            "Tool 'danger' was not called, since its parameters had not been shown. It can be called from now on."
        ]
    );
}

#[tokio::test]
async fn tool_whose_condition_does_not_hold_is_not_found() {
    let model = ScriptedModel::new([
        search("weather"),
        ScriptedTurn::tool_call("weather_a", json!({})),
        ScriptedTurn::text("done"),
    ]);
    let never =
        described("weather_a", "Weather.").enabled_when(|_| async { Ok::<_, String>(false) });
    let agent = deferring([never, described("weather_b", "Weather.")])
        .build()
        .unwrap();
    let runner = Runner::new(model.clone()).unknown_tool(UnknownTool::TellModel);
    runner.run(&agent, "go").await.unwrap();
    assert_eq!(offered(&model.requests()[2]), ["search_tools", "weather_b"]);
    assert_eq!(
        outputs(&model.requests()[2].items),
        [
            "These tools can be called from now on: weather_b.",
            "Tool 'weather_a' not found. The tools are: weather_b, search_tools.",
        ]
    );
}

#[tokio::test]
async fn unknown_tool_is_told_with_what_the_model_was_shown_only() {
    let model = ScriptedModel::new([ScriptedTurn::tool_call("nothing", json!({}))]);
    let agent = deferring(many(500)).build().unwrap();
    let error = Runner::new(model).run(&agent, "go").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownTool);
    assert!(!error.to_string().contains("tool_7"), "{error}");
    assert!(error.to_string().contains("search_tools"), "{error}");
}

#[tokio::test]
async fn run_that_goes_on_has_the_tools_that_were_found_before() {
    let danger = described("danger", "Deletes all.").needs_approval();
    let agent = deferring(many(20)).tool(danger).build().unwrap();
    let model = ScriptedModel::new([
        search("delete all"),
        ScriptedTurn::items([
            call("c1", "danger", "{}"),
            call("c2", "search_tools", r#"{"query":"tool_7"}"#),
        ]),
        ScriptedTurn::text("done"),
    ]);
    let runner = Runner::new(model.clone());
    let paused = runner.run(&agent, "go").await.unwrap_err();
    let json = paused.into_state().unwrap().to_json().unwrap();
    let mut state = RunState::from_json(&json).unwrap();
    state.approve("c1").unwrap();
    let result = runner.resume(&agent, state).await.unwrap();
    assert_eq!(result.final_output(), "done");
    assert_eq!(
        offered(&model.requests()[2]),
        ["search_tools", "danger", "tool_7"]
    );
}

#[tokio::test]
async fn agent_that_is_handed_the_conversation_has_the_same_tools_found() {
    let billing = deferring(many(20)).name("Billing").build().unwrap();
    let model = ScriptedModel::new([
        search("tool_7"),
        ScriptedTurn::handoff("Billing"),
        ScriptedTurn::text("done"),
    ]);
    let agent = deferring(many(20)).handoff(&billing).build().unwrap();
    Runner::new(model.clone()).run(&agent, "go").await.unwrap();
    let requests = model.requests();
    assert_eq!(
        [offered(&requests[1]), offered(&requests[2])],
        [
            vec!["transfer_to_billing", "search_tools", "tool_7"],
            vec!["search_tools", "tool_7"],
        ]
    );
}

#[test]
fn tool_that_is_called_like_the_search_is_refused_where_there_is_a_search() {
    let own = || instant("search_tools", "own");
    assert!(agent([own()]).tools().get("search_tools").is_some());
    let refused = deferring([own().never_defer(), instant("look", "wet")]).build();
    let error = refused.unwrap_err();
    assert!(matches!(error, AgentError::Tool { .. }), "{error:?}");
    assert!(error_chain(&error).contains("search_tools"), "{error:?}");
}

/// The items are those of the guide to tool search of the Responses API.
#[tokio::test]
async fn provider_that_searches_is_sent_all_tools_and_calls_what_it_found() {
    const FOUND: [&str; 3] = [
        r#"{"type":"tool_search_call","id":"ts_1","execution":"server","call_id":null,"status":"completed","arguments":{"paths":["crm"]}}"#,
        r#"{"type":"tool_search_output","id":"tso_1","execution":"server","call_id":null,"status":"completed","tools":[{"type":"namespace","name":"crm","description":"Customers.","tools":[{"type":"function","name":"list_orders","description":"Looks.","defer_loading":true,"parameters":{"type":"object","properties":{}}}]}]}"#,
        r#"{"type":"function_call","id":"fc_1","call_id":"c1","name":"list_orders","namespace":"crm","arguments":"{}","status":"completed"}"#,
    ];
    let server = FakeServer::start([response("resp_1", &FOUND), response("resp_2", &[SAYS_DONE])])
        .await
        .unwrap();
    let group = ToolNamespace::new("crm", "Customers.").unwrap();
    let in_group = |name| described(name, "Looks.").namespace(group.clone());
    let agent = deferring([
        in_group("list_orders"),
        instant("look", "wet").never_defer(),
    ])
    .tool(in_group("find_customer"))
    .tool(described("alone", "Is in no group."))
    .hosted_tool(HostedTool::tool_search())
    .build()
    .unwrap();
    let result = Runner::new(responses(&server)).run(&agent, "go").await;
    assert_eq!(result.unwrap().final_output(), "done");
    let bodies = bodies(&server);
    let empty =
        json!({"type": "object", "properties": {}, "required": [], "additionalProperties": false});
    let function = |name, description| {
        json!({
            "type": "function", "name": name, "description": description, "parameters": empty,
            "strict": true,
        })
    };
    let deferred = |name, description| {
        let mut function = function(name, description);
        function["defer_loading"] = true.into();
        function
    };
    assert_eq!(
        bodies[0]["tools"],
        json!([
            {
                "type": "namespace", "name": "crm", "description": "Customers.",
                "tools": [deferred("list_orders", "Looks."), deferred("find_customer", "Looks.")],
            },
            function("look", "For a test."),
            deferred("alone", "Is in no group."),
            {"type": "tool_search"},
        ])
    );
    assert_eq!(bodies[1]["tools"], bodies[0]["tools"]);
    let sent: Vec<Value> = FOUND
        .iter()
        .map(|item| serde_json::from_str(item).unwrap())
        .collect();
    assert_eq!(bodies[1]["input"].as_array().unwrap()[1..4], sent);
    assert_eq!(
        bodies[1]["input"][4],
        json!({"type": "function_call_output", "call_id": "c1", "output": "ok"})
    );
}

/// What the model sees until it has looked: that is outside of what is deferred.
#[tokio::test]
async fn provider_that_searches_shows_one_group_however_many_tools_it_has() {
    let mut seen = Vec::new();
    for n_tools in [10, 500] {
        let server = FakeServer::start([response("resp_1", &[SAYS_DONE])])
            .await
            .unwrap();
        let group = ToolNamespace::new("crm", "Customers.").unwrap();
        let agent = deferring(many(n_tools).map(|tool| tool.namespace(group.clone())));
        let agent = agent
            .hosted_tool(HostedTool::tool_search())
            .build()
            .unwrap();
        let runner = Runner::new(responses(&server));
        runner.run(&agent, "go").await.unwrap();
        let mut body = bodies(&server).remove(0);
        let deferred = body["tools"][0]["tools"].take();
        let deferred = deferred.as_array().unwrap().clone();
        assert_eq!(deferred.len(), n_tools);
        assert!(deferred.iter().all(|tool| tool["defer_loading"] == true));
        seen.push(body);
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn provider_without_a_search_refuses_it_before_anything_is_sent() {
    let server = FakeServer::start([]).await.unwrap();
    let agent = deferring(many(3)).hosted_tool(HostedTool::tool_search());
    let runner = Runner::new(crate::support::chat(&server));
    let error = runner.run(&agent.build().unwrap(), "go").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(server.requests().is_empty());
}
