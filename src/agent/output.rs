//! What the final output of an agent must be, and reading it.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::model::OutputFormat;
use crate::schema::{self, SchemaError};
use crate::tools::{ToolName, ToolSpec};

/// The name under which the form is sent; the Python SDK's.
const NAME: &str = "final_output";

/// What the model is told of the tool of that name.
const TOOL_DESCRIPTION: &str =
    "Gives the final answer. Call it once, when nothing else is left to do.";

/// The key of a value that is no object: a strict schema must be that of an object.
const WRAPPER: &str = "response";

/// The type of an agent's final output; made by [`AgentBuilder::output`](super::AgentBuilder::output).
///
/// The model is held to the type's strict schema, and its answer is read as the type: what does not fit ends the run with the error
/// `invalid_output`, which has the place and the text. A type that is no object, such as a list or a number, is sent as an object with
/// the single key `response`, and taken out of it again.
///
/// A schema that is known at run time only (feature `schema-validation`) is checked in the same way, whether the server was to hold the
/// model to it or not. What the schema as it was given leaves optional may be left out, although the strict form asks for it.
#[derive(Clone)]
pub struct OutputType(Arc<OutputParts>);

struct OutputParts {
    format: Arc<OutputFormat>,
    mode: OutputMode,
    is_wrapped: bool,
    check: Box<OutputCheckFn>,
}

type OutputCheckFn = dyn Fn(&str) -> Result<(), OutputError> + Send + Sync;

/// How a model is told what its final output must be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputMode {
    /// By the server (`response_format`, `text.format`), which holds the model to it.
    #[default]
    Native,
    /// By a tool named `final_output` whose arguments are the output.
    ///
    /// It is for servers that know tools but no schema of answers.
    ///
    /// The model must call some tool in each turn (`tool_choice: required`), unless the settings have a choice of their own. A call of
    /// `final_output` ends the run; other calls beside it are made before.
    Tool,
    /// In words, after the instructions.
    ///
    /// It is for servers that know no schema. The model may fail to follow.
    Prompted,
}

/// Says why a final output is not of its type.
///
/// The text is in the run's items; nothing is taken out of fences or prose.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the final output is not what was asked for: {detail}")]
pub struct OutputError {
    detail: String,
}

impl OutputType {
    /// Describes a type.
    ///
    /// # Errors
    ///
    /// When the type has no strict schema, such as a map with free keys.
    pub fn of<T: DeserializeOwned + JsonSchema>(mode: OutputMode) -> Result<Self, SchemaError> {
        let (schema, is_wrapped) = schema_of::<T>();
        let format = OutputFormat::strict(NAME, schema::strict(schema)?);
        Ok(Self::typed::<T>(format, mode, is_wrapped))
    }

    /// Describes a type whose schema the server does not hold the model to.
    ///
    /// A map is such a type. The answer is read as the type all the same.
    pub fn of_non_strict<T: DeserializeOwned + JsonSchema>(mode: OutputMode) -> Self {
        let (schema, is_wrapped) = schema_of::<T>();
        let format = OutputFormat::non_strict(NAME, schema);
        Self::typed::<T>(format, mode, is_wrapped)
    }

    /// Takes a schema that is known at run time only.
    ///
    /// The model is held to its strict form, and its answer is checked.
    ///
    /// # Errors
    ///
    /// When the schema has no strict form, or is none.
    #[cfg(feature = "schema-validation")]
    pub fn of_schema(schema: Value, mode: OutputMode) -> Result<Self, SchemaError> {
        let check = checking(&schema)?;
        let format = OutputFormat::strict(NAME, schema::strict(schema)?);
        Ok(Self::new(format, mode, false, check))
    }

    /// Takes a format that goes out as it is; the answer is checked against its schema.
    #[cfg(feature = "server")]
    pub(crate) fn of_format(format: OutputFormat) -> Result<Self, SchemaError> {
        let check = checking(&format.schema)?;
        Ok(Self::new(format, OutputMode::Native, false, check))
    }

    /// Takes a format that goes out as it is, and whatever the model makes of it.
    #[cfg(feature = "server")]
    pub(crate) fn of_format_unchecked(format: OutputFormat) -> Self {
        Self::new(format, OutputMode::Native, false, Box::new(|_| Ok(())))
    }

    /// Takes a schema that the server does not hold the model to.
    ///
    /// The server is told the schema as it is, and the answer is checked all the same.
    ///
    /// # Errors
    ///
    /// When it is no schema.
    #[cfg(feature = "schema-validation")]
    pub fn of_schema_non_strict(schema: Value, mode: OutputMode) -> Result<Self, SchemaError> {
        let check = checking(&schema)?;
        let format = OutputFormat::non_strict(NAME, schema);
        Ok(Self::new(format, mode, false, check))
    }

