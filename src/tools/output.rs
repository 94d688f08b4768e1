//! What a tool gives back to the model.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::content::ToolContent;
use super::error::ToolOutputError;
use super::text;
use crate::item::OutputContent;

/// Holds the output of a tool: a text, or parts with images and files.
///
/// A tool rarely builds one: whatever [`Serialize`]s becomes an output by itself, see [`IntoToolOutput`].
///
/// ```
/// use openai_agents::ToolOutput;
/// use openai_agents::tools::{IntoToolOutput, ToolContent};
///
/// assert_eq!(ToolOutput::of("sunny")?, ToolOutput::Text("sunny".to_owned()));
/// assert_eq!(ToolOutput::of([1, 2])?, ToolOutput::Text("[1,2]".to_owned()));
///
/// let chart = ToolOutput::Parts(vec![
///     ToolContent::text("The chart:"),
///     ToolContent::image_url("https://example.com/chart.png"),
/// ]);
/// assert_eq!(chart.to_json()[1]["type"], "input_image");
/// # Ok::<(), openai_agents::tools::ToolOutputError>(())
/// ```
// It must not implement `Serialize`: `IntoToolOutput` covers whatever does, and this type besides.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ToolOutput {
    /// A text, which is what every model understands.
    Text(String),
    /// Parts; not every model takes images and files.
    Parts(Vec<ToolContent>),
}

impl ToolOutput {
    /// Turns a value into an output.
    ///
    /// # Errors
    ///
    /// [`ToolOutputError`] when the value has no form in JSON, say a map whose keys are lists.
    pub fn of(value: impl IntoToolOutput) -> Result<Self, ToolOutputError> {
        value.into_tool_output()
    }

    /// Returns the output in the shape of the Responses API.
    ///
    /// That is a string, or a list of parts.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Parts(parts) => Value::Array(parts.iter().map(ToolContent::to_json).collect()),
        }
    }

    /// Reads what [`to_json`](Self::to_json) writes; any other JSON becomes its text.
    ///
    /// A part of an unknown type, or with unknown fields, is kept as it is. A list is one of parts only when every element is an
    /// object with a `type` that begins with `input_`.
    pub fn from_json(json: Value) -> Self {
        match json {
            Value::String(text) => Self::Text(text),
            Value::Array(parts) if !parts.is_empty() && parts.iter().all(ToolContent::is_part) => {
                Self::Parts(parts.into_iter().map(ToolContent::from_json).collect())
            }
            other => Self::Text(other.to_string()),
        }
    }

    /// Returns the output as an item holds it; a part that has no form there is a text.
    pub(crate) fn into_content(self) -> OutputContent {
        match self {
            Self::Text(text) => OutputContent::Text(text),
            parts @ Self::Parts(_) => {
                let json = parts.to_json();
                OutputContent::deserialize(&json)
                    .unwrap_or_else(|_| OutputContent::Text(json.to_string()))
            }
        }
    }

    /// Returns the text; images and files are left out.
    pub(crate) fn text(&self) -> String {
        self.clone().into_content().text()
    }

    /// Counts the bytes of the texts, addresses and encoded data in the output.
    pub fn n_bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Parts(parts) => parts.iter().map(ToolContent::n_bytes).sum(),
        }
    }
}

impl From<String> for ToolOutput {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for ToolOutput {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Turns what a tool returns into its [`ToolOutput`].
///
/// Everything that [`Serialize`]s does: what JSON would write as a string becomes that text without quotes, `()` becomes the empty
/// text, and anything else becomes compact JSON. [`ToolOutput`] and [`ToolContent`] are taken as they are.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the output of a tool",
    label = "does not implement `serde::Serialize`",
    note = "derive `serde::Serialize` for it, or return a `ToolOutput`"
)]
pub trait IntoToolOutput {
    /// Turns the value into an output.
    ///
    /// # Errors
    ///
    /// [`ToolOutputError`] when the value has no form in JSON.
    fn into_tool_output(self) -> Result<ToolOutput, ToolOutputError>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize> IntoToolOutput for T {
    fn into_tool_output(self) -> Result<ToolOutput, ToolOutputError> {
        text::of(&self)
            .map(ToolOutput::Text)
            .map_err(ToolOutputError::new)
    }
}

impl IntoToolOutput for ToolOutput {
    fn into_tool_output(self) -> Result<ToolOutput, ToolOutputError> {
        Ok(self)
    }
}

impl IntoToolOutput for ToolContent {
    fn into_tool_output(self) -> Result<ToolOutput, ToolOutputError> {
        Ok(ToolOutput::Parts(vec![self]))
    }
}
