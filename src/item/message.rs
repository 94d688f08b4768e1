//! Messages and their content parts.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A message of one author.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "message")]
#[non_exhaustive]
pub struct Message {
    /// Who wrote it.
    pub role: Role,
    /// What it says.
    pub content: Content,
    /// Every other field of the item, such as `id` and `status`.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The author of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Role {
    /// The instructions' author, as older models name it.
    System,
    /// The instructions' author.
    Developer,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A role that this crate does not know, sent as it is.
    #[serde(untagged)]
    Other(String),
}

/// What a message says: a text, or parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Content {
    /// A plain text.
    Text(String),
    /// Parts in order.
    Parts(Vec<Part>),
}

/// One part of a message's or a tool output's content.
///
/// A part names what this crate acts on; the other fields of a received part stand in its item's JSON.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Part {
    /// Text given to the model.
    InputText {
        /// The text.
        text: String,
    },
    /// Text of the model.
    OutputText {
        /// The text.
        text: String,
    },
    /// The model refuses.
    Refusal {
        /// Its words.
        refusal: String,
    },
    /// An image by URL (also a `data:` URL).
    Image {
        /// The URL.
        image_url: String,
        /// `auto`, `low` or `high`.
        detail: Option<String>,
    },
    /// Audio, base64.
    Audio {
        /// The bytes, base64.
        data: String,
        /// `wav` or `mp3`.
        format: String,
    },
    /// A file by its data (a `data:` URL) or by its id at the provider.
    File {
        /// The bytes, as a `data:` URL.
        file_data: Option<String>,
        /// The id of a file that was uploaded.
        file_id: Option<String>,
        /// Its name.
        filename: Option<String>,
    },
    /// A part that this crate does not act on, verbatim.
    Unknown(Value),
}

impl Message {
    /// Makes a message from a text; the model's own words become an `output_text` part.
    pub fn new(role: Role, text: impl Into<String>) -> Self {
        let text = text.into();
        let content = match role {
            Role::Assistant => Content::Parts(vec![Part::OutputText { text }]),
            _ => Content::Text(text),
        };
        Self {
            role,
            content,
            extra: Map::new(),
        }
    }

    /// Makes a message from parts.
    pub fn from_parts(role: Role, parts: Vec<Part>) -> Self {
        Self {
            role,
            content: Content::Parts(parts),
            extra: Map::new(),
        }
    }

    /// Returns the text parts, joined by a separator.
    pub fn text(&self, separator: &str) -> String {
        match &self.content {
            Content::Text(text) => text.clone(),
            Content::Parts(parts) => {
                let texts: Vec<&str> = parts.iter().filter_map(Part::as_text).collect();
                texts.join(separator)
            }
        }
    }

    /// Returns the refusal, if the model refused.
    pub fn refusal(&self) -> Option<&str> {
        match &self.content {
            Content::Text(_) => None,
            Content::Parts(parts) => parts.iter().find_map(|part| match part {
                Part::Refusal { refusal } => Some(refusal.as_str()),
                _ => None,
            }),
        }
    }
}

impl Part {
    /// Makes a part of text for the model.
    pub fn text(text: impl Into<String>) -> Self {
        Self::InputText { text: text.into() }
    }

    /// Makes an image part from a URL.
    pub fn image(url: impl Into<String>) -> Self {
        Self::Image {
            image_url: url.into(),
            detail: None,
        }
    }

    /// Returns the text of a text part.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::InputText { text } | Self::OutputText { text } => Some(text),
            _ => None,
        }
    }

    fn from_value(value: Value) -> Self {
        let string = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let part = match value.get("type").and_then(Value::as_str) {
            Some("input_text" | "text") => string("text").map(|text| Self::InputText { text }),
            Some("output_text") => string("text").map(|text| Self::OutputText { text }),
            Some("refusal") => string("refusal").map(|refusal| Self::Refusal { refusal }),
            Some("input_image") => string("image_url").map(|image_url| Self::Image {
                image_url,
                detail: string("detail"),
            }),
            Some("input_audio") => Self::audio(&value),
            Some("input_file") if value.get("file_url").is_none() => Some(Self::File {
                file_data: string("file_data"),
                file_id: string("file_id"),
                filename: string("filename"),
            }),
            _ => None,
        };
        part.unwrap_or(Self::Unknown(value))
    }

    fn audio(value: &Value) -> Option<Self> {
        let audio = value.get("input_audio")?;
        let string = |key: &str| audio.get(key).and_then(Value::as_str).map(str::to_owned);
        Some(Self::Audio {
            data: string("data")?,
            format: string("format")?,
        })
    }

    fn to_value(&self) -> Value {
        match self {
            Self::InputText { text } => serde_json::json!({ "type": "input_text", "text": text }),
            Self::OutputText { text } => {
                serde_json::json!({ "type": "output_text", "text": text, "annotations": [] })
            }
            Self::Unknown(json) => json.clone(),
            Self::Refusal { refusal } => {
                serde_json::json!({ "type": "refusal", "refusal": refusal })
            }
            Self::Image { image_url, detail } => {
                serde_json::json!({ "type": "input_image", "image_url": image_url, "detail": detail.as_deref().unwrap_or("auto") })
            }
            Self::Audio { data, format } => {
                serde_json::json!({ "type": "input_audio", "input_audio": { "data": data, "format": format } })
            }
            Self::File {
                file_data,
                file_id,
                filename,
            } => {
                let mut file = Map::new();
                file.insert("type".to_owned(), "input_file".into());
                for (key, value) in [
                    ("file_data", file_data),
                    ("file_id", file_id),
                    ("filename", filename),
                ] {
                    if let Some(value) = value {
                        file.insert(key.to_owned(), value.as_str().into());
                    }
                }
                Value::Object(file)
            }
        }
    }
}

impl Serialize for Part {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::from_value)
    }
}
