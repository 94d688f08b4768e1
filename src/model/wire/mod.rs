//! The wires: values into JSON, bytes into events; pure, with no socket and no clock.

mod body;
mod budget;
mod deviations;
mod object;
mod usage;
pub(crate) mod chat;
pub(crate) mod responses;
pub(crate) mod harmony;
#[cfg(feature = "realtime")]
pub(crate) mod realtime;
mod server_error;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::item::Item;
use crate::kind::ErrorKind;
use crate::model::{
    Deviation, Dialect, FinishReason, ModelError, ModelEvent, Received, ResponseEnd,
};
use crate::secret::CUT_MARK;

pub(crate) use budget::{AnswerLimits, append, too_large};
pub(crate) use server_error::ServerError;

/// What decoding needs to know of the request that is answered, and of the server.
#[derive(Debug, Clone)]
pub(crate) struct DecodeContext {
    /// The turn of the run; ids that the server leaves out are made from it.
    pub(crate) turn: u32,
    pub(crate) dialect: Arc<Dialect>,
    pub(crate) limits: AnswerLimits,
    /// What of the request could not be sent as it was.
    pub(crate) deviations: Vec<Deviation>,
}

impl DecodeContext {
    pub(crate) const fn new(turn: u32, dialect: Arc<Dialect>, limits: AnswerLimits) -> Self {
        Self {
            turn,
            dialect,
            limits,
            deviations: Vec::new(),
        }
    }

    /// Understands the server's word for the end of an answer; the field that it stands in is for the error.
    ///
    /// # Errors
    ///
    /// `truncated`, `content_filter` and `stream_error` for words that mean that, `unknown_finish_reason` for any other: no text of
    /// such an answer is a final one, and no call of it runs.
    pub(crate) fn check_end(&self, field: &str, word: &str) -> Result<FinishReason, ModelError> {
        let says = format!("({field} `{}`)", excerpt(word));
        let (kind, message) = match self.dialect.finish_reason(word) {
            Some(end @ (FinishReason::Complete | FinishReason::ToolCalls)) => return Ok(end),
            Some(FinishReason::Truncated) => (
                ErrorKind::Truncated,
                format!(
                    "the answer was cut by its length limit {says}: raise max_tokens or the server's own limit"
                ),
            ),
            Some(FinishReason::Filtered) => (
                ErrorKind::ContentFilter,
                format!("the provider cut the answer {says}"),
            ),
            Some(FinishReason::Failed) => (
                ErrorKind::StreamError,
                format!("the server ended the answer by an error {says}"),
            ),
            None => (
                ErrorKind::UnknownFinishReason,
                format!(
                    "nobody knows whether the answer is complete {says}: `dialect.finish_reasons` can say what the word means"
                ),
            ),
        };
        Err(ModelError::new(kind, message))
    }
}

/// Understands the answer to one request, whole or event by event.
pub(crate) trait Answer: Send + Unpin + 'static {
    /// Decodes the body of a successful response.
    fn decode(&mut self, body: &[u8]) -> Result<(Vec<Item>, ResponseEnd), ModelError>;

    /// Takes one server-sent event and appends what it means.
    fn take(
        &mut self,
        name: &str,
        data: &[u8],
        out: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError>;

    /// Takes one server-sent event; an error carries what was received before it.
    fn event(
        &mut self,
        name: &str,
        data: &[u8],
        out: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        self.take(name, data, out).map_err(|error| {
            if *error.received() == Received::default() {
                error.with_received(self.take_received())
            } else {
                error
            }
        })
    }

    /// Takes the end of the body, which came before the answer was complete.
    fn end(&mut self, out: &mut VecDeque<ModelEvent>) -> Result<(), ModelError>;

    /// Says whether the answer is complete; what comes after is not part of it.
    fn is_done(&self) -> bool;

    /// Gives what was received so far, for an error, behind which nothing can follow.
    fn take_received(&mut self) -> Received;
}

/// The most of a server's words that an error repeats, in bytes.
const MAX_EXCERPT: usize = 600;

/// Cuts a text to what an error may repeat.
pub(crate) fn excerpt(text: &str) -> String {
    if text.len() <= MAX_EXCERPT {
        return text.to_owned();
    }
    let mut end = MAX_EXCERPT;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!(
        "{}{CUT_MARK}{} bytes)",
        text.get(..end).unwrap_or_default(),
        text.len()
    )
}

/// Reads received bytes as text.
pub(crate) fn text_of(data: &[u8]) -> Result<&str, ModelError> {
    std::str::from_utf8(data).map_err(|error| {
        let start = String::from_utf8_lossy(
            data.get(..error.valid_up_to().min(MAX_EXCERPT))
                .unwrap_or_default(),
        )
        .into_owned();
        ModelError::new(
            ErrorKind::InvalidUtf8,
            format!("the server sent bytes that are not UTF-8 after {start:?}"),
        )
        .with_source(error)
    })
}

/// Reads received JSON; the error says what was wrong with it and repeats its beginning.
fn parse<'de, T: serde::Deserialize<'de>>(json: &'de str) -> Result<T, ModelError> {
    serde_json::from_str(json).map_err(|error| json_error(&error, json))
}

fn json_error(error: &serde_json::Error, json: &str) -> ModelError {
    let says = error.to_string();
    let kind = match error.classify() {
        serde_json::error::Category::Data if says.starts_with("missing field") => {
            ErrorKind::MissingField
        }
        serde_json::error::Category::Data if says.starts_with("more than") => {
            ErrorKind::LimitExceeded
        }
        serde_json::error::Category::Data => ErrorKind::WrongType,
        _ if says.starts_with("recursion limit exceeded") => ErrorKind::LimitExceeded,
        _ => ErrorKind::InvalidJson,
    };
    ModelError::new(
        kind,
        format!(
            "the server's JSON cannot be read: {says}, in: {}",
            excerpt(json)
        ),
    )
}

#[cfg(test)]
mod tests;
