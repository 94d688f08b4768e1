//! The span of a tool that a client calls: a part of what the client traces, if its request says so (SEP-414).

use axum::http::request::Parts;
use rmcp::model::{CallToolResponse, CallToolResult, ErrorData};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::{Map, Value};

use crate::tools::FunctionTool;
use crate::trace::{
    ActiveSpan, SpanContent, SpanContext, SpanError, SpanKind, SpanStatus, TraceScope, Tracer,
    gen_ai, span, with_current,
};

/// The span of the client that a request names.
fn client_span(context: &RequestContext<RoleServer>) -> Option<SpanContext> {
    let named = context.meta.get("traceparent").and_then(Value::as_str)?;
    // One that cannot be read names nothing; it is no reason to refuse a request.
    named.parse().ok()
}

/// What the runs and spans belong to that begin while a request is answered.
pub(super) fn client_scope(context: &RequestContext<RoleServer>) -> Option<TraceScope> {
    client_span(context).map(TraceScope::remote)
}

/// Records a call of a tool, which is no part of a run here.
pub(super) async fn record_call(
    tracer: &Tracer,
    context: &RequestContext<RoleServer>,
    (tool, arguments): (&FunctionTool, Map<String, Value>),
    call: impl Future<Output = Result<CallToolResponse, ErrorData>>,
) -> Result<CallToolResponse, ErrorData> {
    let name = tool.name().as_str();
    let trace = tracer.trace(name);
    let trace = match client_span(context) {
        Some(parent) => trace.parent(parent),
        None => trace,
    };
    // A call over HTTP came with the head of its request.
    let network = match context.extensions.get::<Parts>() {
        Some(_) => "tcp",
        None => "pipe",
    };
    let call_span = span(format!("{} {name}", gen_ai::EXECUTE_TOOL))
        .attribute(gen_ai::OPERATION, gen_ai::EXECUTE_TOOL)
        .attribute(gen_ai::TOOL_NAME, name)
        .attribute(gen_ai::TOOL_TYPE, "function")
        .attribute(gen_ai::TOOL_DESCRIPTION, &*tool.spec().description)
        .attribute(gen_ai::MCP_METHOD, "tools/call")
        .attribute(gen_ai::JSONRPC_ID, context.id.to_string())
        .attribute(gen_ai::NETWORK_TRANSPORT, network);
    let call_span = match context.protocol_version() {
        Some(version) => call_span.attribute(gen_ai::MCP_VERSION, version.as_str()),
        None => call_span,
    };
    let recorded = async {
        with_current(|span| {
            span.add_content("arguments", || {
                SpanContent::text(Value::Object(arguments).to_string())
            });
        });
        let answer = call.await;
        with_current(|span| match &answer {
            Err(_) if context.ct.is_cancelled() => span.end_as(SpanStatus::Cancelled),
            Err(error) => fail(span, &error.message),
            Ok(CallToolResponse::Complete(result)) => note_result(span, result),
            // The client is asked, and makes the call again with its answer.
            Ok(_) => span.event("input required", []),
        });
        answer
    };
    trace
        .run(call_span.run_as(SpanKind::Function, recorded))
        .await
}

fn note_result(span: &ActiveSpan, result: &CallToolResult) {
    let content = serde_json::to_string(&result.content).unwrap_or_default();
    if result.is_error == Some(true) {
        fail(span, &content);
    }
    span.add_content("result", || SpanContent::text(content));
}

fn fail(span: &ActiveSpan, said: &str) {
    // What a tool says may be what it was given.
    let message = if span.records_content() {
        said
    } else {
        "the tool failed"
    };
    span.set(gen_ai::ERROR_TYPE, gen_ai::TOOL_ERROR);
    span.fail(SpanError {
        kind: gen_ai::TOOL_ERROR.into(),
        message: message.to_owned(),
    });
}
