//! Attribute and metric names: those of the OpenTelemetry conventions for generative AI 0.1.0, and
//! our own.
//!
//! The conventions are still in development. All names stand in this file, so that a renamed one is
//! changed here only.

pub(crate) const OPERATION: &str = "gen_ai.operation.name";
pub(crate) const PROVIDER: &str = "gen_ai.provider.name";
pub(crate) const CONVERSATION: &str = "gen_ai.conversation.id";
pub(crate) const REQUEST_MODEL: &str = "gen_ai.request.model";
pub(crate) const REQUEST_STREAM: &str = "gen_ai.request.stream";
pub(crate) const REQUEST_SEED: &str = "gen_ai.request.seed";
pub(crate) const REQUEST_TEMPERATURE: &str = "gen_ai.request.temperature";
pub(crate) const REQUEST_TOP_P: &str = "gen_ai.request.top_p";
pub(crate) const REQUEST_MAX_TOKENS: &str = "gen_ai.request.max_tokens";
pub(crate) const OUTPUT_TYPE: &str = "gen_ai.output.type";
pub(crate) const RESPONSE_ID: &str = "gen_ai.response.id";
pub(crate) const RESPONSE_MODEL: &str = "gen_ai.response.model";
pub(crate) const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
pub(crate) const TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
pub(crate) const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
pub(crate) const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
pub(crate) const CACHE_READ_TOKENS: &str = "gen_ai.usage.cache_read.input_tokens";
pub(crate) const CACHE_WRITE_TOKENS: &str = "gen_ai.usage.cache_write.input_tokens";
pub(crate) const REASONING_TOKENS: &str = "gen_ai.usage.reasoning.output_tokens";
pub(crate) const AGENT_NAME: &str = "gen_ai.agent.name";
pub(crate) const TOOL_NAME: &str = "gen_ai.tool.name";
pub(crate) const TOOL_CALL_ID: &str = "gen_ai.tool.call.id";
pub(crate) const TOOL_TYPE: &str = "gen_ai.tool.type";
pub(crate) const TOOL_DESCRIPTION: &str = "gen_ai.tool.description";
pub(crate) const ERROR_TYPE: &str = "error.type";
pub(crate) const SERVER_ADDRESS: &str = "server.address";
pub(crate) const SERVER_PORT: &str = "server.port";
pub(crate) const URL: &str = "url.full";
pub(crate) const STATUS_CODE: &str = "http.response.status_code";

/// The `error.type` of a tool that answered that it failed.
pub(crate) const TOOL_ERROR: &str = "tool_error";

pub(crate) const CHAT: &str = "chat";
pub(crate) const INVOKE_AGENT: &str = "invoke_agent";
pub(crate) const EXECUTE_TOOL: &str = "execute_tool";

