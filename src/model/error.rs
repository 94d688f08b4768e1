//! What can go wrong between a request and its answer.

#[cfg(feature = "http")]
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::kind::ErrorKind;

/// A model call that failed.
///
/// [`kind`](Self::kind) says what to do about it; the message holds the server's own words, as far as there are any. What had
/// been received before a stream failed is in [`received`](Self::received).
pub struct ModelError(Box<ModelErrorParts>);

struct ModelErrorParts {
    kind: ErrorKind,
    message: String,
    status: Option<u16>,
    code: Option<String>,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    received: Received,
    unreachable: Option<Unreachable>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// Names what kept a connection from being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unreachable {
    /// The server, or the way to it.
    Server,
    /// The proxy, or what it said.
    Proxy,
    /// The server's certificate.
    Certificate,
}

/// What had been received when a call failed; never a whole answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// The text so far.
    pub text: String,
    /// The reasoning so far.
    pub reasoning: String,
}

impl ModelError {
    /// Makes an error; the message is in lower case, without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(ModelErrorParts {
            kind,
            message: message.into(),
            status: None,
            code: None,
            request_id: None,
            retry_after: None,
            received: Received::default(),
            unreachable: None,
            source: None,
        }))
    }

    /// Adds the status of the HTTP response.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Adds the server's error code.
    #[must_use]
    pub fn with_code(mut self, code: Option<String>) -> Self {
        self.0.code = code;
        self
    }

    /// Adds the server's id of the request.
    #[must_use]
    pub fn with_request_id(mut self, request_id: Option<String>) -> Self {
        self.0.request_id = request_id;
        self
    }

    /// Adds how long the server asks to wait.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.0.retry_after = retry_after;
        self
    }

    /// Adds what had been received.
    ///
    /// Of an answer that was too large (`limit_exceeded`) it adds only the beginning.
    #[must_use]
    pub fn with_received(mut self, mut received: Received) -> Self {
        /// Errors are copied and printed; all of an answer that was too large would be too large there as well.
        const MAX_BYTES: usize = 64 * 1024;
        if self.0.kind == ErrorKind::LimitExceeded {
            for text in [&mut received.text, &mut received.reasoning] {
                let mut end = MAX_BYTES.min(text.len());
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                text.truncate(end);
                text.shrink_to_fit();
            }
        }
        self.0.received = received;
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    /// Takes over the cause of an error whose own words stand in the message already.
    #[cfg(feature = "http")]
    pub(crate) fn with_cause_of(mut self, error: crate::http::HttpError) -> Self {
        use crate::http::HttpError;
        self.0.unreachable = match error {
            HttpError::Connect { .. } | HttpError::ConnectTimeout { .. } => {
                Some(Unreachable::Server)
            }
            HttpError::ViaProxy { .. } => Some(Unreachable::Proxy),
            HttpError::Certificate { .. } => Some(Unreachable::Certificate),
            _ => None,
        };
        self.0.source = match error {
            HttpError::Connect { source, .. }
            | HttpError::ViaProxy { source, .. }
            | HttpError::Certificate { source, .. }
            | HttpError::NoResponse { source, .. }
            | HttpError::NotHttp { source, .. }
            | HttpError::BodyCut { source, .. } => Some(source),
            _ => None,
        };
        self
    }

    /// Says what went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the status of the HTTP response, if an error status was the reason.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// Returns the server's error code, such as `rate_limit_exceeded`.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// Returns the server's id of the request, to tell its operator.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Says how long the server asks to wait before another try.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Returns what had been received; never a whole answer.
    pub fn received(&self) -> &Received {
        &self.0.received
    }

    /// Says whether no connection could be made.
    ///
    /// So the server saw nothing of the request.
    pub fn is_unreachable(&self) -> bool {
        self.0.unreachable.is_some()
    }

    /// Says what kept the connection from being made, if none could be.
    pub fn unreachable(&self) -> Option<Unreachable> {
        self.0.unreachable
    }

    /// Removes secrets from everything that the server said.
    #[cfg(feature = "http")]
    #[must_use]
    pub(crate) fn redacted(mut self, redactor: &crate::secret::Redactor) -> Self {
        let parts = &mut *self.0;
        redactor.redact_in(&mut parts.message);
        // They end where the answer broke off, perhaps inside a secret.
        for text in [&mut parts.received.text, &mut parts.received.reasoning] {
            // They may be as large as an answer may be: no copy, if there is nothing to take out.
            if let Cow::Owned(redacted) = redactor.redact_cut(text) {
                *text = redacted;
            }
        }
        for text in [&mut parts.code, &mut parts.request_id]
            .into_iter()
            .flatten()
        {
            redactor.redact_in(text);
        }
        self
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = &self.0;
        f.debug_struct("ModelError")
            .field("kind", &parts.kind)
            .field("message", &parts.message)
            .field("status", &parts.status)
            .field("code", &parts.code)
            .field("request_id", &parts.request_id)
            .field("retry_after", &parts.retry_after)
            .field("received", &parts.received)
            .field("source", &parts.source)
            .finish()
    }
}

impl Error for ModelError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&**self.0.source.as_ref()?)
    }
}
