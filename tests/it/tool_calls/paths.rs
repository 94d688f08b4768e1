//! The paths that lead to a tool call, each as a function from a tool to what followed from one call of it.

use std::sync::Arc;

use openai_agents::agent::Handoff;
use openai_agents::item::{ItemKind, OutputContent};
use openai_agents::journal::{RunBeginning, SqliteJournal};
use openai_agents::mcp::{McpContent, McpProtocol, McpToolResult};
use openai_agents::server::mcp::McpServer;
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::tools::{ToolCallResult, ToolError, ToolFailure, ToolOptions};
use openai_agents::{
    Agent, ErrorKind, FunctionTool, Item, RunContext, RunError, RunFailure, Runner, ToolContext,
};
use serde_json::{Map, Value, json};

use super::Followed;
use crate::front::Front;
use crate::mcp_server::{client, connect, input, serve};
use crate::support::{agent, call, instant, play};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Path {
    Run,
    Stream,
    NestedAgent,
    HandedOffAgent,
    ResumedRun,
    DurableRun,
    McpTool,
    McpToolStateless,
    McpAgent,
    McpAgentStateless,
    RunService,
    ChatFront,
    ResponsesFront,
    Program,
}

impl Path {
    pub(crate) const ALL: [Self; 14] = [
        Self::Run,
        Self::Stream,
        Self::NestedAgent,
        Self::HandedOffAgent,
        Self::ResumedRun,
        Self::DurableRun,
        Self::McpTool,
        Self::McpToolStateless,
        Self::McpAgent,
        Self::McpAgentStateless,
        Self::RunService,
        Self::ChatFront,
        Self::ResponsesFront,
        Self::Program,
    ];

    /// Whether a client calls, and no model.
    pub(crate) const fn is_of_client(self) -> bool {
        matches!(self, Self::McpTool | Self::McpToolStateless)
    }
}

/// Calls a tool named `t` once.
pub(crate) async fn take(path: Path, tool: FunctionTool, arguments: &str) -> Followed {
    let turns = [
        ScriptedTurn::items([call("c1", "t", arguments)]),
        ScriptedTurn::text("done"),
    ];
    match path {
        Path::Run => {
            let model = ScriptedModel::new(turns);
            let run = Runner::new(model.clone()).run(&agent([tool]), "go").await;
            of_run(&model, run.err())
        }
        Path::Stream => {
            let model = ScriptedModel::new(turns);
            let (_, run) = play(Runner::new(model.clone()).run(&agent([tool]), "go")).await;
            of_run(&model, run.err())
        }
        Path::NestedAgent => nested(turns, tool).await,
        Path::HandedOffAgent => handed_off(turns, tool).await,
        Path::ResumedRun => resumed(turns, tool).await,
        Path::DurableRun => durable(turns, tool).await,
        Path::McpTool => of_client(McpProtocol::Handshake, tool, arguments).await,
        Path::McpToolStateless => of_client(McpProtocol::Stateless, tool, arguments).await,
        Path::McpAgent => asked(McpProtocol::Handshake, turns, tool).await,
        Path::McpAgentStateless => asked(McpProtocol::Stateless, turns, tool).await,
        Path::RunService => {
            let body = json!({"agent": "A", "input": "go", "session": "s", "stream": true});
            of_front(turns, tool, ("/run", &body)).await
        }
        Path::ChatFront => {
            let messages = json!([{"role": "user", "content": "go"}]);
            let body = json!({"model": "A", "messages": messages});
            of_front(turns, tool, ("/v1/chat/completions", &body)).await
        }
        Path::ResponsesFront => {
            let body = json!({"model": "A", "input": "go"});
            of_front(turns, tool, ("/v1/responses", &body)).await
        }
        Path::Program => invoked(&tool, arguments).await,
    }
}

/// The agent with the tool is called as a tool, whose failures end the run.
async fn nested([called, ended]: [ScriptedTurn; 2], tool: FunctionTool) -> Followed {
    let asked = ScriptedTurn::tool_call("a", json!({"input": "go"}));
    let model = ScriptedModel::new([asked, called, ended, ScriptedTurn::text("done")]);
    let raised = ToolOptions::default().failure(ToolFailure::Raise);
    let inner = agent([tool]).as_tool("Asks.").options(raised);
    let outer = Agent::builder("Outer").tool(inner).build().unwrap();
    let run = Runner::new(model.clone()).run(&outer, "go").await;
    of_run(&model, run.err())
}

async fn handed_off([called, ended]: [ScriptedTurn; 2], tool: FunctionTool) -> Followed {
    let handed = ScriptedTurn::tool_call("transfer_to_a", json!({}));
    let model = ScriptedModel::new([handed, called, ended]);
    let first = Agent::builder("First").handoff(Handoff::to(&agent([tool])));
    let run = Runner::new(model.clone()).run(&first.build().unwrap(), "go");
    of_run(&model, run.await.err())
}

