//! An MCP server with what the protocol's conformance suite expects of one, and what other programs' clients are tried with.
//!
//! ```text
//! cargo run -p testbed --bin mcp_server            over HTTP; prints `LISTENING <url>` when it is ready
//! cargo run -p testbed --bin mcp_server -- --stdio
//! ```
//!
//! It ends when its standard input does.

mod content;
mod questions;
mod schemas;
mod tools;

use std::env;
use std::time::Duration;

use openai_agents::future::BoxError;
use openai_agents::mcp::{
    McpMessage, McpPrompt, McpPromptArgument, McpPromptMessages, McpResource, McpResourceContent,
    McpResourceTemplate,
};
use openai_agents::server::mcp::{McpServer, McpServerBuilder};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, Runner};
use serde_json::{Map, Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

/// How many questions the agent can be asked.
const N_ANSWERS: usize = 10_000;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the address is one line on stdout")]
async fn main() -> Result<(), BoxError> {
    let server = server()?;
    if env::args().any(|argument| argument == "--stdio") {
        server.serve_stdio().await?;
        return Ok(());
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("LISTENING http://{}/mcp", listener.local_addr()?);
    let input_ended = async {
        let mut buffer = [0; 64];
        while let Ok(1..) = tokio::io::stdin().read(&mut buffer).await {}
    };
    tokio::select! {
        served = axum::serve(listener, server.router()) => served?,
        () = input_ended => {}
    }
    Ok(())
}

fn server() -> Result<McpServer, BoxError> {
    let answers = (0..N_ANSWERS).map(|_| ScriptedTurn::text("All is well."));
    let agent = Agent::builder("Test Guide")
        .instructions("Answer in three words.")
        .build()?;
    let mut builder = McpServer::builder(Runner::new(ScriptedModel::new(answers)))
        .identity("conformance-fixture", "1.0.0")
        .session_timeout(Duration::from_secs(60))
        .agent(agent);
    for tool in tools::all()?.into_iter().chain(questions::all()?) {
        builder = builder.tool(tool);
    }
    builder = resources(prompts(builder));
    let complete = |request: openai_agents::server::mcp::CompletionRequest| async move {
        let words = ["paris", "park", "party"];
        let fitting = words
            .iter()
            .filter(|word| word.starts_with(&request.written));
        Ok::<_, BoxError>(fitting.map(|word| (*word).to_owned()).collect())
    };
    Ok(builder.completion(complete).build()?)
}

fn prompts(builder: McpServerBuilder) -> McpServerBuilder {
    let simple = McpPrompt::new("test_simple_prompt").description("A prompt without arguments.");
    let arguments = McpPrompt::new("test_prompt_with_arguments")
        .description("A prompt with two arguments.")
        .argument(McpPromptArgument::required("arg1", "First test argument"))
        .argument(McpPromptArgument::required("arg2", "Second test argument"));
    let resource = McpPrompt::new("test_prompt_with_embedded_resource")
        .description("A prompt with a resource.")
        .argument(McpPromptArgument::required("resourceUri", "The resource"));
    let image = McpPrompt::new("test_prompt_with_image").description("A prompt with an image.");
    builder
        .prompt(simple, async |_call, _arguments| {
            ServerResult::Ok(McpPromptMessages::new([McpMessage::user(
                "This is a simple prompt for testing.",
            )]))
        })
        .prompt(arguments, async |_call, arguments| {
            let (first, second) = (text(&arguments, "arg1"), text(&arguments, "arg2"));
            let filled = format!("Prompt with arguments: arg1='{first}', arg2='{second}'");
            ServerResult::Ok(McpPromptMessages::new([McpMessage::user(filled)]))
        })
        .prompt(resource, async |_call, arguments| {
            let uri = text(&arguments, "resourceUri");
            let resource = content::resource(&uri, "Embedded resource content for testing.");
            ServerResult::Ok(McpPromptMessages::new([
                McpMessage::user(resource),
                McpMessage::user("Please process the embedded resource above."),
            ]))
        })
        .prompt(image, async |_call, _arguments| {
            ServerResult::Ok(McpPromptMessages::new([
                McpMessage::user(content::image()),
                McpMessage::user("Please analyze the image above."),
            ]))
        })
        .prompt(questions::prompt(), questions::fill_prompt)
}

fn resources(builder: McpServerBuilder) -> McpServerBuilder {
    let text = McpResource::new("test://static-text", "Static text")
        .description("A text that does not change.")
        .media_type("text/plain");
    let binary = McpResource::new("test://static-binary", "Static image")
        .description("An image that does not change.")
        .media_type("image/png");
    let watched = McpResource::new("test://watched-resource", "Watched")
        .description("A text that may change.")
        .media_type("text/plain");
    let template = McpResourceTemplate::new("test://template/{id}/data", "Data by id")
        .description("Data that depend on the address.")
        .media_type("application/json");
    builder
        .resource(text, async |_call, request| {
            let body = "This is the content of the static text resource.";
            ServerResult::Ok(vec![
                McpResourceContent::text(request.uri, body).media_type("text/plain"),
            ])
        })
        .resource(binary, async |_call, request| {
            ServerResult::Ok(vec![
                McpResourceContent::blob(request.uri, content::PNG).media_type("image/png"),
            ])
        })
        .resource(watched, async |_call, request| {
            ServerResult::Ok(vec![
                McpResourceContent::text(request.uri, "Watched.").media_type("text/plain"),
            ])
        })
        .resource_template(template, async |_call, request| {
            let id = request.variables.get("id").cloned().unwrap_or_default();
            let data = format!("Data for ID: {id}");
            let body = json!({"id": id, "templateTest": true, "data": data}).to_string();
            ServerResult::Ok(vec![
                McpResourceContent::text(request.uri, body).media_type("application/json"),
            ])
        })
}

/// What is always there: a prompt or a resource that cannot fail.
type ServerResult<T> = Result<T, BoxError>;

fn text(arguments: &Map<String, Value>, name: &str) -> String {
    let value = arguments.get(name).and_then(Value::as_str);
    value.unwrap_or_default().to_owned()
}
