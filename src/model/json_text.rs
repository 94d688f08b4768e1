//! JSON as a server wrote it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// A JSON value as the server wrote it.
///
/// It is cheap to clone, and parsed only when it is looked at.
///
/// What an answer has beside its items is kept in this form: every answer has some of it, and few programs look.
///
/// ```
/// use openai_agents::model::JsonText;
/// use serde_json::json;
///
/// let usage = JsonText::from(json!({ "prompt_tokens": 7, "x_new": { "a": 1 } }));
/// assert_eq!(usage.get("x_new"), Some(json!({ "a": 1 })));
/// assert_eq!(usage.get("x_old"), None);
/// ```
#[derive(Clone)]
pub struct JsonText(Arc<str>);

impl JsonText {
    /// Keeps a text that is JSON.
    #[cfg(feature = "http")]
    pub(crate) fn of_json(json: impl Into<Arc<str>>) -> Self {
        Self(json.into())
    }

    /// Returns the JSON.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Parses the JSON.
    ///
    /// What no value can hold (a number out of range) is given as a text.
    pub fn to_value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or_else(|_| Value::String((*self.0).to_owned()))
    }

    /// Returns a field of an object.
    pub fn get(&self, key: &str) -> Option<Value> {
        match self.to_value() {
            Value::Object(mut fields) => fields.swap_remove(key),
            _ => None,
        }
    }

    /// Removes secrets.
    #[cfg(feature = "http")]
    pub(crate) fn redact(&mut self, redactor: &crate::secret::Redactor) {
        if let std::borrow::Cow::Owned(redacted) = redactor.redact_json(&self.0) {
            self.0 = redacted.into();
        }
    }
}

impl From<Value> for JsonText {
    fn from(value: Value) -> Self {
        Self(value.to_string().into())
    }
}

/// Two are equal when they mean the same value.
impl PartialEq for JsonText {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || self.to_value() == other.to_value()
    }
}

impl fmt::Debug for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for JsonText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for JsonText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(raw.get().into()))
    }
}