    fn typed<T: DeserializeOwned>(
        format: OutputFormat,
        mode: OutputMode,
        is_wrapped: bool,
    ) -> Self {
        let check = move |text: &str| parse::<T>(text, is_wrapped).map(drop);
        Self::new(format, mode, is_wrapped, Box::new(check))
    }

    fn new(
        format: OutputFormat,
        mode: OutputMode,
        is_wrapped: bool,
        check: Box<OutputCheckFn>,
    ) -> Self {
        Self(Arc::new(OutputParts {
            format: Arc::new(format),
            mode,
            is_wrapped,
            check,
        }))
    }

    /// Returns the schema that the model is told.
    pub fn schema(&self) -> &Value {
        &self.0.format.schema
    }

    /// What goes into each request, if the server is to hold the model to it.
    pub(crate) fn format(&self) -> Option<Arc<OutputFormat>> {
        (self.0.mode == OutputMode::Native).then(|| Arc::clone(&self.0.format))
    }

    /// The tool by which the model gives its output, if that is how.
    pub(crate) fn tool(&self) -> Option<ToolSpec> {
        let name = ToolName::new(NAME).ok()?;
        let spec = || ToolSpec::new(name, TOOL_DESCRIPTION, self.schema().clone());
        (self.0.mode == OutputMode::Tool).then(spec)
    }

    /// What goes behind the instructions, if the model is told in words.
    pub(crate) fn prompt(&self) -> Option<String> {
        let tell = || {
            format!(
                "Write your final answer as one JSON value that fits this JSON Schema, and nothing else: no other words, no code fence.\n{}",
                self.schema()
            )
        };
        (self.0.mode == OutputMode::Prompted).then(tell)
    }

    pub(crate) fn check(&self, text: &str) -> Result<(), OutputError> {
        (self.0.check)(text)
    }
}

/// Reads a final output of an agent with this output type, or of one without.
pub(crate) fn read<T: DeserializeOwned>(
    output: Option<&OutputType>,
    text: &str,
) -> Result<T, OutputError> {
    parse(text, output.is_some_and(|output| output.0.is_wrapped))
}

/// The schema of a type, and whether it is that of an object around it.
fn schema_of<T: JsonSchema>() -> (Value, bool) {
    let schema = schema::of::<T>();
    if is_object(&schema) {
        (schema, false)
    } else {
        (wrap(schema), true)
    }
}

/// Checks texts against the schema as it was given.
#[cfg(feature = "schema-validation")]
fn checking(schema: &Value) -> Result<Box<OutputCheckFn>, SchemaError> {
    let schema = schema::SchemaCheck::new(schema)?;
    Ok(Box::new(move |text| {
        let value: Value = parse(text, false)?;
        schema.check(&value).map_err(|mismatch| OutputError {
            detail: mismatch.to_string(),
        })
    }))
}

fn parse<T: DeserializeOwned>(text: &str, is_wrapped: bool) -> Result<T, OutputError> {
    if !is_wrapped {
        let mut json = serde_json::Deserializer::from_str(text);
        let value =
            serde_path_to_error::deserialize(&mut json).map_err(|error| OutputError::of(&error))?;
        json.end().map_err(|error| OutputError {
            detail: error.to_string(),
        })?;
        return Ok(value);
    }
    let mut wrapper: Value = parse(text, false)?;
    let inner = wrapper
        .as_object_mut()
        .and_then(|object| object.remove(WRAPPER));
    let inner = inner.ok_or_else(|| OutputError {
        detail: format!("the key `{WRAPPER}` is not there"),
    })?;
    serde_path_to_error::deserialize(inner).map_err(|error| OutputError::of(&error))
}

/// Makes a schema that of an object with a single key.
fn wrap(mut schema: Value) -> Value {
    // References point to the root, which moves, or to the definitions there, which stay.
    move_root(&mut schema);
    let definitions = schema
        .as_object_mut()
        .and_then(|object| object.shift_remove("$defs"));
    let mut wrapper = json!({ "type": "object", "properties": { WRAPPER: schema } });
    if let (Some(object), Some(definitions)) = (wrapper.as_object_mut(), definitions) {
        object.insert("$defs".to_owned(), definitions);
    }
    wrapper
}

/// Lets references to the whole schema point to where it stands in its wrapper.
fn move_root(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            for (key, value) in object {
                if key == "$ref" && value == "#" {
                    *value = format!("#/properties/{WRAPPER}").into();
                } else {
                    move_root(value);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(move_root),
        _ => {}
    }
}

fn is_object(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("object")
}

impl OutputError {
    fn of(error: &serde_path_to_error::Error<serde_json::Error>) -> Self {
        let (path, cause) = (error.path(), error.inner());
        let detail = if path.iter().next().is_none() || cause.is_syntax() || cause.is_eof() {
            cause.to_string()
        } else {
            format!("at `{path}`: {cause}")
        };
        Self { detail }
    }
}

impl fmt::Debug for OutputType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputType")
            .field("mode", &self.0.mode)
            .field("schema", self.schema())
            .finish()
    }
}
