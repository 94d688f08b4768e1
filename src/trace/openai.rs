//! Exports to OpenAI's trace ingest, in the format that the Python Agents SDK sends.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::gen_ai;
use super::id::TraceId;
use super::messages::{chat_messages, items_of};
use super::post::Collector;
use super::processor::Exporter;
use super::span::{Span, SpanKind, SpanStatus};
use super::time::rfc3339;
use super::usage::usage_of;
use crate::future::BoxError;
use crate::http::{HttpClient, HttpError};

/// How many traces are remembered as already sent. After that many the memory starts anew; a trace
/// that is sent again does no harm.
const MAX_REMEMBERED: usize = 4096;

/// Sends spans in the format of OpenAI's trace ingest, to any URL.
///
/// It sends what the Python Agents SDK sends for the same run; the span kinds that only this library has (`session`, `approval`) go as
/// `custom`. A batch that fails is not sent again.
///
/// ```no_run
/// use openai_agents::trace::{ExportQueue, OpenAiIngest, Tracer};
///
/// let exporter = OpenAiIngest::new("https://api.openai.com/v1/traces/ingest")?.api_key("sk-..")?;
/// let tracer = Tracer::builder().processor(ExportQueue::new(exporter)).build();
/// # let _ = tracer;
/// # Ok::<(), openai_agents::http::HttpError>(())
/// ```
pub struct OpenAiIngest {
    collector: Collector,
    told: HashSet<TraceId>,
}

impl OpenAiIngest {
    /// Sends to this URL.
    ///
    /// # Errors
    ///
    /// [`HttpError`] when the URL is invalid or no HTTP client can be made.
    pub fn new(url: &str) -> Result<Self, HttpError> {
        Self::with_client(url, None)
    }

    /// Sends to this URL with the given client, for its time-outs and proxies.
    ///
    /// Without a client a default one is made, with a time-out of 10 seconds.
    ///
    /// # Errors
    ///
    /// [`HttpError`] when the URL is invalid or no HTTP client can be made.
    pub fn with_client(url: &str, client: Option<HttpClient>) -> Result<Self, HttpError> {
        let mut collector = Collector::new(url, "application/json", client)?;
        collector.header("openai-beta", "traces=v1")?;
        Ok(Self {
            collector,
            told: HashSet::new(),
        })
    }

    /// Sets the key, sent as `Authorization: Bearer`.
    ///
    /// # Errors
    ///
    /// [`HttpError`] when it contains a character that no header can hold.
    pub fn api_key(self, key: &str) -> Result<Self, HttpError> {
        self.header("authorization", &format!("Bearer {key}"))
    }

    /// Adds a header to every request, such as `openai-organization`.
    ///
    /// # Errors
    ///
    /// [`HttpError`] when the name or value is not valid in a header.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, HttpError> {
        self.collector.header(name, value)?;
        Ok(self)
    }
}

impl Exporter for OpenAiIngest {
    fn export(&mut self, spans: &[Arc<Span>]) -> Result<(), BoxError> {
        let mut data = Vec::new();
        for span in spans {
            if self.told.len() == MAX_REMEMBERED {
                self.told.clear();
            }
            if self.told.insert(span.trace.id) {
                data.push(trace(span));
            }
            data.push(whole_span(span));
        }
        let body = serde_json::to_vec(&json!({ "data": data }))?;
        let url = self.collector.url.clone();
        self.collector.post(&url, body)
    }

    fn target(&self) -> String {
        self.collector.url.host_port().to_owned()
    }
}

fn trace(span: &Span) -> Value {
    let trace = &span.trace;
    let metadata: Map<String, Value> = trace.metadata.iter().cloned().collect();
    json!({
        "object": "trace",
        "id": format!("trace_{}", trace.id),
        "workflow_name": trace.name,
        "group_id": trace.group,
        "metadata": if metadata.is_empty() { Value::Null } else { metadata.into() },
    })
}

