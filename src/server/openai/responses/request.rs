//! Parses a Responses request.

use serde_json::{Map, Value, json};

use super::input::ResponseInput;
use crate::model::ModelSettings;
use crate::server::error::ApiError;
use crate::server::fields::BodyFields;
use crate::server::openai::client_tools::ClientTools;
use crate::server::openai::request_fields::{self, Api};
use crate::server::openai::settings::{self, Format};
use crate::session::SessionId;

/// What a client asks for.
#[derive(Debug)]
pub(super) struct ResponsesRequest {
    pub(super) model: String,
    pub(super) input: ResponseInput,
    pub(super) instructions: Option<String>,
    pub(super) previous: Option<String>,
    pub(super) conversation: Option<SessionId>,
    pub(super) tools: ClientTools,
    /// How many calls of the agent's tools there may be.
    pub(super) max_tool_calls: Option<u64>,
    pub(super) settings: ModelSettings,
    pub(super) format: Format,
    pub(super) includes_encrypted: bool,
    pub(super) streams: bool,
    pub(super) stores: bool,
    /// The fields that the response tells again, as they came.
    pub(super) echo: Map<String, Value>,
}

/// The fields that a response tells again in the words of its request.
const ECHOED: [&str; 20] = [
    "max_output_tokens",
    "max_tool_calls",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
    "context_management",
    "instructions",
    "metadata",
];

impl ResponsesRequest {
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let mut fields = BodyFields::parse(body)?;
        let mut echo = Map::new();
        for name in ECHOED {
            if let Some(value) = fields.peek(name)? {
                echo.insert(name.to_owned(), value);
            }
        }
        let model = fields.need("model")?;
        let input = ResponseInput::parse(fields.take("input")?.unwrap_or_else(|| json!([])))?;
        let tools = ClientTools::take(&mut fields, Api::Responses)?;
        let mut settings = settings::common(&mut fields)?;
        settings.max_tokens = fields.peek("max_output_tokens")?;
        let format = text(&mut fields, &mut settings)?;
        if let Some(mut reasoning) = fields.peek("reasoning")?.map(reasoning).transpose()? {
            settings.reasoning_effort = reasoning.take("effort")?;
            settings.reasoning_summary = reasoning.take("summary")?;
        }
        let include = fields.peek::<Vec<String>>("include")?.unwrap_or_default();
        settings.top_logprobs = top_logprobs(&fields, &include)?;
        let previous: Option<String> = fields.take("previous_response_id")?;
        let named: Option<Value> = fields.take("conversation")?;
        let conversation = named.as_ref().map(conversation).transpose()?;
        if previous.is_some() && conversation.is_some() {
            return Err(ApiError::invalid(
                "previous_response_id",
                "`previous_response_id` and `conversation` cannot be used together",
            ));
        }
        // It pads what this server does not pad.
        fields.object("stream_options")?;
        let (instructions, max_tool_calls) =
            (fields.take("instructions")?, fields.take("max_tool_calls")?);
        settings::metadata(fields.peek("metadata")?)?;
        let streams = fields.take("stream")?.unwrap_or(false);
        let stores = fields.take("store")?.unwrap_or(true);
        request_fields::pass_on(&mut fields, Api::Responses, &mut settings)?;
        Ok(Self {
            model,
            input,
            instructions,
            previous,
            conversation,
            tools,
            max_tool_calls,
            settings,
            format,
            includes_encrypted: include
                .iter()
                .any(|name| name == "reasoning.encrypted_content"),
            streams,
            stores,
            echo,
        })
    }
}

/// Reads the form of the answer and how wordy it is to be; both go on by the settings and the output type.
fn text(fields: &mut BodyFields, settings: &mut ModelSettings) -> Result<Format, ApiError> {
    let Some(mut text) = fields.object("text")? else {
        return Ok(Format::Unset);
    };
    settings.verbosity = text.take("verbosity")?;
    let format = text
        .take("format")?
        .map(|format| Format::parse(format, Api::Responses, "text.format"));
    text.finish()?;
    Ok(format.transpose()?.unwrap_or_default())
}

fn reasoning(value: Value) -> Result<BodyFields, ApiError> {
    BodyFields::of(value, "reasoning")
}

/// How many alternatives of each token a model of the chat API is asked for.
fn top_logprobs(fields: &BodyFields, include: &[String]) -> Result<Option<u32>, ApiError> {
    let asked: Option<u32> = fields.peek("top_logprobs")?;
    let includes = include
        .iter()
        .any(|name| name == "message.output_text.logprobs");
    Ok(asked
        .filter(|n| *n > 0 || includes)
        .or(includes.then_some(0)))
}

/// The id of a conversation, alone or in an object.
fn conversation(value: &Value) -> Result<SessionId, ApiError> {
    let id = value.as_str().or_else(|| value.get("id")?.as_str());
    let id =
        id.ok_or_else(|| ApiError::invalid("conversation", "a conversation is given by its id"));
    conversation_id(id?)
}

/// The session of a conversation; those of responses are none.
pub(in crate::server) fn conversation_id(id: &str) -> Result<SessionId, ApiError> {
    if id.starts_with(super::RESPONSE) {
        let message = "this is the id of a response; use `previous_response_id`";
        return Err(ApiError::invalid("conversation", message));
    }
    SessionId::new(id).map_err(|error| ApiError::invalid("conversation", error.to_string()))
}
