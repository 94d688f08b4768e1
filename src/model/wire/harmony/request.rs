//! `ModelRequest` into the body of `POST /completions`.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::render::render;
use crate::kind::ErrorKind;
use crate::model::verbatim::Word;
use crate::model::{Continuation, Delivery, ModelError, ModelRequest, ModelSettings, ToolChoice};

/// Encodes a request; the date is what the model is told as the current one.
///
/// # Errors
///
/// `unsupported` when something cannot be said in this wire, `config` when a setting is wrong or given twice.
pub(crate) fn encode(
    request: &ModelRequest,
    model: &str,
    current_date: Option<&str>,
) -> Result<Bytes, ModelError> {
    let settings = &*request.settings;
    check(request)?;
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(model));
    if request.delivery == Delivery::Stream {
        body.insert("stream".to_owned(), json!(true));
        body.insert(
            "stream_options".to_owned(),
            json!({ "include_usage": true }),
        );
    }
    // vLLM and SGLang leave the tokens out otherwise, and with them the whole structure.
    body.insert("skip_special_tokens".to_owned(), json!(false));
    sampling(&mut body, settings);
    for (key, value) in &settings.extra_body {
        if ["model", "stream", "prompt"].contains(&key.as_str()) {
            return Err(config(format!("`{key}` cannot be set by extra_body")));
        }
        if key != "skip_special_tokens" && body.contains_key(key) {
            return Err(config(format!("`{key}` is set twice, once by extra_body")));
        }
        body.insert(key.clone(), value.clone());
    }
    body.insert("prompt".to_owned(), render(request, current_date)?.into());
    serde_json::to_vec(&body).map(Bytes::from).map_err(|error| {
        config("the request cannot be written as JSON".to_owned()).with_source(error)
    })
}

/// Refuses what the model could only be asked for and not be held to, and what this API has no place for.
fn check(request: &ModelRequest) -> Result<(), ModelError> {
    let settings = &*request.settings;
    let verbatim = settings.verbatim.0.iter();
    let mut verbatim = verbatim.flat_map(|fields| &fields.completions);
    let leaves_out_summary = verbatim
        .clone()
        .any(|field| field.name == "reasoning_summary" && matches!(field.word, Word::LeftOut));
    let unsupported = verbatim.find(|field| matches!(field.word, Word::Unsupported));
    let unsupported = unsupported.map(|field| field.name.as_str());
    let refused = match &settings.tool_choice {
        Some(ToolChoice::Required | ToolChoice::Function(_) | ToolChoice::Hosted(_)) => {
            Some("a forced tool choice")
        }
        None | Some(ToolChoice::Auto | ToolChoice::None) => None,
    };
    let refused = refused
        .or(unsupported)
        .or(settings.verbosity.as_ref().map(|_| "verbosity"))
        .or(settings.store.filter(|store| *store).map(|_| "store"))
        .or((request.continuation != Continuation::Replay)
            .then_some("conversation that the server keeps"))
        .or(request.prompt.as_ref().map(|_| "stored prompts"))
        .or((!request.tools.hosted().is_empty()).then_some("hosted tools"))
        .or(settings.include.as_ref().map(|_| "include"))
        .or(settings.truncation.as_ref().map(|_| "truncation"))
        .or(settings
            .reasoning_summary
            .as_ref()
            .filter(|_| !leaves_out_summary)
            .map(|_| "reasoning_summary"))
        .or(settings.metadata.as_ref().map(|_| "metadata"));
    match refused {
        Some(what) => Err(ModelError::new(
            ErrorKind::Unsupported,
            format!("raw completions have no {what}"),
        )),
        None => Ok(()),
    }
}

fn sampling(body: &mut Map<String, Value>, settings: &ModelSettings) {
    let fields = [
        ("temperature", settings.temperature.map(Value::from)),
        ("top_p", settings.top_p.map(Value::from)),
        (
            "frequency_penalty",
            settings.frequency_penalty.map(Value::from),
        ),
        (
            "presence_penalty",
            settings.presence_penalty.map(Value::from),
        ),
        ("max_tokens", settings.max_tokens.map(Value::from)),
        ("stop", settings.stop.clone().map(Value::from)),
        ("seed", settings.seed.map(Value::from)),
        ("logprobs", settings.top_logprobs.map(Value::from)),
    ];
    for (key, value) in fields {
        if let Some(value) = value {
            body.insert(key.to_owned(), value);
        }
    }
}

fn config(message: String) -> ModelError {
    ModelError::new(ErrorKind::Config, message)
}
