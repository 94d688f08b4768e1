//! Parses a chat request.

use serde_json::Value;

use super::messages;
use crate::item::Item;
use crate::model::ModelSettings;
use crate::server::error::ApiError;
use crate::server::fields::BodyFields;
use crate::server::openai::OpenTurns;
use crate::server::openai::client_tools::ClientTools;
use crate::server::openai::request_fields::{self, Api};
use crate::server::openai::settings::{self, Format};

/// What a client asks for.
#[derive(Debug)]
pub(super) struct ChatRequest {
    pub(super) model: String,
    pub(super) items: Vec<Item>,
    pub(super) tools: ClientTools,
    pub(super) settings: ModelSettings,
    pub(super) format: Format,
    pub(super) streams: bool,
    /// Whether the stream tells the usage at its end.
    pub(super) tells_usage: bool,
}

impl ChatRequest {
    pub(super) fn parse(body: &[u8], open_turns: &OpenTurns) -> Result<Self, ApiError> {
        let mut fields = BodyFields::parse(body)?;
        let model = fields.need("model")?;
        let items = messages::parse(fields.need("messages")?, open_turns)?;
        let tools = ClientTools::take(&mut fields, Api::Chat)?;
        let mut settings = settings::common(&mut fields)?;
        settings.frequency_penalty = fields.peek("frequency_penalty")?;
        settings.presence_penalty = fields.peek("presence_penalty")?;
        settings.seed = fields.peek("seed")?;
        settings.reasoning_effort = fields.peek("reasoning_effort")?;
        settings.verbosity = fields.peek("verbosity")?;
        settings.metadata = settings::metadata(fields.peek("metadata")?)?;
        settings.max_tokens = max_tokens(&fields)?;
        settings.stop = fields.peek("stop")?.map(stop).transpose()?;
        if fields.peek::<bool>("logprobs")? == Some(true) {
            settings.top_logprobs = Some(fields.peek("top_logprobs")?.unwrap_or(0));
        }
        let format = fields.take("response_format")?;
        let format = format.map(|format| Format::parse(format, Api::Chat, "response_format"));
        let streams = fields.take("stream")?.unwrap_or(false);
        let tells_usage = stream_options(&mut fields, streams)?;
        request_fields::pass_on(&mut fields, Api::Chat, &mut settings)?;
        Ok(Self {
            model,
            items,
            tools,
            settings,
            format: format.transpose()?.unwrap_or_default(),
            streams,
            tells_usage,
        })
    }
}

fn max_tokens(fields: &BodyFields) -> Result<Option<u64>, ApiError> {
    let new: Option<u64> = fields.peek("max_completion_tokens")?;
    let old = fields.peek("max_tokens")?;
    match (new, old) {
        (Some(new), Some(old)) if new != old => Err(ApiError::invalid(
            "max_tokens",
            "`max_tokens` and `max_completion_tokens` say different things",
        )),
        (new, old) => Ok(new.or(old)),
    }
}

fn stop(value: Value) -> Result<Vec<String>, ApiError> {
    match value {
        Value::String(stop) => Ok(vec![stop]),
        value => serde_json::from_value(value)
            .map_err(|_| ApiError::invalid("stop", "`stop` must be a text or a list of texts")),
    }
}

/// Reads whether the stream tells its usage; the other option pads what this server does not pad.
fn stream_options(fields: &mut BodyFields, streams: bool) -> Result<bool, ApiError> {
    let Some(mut options) = fields.object("stream_options")? else {
        return Ok(false);
    };
    if !streams {
        return Err(ApiError::invalid(
            "stream_options",
            "`stream_options` needs `stream`",
        ));
    }
    Ok(options.take("include_usage")?.unwrap_or(false))
}
