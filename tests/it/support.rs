//! What several subjects need: short ways to items, tools, chat answers, and the rule that every transcript follows.

use openai_agents::agent::AgentBuilder;
use openai_agents::item::{FunctionCall, FunctionCallOutput, ItemKind};
use openai_agents::model::{ModelRequest, OpenAiChat, OpenAiResponses};
use openai_agents::testing::{FakeServer, Reply};
use openai_agents::tools::ToolOptions;
use openai_agents::{
    Agent, FunctionTool, Item, RunError, RunEvent, RunRequest, RunResult, ToolContext,
};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A call as a model makes it.
pub(crate) fn call(id: &str, name: &str, arguments: &str) -> Item {
    FunctionCall::new(id, name, arguments).into()
}

/// The arguments of a tool that has none.
#[derive(serde::Deserialize, schemars::JsonSchema)]
pub(crate) struct NoArgs {}

/// The text output of a call.
pub(crate) fn output(id: &str, text: &str) -> Item {
    FunctionCallOutput::new(id, text.into()).into()
}

/// A tool without parameters.
pub(crate) fn tool<F, R>(name: &str, function: F) -> FunctionTool
where
    F: Fn(ToolContext) -> R + Send + Sync + 'static,
    R: Future<Output = Result<String, String>> + Send + 'static,
{
    tool_with(name, ToolOptions::default(), function)
}

/// A tool without parameters, with options.
pub(crate) fn tool_with<F, R>(name: &str, options: ToolOptions, function: F) -> FunctionTool
where
    F: Fn(ToolContext) -> R + Send + Sync + 'static,
    R: Future<Output = Result<String, String>> + Send + 'static,
{
    let schema = json!({ "type": "object", "properties": {} });
    FunctionTool::dynamic(name, "For a test.", schema, options, move |cx, _| {
        function(cx)
    })
    .unwrap()
}

/// A tool that gives a text at once.
pub(crate) fn instant(name: &str, text: &'static str) -> FunctionTool {
    tool(name, move |_| async move { Ok(text.to_owned()) })
}

/// An agent named `A` with these tools.
pub(crate) fn agent(tools: impl IntoIterator<Item = FunctionTool>) -> Agent {
    tools
        .into_iter()
        .fold(Agent::builder("A"), AgentBuilder::tool)
        .build()
        .unwrap()
}

/// The names of the tools that a request offers.
pub(crate) fn offered(request: &ModelRequest) -> Vec<&str> {
    request
        .tools
        .specs()
        .iter()
        .map(|spec| spec.name.as_str())
        .collect()
}

/// Polls a run to its end: its events, and its result or error.
pub(crate) async fn play(request: RunRequest) -> (Vec<RunEvent>, Result<RunResult, RunError>) {
    let mut stream = request.stream();
    let mut events = Vec::new();
    let ended = loop {
        match stream
            .next()
            .await
            .expect("a stream ends by a result or an error")
        {
            Ok(RunEvent::RunDone { result }) => break Ok(*result),
            Ok(event) => events.push(event),
            Err(error) => break Err(error),
        }
    };
    for _ in 0..3 {
        assert!(
            stream.next().await.is_none(),
            "something came after the end"
        );
    }
    (events, ended)
}

/// Checks that each call is followed by exactly one output, before the next message, and each output follows its call.
#[track_caller]
pub(crate) fn assert_well_formed(items: &[Item]) {
    let mut open = HashSet::new();
    for item in items {
        match item.kind() {
            ItemKind::FunctionCall(call) => {
                assert!(open.insert(&call.call_id), "called twice: {items:#?}");
            }
            ItemKind::FunctionCallOutput(output) => {
                assert!(open.remove(&output.call_id), "no call for it: {items:#?}");
            }
            _ => {}
        }
    }
    assert!(open.is_empty(), "calls without output: {items:#?}");
}

/// Counts how many are inside at once, and the most that ever were.
#[derive(Clone, Default)]
pub(crate) struct Gauge(Arc<(AtomicUsize, AtomicUsize)>);

impl Gauge {
    pub(crate) fn enter(&self) {
        let now = self.0.0.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.1.fetch_max(now, Ordering::SeqCst);
    }

    pub(crate) fn leave(&self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }

