//! A chat request: what is asked, of whom, and how the answer is wanted.

use serde_json::{Value, json};

use super::messages;
use crate::item::Item;
use crate::model::ModelSettings;
use crate::server::error::ApiError;
use crate::server::fields::Fields;
use crate::server::openai::settings::{self, Format};

/// What a client asks for.
#[derive(Debug)]
pub(super) struct ChatRequest {
    pub(super) model: String,
    pub(super) items: Vec<Item>,
    pub(super) settings: ModelSettings,
    pub(super) format: Format,
    pub(super) streams: bool,
    /// Whether the stream tells the usage at its end.
    pub(super) tells_usage: bool,
}

impl ChatRequest {
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let mut fields = Fields::parse(body)?;
        let model = fields.need("model")?;
        let items = messages::parse(fields.need("messages")?)?;
        let mut settings = settings::common(&mut fields)?;
        settings.frequency_penalty = fields.take("frequency_penalty")?;
        settings.presence_penalty = fields.take("presence_penalty")?;
        settings.seed = fields.take("seed")?;
        settings.reasoning_effort = fields.take("reasoning_effort")?;
        settings.verbosity = fields.take("verbosity")?;
        settings.metadata = settings::metadata(&mut fields)?;
        settings.max_tokens = max_tokens(&mut fields)?;
        settings.stop = fields.take("stop")?.map(stop).transpose()?;
        let format = fields.take("response_format")?;
        let format = format.map(|format| Format::parse(format, "response_format"));
        let streams = fields.take("stream")?.unwrap_or(false);
        let tells_usage = stream_options(&mut fields, streams)?;
        fields.only("n", &[json!(1)])?;
        fields.only("store", &[json!(false)])?;
        fields.only("logprobs", &[json!(false)])?;
        fields.only("top_logprobs", &[json!(0)])?;
        fields.only("logit_bias", &[json!({})])?;
        fields.only("modalities", &[json!(["text"])])?;
        fields.only("functions", &[json!([])])?;
        fields.finish()?;
        Ok(Self {
            model,
            items,
            settings,
            format: format.transpose()?.unwrap_or_default(),
            streams,
            tells_usage,
        })
    }
}

fn max_tokens(fields: &mut Fields) -> Result<Option<u64>, ApiError> {
    let new: Option<u64> = fields.take("max_completion_tokens")?;
    let old = fields.take("max_tokens")?;
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

fn stream_options(fields: &mut Fields, streams: bool) -> Result<bool, ApiError> {
    let Some(mut options) = fields.object("stream_options")? else {
        return Ok(false);
    };
    if !streams {
        return Err(ApiError::invalid(
            "stream_options",
            "`stream_options` needs `stream`",
        ));
    }
    let tells_usage = options.take("include_usage")?.unwrap_or(false);
    options.only("include_obfuscation", &[json!(false)])?;
    options.finish()?;
    Ok(tells_usage)
}