/// How many turns a run began.
pub(crate) const TURNS: &str = "openai_agents.turns";
/// The turn, from 1.
pub(crate) const TURN: &str = "openai_agents.turn";
/// How many model requests were made.
pub(crate) const REQUESTS: &str = "openai_agents.requests";
/// Tokens in total, as the server counts them.
pub(crate) const TOTAL_TOKENS: &str = "openai_agents.total_tokens";
/// The cost of the requests whose price is known, as a decimal text.
pub(crate) const COST: &str = "openai_agents.cost";
/// How many requests have a known cost.
pub(crate) const PRICED_REQUESTS: &str = "openai_agents.priced_requests";
/// Where the server deviated from its protocol.
pub(crate) const DEVIATIONS: &str = "openai_agents.deviations";
/// The server's id of the request.
pub(crate) const REQUEST_ID: &str = "openai_agents.request_id";
/// Whether the outcome came from a journal, so that nothing was done.
pub(crate) const REPLAYED: &str = "openai_agents.replayed";
/// The agents that an agent can hand off to.
pub(crate) const HANDOFFS: &str = "openai_agents.handoffs";
/// The tools that an agent has or a source offers.
pub(crate) const TOOLS: &str = "openai_agents.tools";
/// The type of an agent's final output.
pub(crate) const AGENT_OUTPUT: &str = "openai_agents.output_type";
/// The id of the session.
pub(crate) const SESSION: &str = "openai_agents.session.id";
/// How many items were read or written.
pub(crate) const ITEMS: &str = "openai_agents.items";
/// What a guardrail checked.
pub(crate) const STAGE: &str = "openai_agents.guardrail.stage";
/// Whether a guardrail tripped.
pub(crate) const TRIPPED: &str = "openai_agents.guardrail.tripped";
/// The agent that a handoff comes from.
pub(crate) const FROM_AGENT: &str = "openai_agents.handoff.from";
/// The agent that a handoff goes to.
pub(crate) const TO_AGENT: &str = "openai_agents.handoff.to";
/// The id of a run that a journal keeps.
pub(crate) const DURABLE_RUN: &str = "openai_agents.durable_run";
/// The key by which a resumed run finds its paused trace.
pub(crate) const PAUSE_KEY: &str = "openai_agents.pause_key";
/// The MCP server that was asked.
pub(crate) const MCP_SERVER: &str = "openai_agents.mcp.server";
#[cfg(any(feature = "mcp-client", feature = "mcp-server"))]
pub(crate) const MCP_METHOD: &str = "mcp.method.name";
#[cfg(feature = "mcp-server")]
pub(crate) const MCP_VERSION: &str = "mcp.protocol.version";
#[cfg(feature = "mcp-server")]
pub(crate) const JSONRPC_ID: &str = "jsonrpc.request.id";
#[cfg(any(feature = "mcp-client", feature = "mcp-server"))]
pub(crate) const NETWORK_TRANSPORT: &str = "network.transport";
/// The kind of a span, in this library's terms.
pub(crate) const SPAN_KIND: &str = "openai_agents.span.kind";
/// How a span ended that neither succeeded nor failed.
pub(crate) const SPAN_STATUS: &str = "openai_agents.span.status";
/// The name of the trace.
pub(crate) const TRACE_NAME: &str = "openai_agents.trace.name";
/// The group that several traces share.
pub(crate) const TRACE_GROUP: &str = "openai_agents.trace.group";

pub(crate) const INPUT_MESSAGES: &str = "gen_ai.input.messages";
pub(crate) const OUTPUT_MESSAGES: &str = "gen_ai.output.messages";
pub(crate) const SYSTEM_INSTRUCTIONS: &str = "gen_ai.system_instructions";
pub(crate) const TOOL_ARGUMENTS: &str = "gen_ai.tool.call.arguments";
pub(crate) const TOOL_RESULT: &str = "gen_ai.tool.call.result";

pub(crate) const INFERENCE_DURATION: &str = "gen_ai.client.inference.duration";
pub(crate) const FIRST_CHUNK_TIME: &str = "gen_ai.client.inference.time_to_first_chunk";
pub(crate) const INPUT_TOKEN_COUNT: &str = "gen_ai.client.inference.usage.input_tokens";
pub(crate) const OUTPUT_TOKEN_COUNT: &str = "gen_ai.client.inference.usage.output_tokens";
pub(crate) const CACHE_READ_TOKEN_COUNT: &str =
    "gen_ai.client.inference.usage.cache_read.input_tokens";
pub(crate) const CACHE_WRITE_TOKEN_COUNT: &str =
    "gen_ai.client.inference.usage.cache_write.input_tokens";
pub(crate) const REASONING_TOKEN_COUNT: &str =
    "gen_ai.client.inference.usage.reasoning.output_tokens";
pub(crate) const AGENT_DURATION: &str = "gen_ai.invoke_agent.duration";
pub(crate) const TOOL_DURATION: &str = "gen_ai.execute_tool.duration";
