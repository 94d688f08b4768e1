//! Reads bytes as the client reads what a server sends, without a server: for tests and fuzzing.

use std::fmt::Debug;
use std::sync::Arc;

use rmcp::model::{
    ClientJsonRpcMessage, ClientRequest, CustomRequest, RequestId, ServerJsonRpcMessage,
    ServerResult,
};
use serde_json::Value;

use super::deviations::Deviations;
use super::frames::Frames;
use super::normal::Raw;
use super::parse::{self, ParsedPage, Unusable};
use super::redaction::ServerSecrets;
use super::{McpTransport, Stdio};

/// The id of the request that waits.
const ID: i64 = 7;

/// Shows what the answer to a request is read as, and how it differs from the protocol.
pub(crate) fn read(method: &str, bytes: &[u8]) -> String {
    let (answers, deviations) = answers(method, bytes);
    format!("{answers:#?}\n{deviations:#?}")
}

/// Reads a message for a client that waits for the answer to one request; gives the answers and the deviations.
pub(super) fn answers(method: &str, bytes: &[u8]) -> (Vec<String>, Vec<String>) {
    let secrets = ServerSecrets::new(&McpTransport::Stdio(Stdio::new("server")));
    let secrets = Arc::new(secrets);
    let deviations = Arc::new(Deviations::new("server", Arc::clone(&secrets)));
    let frames = Frames::new(secrets, Arc::clone(&deviations));
    let request = ClientRequest::CustomRequest(CustomRequest::new(method, None));
    frames.sent(&ClientJsonRpcMessage::request(
        request,
        RequestId::Number(ID),
    ));
    let messages = match frames.read(bytes) {
        Ok(messages) => messages,
        Err(broken) => frames.fail(broken),
    };
    let answers = messages.into_iter().map(|message| match message {
        ServerJsonRpcMessage::Response(response) => shown(response.result),
        message => format!("{message:?}"),
    });
    let answers = answers.collect();
    let details = deviations.all().into_iter().map(|it| it.detail);
    (answers, details.collect())
}

fn shown(result: ServerResult) -> String {
    match result {
        ServerResult::ListToolsResult(result) => {
            let typed = format!("{:?}", result.tools);
            let tools = Raw::of_result(result.meta);
            let tools = page(tools.as_ref(), "tools", tool);
            format!("{tools} {typed}")
        }
        ServerResult::CallToolResult(result) => {
            whole(Raw::of_result(result.meta).as_ref(), parse::tool_result)
        }
        ServerResult::ListResourcesResult(result) => page(
            Raw::of_result(result.meta).as_ref(),
            "resources",
            parse::resource,
        ),
        ServerResult::ListResourceTemplatesResult(result) => page(
            Raw::of_result(result.meta).as_ref(),
            "resourceTemplates",
            parse::template,
        ),
        ServerResult::ListPromptsResult(result) => page(
            Raw::of_result(result.meta).as_ref(),
            "prompts",
            parse::prompt,
        ),
        ServerResult::ReadResourceResult(result) => {
            let content = serde_json::to_value(&result.contents).unwrap_or_default();
            let meta = content.pointer("/0/_meta").cloned().unwrap_or_default();
            let raw = Raw::of_result(serde_json::from_value(meta).ok());
            whole(raw.as_ref(), |raw| {
                parse::resource_contents(raw, "file:///a")
            })
        }
        ServerResult::GetPromptResult(result) => {
            whole(Raw::of_result(result.meta).as_ref(), parse::prompt_messages)
        }
        ServerResult::CompleteResult(result) => {
            whole(Raw::of_result(result.meta).as_ref(), parse::proposals)
        }
        result => format!("{result:?}"),
    }
}

fn tool(raw: &Raw, value: &Value, path: String) -> Result<parse::ListedTool, Unusable> {
    parse::tool(raw, value, path)?.it
}

fn whole<T: Debug>(raw: Option<&Raw>, read: impl Fn(&Raw) -> Result<T, Unusable>) -> String {
    format!("{:?}", raw.map(read))
}

fn page<T: Debug>(
    raw: Option<&Raw>,
    key: &str,
    read: fn(&Raw, &Value, String) -> Result<T, Unusable>,
) -> String {
    let page = raw
        .map(|raw| parse::page(raw, key, read).map(|ParsedPage { entries, next }| (entries, next)));
    format!("{page:?}")
}
