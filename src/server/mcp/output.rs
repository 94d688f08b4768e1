//! Converts the output of a tool to content of the protocol.

use rmcp::model::ContentBlock;
use serde_json::{Value, json};

use crate::mcp::convert;
use crate::tools::{FileSource, ImageSource, ToolContent, ToolOutput};

/// Turns an output into content.
///
/// A part of another kind that is content of the protocol, such as a sound or a resource, is passed on as it is.
pub(super) fn content(output: &ToolOutput) -> Vec<ContentBlock> {
    match output {
        ToolOutput::Text(text) => vec![ContentBlock::text(text)],
        ToolOutput::Parts(parts) => parts.iter().map(part).collect(),
    }
}

fn part(part: &ToolContent) -> ContentBlock {
    match part {
        ToolContent::Text(text) => ContentBlock::text(text),
        ToolContent::Image {
            source: ImageSource::Url(url),
            ..
        } => match data_url(url) {
            Some((media_type, data)) => ContentBlock::image(data, media_type),
            None => link(url),
        },
        ToolContent::File {
            source: FileSource::Data(url),
            filename,
        } => match data_url(url) {
            Some((media_type, data)) => file(filename.as_deref(), media_type, data),
            None => text_of(part),
        },
        ToolContent::File {
            source: FileSource::Url(url),
            ..
        } => link(url),
        ToolContent::Other(json) => convert(json).unwrap_or_else(|_| text_of(part)),
        // What only the provider of a model knows by its id.
        ToolContent::Image { .. } | ToolContent::File { .. } => text_of(part),
    }
}

fn text_of(part: &ToolContent) -> ContentBlock {
    ContentBlock::text(part.to_json().to_string())
}

fn link(url: &str) -> ContentBlock {
    content_of(&json!({"type": "resource_link", "uri": url, "name": url}))
}

fn file(name: Option<&str>, media_type: &str, data: &str) -> ContentBlock {
    let uri = format!("attachment:{}", name.unwrap_or("file"));
    content_of(&json!({
        "type": "resource",
        "resource": {"uri": uri, "mimeType": media_type, "blob": data},
    }))
}

/// Reads content that is written here.
fn content_of(json: &Value) -> ContentBlock {
    let text = json.to_string();
    convert(json).unwrap_or_else(|_| ContentBlock::text(text))
}

/// Takes `data:<media type>;base64,<data>` apart.
fn data_url(url: &str) -> Option<(&str, &str)> {
    url.strip_prefix("data:")?.split_once(";base64,")
}
