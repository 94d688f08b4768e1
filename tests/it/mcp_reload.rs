//! Agents and tools that take the place of others while MCP clients are there.

use openai_agents::mcp::McpClient;
use openai_agents::server::mcp;
use openai_agents::testing::ScriptedModel;
use openai_agents::tools::ToolSource;
use openai_agents::{Agent, FunctionTool, Runner};
use tokio::net::TcpListener;

use crate::mcp_server::{ERAS, client, connect, input};
use crate::support::NoArgs;

fn agent(name: &str) -> Agent {
    Agent::builder(name)
        .instructions(format!("You are {name}."))
        .build()
        .unwrap()
}

fn tool(name: &str) -> FunctionTool {
    FunctionTool::new(name, "Says it.", async |_cx, _args: NoArgs| {
        Ok::<_, String>("said")
    })
    .unwrap()
}

async fn names(client: &McpClient) -> Vec<String> {
    let tools = client.tools().await.unwrap();
    tools.iter().map(|tool| tool.name().to_string()).collect()
}

#[tokio::test]
async fn clients_are_told_that_there_are_other_tools() {
    for protocol in ERAS {
        let server = mcp::McpServer::builder(Runner::new(ScriptedModel::text("old")))
            .agent(agent("Old"))
            .tool(tool("first"))
            .build()
            .unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = server.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let client = connect(client(address, protocol)).await;
        assert_eq!(names(&client).await, ["first", "ask_old"]);

        let runner = Runner::new(ScriptedModel::text("new"));
        let clash = server.set_agents(runner.clone(), [agent("New"), agent("new")], []);
        assert!(matches!(clash, Err(mcp::McpBuildError::AgentClash { .. })));
        assert_eq!(names(&client).await, ["first", "ask_old"]);

        server
            .set_agents(runner, [agent("New")], [tool("second")])
            .unwrap();
        // The client keeps its list until it is told.
        while names(&client).await != ["second", "ask_new"] {
            tokio::task::yield_now().await;
        }
        let answer = client.call_tool("ask_new", input("hi")).await.unwrap();
        assert_eq!(answer.content[0].as_text(), Some("new"));
        let gone = client.call_tool("ask_old", input("hi")).await.unwrap_err();
        assert!(gone.to_string().contains("ask_old"), "{gone}");
        let prompts = client.prompts().await.unwrap();
        assert_eq!(prompts[0].name, "New");
    }
}
