//! Fields of a request's body that go out word for word, in place of what the settings would say.

use std::sync::Arc;

use serde_json::Value;

/// Where in an item's `provider_data` the fields stand that a chat message has and an item has no place for.
pub(crate) const CHAT_FIELDS: &str = "chat_fields";

/// Where in a call's `provider_data` the fields stand that a chat server puts beside it.
pub(crate) const CALL_FIELDS: &str = "tool_call";

/// The settings of a request in the words of whoever asked for them.
///
/// They say nothing that the settings beside them do not say, so two settings that differ in this only are equal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Verbatim(pub(crate) Option<Arc<VerbatimFields>>);

/// What was asked for in the words of each API: a wire takes its own list, and says nothing else under these names.
#[derive(Debug, Clone, Default)]
pub(crate) struct VerbatimFields {
    /// For the chat API.
    pub(crate) chat: Vec<VerbatimField>,
    /// For the Responses API.
    pub(crate) responses: Vec<VerbatimField>,
    /// For raw completions.
    pub(crate) completions: Vec<VerbatimField>,
}

/// A field of a body and what is said under its name.
#[derive(Debug, Clone)]
pub(crate) struct VerbatimField {
    pub(crate) name: String,
    pub(crate) word: Word,
}

/// What is said under a name.
#[cfg_attr(
    not(feature = "server"),
    expect(dead_code, reason = "only the server speaks for clients")
)]
#[derive(Debug, Clone)]
pub(crate) enum Word {
    /// This value; an object is laid over the object that the settings would say.
    Value(Value),
    /// Nothing, whatever the settings say.
    LeftOut,
    /// It cannot be said in this API, and leaving it out would change what was asked for.
    Unsupported,
}

impl PartialEq for Verbatim {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

#[cfg(feature = "server")]
impl VerbatimField {
    pub(crate) fn new(name: impl Into<String>, word: Word) -> Self {
        Self {
            name: name.into(),
            word,
        }
    }
}
