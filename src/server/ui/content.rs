//! The content of a message of a user interface, as the model gets it.

use serde_json::{Value, json};

use crate::item::Item;
use crate::server::error::ApiError;

/// Makes a message of the user from its parts.
pub(super) fn user_message(parts: &[Value]) -> Result<Item, ApiError> {
    let message = json!({"type": "message", "role": "user", "content": parts});
    Item::from_json(&message.to_string())
        .map_err(|error| ApiError::invalid("messages", error.to_string()))
}

pub(super) fn text(text: &str) -> Value {
    json!({"type": "input_text", "text": text})
}

/// A picture or another file, by a URL that may be its data.
pub(super) fn file(media_type: &str, url: &str, name: Option<&str>) -> Result<Value, ApiError> {
    if media_type.starts_with("image/") {
        return Ok(json!({"type": "input_image", "image_url": url, "detail": "auto"}));
    }
    if !url.starts_with("data:") {
        let message = "a file that is no picture is sent as its data, not as an address";
        return Err(ApiError::unsupported("messages", message));
    }
    let name = name.unwrap_or("file");
    Ok(json!({"type": "input_file", "filename": name, "file_data": url}))
}
