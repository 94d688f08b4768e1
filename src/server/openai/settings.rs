//! Settings that both APIs have: the model's settings and the output format.

use serde_json::{Map, Value, json};

use super::request_fields::Api;
use crate::agent::{Agent, OutputMode, OutputType};
use crate::model::{ModelSettings, OutputFormat, ToolChoice, VerbatimFormat};
use crate::server::error::ApiError;
use crate::server::fields::BodyFields;

/// Reads what the two APIs name alike.
pub(super) fn common(fields: &mut BodyFields) -> Result<ModelSettings, ApiError> {
    let choice: Option<Value> = fields.take("tool_choice")?;
    Ok(ModelSettings {
        temperature: fields.peek("temperature")?,
        top_p: fields.peek("top_p")?,
        parallel_tool_calls: fields.take("parallel_tool_calls")?,
        tool_choice: choice.as_ref().map(tool_choice).transpose()?,
        ..ModelSettings::default()
    })
}

/// A choice among the tools of the agent and of the client.
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
            "this tool choice is not supported: there are `auto`, `none`, `required` and a function; which tools an agent has is its own matter",
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
    /// Any JSON object.
    Json {
        /// As it was asked for; it goes out so.
        asked: Value,
        api: Api,
    },
    Schema(Box<OutputFormat>),
}

impl Format {
    /// Reads a format; the schema stands below `json_schema` in one API and beside the type in the other.
    pub(super) fn parse(asked: Value, api: Api, param: &str) -> Result<Self, ApiError> {
        let mut fields = BodyFields::of(asked.clone(), param)?;
        match fields.need::<String>("type")?.as_str() {
            "text" => Ok(Self::Text),
            "json_object" => Ok(Self::Json { asked, api }),
            "json_schema" => {
                let mut schema = match api {
                    Api::Chat => {
                        BodyFields::of(fields.need("json_schema")?, fields.name("json_schema"))?
                    }
                    Api::Responses => fields,
                };
                let mut format =
                    OutputFormat::strict(schema.need::<String>("name")?, schema.need("schema")?);
                format.description = schema.take("description")?;
                format.strict = schema.take("strict")?.unwrap_or(false);
                format.verbatim = Some(verbatim(api, asked));
                Ok(Self::Schema(Box::new(format)))
            }
            other => Err(ApiError::unsupported(
                format!("{param}.type"),
                format!(
                    "the format `{other}` is not supported; there are `text`, `json_object` and `json_schema`"
                ),
            )),
        }
    }

    /// Gives the agent this form of answer.
    ///
    /// The answer is held to a schema that is strict; what the model makes of another is the client's to judge, as with OpenAI.
    ///
    /// # Errors
    ///
    /// When the agent has an output type of its own that is another.
    pub(super) fn applied_to(&self, agent: &Agent, param: &str) -> Result<Agent, ApiError> {
        let own = agent.output_type();
        Ok(match (self, own) {
            // An output type is text, and JSON, already.
            (Self::Unset | Self::Text, _) | (Self::Json { .. }, Some(_)) => agent.clone(),
            (Self::Json { asked, api }, None) => {
                let mut format = OutputFormat::strict("json_object", json!({"type": "object"}));
                format.strict = false;
                format.verbatim = Some(verbatim(*api, asked.clone()));
                agent.with_output(held_to(format, param)?)
            }
            (Self::Schema(format), None) if format.strict => {
                agent.with_output(held_to(OutputFormat::clone(format), param)?)
            }
            (Self::Schema(format), None) => {
                agent.with_output(OutputType::of_format_unchecked(OutputFormat::clone(format)))
            }
            (Self::Schema(format), Some(own)) => {
                let asked = OutputType::of_schema(format.schema.clone(), OutputMode::Native);
                if !asked.is_ok_and(|asked| asked.schema() == own.schema()) {
                    let message =
                        format!("the agent `{}` has an output type of its own", agent.name());
                    return Err(ApiError::unsupported(param, message));
                }
                agent.clone()
            }
        })
    }
}

fn verbatim(api: Api, asked: Value) -> VerbatimFormat {
    match api {
        Api::Chat => VerbatimFormat::Chat(asked),
        Api::Responses => VerbatimFormat::Responses(asked),
    }
}

/// Checks the notes that a client puts on a request, which are as many and as long as OpenAI takes.
pub(super) fn metadata(
    metadata: Option<Map<String, Value>>,
) -> Result<Option<Map<String, Value>>, ApiError> {
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

/// An output that is checked against the schema of its format.
fn held_to(format: OutputFormat, param: &str) -> Result<OutputType, ApiError> {
    OutputType::of_format(format).map_err(|error| ApiError::invalid(param, error.to_string()))
}
