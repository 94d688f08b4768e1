//! Tools that the provider runs: what is sent of them, and what becomes of what they did.

use std::sync::{Arc, Mutex};

use openai_agents::agent::runner::UnknownTool;
use openai_agents::model::OpenAiChat;
use openai_agents::testing::{FakeServer, Reply};
use openai_agents::tools::HostedTool;
use openai_agents::{
    Agent, ErrorKind, Item, ModelSettings, RunError, RunEvent, RunResult, Runner, model::ToolChoice,
};
use serde_json::{Value, json};

use crate::support::{
    SAYS_DONE, agent, bodies, call, instant, output, play, response, responses, value,
};

const SEARCH: &str = r#"{"type":"web_search_call","id":"ws_1","status":"completed","action":{"type":"search","query":"rain"}}"#;
const CALL: &str = r#"{"type":"function_call","id":"fc_1","call_id":"c1","name":"look","arguments":"{}","status":"completed"}"#;
const ASKS: &str = r#"{"type":"mcp_approval_request","id":"mcpr_1","server_label":"deepwiki","name":"ask","arguments":"{\"q\":1}"}"#;

fn searcher() -> Agent {
    let agent = Agent::builder("A").hosted_tool(HostedTool::web_search());
    agent.build().unwrap()
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

/// Runs the agent against these replies.
async fn run<'a>(
    agent: &Agent,
    replies: impl IntoIterator<Item = &'a [&'a str]>,
) -> (FakeServer, Result<RunResult, RunError>) {
    let replies = replies
        .into_iter()
        .enumerate()
        .map(|(n, items)| response(&format!("resp_{n}"), items));
    let server = FakeServer::start(replies).await.unwrap();
    let result = Runner::new(responses(&server)).run(agent, "go").await;
    (server, result)
}

#[track_caller]
fn assert_items(items: &[Item], expected: &[&str]) {
    let items: Vec<Value> = items.iter().map(value).collect();
    let expected: Vec<Value> = expected.iter().map(|json| parsed(json)).collect();
    assert_eq!(items, expected);
}

#[tokio::test]
async fn descriptors_are_sent_as_given_behind_the_functions() {
    let agent = Agent::builder("A")
        .hosted_tool(HostedTool::web_search().with("search_context_size", "low"))
        .tool(instant("look", "wet"))
        .hosted_tool(HostedTool::file_search(["vs_1", "vs_2"]).with("max_num_results", 3))
        .hosted_tool(HostedTool::code_interpreter())
        .hosted_tool(HostedTool::image_generation())
        .hosted_tool(
            HostedTool::mcp("deepwiki", "https://mcp.deepwiki.com/mcp")
                .with("require_approval", "never"),
        )
        .hosted_tool(HostedTool::tool_search())
        .hosted_tool(HostedTool::new("x_new").with("deep", json!({ "a": [1, null] })))
        .build()
        .unwrap();

    let (server, result) = run(&agent, [&[SAYS_DONE][..]]).await;

    result.unwrap();
    let parameters = json!({ "type": "object", "properties": {}, "required": [], "additionalProperties": false });
    assert_eq!(
        bodies(&server)[0]["tools"],
        json!([
            { "type": "function", "name": "look", "description": "For a test.", "parameters": parameters, "strict": true },
            { "type": "web_search", "search_context_size": "low" },
            { "type": "file_search", "vector_store_ids": ["vs_1", "vs_2"], "max_num_results": 3 },
            { "type": "code_interpreter", "container": { "type": "auto" } },
            { "type": "image_generation" },
            {
                "type": "mcp", "server_label": "deepwiki", "server_url": "https://mcp.deepwiki.com/mcp",
                "require_approval": "never",
            },
            { "type": "tool_search" },
            { "type": "x_new", "deep": { "a": [1, null] } },
        ])
    );
}

