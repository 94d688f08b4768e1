//! The fields of a request body: each is read, passed on or refused; none is ignored silently.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::ApiError;

/// What of a body was not read yet. A field that is `null` counts as left out, as OpenAI's servers take it.
#[derive(Debug)]
pub(super) struct BodyFields {
    fields: Map<String, Value>,
    /// Where they stand in the body, with a dot behind.
    path: String,
}

impl BodyFields {
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self {
                fields,
                path: String::new(),
            }),
            Ok(_) => Err(ApiError::new(
                400,
                "invalid_json",
                "the body must be a JSON object",
            )),
            Err(error) => Err(ApiError::new(
                400,
                "invalid_json",
                format!("the body is not JSON: {error}"),
            )),
        }
    }

    /// Takes an object that stands in the body.
    pub(super) fn of(value: Value, path: impl Into<String>) -> Result<Self, ApiError> {
        let path = path.into();
        match value {
            Value::Object(fields) => Ok(Self {
                fields,
                path: format!("{path}."),
            }),
            _ => Err(ApiError::invalid(path, "this must be an object")),
        }
    }

    /// Reads a field that may be left out.
    pub(super) fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, ApiError> {
        // In their order, so that of several unknown fields the first is named.
        match self.fields.shift_remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match serde_json::from_value(value) {
                Ok(value) => Ok(Some(value)),
                Err(error) => Err(ApiError::invalid(
                    self.name(name),
                    format!("{}: {error}", self.name(name)),
                )),
            },
        }
    }

    /// Reads a field that may be left out, and leaves it in its place.
    pub(super) fn peek<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let value = self.fields.get(name).cloned();
        let mut copy = Self {
            fields: value
                .map(|value| (name.to_owned(), value))
                .into_iter()
                .collect(),
            path: self.path.clone(),
        };
        copy.take(name)
    }

    /// Takes all that was not read yet.
    pub(super) fn take_rest(&mut self) -> Map<String, Value> {
        let mut rest = std::mem::take(&mut self.fields);
        rest.retain(|_, value| !value.is_null());
        rest
    }

    /// Reads a field that must be there.
    pub(super) fn need<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, ApiError> {
        self.take(name)?.ok_or_else(|| self.missing(name))
    }

    pub(super) fn missing(&self, name: &str) -> ApiError {
        let param = self.name(name);
        let message = format!("`{param}` is missing");
        ApiError::new(400, "missing_required_parameter", message).about(param)
    }

    /// Reads an object that may be left out.
    pub(super) fn object(&mut self, name: &str) -> Result<Option<Self>, ApiError> {
        let path = self.name(name);
        self.take(name)?
            .map(|value| Self::of(value, path))
            .transpose()
    }

    /// Refuses whatever was not read.
    pub(super) fn finish(self) -> Result<(), ApiError> {
        let left = self.fields.iter().find(|(_, value)| !value.is_null());
        left.map_or(Ok(()), |(name, _)| Err(self.refuse(name)))
    }

    pub(super) fn name(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }

    fn refuse(&self, name: &str) -> ApiError {
        let param = self.name(name);
        let message = format!("`{param}` is not supported by this server");
        ApiError::unsupported(param, message)
    }
}
