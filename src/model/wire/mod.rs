#![doc = include_str!("../../docs/back_end.md")]

mod body;
mod budget;
mod deviations;
mod json_index;
mod raw_json;
mod readable;
mod object;
mod usage;
pub(crate) mod chat;
pub(crate) mod responses;
pub(crate) mod harmony;
#[cfg(feature = "realtime")]
pub(crate) mod realtime;
mod server_error;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::http::{Headers, HttpError};
use crate::kind::ErrorKind;
use crate::model::{
    Delivery, Deviation, Dialect, FinishReason, ModelError, ModelEvent, ModelRequest, Received,
};
use crate::secret::{CUT_MARK, Secret};

pub use budget::{ResponseBudget, ResponseLimits};
pub(crate) use budget::{append, too_large};
pub(crate) use server_error::ServerError;

/// Translates between this crate's values and one HTTP API of a model server.
///
/// A wire is pure: it has no socket, no clock and no state of a request. Whoever holds it (an
/// [`HttpModel`](crate::model::HttpModel)) calls it from many requests at once.
///
/// The module's page has the whole contract and an example.
pub trait Wire: Send + Sync + 'static {
    /// Returns the path below the base URL, such as `chat/completions`; it may have a query.
    ///
    /// It is asked once for each delivery when the model is built.
    fn path(&self, model: &str, delivery: Delivery) -> Cow<'_, str>;

    /// Sets the headers that every request has; by default the key as a bearer token.
    ///
    /// `content-type: application/json` and a `user-agent` are there already. What the application sets with
    /// [`HttpModelBuilder::header`](crate::model::HttpModelBuilder::header) comes later and wins.
    ///
    /// # Errors
    ///
    /// When a name or a value cannot be sent.
    fn set_headers(&self, headers: &mut Headers, key: Option<&Secret>) -> Result<(), HttpError> {
        match key {
            Some(key) => headers.insert_bearer(key),
            None => Ok(()),
        }
    }

    /// Checks the wire's own settings, once, when the model is built.
    ///
    /// # Errors
    ///
    /// When they cannot be used together.
    fn check(&self) -> Result<(), ModelError> {
        Ok(())
    }

    /// Encodes the body of a request to a model.
    ///
    /// # Errors
    ///
    /// `unsupported` for an item, a tool or a setting that the API has no word for: nothing is left out silently.
    fn encode(&self, model: &str, request: &ModelRequest) -> Result<Bytes, ModelError>;

    /// Begins to decode the response to a request.
    fn decoder(&self, request: &ModelRequest, limits: ResponseLimits) -> Box<dyn ResponseDecoder>;

    /// Whether requests are logged, pretty-printed and without secrets, at `debug`; not by default.
    fn logs_requests(&self) -> bool {
        false
    }
}

/// Decodes one response: either one whole body, or the events of one stream.
///
/// It appends to `events` what the bytes mean. A response is complete when it has appended
/// [`ModelEvent::ResponseDone`], which is the last event; nothing is asked of it afterwards. After an error it is asked for
/// [`take_received`](Self::take_received) only.
pub trait ResponseDecoder: Send {
    /// Decodes the body of a response that was asked for whole ([`Delivery::Whole`]).
    ///
    /// It appends every item and the end. Deltas may be appended, for a decoder that reads both deliveries alike: they
    /// are dropped.
    ///
    /// # Errors
    ///
    /// Whatever keeps the body from being one complete answer.
    fn on_body(&mut self, body: &[u8], events: &mut VecDeque<ModelEvent>)
    -> Result<(), ModelError>;

