//! The tools that answer by themselves.

use std::time::Duration;

use openai_agents::mcp::{McpContent, McpLog, McpLogLevel, McpProgress, McpResourceContent};
use openai_agents::server::mcp::McpCall;
use openai_agents::tools::{ToolContent, ToolFailure, ToolOptions};
use openai_agents::{FunctionTool, ToolContext, ToolOutput};
use serde_json::{Map, Value, json};

use crate::{BoxError, content, schemas, text};

const PAUSE: Duration = Duration::from_millis(50);

/// Makes a tool of a schema and a closure; its failures are told in full.
pub(crate) fn tool<F, R>(
    name: &str,
    description: &str,
    schema: Value,
    function: F,
) -> Result<FunctionTool, BoxError>
where
    F: Fn(ToolContext, Map<String, Value>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<ToolOutput, BoxError>> + Send + 'static,
{
    let options = ToolOptions::default()
        .strict(false)
        .failure(ToolFailure::TellModelDetail);
    Ok(FunctionTool::dynamic(
        name,
        description,
        schema,
        options,
        function,
    )?)
}

/// The schema of a tool without arguments.
pub(crate) fn nothing() -> Value {
    json!({"type": "object", "properties": {}})
}

pub(crate) fn all() -> Result<Vec<FunctionTool>, BoxError> {
    let mut tools = contents()?;
    tools.extend(notices()?);
    tools.push(tool(
        "test_error_handling",
        "Always fails.",
        nothing(),
        async |_cx, _| Err("This tool intentionally returns an error for testing".into()),
    )?);
    tools.push(tool(
        "test_reconnection",
        "Lets go of the connection while it works.",
        nothing(),
        async |cx, _| {
            let call: &McpCall = cx.state()?;
            call.release_connection(Duration::from_millis(100)).await;
            tokio::time::sleep(PAUSE).await;
            Ok("Reconnection test completed.".into())
        },
    )?);
    tools.push(tool(
        "json_schema_2020_12_tool",
        "Has a schema with the words of JSON Schema 2020-12.",
        schemas::rich(),
        async |_cx, arguments| Ok(Value::Object(arguments).to_string().into()),
    )?);
    tools.push(tool(
        "test_header_parameter",
        "Has a parameter that is sent as a header too.",
        json!({"type": "object", "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
        }}),
        async |_cx, arguments| Ok(text(&arguments, "region").into()),
    )?);
    tools.push(tool(
        "slow",
        "Answers after so many milliseconds.",
        json!({"type": "object", "properties": {"ms": {"type": "integer"}}, "required": ["ms"]}),
        async |_cx, arguments| {
            let ms = arguments.get("ms").and_then(Value::as_u64);
            tokio::time::sleep(Duration::from_millis(ms.unwrap_or_default())).await;
            Ok("At last.".into())
        },
    )?);
    Ok(tools)
}

fn contents() -> Result<Vec<FunctionTool>, BoxError> {
    let simple = "This is a simple text response for testing.";
    Ok(vec![
        tool(
            "test_simple_text",
            "Gives a text.",
            nothing(),
            async |_cx, _| Ok(simple.into()),
        )?,
        tool(
            "test_image_content",
            "Gives an image.",
            nothing(),
            async |_cx, _| parts(&[content::image()]),
        )?,
        tool(
            "test_audio_content",
            "Gives a sound.",
            nothing(),
            async |_cx, _| parts(&[content::audio()]),
        )?,
        tool(
            "test_embedded_resource",
            "Gives a resource.",
            nothing(),
            async |_cx, _| {
                let text = "This is an embedded resource content.";
                parts(&[content::resource("test://embedded-resource", text)])
            },
        )?,
        tool(
            "test_multiple_content_types",
            "Gives several.",
            nothing(),
            async |_cx, _| {
                let json = json!({"test": "data", "value": 123}).to_string();
                let resource = McpResourceContent::text("test://mixed-content-resource", json)
                    .media_type("application/json");
                parts(&[
                    McpContent::text("Multiple content types test:"),
                    content::image(),
                    McpContent::from(resource),
                ])
            },
        )?,
    ])
}

fn notices() -> Result<Vec<FunctionTool>, BoxError> {
    let logging = |name| {
        tool(name, "Logs while it works.", nothing(), async |cx, _| {
            log(&cx).await
        })
    };
    Ok(vec![
        logging("test_tool_with_logging")?,
        logging("test_logging_tool")?,
        tool(
            "test_tool_with_progress",
            "Tells of its progress.",
            nothing(),
            async |cx, _| {
                let call: &McpCall = cx.state()?;
                for done in [0.0, 50.0, 100.0] {
                    call.progress(McpProgress::new(done).total(100.0)).await;
                    tokio::time::sleep(PAUSE).await;
                }
                Ok("Progress test completed.".into())
            },
        )?,
    ])
}

async fn log(cx: &ToolContext) -> Result<ToolOutput, BoxError> {
    let call: &McpCall = cx.state()?;
    for what in [
        "Tool execution started",
        "Tool processing data",
        "Tool execution completed",
    ] {
        call.log(McpLog::new(McpLogLevel::Info, what)).await;
        tokio::time::sleep(PAUSE).await;
    }
    Ok("Logging test completed.".into())
}

/// Passes content of the protocol on as it is.
fn parts(contents: &[McpContent]) -> Result<ToolOutput, BoxError> {
    let part = |content| serde_json::to_value(content).map(ToolContent::Other);
    let parts: Result<Vec<_>, _> = contents.iter().map(part).collect();
    Ok(ToolOutput::Parts(parts?))
}