/// The call comes after a pause for another.
async fn resumed([called, ended]: [ScriptedTurn; 2], tool: FunctionTool) -> Followed {
    let waits = ScriptedTurn::items([call("c0", "gate", "{}")]);
    let model = ScriptedModel::new([waits, called, ended]);
    let agent = agent([instant("gate", "open").needs_approval(), tool]);
    let runner = Runner::new(model.clone());
    let paused = runner.run(&agent, "go").await.unwrap_err();
    let mut state = paused.into_state().unwrap();
    state.approve("c0").unwrap();
    of_run(&model, runner.resume(&agent, state).await.err())
}

async fn durable(turns: [ScriptedTurn; 2], tool: FunctionTool) -> Followed {
    let model = ScriptedModel::new(turns);
    let journal = SqliteJournal::open(":memory:").await.unwrap();
    let run = journal.start(RunBeginning::new("A", [Item::user("go")]));
    let run = Arc::new(run.await.unwrap());
    let runner = Runner::new(model.clone());
    let ran = runner.run(&agent([tool]), "go").journal(run).await;
    of_run(&model, ran.err())
}

/// A client of the MCP server asks the agent.
async fn asked(protocol: McpProtocol, turns: [ScriptedTurn; 2], tool: FunctionTool) -> Followed {
    let model = ScriptedModel::new(turns);
    let runner = Runner::new(model.clone());
    let server = McpServer::builder(runner).agent(agent([tool]));
    let client = connect(client(serve(server).await, protocol)).await;
    let result = client.call_tool("ask_a", input("go")).await.unwrap();
    told(&model).unwrap_or_else(|| of_text(&text(&result)))
}

/// A program calls the tool itself.
async fn invoked(tool: &FunctionTool, arguments: &str) -> Followed {
    let name = tool.name().clone();
    let cx = ToolContext::new(RunContext::default(), "A", name, "c1", arguments);
    match tool.invoke(cx).await {
        ToolCallResult::Refused { message, .. } => Followed::Told(message),
        result => match result.into_output() {
            Ok(output) => Followed::Told(output.to_json().as_str().unwrap().to_owned()),
            Err(error) => Followed::Ended(error.kind()),
        },
    }
}

fn of_run(model: &ScriptedModel, error: Option<RunError>) -> Followed {
    match error {
        Some(error) => Followed::Ended(innermost(&error)),
        None => told(model).unwrap(),
    }
}

/// The kind of the run that failed, if one inside of another did.
fn innermost(error: &RunError) -> ErrorKind {
    if let RunFailure::Tool(ToolError::Failed { source, .. }) = error.failure()
        && let Some(inner) = source.downcast_ref::<RunError>()
    {
        return innermost(inner);
    }
    error.kind()
}

/// What the model was told of the call.
fn told(model: &ScriptedModel) -> Option<Followed> {
    let requests = model.requests();
    let mut items = requests.iter().flat_map(|request| request.items.iter());
    items.find_map(|item| match item.kind() {
        ItemKind::FunctionCallOutput(output) if output.call_id == "c1" => match &output.output {
            OutputContent::Text(text) => Some(Followed::Told(text.clone())),
            other => panic!("{other:?}"),
        },
        _ => None,
    })
}

async fn of_client(protocol: McpProtocol, tool: FunctionTool, arguments: &str) -> Followed {
    let server = McpServer::builder(Runner::new(ScriptedModel::new([]))).tool(tool);
    let client = connect(client(serve(server).await, protocol)).await;
    let arguments: Map<String, Value> = serde_json::from_str(arguments).unwrap();
    of_text(&text(&client.call_tool("t", arguments).await.unwrap()))
}

async fn of_front(
    turns: [ScriptedTurn; 2],
    tool: FunctionTool,
    (path, body): (&str, &Value),
) -> Followed {
    let model = ScriptedModel::new(turns);
    let front = Front::with_agent(&model, agent([tool])).await;
    let answer = front.post(path, body).await;
    told(&model).unwrap_or_else(|| of_text(&answer.body))
}

fn text(result: &McpToolResult) -> String {
    let texts: Vec<_> = result
        .content
        .iter()
        .filter_map(McpContent::as_text)
        .collect();
    texts.join("\n")
}

/// Reads the kind of an error from words that name it.
fn of_text(text: &str) -> Followed {
    let kinds = [
        ErrorKind::ApprovalRequired,
        ErrorKind::GuardrailTripped,
        ErrorKind::DisabledTool,
        ErrorKind::ToolFailed,
        ErrorKind::Config,
    ];
    let is_named = |kind: &&ErrorKind| {
        let name = kind.as_str();
        text.starts_with(&format!("{name}: ")) || text.contains(&format!("\"{name}\""))
    };
    // The Responses API has a way to ask.
    if text.contains("\"mcp_approval_request\"") {
        return Followed::Ended(ErrorKind::ApprovalRequired);
    }
    match kinds.iter().find(is_named) {
        Some(kind) => Followed::Ended(*kind),
        None => Followed::Told(text.to_owned()),
    }
}