    /// Decodes one server-sent event; its name is empty if the server gave none.
    ///
    /// # Errors
    ///
    /// What is wrong with it, or the error that the server reports by it.
    fn on_event(
        &mut self,
        name: &str,
        data: &[u8],
        events: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError>;

    /// Decides about a stream whose body ended before the response was complete.
    ///
    /// # Errors
    ///
    /// `no_terminal_event`, unless what came before says that the answer was complete.
    fn on_end(&mut self, events: &mut VecDeque<ModelEvent>) -> Result<(), ModelError>;

    /// Returns how many bytes it keeps of the answer by now.
    ///
    /// They are counted as a [`ResponseBudget`] counts them.
    ///
    /// By them the answers under way are bounded in sum ([`MemoryLimit`](crate::model::MemoryLimit)); 0, the default, counts nothing.
    fn n_kept_bytes(&self) -> usize {
        0
    }

    /// Returns what was received so far, for the error that ended the response.
    fn take_received(&mut self) -> Received;
}

/// What the decoders of this crate need to know of the request and the server.
#[derive(Debug, Clone)]
pub(crate) struct DecodeContext {
    /// The turn of the run; ids that the server leaves out are made from it.
    pub(crate) turn: u32,
    pub(crate) dialect: Arc<Dialect>,
    pub(crate) limits: ResponseLimits,
    /// What of the request could not be sent as it was.
    pub(crate) deviations: Vec<Deviation>,
}

impl DecodeContext {
    pub(crate) const fn new(turn: u32, dialect: Arc<Dialect>, limits: ResponseLimits) -> Self {
        Self {
            turn,
            dialect,
            limits,
            deviations: Vec::new(),
        }
    }
}

/// Understands the server's word for the end of an answer.
///
/// It goes by the dialect's own words and those of many vendors.
///
/// `field` is where the word stands, for the error.
///
/// # Errors
///
/// `truncated`, `content_filter` and `stream_error` for words that mean that, `unknown_finish_reason` for a word that
/// nobody knows. No text of such an answer is a final one and no call of it runs, so a decoder must not complete it.
pub fn check_finish_reason(
    dialect: &Dialect,
    field: &str,
    word: &str,
) -> Result<FinishReason, ModelError> {
    let says = || format!("({field} `{}`)", excerpt(word));
    let (kind, message) = match dialect.finish_reason(word) {
        Some(end @ (FinishReason::Complete | FinishReason::ToolCalls)) => return Ok(end),
        Some(FinishReason::Truncated) => (
            ErrorKind::Truncated,
            format!(
                "the answer was cut by its length limit {}: raise max_tokens or the server's own limit",
                says()
            ),
        ),
        Some(FinishReason::Filtered) => (
            ErrorKind::ContentFilter,
            format!("the provider cut the answer {}", says()),
        ),
        Some(FinishReason::Failed) => (
            ErrorKind::StreamError,
            format!("the server ended the answer by an error {}", says()),
        ),
        None => (
            ErrorKind::UnknownFinishReason,
            format!(
                "nobody knows whether the answer is complete {}: `dialect.finish_reasons` can say what the word means",
                says()
            ),
        ),
    };
    Err(ModelError::new(kind, message))
}

/// Makes the error of a failure that the server reports in its own words.
///
/// The usual shapes are read: OpenAI's `error` object, a flat `message`, the `detail` of `FastAPI`, plain text.
pub fn server_error(kind: ErrorKind, body: &[u8]) -> ModelError {
    ServerError::from_body(body).into_error(kind)
}

/// The most of a server's words that an error repeats, in bytes.
const MAX_EXCERPT: usize = 600;

/// Cuts a text to what an error may repeat, 600 bytes.
pub fn excerpt(text: &str) -> String {
    if text.len() <= MAX_EXCERPT {
        return text.to_owned();
    }
    // A byte index can fall inside a character, and slicing there would panic.
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

/// Reads received JSON.
///
/// # Errors
///
/// `invalid_utf8`, `invalid_json`, `missing_field`, `wrong_type` or `limit_exceeded` (nested too deep); the message
/// says where, and repeats the beginning.
pub fn parse_json<'de, T: serde::Deserialize<'de>>(data: &'de [u8]) -> Result<T, ModelError> {
    parse(text_of(data)?)
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
    // serde_json has one error type, so its words are all that tells these cases apart.
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
