//! Reads the section `dialect` and the `VLLM_*` switches, for servers that deviate from the
//! protocol.

use std::collections::BTreeMap;

use super::ConfigError;
use super::fields::{Fields, Keys, Seen};
use super::origin::Setting;
use super::sources::Variables;
use super::tree::Value;
use crate::model::{Dialect, FinishReason, ToolChoiceOverride, ToolMedia};

const DIALECT: Keys = Keys {
    known: &["finish_reasons", "tool_media"],
    unsupported: &[],
};

/// Reads how the server deviates.
///
/// A switch is on for `1`, `true`, `yes` or `on`, and off for `0`, `false`, `no` or `off`, in any
/// case.
pub(super) fn dialect(
    parent: &mut Fields<'_>,
    variables: &Variables,
) -> Result<Dialect, ConfigError> {
    let (finish_reasons, tool_media) = section(parent)?;
    let settings = parent.settings();
    let mut switch = |name: &'static str| {
        let value = lookup(
            variables,
            settings,
            name,
            "1, true, yes or on, or 0, false, no or off",
            |text| match text.to_ascii_lowercase().as_str() {
                "1" | "true" | "yes" | "on" => Some(true),
                "0" | "false" | "no" | "off" => Some(false),
                _ => None,
            },
        )?;
        Ok::<bool, ConfigError>(value.unwrap_or(false))
    };
    let min_payload = switch("VLLM_MIN_PAYLOAD")?;
    let force_functions = switch("VLLM_FORCE_FUNCTIONS")?;
    let send_parallel_tool_calls = !switch("VLLM_DISABLE_PARALLEL_TOOL_CALLS")?;
    let send_tools = !switch("VLLM_DISABLE_TOOLS_IN_LLM")?;
    let log_payload = switch("VLLM_DEBUG_PAYLOAD")?;
    let tool_choice = lookup(
        variables,
        settings,
        "VLLM_TOOL_CHOICE",
        "auto, none, object:auto or object:none",
        |text| match text {
            "auto" => Some(ToolChoiceOverride::Auto),
            "none" => Some(ToolChoiceOverride::None),
            "object:auto" => Some(ToolChoiceOverride::ObjectAuto),
            "object:none" => Some(ToolChoiceOverride::ObjectNone),
            _ => None,
        },
    )?;
    Ok(Dialect {
        min_payload,
        force_functions,
        send_parallel_tool_calls,
        tool_choice,
        send_tools,
        log_payload,
        finish_reasons,
        tool_media,
        ..Dialect::default()
    })
}

fn section(
    parent: &mut Fields<'_>,
) -> Result<(BTreeMap<String, FinishReason>, ToolMedia), ConfigError> {
    let Some(node) = parent.take("dialect") else {
        return Ok((BTreeMap::new(), ToolMedia::default()));
    };
    let path = parent.path_of("dialect");
    let mut fields = Fields::new(&path, node, DIALECT, parent.settings())?;
    Ok((finish_reasons(&mut fields)?, tool_media(&mut fields)?))
}

fn tool_media(fields: &mut Fields<'_>) -> Result<ToolMedia, ConfigError> {
    const KEY: &str = "tool_media";
    let Some((text, origin)) = fields.text_and_origin(KEY)? else {
        return Ok(ToolMedia::default());
    };
    let media = match text.as_str() {
        "described" => ToolMedia::Described,
        "user_message" => ToolMedia::UserMessage,
        _ => return Err(fields.invalid(KEY, "described or user_message", origin)),
    };
    fields.list(KEY, text, &origin);
    Ok(media)
}

/// Reads the meaning of finish reasons that only this server uses.
fn finish_reasons(fields: &mut Fields<'_>) -> Result<BTreeMap<String, FinishReason>, ConfigError> {
    const KEY: &str = "finish_reasons";
    let Some(node) = fields.take(KEY) else {
        return Ok(BTreeMap::new());
    };
    let Value::Map(entries) = node.value else {
        return Err(fields.invalid(KEY, "a map from words to their meanings", node.origin));
    };
    let mut reasons = BTreeMap::new();
    for entry in entries {
        let place = format!("{KEY}.{}", entry.key);
        let origin = entry.node.origin;
        let (meaning, name) = match &entry.node.value {
            Value::Text(name) => (meaning(name), name.as_str()),
            _ => (None, ""),
        };
        let Some(meaning) = meaning else {
            let expected = "complete, tool_calls, truncated, filtered or failed";
            return Err(fields.invalid(&place, expected, origin));
        };
        fields.list(&place, name.to_owned(), &origin);
        reasons.insert(entry.key, meaning);
    }
    Ok(reasons)
}

fn meaning(name: &str) -> Option<FinishReason> {
    Some(match name {
        "complete" => FinishReason::Complete,
        "tool_calls" => FinishReason::ToolCalls,
        "truncated" => FinishReason::Truncated,
        "filtered" => FinishReason::Filtered,
        "failed" => FinishReason::Failed,
        _ => return None,
    })
}

fn lookup<T>(
    variables: &Variables,
    settings: &mut Seen,
    name: &'static str,
    expected: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, ConfigError> {
    let Some(variable) = variables.get(name) else {
        return Ok(None);
    };
    let value = parse(&variable.value).ok_or_else(|| ConfigError::Invalid {
        key: name.to_owned(),
        expected,
        origin: variable.origin.clone(),
    })?;
    settings.push(Setting {
        key: name.to_owned(),
        value: variable.value.clone(),
        origin: variable.origin.clone(),
    });
    Ok(Some(value))
}