/// Span ids as the SDK writes them, padded to 24 digits.
fn span_id(id: super::SpanId) -> String {
    format!("span_{:0>24}", id.to_string())
}

fn whole_span(span: &Span) -> Value {
    let time = |time| rfc3339(time).replace('Z', "+00:00");
    let error = span.error.as_ref();
    let error = error.map(|error| json!({"message": error.message, "data": {"kind": error.kind}}));
    json!({
        "object": "trace.span",
        "id": span_id(span.id),
        "trace_id": format!("trace_{}", span.trace.id),
        "parent_id": span.parent.map(span_id),
        "started_at": time(span.started_at),
        "ended_at": span.ended_at.map(time),
        "span_data": span_data(span),
        "error": error,
    })
}

fn span_data(span: &Span) -> Value {
    let attribute = |name| span.attribute(name).cloned().unwrap_or_default();
    let content = |name| span.content(name).map(super::SpanContent::to_text);
    let last_word = || {
        span.name
            .rsplit_once(' ')
            .map_or(&*span.name, |(_, name)| name)
    };
    match span.kind {
        SpanKind::Generation => generation(span),
        SpanKind::Function => json!({
            "type": "function",
            "name": attribute(gen_ai::TOOL_NAME),
            "input": content("arguments"),
            "output": content("result"),
            "mcp_data": null,
        }),
        SpanKind::Handoff => json!({
            "type": "handoff",
            "from_agent": attribute(gen_ai::FROM_AGENT),
            "to_agent": attribute(gen_ai::TO_AGENT),
        }),
        SpanKind::Agent => json!({
            "type": "agent",
            "name": attribute(gen_ai::AGENT_NAME),
            "handoffs": attribute(gen_ai::HANDOFFS),
            "tools": attribute(gen_ai::TOOLS),
            "output_type": attribute(gen_ai::AGENT_OUTPUT),
        }),
        SpanKind::Guardrail => json!({
            "type": "guardrail",
            "name": last_word(),
            "triggered": span.attribute(gen_ai::TRIPPED) == Some(&Value::Bool(true)),
        }),
        SpanKind::McpTools => json!({
            "type": "mcp_tools",
            "server": attribute(gen_ai::MCP_SERVER),
            "result": attribute(gen_ai::TOOLS),
        }),
        SpanKind::Turn => turn(span),
        SpanKind::Task => task(span),
        // The ingest expects audio here, but spans record only text.
        SpanKind::Transcription => json!({
            "type": "transcription",
            "input": {"data": "", "format": "pcm"},
            "output": content("output"),
            "model": attribute(gen_ai::REQUEST_MODEL),
            "model_config": {},
        }),
        SpanKind::Speech => json!({
            "type": "speech",
            "input": content("input"),
            "output": {"data": "", "format": "pcm"},
            "model": attribute(gen_ai::REQUEST_MODEL),
            "model_config": {},
        }),
        SpanKind::SpeechGroup => json!({"type": "speech_group", "input": content("input")}),
        SpanKind::Session | SpanKind::Approval | SpanKind::Custom => {
            let attributes = span.attributes.iter();
            let data = attributes.map(|(name, value)| (name.to_string(), value.clone()));
            let mut data: Map<String, Value> = data.collect();
            if span.status != SpanStatus::Ok {
                data.insert("status".to_owned(), span.status.as_str().into());
            }
            custom(&span.name, &Value::Object(data))
        }
    }
}

fn turn(span: &Span) -> Value {
    let attribute = |name| span.attribute(name).cloned().unwrap_or_default();
    custom(
        "turn",
        &json!({
            "sdk_span_type": "turn",
            "turn": attribute(gen_ai::TURN),
            "agent_name": attribute(gen_ai::AGENT_NAME),
            "usage": usage(span, Value::Null),
        }),
    )
}

fn task(span: &Span) -> Value {
    let used = usage_of(span);
    let all = json!({"requests": used.requests, "total_tokens": used.total_tokens});
    custom(
        "task",
        &json!({
            "sdk_span_type": "task",
            "name": span.trace.name,
            "usage": usage(span, all),
        }),
    )
}

