//! Model settings by the names of the Python SDK.

use std::time::Duration;

use openai_agents::ModelSettings;
use openai_agents::model::ToolChoice;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::BoxedFailure;

/// Makes the settings; one that has no place here is an error, unless it says nothing.
pub(crate) fn settings(declared: &Map<String, Value>) -> Result<ModelSettings, BoxedFailure> {
    let mut settings = ModelSettings::default();
    for (key, value) in declared.iter().filter(|(_, value)| !value.is_null()) {
        settings =
            set(settings, key, value).map_err(|error| format!("the setting {key}: {error}"))?;
    }
    Ok(settings)
}

fn set(
    mut settings: ModelSettings,
    key: &str,
    value: &Value,
) -> Result<ModelSettings, BoxedFailure> {
    match key {
        "temperature" => settings.temperature = Some(read(value)?),
        "top_p" => settings.top_p = Some(read(value)?),
        "frequency_penalty" => settings.frequency_penalty = Some(read(value)?),
        "presence_penalty" => settings.presence_penalty = Some(read(value)?),
        "max_tokens" => settings.max_tokens = Some(read(value)?),
        "parallel_tool_calls" => settings.parallel_tool_calls = Some(read(value)?),
        "tool_choice" => settings.tool_choice = Some(tool_choice(&read::<String>(value)?)),
        "truncation" => settings.truncation = Some(read(value)?),
        "verbosity" => settings.verbosity = Some(read(value)?),
        "metadata" => settings.metadata = Some(read(value)?),
        "store" => settings.store = Some(read(value)?),
        "response_include" => settings.include = Some(read(value)?),
        "top_logprobs" => settings.top_logprobs = Some(read(value)?),
        "timeout" => settings.timeout = Some(Duration::try_from_secs_f64(read(value)?)?),
        "reasoning" => return reasoning(settings, &read(value)?),
        "extra_headers" => {
            let headers: Map<String, Value> = read(value)?;
            let text = |value: Value| {
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned)
            };
            settings.extra_headers = headers
                .into_iter()
                .map(|(name, value)| (name, text(value)))
                .collect();
        }
        // What the client is called with beside its own arguments, and what is put into the body: fields of the body, all of them.
        "extra_args" | "extra_body" => settings
            .extra_body
            .extend(read::<Map<String, Value>>(value)?),
        "prompt_cache_retention" | "prompt_cache_options" | "context_management" => {
            settings.extra_body.insert(key.to_owned(), value.clone());
        }
        // The usage of streams is always asked for.
        "include_usage" if *value == true => {}
        _ => return Err("there is nothing here that it could set".into()),
    }
    Ok(settings)
}

fn reasoning(
    mut settings: ModelSettings,
    declared: &Map<String, Value>,
) -> Result<ModelSettings, BoxedFailure> {
    for (key, value) in declared.iter().filter(|(_, value)| !value.is_null()) {
        match key.as_str() {
            "effort" => settings.reasoning_effort = Some(read(value)?),
            "summary" => settings.reasoning_summary = Some(read(value)?),
            other => return Err(format!("{other} has nothing here that it could set").into()),
        }
    }
    Ok(settings)
}

fn tool_choice(name: &str) -> ToolChoice {
    match name {
        "auto" => ToolChoice::Auto,
        "none" => ToolChoice::None,
        "required" => ToolChoice::Required,
        name => ToolChoice::Function(name.to_owned()),
    }
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T, BoxedFailure> {
    Ok(serde_json::from_value(value.clone())?)
}
