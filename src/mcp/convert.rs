//! Between the types of the protocol library and ours.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Passes a value between types that have one form in JSON.
pub(crate) fn convert<T: DeserializeOwned>(value: &impl Serialize) -> Result<T, serde_json::Error> {
    serde_json::to_value(value).and_then(serde_json::from_value)
}
