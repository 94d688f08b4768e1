//! What messages and results of the Model Context Protocol hold.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{McpResource, McpResourceContent};

/// Holds one piece of content of a prompt, a message or a tool's result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum McpContent {
    /// A text.
    Text {
        /// The text.
        text: String,
    },
    /// An image.
    Image {
        /// The image in base64.
        data: String,
        /// Its media type, such as `image/png`.
        #[serde(rename = "mimeType")]
        media_type: String,
    },
    /// A sound.
    Audio {
        /// The sound in base64.
        data: String,
        /// Its media type, such as `audio/wav`.
        #[serde(rename = "mimeType")]
        media_type: String,
    },
    /// The contents of a resource.
    Resource {
        /// The contents.
        resource: McpResourceContent,
    },
    /// A resource that can be read.
    ResourceLink(McpResource),
    /// Content that this library does not know, word for word.
    #[serde(untagged)]
    Other(Value),
}

impl McpContent {
    /// Makes a text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }

    /// Makes an image of base64 data.
    pub fn image(media_type: impl Into<String>, data: impl Into<String>) -> Self {
        Self::Image {
            data: data.into(),
            media_type: media_type.into(),
        }
    }

    /// Makes a sound of base64 data.
    pub fn audio(media_type: impl Into<String>, data: impl Into<String>) -> Self {
        Self::Audio {
            data: data.into(),
            media_type: media_type.into(),
        }
    }

    /// Returns the text, if that is what it is.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text { text } => Some(text),
            _ => None,
        }
    }
}

impl From<&str> for McpContent {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for McpContent {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<McpResourceContent> for McpContent {
    fn from(resource: McpResourceContent) -> Self {
        Self::Resource { resource }
    }
}

/// Says who speaks in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "the protocol knows these two, and a third would be another protocol"
)]
pub enum McpRole {
    /// The user.
    User,
    /// The model.
    Assistant,
}
