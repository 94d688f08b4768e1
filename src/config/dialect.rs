//! The `VLLM_*` switches for servers that deviate from the protocol.

use super::ConfigError;
use super::origin::Setting;
use super::sources::Variables;

/// Holds the `VLLM_*` switches: what one server wants differently.
///
/// A boolean variable is `1`, `true`, `yes` or `on`, or `0`, `false`, `no` or `off`, in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each field is one independent switch of the environment"
)]
pub struct VllmToggles {
    /// The body has only the model, the messages and `stream` (`VLLM_MIN_PAYLOAD`).
    pub min_payload: bool,
    /// Legacy `functions` are sent instead of `tools` (`VLLM_FORCE_FUNCTIONS`).
    pub force_functions: bool,
    /// `parallel_tool_calls` may be sent (not `VLLM_DISABLE_PARALLEL_TOOL_CALLS`).
    pub send_parallel_tool_calls: bool,
    /// What `tool_choice` is, whatever the settings say (`VLLM_TOOL_CHOICE`).
    pub tool_choice: Option<ToolChoiceOverride>,
    /// Tools are passed to the model (not `VLLM_DISABLE_TOOLS_IN_LLM`).
    pub send_tools: bool,
    /// The redacted request is logged at `debug` (`VLLM_DEBUG_PAYLOAD`).
    pub log_payload: bool,
}

/// Says what `VLLM_TOOL_CHOICE` puts into the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolChoiceOverride {
    /// The text `"auto"`.
    Auto,
    /// The text `"none"`.
    None,
    /// The object `{"type":"auto"}` (`object:auto`).
    ObjectAuto,
    /// The object `{"type":"none"}` (`object:none`).
    ObjectNone,
}

impl Default for VllmToggles {
    fn default() -> Self {
        Self {
            min_payload: false,
            force_functions: false,
            send_parallel_tool_calls: true,
            tool_choice: None,
            send_tools: true,
            log_payload: false,
        }
    }
}

impl VllmToggles {
    pub(super) fn read(
        variables: &Variables,
        settings: &mut Vec<Setting>,
    ) -> Result<Self, ConfigError> {
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
        Ok(Self {
            min_payload,
            force_functions,
            send_parallel_tool_calls,
            tool_choice,
            send_tools,
            log_payload,
        })
    }
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
