//! The `VLLM_*` switches for servers that deviate from the protocol.

use super::ConfigError;
use super::origin::Setting;
use super::sources::Variables;
use crate::model::{Dialect, ToolChoiceOverride};

/// Reads the switches into what they say about the server.
///
/// A boolean variable is `1`, `true`, `yes` or `on`, or `0`, `false`, `no` or `off`, in any case.
pub(super) fn dialect(
    variables: &Variables,
    settings: &mut Vec<Setting>,
) -> Result<Dialect, ConfigError> {
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
        ..Dialect::default()
    })
}

fn lookup<T>(
    variables: &Variables,
    settings: &mut Vec<Setting>,
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
