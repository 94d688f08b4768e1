//! The deviations of a server that were tolerated, each kind listed once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::redaction::ServerSecrets;
use crate::model::Deviation;

/// How many deviations of one server are kept.
const MAX_DEVIATIONS: usize = 200;
/// How many bytes of a value are quoted.
const MAX_QUOTED_BYTES: usize = 200;

/// The deviations of one server.
#[derive(Debug)]
pub(super) struct Deviations {
    server: String,
    secrets: Arc<ServerSecrets>,
    listed: Mutex<DeviationSet>,
}

#[derive(Debug, Default)]
struct DeviationSet {
    /// The code and the place, without the numbers of list elements.
    known: HashSet<(&'static str, String)>,
    deviations: Vec<Deviation>,
}

/// What is different.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Difference {
    /// A field has a value of another type than the protocol gives it.
    WrongType,
    /// A field that can be left out is there and says nothing.
    Null,
    /// A field that the protocol asks for is not there.
    Missing,
    /// A field that the protocol does not know.
    UnknownField,
    /// A value that the protocol does not know, such as a type of content.
    UnknownValue,
    /// A key stands more than once.
    RepeatedKey,
    /// An entry of a list cannot be used and is left out.
    LeftOut,
    /// Something stands between the messages.
    StrayOutput,
    /// A tool is not what it was when it was listed before.
    ToolChanged,
}

impl Difference {
    const fn code(self) -> &'static str {
        match self {
            Self::WrongType => "mcp_wrong_type",
            Self::Null => "mcp_null",
            Self::Missing => "mcp_missing_field",
            Self::UnknownField => "mcp_unknown_field",
            Self::UnknownValue => "mcp_unknown_value",
            Self::RepeatedKey => "mcp_repeated_key",
            Self::LeftOut => "mcp_left_out",
            Self::StrayOutput => "mcp_stray_output",
            Self::ToolChanged => "mcp_tool_changed",
        }
    }
}

impl Deviations {
    pub(super) fn new(server: &str, secrets: Arc<ServerSecrets>) -> Self {
        Self {
            server: server.to_owned(),
            secrets,
            listed: Mutex::default(),
        }
    }

    /// Lists what is different at a place, unless it is known of the same place in another element of a list.
    ///
    /// A field that the protocol does not know is what its next version may have, so that only the log of `debug` tells of it.
    pub(super) fn note(&self, difference: Difference, place: &str, detail: &str) {
        let code = difference.code();
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        if listed.deviations.len() >= MAX_DEVIATIONS
            || !listed.known.insert((code, without_numbers(place)))
        {
            return;
        }
        let detail = self.secrets.redactor().redact(detail).into_owned();
        let server = &self.server;
        if difference == Difference::UnknownField {
            tracing::debug!(target: "openai_agents::mcp", server, code, "{detail}");
        } else {
            tracing::warn!(target: "openai_agents::mcp", server, code, "{detail}");
        }
        listed.deviations.push(Deviation::new(code, detail));
    }

    pub(super) fn all(&self) -> Vec<Deviation> {
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        listed.deviations.clone()
    }
}

/// Quotes a value word for word, up to a bound.
pub(super) fn quoted(value: &Value) -> String {
    excerpt(&value.to_string(), MAX_QUOTED_BYTES)
}

/// Quotes the beginning of a text.
pub(super) fn excerpt(text: &str, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return text.to_owned();
    }
    let mut end = max_bytes;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let kept = text.get(..end).unwrap_or_default();
    format!("{kept}... ({} bytes)", text.len())
}

/// Makes `tools[3].icons[0]` of one tool and `tools[7].icons[1]` of another the same place.
fn without_numbers(place: &str) -> String {
    let mut kept = String::with_capacity(place.len());
    let mut is_inside = false;
    for c in place.chars() {
        match c {
            '[' => is_inside = true,
            ']' => is_inside = false,
            _ => {}
        }
        if !(is_inside && c.is_ascii_digit()) {
            kept.push(c);
        }
    }
    kept
}