    pub(crate) fn peak(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

/// Tells that it was dropped.
#[derive(Clone, Default)]
pub(crate) struct DropFlag(Arc<AtomicBool>);

pub(crate) struct DropGuard(DropFlag);

impl DropFlag {
    pub(crate) fn guard(&self) -> DropGuard {
        DropGuard(self.clone())
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for DropGuard {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::SeqCst);
    }
}

/// A chat model on a fake server, with the key `sk-secret-key-123`.
pub(crate) fn chat(server: &FakeServer) -> OpenAiChat {
    OpenAiChat::builder(format!("{}/v1", server.url()), "m")
        .api_key(KEY)
        .build()
        .unwrap()
}

pub(crate) const KEY: &str = "sk-secret-key-123";

/// A whole chat answer.
pub(crate) fn whole(message: &Value, finish_reason: &str) -> Reply {
    Reply::json(&json!({
        "id": "chatcmpl-1", "object": "chat.completion", "model": "m-1",
        "choices": [{ "index": 0, "message": message, "finish_reason": finish_reason }],
        "usage": { "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5 },
    }))
}

/// A whole chat answer of a text.
pub(crate) fn whole_text(text: &str) -> Reply {
    whole(&json!({ "role": "assistant", "content": text }), "stop")
}

/// The data of one chunk.
pub(crate) fn chunk(delta: &Value) -> String {
    json!({ "id": "chatcmpl-1", "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] })
        .to_string()
}

/// The data of the chunk that ends an answer.
pub(crate) fn last_chunk(finish_reason: &str) -> String {
    json!({
        "id": "chatcmpl-1",
        "choices": [{ "index": 0, "delta": {}, "finish_reason": finish_reason }],
        "usage": { "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5 },
    })
    .to_string()
}

/// A streamed chat answer: deltas, the finish reason, `[DONE]`.
pub(crate) fn streamed(deltas: &[Value], finish_reason: &str) -> Reply {
    let mut events: Vec<String> = deltas.iter().map(chunk).collect();
    events.push(last_chunk(finish_reason));
    events.push("[DONE]".to_owned());
    Reply::sse(events)
}

/// The entry of `tool_calls` in an answer.
pub(crate) fn wire_call(index: usize, id: &str, name: &str, arguments: &str) -> Value {
    json!({ "index": index, "id": id, "type": "function", "function": { "name": name, "arguments": arguments } })
}

/// A model of the Responses API on a fake server.
pub(crate) fn responses(server: &FakeServer) -> OpenAiResponses {
    OpenAiResponses::builder(format!("{}/v1", server.url()), "m")
        .build()
        .unwrap()
}

/// A whole response with these items, given as JSON and sent as they are.
pub(crate) fn response(id: &str, items: &[&str]) -> Reply {
    Reply::status(200, response_json(id, items))
}

/// The same, in events.
pub(crate) fn response_events(id: &str, items: &[&str]) -> Reply {
    let mut events =
        vec![json!({ "type": "response.created", "response": { "id": id } }).to_string()];
    for (n, item) in items.iter().enumerate() {
        for kind in ["added", "done"] {
            events.push(format!(
                r#"{{"type":"response.output_item.{kind}","output_index":{n},"item":{item}}}"#
            ));
        }
    }
    let response = response_json(id, items);
    events.push(format!(
        r#"{{"type":"response.completed","response":{response}}}"#
    ));
    Reply::sse(events)
}

fn response_json(id: &str, items: &[&str]) -> String {
    format!(
        r#"{{"id":"{id}","object":"response","status":"completed","model":"m-1","output":[{}],"usage":{{"input_tokens":3,"output_tokens":2,"total_tokens":5}}}}"#,
        items.join(",")
    )
}

/// The item of an answer's text.
pub(crate) const SAYS_DONE: &str = r#"{"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"done","annotations":[]}]}"#;

/// The bodies of the requests so far; the server must be content.
#[track_caller]
pub(crate) fn bodies(server: &FakeServer) -> Vec<Value> {
    assert_eq!(server.problems(), [""; 0]);
    server
        .requests()
        .iter()
        .map(|request| request.json().unwrap())
        .collect()
}

/// An item's JSON as a value.
pub(crate) fn value(item: &Item) -> Value {
    serde_json::from_str(item.to_json()).unwrap()
}
