//! The sources that a model names for its text.

use std::ops::Range;

use serde_json::Value;

use super::{Item, ItemKind};

/// A source that the model names for a part of its text.
///
/// A page that it found on the web is one.
///
/// ```
/// use openai_agents::Item;
/// use openai_agents::item::AnnotationSource;
///
/// let item = Item::from_json(
///     r#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"It rains [1].","annotations":[
///         {"type":"url_citation","start_index":9,"end_index":12,"url":"https://weather.example/","title":"Weather"}]}]}"#,
/// )?;
/// for annotation in item.annotations() {
///     if let AnnotationSource::Url { url, .. } = &annotation.source {
///         assert_eq!((annotation.range, url.as_str()), (Some(9..12), "https://weather.example/"));
///     }
/// }
/// # Ok::<(), openai_agents::item::ItemError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Annotation {
    /// The place of the text among the parts of the message, from 0.
    pub part_idx: usize,
    /// Which letters of that text it is for, if the server says so.
    ///
    /// OpenAI counts Unicode characters, not bytes; one place without a length is an empty range.
    pub range: Option<Range<usize>>,
    /// What is named.
    pub source: AnnotationSource,
}

/// What an [`Annotation`] names.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum AnnotationSource {
    /// A page of the web (`url_citation`).
    Url {
        /// Its address.
        url: String,
        /// Its title.
        title: Option<String>,
    },
    /// A file that was searched (`file_citation`).
    File {
        /// Its id at the provider.
        file_id: String,
        /// Its name.
        filename: Option<String>,
    },
    /// A file in a container of the provider, in which the model ran code (`container_file_citation`).
    ContainerFile {
        /// The id of the container.
        container_id: String,
        /// The id of the file.
        file_id: String,
        /// Its name.
        filename: Option<String>,
    },
    /// A file that the model made (`file_path`).
    FilePath {
        /// Its id at the provider.
        file_id: String,
    },
    /// Another kind, or one that lacks what it is named by.
    ///
    /// It is the annotation as the server sent it.
    Unknown(Value),
}

impl Item {
    /// Returns the sources that a message of the model names, in order.
    ///
    /// There are none for any other item.
    ///
    /// They are read from the item's JSON, in which they stay as they are.
    pub fn annotations(&self) -> Vec<Annotation> {
        // Most messages have none, which their text tells without being parsed.
        let json = self.to_json();
        if !matches!(self.kind(), ItemKind::Message(_)) || !json.contains("\"annotations\"") {
            return Vec::new();
        }
        let Ok(Value::Object(mut message)) = serde_json::from_str(json) else {
            return Vec::new();
        };
        let Some(Value::Array(parts)) = message.remove("content") else {
            return Vec::new();
        };
        let of_part = |(part_idx, mut part): (usize, Value)| {
            let annotations = part.get_mut("annotations").map(Value::take);
            let annotations = match annotations {
                Some(Value::Array(annotations)) => annotations,
                _ => Vec::new(),
            };
            annotations
                .into_iter()
                .map(move |json| Annotation::read(part_idx, json))
        };
        parts.into_iter().enumerate().flat_map(of_part).collect()
    }
}

impl Annotation {
    fn read(part_idx: usize, json: Value) -> Self {
        let place = |key: &str| {
            let place = json.get(key).and_then(Value::as_u64);
            place.and_then(|place| usize::try_from(place).ok())
        };
        let begin = place("start_index").or_else(|| place("index"));
        let end = place("end_index").or(begin);
        let range = begin.zip(end).filter(|(begin, end)| begin <= end);
        Self {
            part_idx,
            range: range.map(|(begin, end)| begin..end),
            source: AnnotationSource::read(&json).unwrap_or(AnnotationSource::Unknown(json)),
        }
    }
}

impl AnnotationSource {
    fn read(json: &Value) -> Option<Self> {
        let text = |key: &str| json.get(key).and_then(Value::as_str).map(str::to_owned);
        Some(match json.get("type")?.as_str()? {
            "url_citation" => Self::Url {
                url: text("url")?,
                title: text("title"),
            },
            "file_citation" => Self::File {
                file_id: text("file_id")?,
                filename: text("filename"),
            },
            "container_file_citation" => Self::ContainerFile {
                container_id: text("container_id")?,
                file_id: text("file_id")?,
                filename: text("filename"),
            },
            "file_path" => Self::FilePath {
                file_id: text("file_id")?,
            },
            _ => return None,
        })
    }
}
