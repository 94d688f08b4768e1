//! The content that the suite looks for.

use openai_agents::mcp::{McpContent, McpResourceContent};

/// A red pixel.
pub(crate) const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
/// A wave file without a sample.
pub(crate) const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA=";

pub(crate) fn image() -> McpContent {
    McpContent::image("image/png", PNG)
}

pub(crate) fn audio() -> McpContent {
    McpContent::audio("audio/wav", WAV)
}

pub(crate) fn resource(uri: &str, text: &str) -> McpContent {
    let content = McpResourceContent::text(uri, text).media_type("text/plain");
    McpContent::from(content)
}
