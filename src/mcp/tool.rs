//! A server's tool as a `FunctionTool`: its name, schema and results.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::options::ToolLoading;
use super::parse::ListedTool;
use super::shared::Shared;
use super::{McpContent, McpToolResult};
use crate::error::error_chain;
use crate::future::BoxError;
use crate::tools::{
    FunctionTool, ToolContent, ToolDefinitionError, ToolName, ToolNameError, ToolNamespace,
    ToolOutput,
};

/// How many characters of a hash tell names apart.
const N_HASH_CHARS: usize = 8;

/// Makes a tool of one of a server's, or says why no model can be offered it.
pub(super) fn offer(
    shared: &Arc<Shared>,
    tool: ListedTool,
    name: &str,
) -> Result<FunctionTool, String> {
    let options = shared.options.for_tools.clone().strict(false);
    let called = tool.name.clone();
    let server = Arc::clone(shared);
    let offered = FunctionTool::dynamic(
        name,
        tool.description,
        tool.schema,
        options,
        move |cx, arguments| {
            let (server, called) = (Arc::clone(&server), called.clone());
            async move {
                let result = server.call_tool_in_run(&called, arguments, cx).await?;
                output(result, server.options.structured_content)
            }
        },
    );
    let mut offered = offered.map_err(|error| why_not(&error))?;
    offered = offered.of_server(&shared.name);
    if shared.options.approval.is_needed(&tool.name) {
        offered = offered.needs_approval();
    }
    if let Ok(namespace) = namespace(&shared.name) {
        offered = offered.namespace(namespace);
    }
    if shared.options.loading == ToolLoading::WhenFound {
        offered = offered.defer_loading();
    }
    if let Some(map) = &shared.options.per_call.map_tool {
        offered = map(&tool.name, offered);
    }
    Ok(offered)
}

/// The tools of a server as one group; none if its name has nothing that a model takes.
fn namespace(server: &str) -> Result<ToolNamespace, ToolNameError> {
    let name: String = cleaned(server).chars().take(ToolName::MAX_CHARS).collect();
    ToolNamespace::new(name, format!("Tools of the MCP server `{server}`."))
}

fn why_not(error: &ToolDefinitionError) -> String {
    match error {
        ToolDefinitionError::Name { source } => format!(
            "no model takes its name: {source}; with `prefix_tools` it gets one that models take"
        ),
        ToolDefinitionError::NotAnObject { found, .. } => {
            format!("the `type` in its `inputSchema` is {found}, not \"object\"")
        }
        error => error_chain(error),
    }
}

/// What a tool said when it failed; the model is told so.
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
struct SaidFailed {
    words: String,
}

/// Turns a result into what the model is given.
fn output(result: McpToolResult, prefers_structured: bool) -> Result<ToolOutput, BoxError> {
    if result.is_error {
        return Err(Box::new(SaidFailed {
            words: failure_words(&result),
        }));
    }
    let structured = result
        .structured_content
        .filter(|_| prefers_structured || result.content.is_empty());
    if let Some(json) = structured {
        return Ok(ToolOutput::Text(json.to_string()));
    }
    let mut parts = result.content;
    if let [McpContent::Text { .. }] = parts.as_slice()
        && let Some(McpContent::Text { text }) = parts.pop()
    {
        return Ok(ToolOutput::Text(text));
    }
    if parts.is_empty() {
        return Ok(ToolOutput::Text(String::new()));
    }
    Ok(ToolOutput::Parts(parts.iter().map(part).collect()))
}

fn failure_words(result: &McpToolResult) -> String {
    let texts: Vec<_> = result
        .content
        .iter()
        .filter_map(McpContent::as_text)
        .collect();
    match (texts.as_slice(), &result.structured_content) {
        ([], Some(json)) => json.to_string(),
        ([], None) => "the tool says that it failed, and not why".to_owned(),
        (texts, _) => texts.join("\n"),
    }
}

fn part(content: &McpContent) -> ToolContent {
    match content {
        McpContent::Text { text } => ToolContent::text(text),
        McpContent::Image { data, media_type } => ToolContent::image_base64(media_type, data),
        // There is no part for it that models know; its JSON is at least readable.
        other => ToolContent::text(serde_json::to_string(other).unwrap_or_default()),
    }
}

/// Names tools for models: as the server does, or with its name before.
pub(super) fn names(server: &str, prefix: bool, tools: &[ListedTool]) -> Vec<String> {
    if !prefix {
        return tools.iter().map(|tool| tool.name.clone()).collect();
    }
    let prefixed = |tool: &ListedTool| cleaned(&format!("mcp_{server}__{}", tool.name));
    let mut n_uses: HashMap<String, usize> = HashMap::new();
    for tool in tools {
        *n_uses.entry(prefixed(tool)).or_default() += 1;
    }
    tools
        .iter()
        .map(|tool| {
            let name = prefixed(tool);
            if name.len() <= ToolName::MAX_CHARS && n_uses.get(&name) == Some(&1) {
                name
            } else {
                hashed(&name, server, &tool.name)
            }
        })
        .collect()
}

/// Replaces what models do not take in a name.
fn cleaned(name: &str) -> String {
    let is_taken = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    name.chars()
        .map(|c| if is_taken(c) { c } else { '_' })
        .collect()
}

fn hashed(name: &str, server: &str, tool: &str) -> String {
    let digest = Sha256::digest(format!("{server}\0{tool}"));
    let mut hash = String::new();
    for byte in digest.iter().take(N_HASH_CHARS / 2) {
        // Writing to a string does not fail.
        write!(hash, "{byte:02x}").ok();
    }
    // All characters are ASCII here.
    let kept: String = name
        .chars()
        .take(ToolName::MAX_CHARS - N_HASH_CHARS - 1)
        .collect();
    format!("{kept}_{hash}")
}