#[tokio::test]
async fn hosted_tool_items_are_kept() {
    let (server, result) = run(&searcher(), [&[SEARCH, SAYS_DONE][..]]).await;
    let result = result.unwrap();
    assert_eq!((result.final_output(), result.turns()), ("done", 1));
    assert_items(result.items(), &[SEARCH, SAYS_DONE]);
    assert_eq!(bodies(&server).len(), 1);
}

#[tokio::test]
async fn a_model_that_only_searched_is_asked_again() {
    let (server, result) = run(&searcher(), [&[SEARCH][..], &[SAYS_DONE]]).await;
    let result = result.unwrap();
    assert_eq!((result.final_output(), result.turns()), ("done", 2));
    assert_items(result.items(), &[SEARCH, SAYS_DONE]);
    assert_eq!(
        bodies(&server)[1]["input"],
        json!([value(&Item::user("go")), parsed(SEARCH)])
    );
}

/// Otherwise a model that must call a tool would search for ever.
#[tokio::test]
async fn a_search_ends_the_tool_choice_as_a_call_does() {
    let mut required = ModelSettings::default();
    required.tool_choice = Some(ToolChoice::Required);
    for first in [SEARCH, CALL] {
        let agent = Agent::builder("A")
            .model_settings(required.clone())
            .tool(instant("look", "wet"))
            .hosted_tool(HostedTool::web_search())
            .build()
            .unwrap();
        let (server, result) = run(&agent, [&[first][..], &[SAYS_DONE]]).await;
        result.unwrap();
        let bodies = bodies(&server);
        assert_eq!(bodies[0]["tool_choice"], "required");
        assert_eq!(bodies[1].get("tool_choice"), None);
    }
}

/// A hosted MCP server about which this is said.
fn approving(approve: bool) -> (Agent, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    let server =
        HostedTool::mcp("deepwiki", "https://mcp.deepwiki.com/mcp").on_approval(move |request| {
            heard.lock().unwrap().push(format!("{request:?}"));
            approve
        });
    // Another server's answer is not asked for.
    let other = HostedTool::mcp("other", "https://example.com/mcp").on_approval(|_| panic!());
    let agent = Agent::builder("A")
        .tool(instant("look", "wet"))
        .hosted_tool(other)
        .hosted_tool(server);
    (agent.build().unwrap(), asked)
}

fn answer(approve: bool) -> Value {
    json!({ "type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": approve })
}

#[tokio::test]
async fn the_question_for_an_approval_is_answered() {
    for approve in [true, false] {
        let (agent, asked) = approving(approve);
        let (server, result) = run(&agent, [&[ASKS][..], &[SAYS_DONE]]).await;
        let result = result.unwrap();
        assert_eq!(
            bodies(&server)[1]["input"],
            json!([value(&Item::user("go")), parsed(ASKS), answer(approve)])
        );
        assert_items(
            result.items(),
            &[ASKS, &answer(approve).to_string(), SAYS_DONE],
        );
        assert_eq!(
            *asked.lock().unwrap(),
            [
                r#"McpApprovalRequest { id: "mcpr_1", server_label: "deepwiki", name: "ask", arguments: "{\"q\":1}" }"#
            ]
        );
    }
}

#[tokio::test]
async fn an_approval_and_a_call_of_one_response_are_both_answered() {
    let (agent, _) = approving(true);
    let (server, result) = run(&agent, [&[CALL, ASKS][..], &[SAYS_DONE]]).await;
    result.unwrap();
    assert_eq!(
        bodies(&server)[1]["input"],
        json!([
            value(&Item::user("go")),
            parsed(CALL),
            parsed(ASKS),
            answer(true),
            value(&output("c1", "wet"))
        ])
    );
}

/// In a chain the answers alone go out.
#[tokio::test]
async fn an_approval_in_a_chain_is_all_that_is_sent() {
    let (agent, _) = approving(true);
    let replies = [
        response("resp_0", &[ASKS, CALL]),
        response("resp_1", &[SAYS_DONE]),
    ];
    let server = FakeServer::start(replies).await.unwrap();
    Runner::new(responses(&server))
        .run(&agent, "go")
        .chain_responses()
        .await
        .unwrap();
    let second = &bodies(&server)[1];
    assert_eq!(second["previous_response_id"], "resp_0");
    assert_eq!(
        second["input"],
        json!([answer(true), value(&output("c1", "wet"))])
    );
}

