//! The shapes in which servers say that something went wrong.

use crate::model::wire::raw_json::RawJson;
use serde_json::Value;

use super::deviations::Deviations;
use super::excerpt;
use super::object::{self, Object};
use crate::kind::ErrorKind;
use crate::model::ModelError;

/// A server's own words about a failure, whatever shape they came in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ServerError {
    pub(crate) message: String,
    pub(crate) code: Option<String>,
}

impl ServerError {
    /// Reads the body of an error response: OpenAI's envelope, a flat one (vLLM before 0.10.1, Mistral), the `detail` of `FastAPI`, a
    /// list around any of them (Gemini), or plain text.
    pub(crate) fn from_body(body: &[u8]) -> Self {
        /// A larger one is no words for people; its parsed value could take many times of it.
        const MAX_BYTES: usize = 1024 * 1024;
        // Lossy, since an error is for people. A page in another encoding still says which gateway
        // sent it.
        let text = String::from_utf8_lossy(body.get(..MAX_BYTES).unwrap_or(body));
        match serde_json::from_str::<Value>(&text) {
            Ok(value) => Self::from_value(&value),
            Err(_) => Self {
                message: excerpt(text.trim()),
                code: None,
            },
        }
    }

    /// Reads an error object, or what stands in its place.
    pub(crate) fn from_value(value: &Value) -> Self {
        match value {
            Value::String(text) => Self {
                message: excerpt(text),
                code: None,
            },
            Value::Array(list) => list.first().map(Self::from_value).unwrap_or_default(),
            Value::Object(object) => {
                // A flag (`error: true`) says nothing; the words stand beside it.
                if let Some(inner) = object
                    .get("error")
                    .filter(|inner| inner.is_object() || inner.is_string())
                {
                    return Self::from_value(inner);
                }
                let message = ["message", "detail", "msg"]
                    .iter()
                    .find_map(|key| object.get(*key).filter(|said| !said.is_null()));
                let message = match message {
                    Some(Value::String(text)) => excerpt(text),
                    Some(other) => excerpt(&other.to_string()),
                    None => excerpt(&value.to_string()),
                };
                // A number too: vLLM gives the HTTP status as the code.
                let code = ["code", "type"]
                    .iter()
                    .find_map(|key| match object.get(*key)? {
                        Value::String(code) => Some(code.clone()),
                        Value::Number(code) => Some(code.to_string()),
                        _ => None,
                    });
                Self { message, code }
            }
            other => Self {
                message: excerpt(&other.to_string()),
                code: None,
            },
        }
    }

    /// Reads an error object inside an answer; one that cannot be read is quoted.
    fn from_raw(raw: RawJson<'_>) -> Self {
        match object::value_of(raw) {
            Some(value) => Self::from_value(&value),
            None => Self::from_value(&Value::String(raw.get().to_owned())),
        }
    }

    /// Finds the error that an answer or a choice holds. One that says nothing is none: some gateways fill in every field.
    pub(crate) fn inside(object: &Object<'_>, notes: &mut Deviations) -> Option<Self> {
        let says = |raw| {
            let is_empty = object::value_of(raw).as_ref().is_some_and(says_nothing);
            (!is_empty).then_some(raw)
        };
        object.optional("error", notes, says).map(Self::from_raw)
    }

    /// Makes the error of a server that reports a failure in an answer that looks successful.
    pub(crate) fn into_error(self, kind: ErrorKind) -> ModelError {
        let place = if kind == ErrorKind::StreamError {
            "the server reported an error in its stream"
        } else {
            "the server answered with an error"
        };
        let Self { message, code } = self;
        let message = if message.is_empty() {
            place.to_owned()
        } else {
            format!("{place}: {message}")
        };
        ModelError::new(kind, message).with_code(code)
    }
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(says) => !says,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.iter().all(says_nothing),
        Value::Object(object) => object.values().all(says_nothing),
    }
}
