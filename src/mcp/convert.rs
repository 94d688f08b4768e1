//! Between the protocol library's types and ours, and from an error to one line.

use std::error::Error;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Passes a value between types that have one form in JSON.
pub(crate) fn convert<T: DeserializeOwned>(value: &impl Serialize) -> Result<T, serde_json::Error> {
    serde_json::to_value(value).and_then(serde_json::from_value)
}

/// Says an error with its causes; one that is in the text already, as some libraries have it, is left out.
pub(crate) fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