#[tokio::test]
async fn a_question_that_nobody_answers_pauses_the_run() {
    let mcp = |label: &str| HostedTool::mcp(label, "https://mcp.deepwiki.com/mcp");
    let nobody = [mcp("deepwiki"), mcp("other").on_approval(|_| true)];
    for (tool, approves) in nobody.into_iter().zip([true, false]) {
        let agent = Agent::builder("A").hosted_tool(tool).build().unwrap();
        let (server, result) = run(&agent, [&[ASKS][..], &[SAYS_DONE]]).await;
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ApprovalRequired);
        assert_eq!(error.to_string(), "1 call needs approval: deepwiki/ask");
        assert_eq!(bodies(&server).len(), 1);

        let mut state = error.into_state().unwrap();
        let asked = state.interruptions();
        assert_eq!(asked[0].tool, "deepwiki/ask");
        if approves {
            state.approve(&asked[0].id).unwrap();
        } else {
            state.reject(&asked[0].id).unwrap();
        }
        let result = Runner::new(responses(&server)).resume(&agent, state).await;
        assert_eq!(result.unwrap().final_output(), "done");
        let input = bodies(&server)[1]["input"].clone();
        assert_eq!(input.as_array().unwrap().last(), Some(&answer(approves)));
    }
}

#[tokio::test]
async fn a_call_that_nobody_here_can_answer_is_an_unknown_tool() {
    for (item, named) in [
        (
            r#"{"type":"custom_tool_call","id":"ctc_1","call_id":"c1","name":"patcher","input":"x"}"#,
            "patcher (custom_tool_call)",
        ),
        (
            r#"{"type":"computer_call","id":"cu_1","call_id":"c1","action":{"type":"screenshot"},"pending_safety_checks":[]}"#,
            "computer_call",
        ),
        (
            r#"{"type":"shell_call","id":"sh_1","call_id":"c1","action":{"commands":["ls"]}}"#,
            "shell_call",
        ),
        (
            r#"{"type":"local_shell_call","id":"lsh_1","call_id":"c1","action":{"type":"exec","command":["ls"]}}"#,
            "local_shell_call",
        ),
        (
            r#"{"type":"apply_patch_call","id":"ap_1","call_id":"c1","operation":{}}"#,
            "apply_patch_call",
        ),
    ] {
        // Text beside it does not make it answered.
        for items in [&[item][..], &[item, SAYS_DONE]] {
            let (server, result) = run(&agent([instant("look", "wet")]), [items]).await;
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnknownTool);
            assert_eq!(
                error.to_string(),
                format!(
                    "the model called the tool `{named}`, which agent `A` does not have (it has: look)"
                )
            );
            assert_eq!(bodies(&server).len(), 1);
        }
    }
}

/// The model can only be told of function calls: no other has an output of the right shape.
#[tokio::test]
async fn telling_the_model_does_not_cover_calls_of_other_kinds() {
    let item =
        r#"{"type":"custom_tool_call","id":"ctc_1","call_id":"c1","name":"patcher","input":"x"}"#;
    let server = FakeServer::start([response("resp_0", &[item])])
        .await
        .unwrap();
    let error = Runner::new(responses(&server))
        .run(&agent([]), "go")
        .unknown_tool(UnknownTool::TellModel)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownTool);
}