fn custom(name: &str, data: &Value) -> Value {
    json!({"type": "custom", "name": name, "data": data})
}

fn usage(span: &Span, more: Value) -> Value {
    let used = usage_of(span);
    let mut usage = json!({
        "input_tokens": used.input_tokens,
        "output_tokens": used.output_tokens,
        "cached_input_tokens": used.cached_tokens,
        "cache_write_input_tokens": used.cache_write_tokens,
    });
    if let (Value::Object(usage), Value::Object(more)) = (&mut usage, more) {
        usage.extend(more);
    }
    usage
}

fn generation(span: &Span) -> Value {
    let attribute = |name| span.attribute(name).cloned().unwrap_or_default();
    let used = usage_of(span);
    let mut input = chat_messages(&items_of(span, "input"));
    if let Some(instructions) = span.content("instructions") {
        let instructions = instructions.to_text();
        input.insert(0, json!({"role": "system", "content": instructions}));
    }
    let output = chat_messages(&items_of(span, "output"));
    let output: Vec<Value> = output.iter().map(whole_message).collect();
    let is_recorded = span.content("input").is_some();
    json!({
        "type": "generation",
        "input": is_recorded.then_some(input),
        "output": is_recorded.then_some(output),
        "model": attribute(gen_ai::REQUEST_MODEL),
        "model_config": {
            "temperature": attribute(gen_ai::REQUEST_TEMPERATURE),
            "top_p": attribute(gen_ai::REQUEST_TOP_P),
            "frequency_penalty": null,
            "presence_penalty": null,
            "tool_choice": null,
            "parallel_tool_calls": null,
            "truncation": null,
            "max_tokens": attribute(gen_ai::REQUEST_MAX_TOKENS),
            "reasoning": null,
            "verbosity": null,
            "metadata": null,
            "store": null,
            "prompt_cache_retention": null,
            "include_usage": null,
            "response_include": null,
            "top_logprobs": null,
            "retry": null,
            "context_management": null,
            "prompt_cache_options": null,
            "timeout": null,
            "base_url": base_url(span),
        },
        "usage": {
            "requests": used.requests,
            "input_tokens": used.input_tokens,
            "output_tokens": used.output_tokens,
            "total_tokens": used.total_tokens,
            "input_tokens_details": {
                "cache_write_tokens": used.cache_write_tokens,
                "cached_tokens": used.cached_tokens,
                "cache_write_tokens_details": null,
            },
            "output_tokens_details": {"reasoning_tokens": used.reasoning_tokens},
        },
    })
}

/// A message with all fields of the SDK's type, null where there is nothing to say.
fn whole_message(message: &Value) -> Value {
    let field = |name: &str| message.get(name).cloned().unwrap_or_default();
    let calls = field("tool_calls");
    let calls = calls.as_array().map(|calls| {
        let call = |call: &Value| {
            json!({
                "id": call.get("id"),
                "function": {
                    "arguments": call.pointer("/function/arguments"),
                    "name": call.pointer("/function/name"),
                },
                "type": "function",
            })
        };
        calls.iter().map(call).collect::<Vec<_>>()
    });
    json!({
        "content": field("content"),
        "refusal": null,
        "role": field("role"),
        "annotations": null,
        "audio": null,
        "function_call": null,
        "tool_calls": calls,
    })
}

/// The base URL of the API: the URL of the call without its path.
fn base_url(span: &Span) -> Option<String> {
    let url = span.attribute(gen_ai::URL)?.as_str()?;
    let base = ["chat/completions", "responses", "completions"];
    let base = base.into_iter().find_map(|path| url.strip_suffix(path));
    Some(base.unwrap_or(url).to_owned())
}

impl fmt::Debug for OpenAiIngest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiIngest")
            .field("url", &self.collector.url)
            .finish_non_exhaustive()
    }
}
