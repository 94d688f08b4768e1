//! A Responses request: what is asked, of whom, and what it goes on from.

use serde_json::{Map, Value, json};

use super::input::ResponseInput;
use crate::model::ModelSettings;
use crate::server::error::ApiError;
use crate::server::fields::Fields;
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
    pub(super) settings: ModelSettings,
    pub(super) format: Format,
    pub(super) metadata: Map<String, Value>,
    pub(super) streams: bool,
    pub(super) stores: bool,
}

impl ResponsesRequest {
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let mut fields = Fields::parse(body)?;
        let model = fields.need("model")?;
        let input = ResponseInput::parse(fields.take("input")?.unwrap_or_else(|| json!([])))?;
        let mut settings = settings::common(&mut fields)?;
        settings.max_tokens = fields.take("max_output_tokens")?;
        let format = text(&mut fields, &mut settings)?;
        reasoning(&mut fields, &mut settings)?;
        let previous: Option<String> = fields.take("previous_response_id")?;
        let named: Option<Value> = fields.take("conversation")?;
        let conversation = named.as_ref().map(conversation).transpose()?;
        if previous.is_some() && conversation.is_some() {
            return Err(ApiError::invalid(
                "previous_response_id",
                "`previous_response_id` and `conversation` cannot be used together",
            ));
        }
        let request = Self {
            model,
            input,
            instructions: fields.take("instructions")?,
            previous,
            conversation,
            settings,
            format,
            metadata: settings::metadata(&mut fields)?.unwrap_or_default(),
            streams: fields.take("stream")?.unwrap_or(false),
            stores: fields.take("store")?.unwrap_or(true),
        };
        if let Some(mut options) = fields.object("stream_options")? {
            options.only("include_obfuscation", &[json!(false)])?;
            options.finish()?;
        }
        fields.only("background", &[json!(false)])?;
        fields.only("truncation", &[json!("disabled")])?;
        fields.only("include", &[json!([])])?;
        fields.only("top_logprobs", &[json!(0)])?;
        fields.finish()?;
        Ok(request)
    }
}

fn text(fields: &mut Fields, settings: &mut ModelSettings) -> Result<Format, ApiError> {
    let Some(mut text) = fields.object("text")? else {
        return Ok(Format::Unset);
    };
    settings.verbosity = text.take("verbosity")?;
    let format = text
        .take("format")?
        .map(|format| Format::parse(format, "text.format"));
    text.finish()?;
    Ok(format.transpose()?.unwrap_or_default())
}

fn reasoning(fields: &mut Fields, settings: &mut ModelSettings) -> Result<(), ApiError> {
    let Some(mut reasoning) = fields.object("reasoning")? else {
        return Ok(());
    };
    settings.reasoning_effort = reasoning.take("effort")?;
    settings.reasoning_summary = reasoning.take("summary")?;
    reasoning.finish()
}

/// The id of a conversation, alone or in an object.
fn conversation(value: &Value) -> Result<SessionId, ApiError> {
    let id = value.as_str().or_else(|| value.get("id")?.as_str());
    let id =
        id.ok_or_else(|| ApiError::invalid("conversation", "a conversation is given by its id"));
    conversation_id(id?)
}

/// The session of a conversation; those of responses are none.
pub(in crate::server::openai) fn conversation_id(id: &str) -> Result<SessionId, ApiError> {
    if id.starts_with(super::RESPONSE) {
        let message = "this is the id of a response; use `previous_response_id`";
        return Err(ApiError::invalid("conversation", message));
    }
    SessionId::new(id).map_err(|error| ApiError::invalid("conversation", error.to_string()))
}