#[tokio::test]
async fn a_shell_that_the_provider_ran_is_its_own_affair() {
    let shell = HostedTool::new("shell").with("environment", json!({ "type": "container_auto" }));
    let agent = Agent::builder("A").hosted_tool(shell).build().unwrap();
    let ran = r#"{"type":"shell_call","id":"sh_1","call_id":"c1","action":{"commands":["ls"]},"status":"completed"}"#;
    let gave = r#"{"type":"shell_call_output","id":"sho_1","call_id":"c1","output":[{"stdout":"a\n","stderr":"","outcome":{"type":"exit","exit_code":0}}]}"#;
    let (_, result) = run(&agent, [&[ran, gave, SAYS_DONE][..]]).await;
    assert_items(result.unwrap().items(), &[ran, gave, SAYS_DONE]);

    // Another call's output is not this one's.
    let others = gave.replace("c1", "c2");
    let (_, result) = run(&agent, [&[ran, &others, SAYS_DONE][..]]).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::UnknownTool);
}

#[tokio::test]
async fn the_progress_of_a_hosted_tool_is_seen() {
    let searching = r#"{"type":"response.web_search_call.searching","output_index":0,"item_id":"ws_1","sequence_number":4}"#;
    let done = |n: usize, item: &str| {
        format!(r#"{{"type":"response.output_item.done","output_index":{n},"item":{item}}}"#)
    };
    let completed = format!(
        r#"{{"type":"response.completed","response":{{"id":"resp_1","status":"completed","output":[{SEARCH},{SAYS_DONE}]}}}}"#
    );
    let server = FakeServer::start([Reply::sse([
        searching,
        &done(0, SEARCH),
        &done(1, SAYS_DONE),
        &completed,
    ])])
    .await
    .unwrap();

    let (events, result) = play(Runner::new(responses(&server)).run(&searcher(), "go")).await;

    let seen: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            RunEvent::ModelEvent { name, json } => Some((name.as_str(), json.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(seen, [("response.web_search_call.searching", searching)]);
    let items: Vec<Item> = events
        .into_iter()
        .filter_map(|event| match event {
            RunEvent::ItemDone { item } => Some(item),
            _ => None,
        })
        .collect();
    assert_items(&items, &[SEARCH, SAYS_DONE]);
    assert_eq!(result.unwrap().items(), items);
}

#[tokio::test]
async fn an_unknown_function_beside_a_search_is_still_unknown() {
    let (_, result) = run(&searcher(), [&[SEARCH, CALL][..]]).await;
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownTool);
    assert!(error.to_string().contains("`look`"), "{error}");
    // What was done before is kept, without the call that has no output.
    assert_items(&error.progress().items, &[SEARCH]);
    assert!(!error.progress().items.contains(&call("c1", "look", "{}")));
}

#[tokio::test]
async fn choice_of_a_hosted_tool_is_sent_as_given_and_refused_on_the_chat_api() {
    for (choice, expected) in [
        (
            ToolChoice::hosted("web_search"),
            json!({ "type": "web_search" }),
        ),
        (
            ToolChoice::hosted_mcp("deepwiki", Some("ask")),
            json!({ "type": "mcp", "server_label": "deepwiki", "name": "ask" }),
        ),
        (
            ToolChoice::hosted_mcp("deepwiki", None),
            json!({ "type": "mcp", "server_label": "deepwiki" }),
        ),
    ] {
        let server = FakeServer::start([response("resp_1", &[SAYS_DONE])]).await;
        let server = server.unwrap();
        let settings = ModelSettings::default()
            .tool_choice(choice.clone())
            .prompt_cache_key("k")
            .prompt_cache_retention("24h")
            .context_management(vec![json!({ "type": "compaction" })]);
        let runner = Runner::new(responses(&server)).model_settings(settings);
        runner.run(&searcher(), "go").await.unwrap();
        let body = bodies(&server).remove(0);
        assert_eq!(body["tool_choice"], expected);
        assert_eq!(body["prompt_cache_key"], "k");
        assert_eq!(body["prompt_cache_retention"], "24h");
        assert_eq!(
            body["context_management"],
            json!([{ "type": "compaction" }])
        );

        let chat = OpenAiChat::builder(server.url(), "m").build().unwrap();
        let settings = ModelSettings::default().tool_choice(choice);
        let runner = Runner::new(chat).model_settings(settings);
        let error = runner.run(&agent([]), "go").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
