//! The parts of a tool's output that are not just text.

use serde_json::{Map, Value};

/// Holds one part of a tool's output: a text, an image or a file.
// It must not implement `Serialize`, for the reason given at `ToolOutput`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ToolContent {
    /// A text.
    Text(String),
    /// An image.
    Image {
        /// Where the image is.
        source: ImageSource,
        /// How closely the model looks at it; the server's choice if absent.
        detail: Option<ImageDetail>,
    },
    /// A file, such as a PDF.
    File {
        /// Where the file is.
        source: FileSource,
        /// The file's name.
        filename: Option<String>,
    },
    /// A part that this library does not know, word for word.
    Other(Value),
}

/// Says where an image is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImageSource {
    /// At an address, or inside a `data:` URL.
    Url(String),
    /// With the provider, under this id.
    FileId(String),
}

/// Says how closely a model looks at an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImageDetail {
    /// A small version is enough.
    Low,
    /// Every detail counts.
    High,
    /// The model decides.
    Auto,
}

/// Says where a file is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileSource {
    /// In these base64 data, usually as a `data:` URL.
    Data(String),
    /// At an address.
    Url(String),
    /// With the provider, under this id.
    FileId(String),
}

impl ToolContent {
    /// Makes a text part.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Makes a part of an image at an address.
    pub fn image_url(url: impl Into<String>) -> Self {
        Self::Image {
            source: ImageSource::Url(url.into()),
            detail: None,
        }
    }

    /// Makes a part of an image in base64, of a media type such as `image/png`.
    pub fn image_base64(media_type: &str, base64: &str) -> Self {
        Self::image_url(data_url(media_type, base64))
    }

    /// Makes a part of a file in base64, of a media type such as `application/pdf`.
    pub fn file_base64(filename: impl Into<String>, media_type: &str, base64: &str) -> Self {
        Self::File {
            source: FileSource::Data(data_url(media_type, base64)),
            filename: Some(filename.into()),
        }
    }

    /// Makes a part of a file at an address.
    pub fn file_url(url: impl Into<String>) -> Self {
        Self::File {
            source: FileSource::Url(url.into()),
            filename: None,
        }
    }

    /// Sets how closely the model looks at the image; without effect on other parts.
    #[must_use]
    pub fn with_detail(mut self, level: ImageDetail) -> Self {
        if let Self::Image { detail, .. } = &mut self {
            *detail = Some(level);
        }
        self
    }

    /// Returns the part in the shape of the Responses API.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => object(&[("type", Some("input_text")), ("text", Some(text))]),
            Self::Image { source, detail } => {
                let (key, value) = match source {
                    ImageSource::Url(url) => ("image_url", url),
                    ImageSource::FileId(id) => ("file_id", id),
                };
                object(&[
                    ("type", Some("input_image")),
                    (key, Some(value)),
                    ("detail", detail.map(ImageDetail::as_str)),
                ])
            }
            Self::File { source, filename } => {
                let (key, value) = match source {
                    FileSource::Data(data) => ("file_data", data),
                    FileSource::Url(url) => ("file_url", url),
                    FileSource::FileId(id) => ("file_id", id),
                };
                object(&[
                    ("type", Some("input_file")),
                    (key, Some(value)),
                    ("filename", filename.as_deref()),
                ])
            }
            Self::Other(json) => json.clone(),
        }
    }

    /// Reads what [`to_json`](Self::to_json) writes; anything else is kept as [`Other`](Self::Other).
    pub fn from_json(json: Value) -> Self {
        match Self::decode(&json) {
            // A part with fields beyond the known ones would lose them in the typed form.
            Some(part) if part.to_json() == json => part,
            _ => Self::Other(json),
        }
    }

    pub(super) fn is_part(json: &Value) -> bool {
        field(json, "type").is_some_and(|kind| kind.starts_with("input_"))
    }

    pub(super) fn n_bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Image { source, .. } => match source {
                ImageSource::Url(text) | ImageSource::FileId(text) => text.len(),
            },
            Self::File { source, filename } => {
                let (FileSource::Data(text) | FileSource::Url(text) | FileSource::FileId(text)) =
                    source;
                text.len() + filename.as_ref().map_or(0, String::len)
            }
            Self::Other(json) => json.to_string().len(),
        }
    }

    fn decode(json: &Value) -> Option<Self> {
        let text = |key| field(json, key).map(str::to_owned);
        match field(json, "type")? {
            "input_text" => text("text").map(Self::Text),
            "input_image" => Some(Self::Image {
                source: text("image_url")
                    .map(ImageSource::Url)
                    .or_else(|| text("file_id").map(ImageSource::FileId))?,
                detail: field(json, "detail").and_then(ImageDetail::parse),
            }),
            "input_file" => Some(Self::File {
                source: text("file_data")
                    .map(FileSource::Data)
                    .or_else(|| text("file_url").map(FileSource::Url))
                    .or_else(|| text("file_id").map(FileSource::FileId))?,
                filename: text("filename"),
            }),
            _ => None,
        }
    }
}

impl ImageDetail {
    /// Returns the name that the wire uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::High => "high",
            Self::Auto => "auto",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Low, Self::High, Self::Auto]
            .into_iter()
            .find(|detail| detail.as_str() == name)
    }
}

fn data_url(media_type: &str, base64: &str) -> String {
    format!("data:{media_type};base64,{base64}")
}

fn field<'a>(json: &'a Value, key: &str) -> Option<&'a str> {
    json.get(key).and_then(Value::as_str)
}

fn object(fields: &[(&str, Option<&str>)]) -> Value {
    let fields = fields.iter().filter_map(|&(key, value)| {
        value.map(|value| (key.to_owned(), Value::String(value.to_owned())))
    });
    Value::Object(fields.collect::<Map<_, _>>())
}
