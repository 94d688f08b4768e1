//! What both APIs can set: the model's settings and the form of the answer.

use serde_json::{Map, Value, json};

use crate::agent::{Agent, OutputMode, OutputType};
use crate::model::{ModelSettings, ToolChoice};
use crate::server::error::ApiError;
use crate::server::fields::Fields;

/// Fields that go on to the model's server as they are.
const PASSED_ON: [&str; 4] = [
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "service_tier",
];

/// Reads what the two APIs name alike.
pub(super) fn common(fields: &mut Fields) -> Result<ModelSettings, ApiError> {
    let choice: Option<Value> = fields.take("tool_choice")?;
    let mut settings = ModelSettings {
        temperature: fields.take("temperature")?,
        top_p: fields.take("top_p")?,
        parallel_tool_calls: fields.take("parallel_tool_calls")?,
        tool_choice: choice.as_ref().map(tool_choice).transpose()?,
        ..ModelSettings::default()
    };
    for name in PASSED_ON {
        if let Some(value) = fields.take::<Value>(name)? {
            settings.extra_body.insert(name.to_owned(), value);
        }
    }
    no_tools(fields)?;
    Ok(settings)
}

/// Tools that the client would run are refused: an agent runs its own, and a call that went out could not come back into its turn.
fn no_tools(fields: &mut Fields) -> Result<(), ApiError> {
    match fields.take::<Vec<Value>>("tools")? {
        Some(tools) if !tools.is_empty() => Err(ApiError::unsupported(
            "tools",
            "tools of the client are not supported: an agent has tools of its own, which the server runs",
        )),
        _ => Ok(()),
    }
}

/// A choice among the agent's own tools.
fn tool_choice(value: &Value) -> Result<ToolChoice, ApiError> {
    match value.as_str() {
        Some("auto") => return Ok(ToolChoice::Auto),
        Some("none") => return Ok(ToolChoice::None),
        Some("required") => return Ok(ToolChoice::Required),
        _ => {}
    }
    let is_function = value.get("type").and_then(Value::as_str) == Some("function");
    let name = value
        .get("name")
        .or_else(|| value.get("function")?.get("name"));
    match name.and_then(Value::as_str) {
        Some(name) if is_function => Ok(ToolChoice::Function(name.to_owned())),
        _ => Err(ApiError::unsupported(
            "tool_choice",
            "this tool choice is not supported",
        )),
    }
}

/// The form that the client wants the answer to have.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Format {
    /// Whatever the agent gives.
    #[default]
    Unset,
    Text,
    Schema {
        /// As it was asked for; it is told again.
        asked: Value,
        schema: Value,
    },
}

impl Format {
    /// Reads a format; the schema stands below `json_schema` in one API and beside the type in the other.
    pub(super) fn parse(value: Value, param: &str) -> Result<Self, ApiError> {
        let asked = value.clone();
        let mut fields = Fields::of(value, param)?;
        match fields.need::<String>("type")?.as_str() {
            "text" => {
                fields.finish()?;
                Ok(Self::Text)
            }
            "json_schema" => {
                let mut inner = fields.object("json_schema")?;
                let schema = {
                    let fields = inner.as_mut().unwrap_or(&mut fields);
                    // The name and the description are for the model, which is told the agent's own; an answer is always held to
                    // its schema, whether it asks for that or not.
                    fields.take::<String>("name")?;
                    fields.take::<String>("description")?;
                    fields.take::<bool>("strict")?;
                    fields.need("schema")?
                };
                inner.map_or(Ok(()), Fields::finish)?;
                fields.finish()?;
                Ok(Self::Schema { asked, schema })
            }
            other => Err(ApiError::unsupported(
                format!("{param}.type"),
                format!(
                    "the format `{other}` is not supported; there are `text` and `json_schema`"
                ),
            )),
        }
    }

    /// Gives the agent this form of answer.
    ///
    /// # Errors
    ///
    /// When the agent has an output type of its own that is another, or the schema has no strict form.
    pub(super) fn applied_to(&self, agent: &Agent, param: &str) -> Result<Agent, ApiError> {
        let own = agent.output_type();
        let clash = || {
            let message = format!("the agent `{}` has an output type of its own", agent.name());
            ApiError::unsupported(param, message)
        };
        match (self, own) {
            (Self::Unset, _) | (Self::Text, None) => Ok(agent.clone()),
            (Self::Text, Some(_)) => Err(clash()),
            (Self::Schema { schema, .. }, own) => {
                let asked = OutputType::of_schema(schema.clone(), OutputMode::Native);
                let asked = asked.map_err(|error| {
                    ApiError::invalid(param, format!("the schema has no strict form: {error}"))
                })?;
                match own {
                    None => Ok(agent.with_output(asked)),
                    Some(own) if own.schema() == asked.schema() => Ok(agent.clone()),
                    Some(_) => Err(clash()),
                }
            }
        }
    }

    /// What was asked for, as it is told again.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Unset | Self::Text => json!({"type": "text"}),
            Self::Schema { asked, .. } => asked.clone(),
        }
    }
}

/// Reads the notes that a client puts on a request, which are as many and as long as OpenAI takes.
pub(super) fn metadata(fields: &mut Fields) -> Result<Option<Map<String, Value>>, ApiError> {
    let metadata: Option<Map<String, Value>> = fields.take("metadata")?;
    let fits = |(key, value): (&String, &Value)| {
        let value = value.as_str();
        key.chars().count() <= 64 && value.is_some_and(|value| value.chars().count() <= 512)
    };
    match metadata {
        Some(notes) if notes.len() > 16 || !notes.iter().all(fits) => Err(ApiError::invalid(
            "metadata",
            "`metadata` has at most 16 texts, of up to 512 characters under names of up to 64",
        )),
        metadata => Ok(metadata),
    }
}
