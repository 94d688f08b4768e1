//! Errors in the shape of OpenAI's API.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{ACCEPT, ACCEPT_ENCODING, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use super::allowed_hosts::OriginError;
use super::kept::Why;
use crate::error::{RunError, error_chain};
use crate::kind::ErrorKind;
use crate::session::SessionError;

/// An error of a request.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ApiError {
    pub(super) status: u16,
    /// A stable name: OpenAI's where it has one, otherwise that of the error kind.
    pub(super) code: Cow<'static, str>,
    pub(super) message: String,
    /// The parameter that is wrong.
    pub(super) param: Option<String>,
    pub(super) retry_after: Option<Duration>,
    /// Whether a run had begun, so that asking again would do it all again.
    pub(super) has_run: bool,
    /// What a body must be that was not.
    pub(super) expected: Option<Expected>,
}

/// What the body of a request must be; a header of the answer says it to programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    Json,
    KnownCoding,
}

impl ApiError {
    pub(super) fn new(
        status: u16,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
            param: None,
            retry_after: None,
            has_run: false,
            expected: None,
        }
    }

    /// A value that is wrong.
    pub(super) fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(400, "invalid_value", message).about(param)
    }

    /// Something that is not done here, rather than left out silently.
    pub(super) fn unsupported(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(400, "unsupported_parameter", message).about(param)
    }

    pub(super) fn about(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    pub(super) fn full() -> Self {
        Self {
            retry_after: Some(Duration::from_secs(1)),
            ..Self::new(
                429,
                "rate_limit_exceeded",
                "as many runs as are allowed go on already",
            )
        }
    }

    pub(super) fn closing() -> Self {
        Self::new(503, "server_closing", "the server is shutting down")
    }

    /// As many requests as there may be are under way.
    pub(super) fn busy() -> Self {
        Self {
            retry_after: Some(Duration::from_secs(1)),
            ..Self::new(
                503,
                "server_busy",
                "as many requests as are allowed are under way",
            )
        }
    }

    /// There is no memory for the body of one more request.
    pub(super) fn busy_with_bodies() -> Self {
        let message = "as much memory for bodies of requests as is allowed is taken (`server.max_bodies_bytes`)";
        Self {
            retry_after: Some(Duration::from_secs(1)),
            ..Self::new(503, "server_busy", message)
        }
    }

    pub(super) fn unsupported_media_type(found: &str) -> Self {
        let message = format!(
            "the body must be JSON, and its `Content-Type` must say `application/json`; it says {found}"
        );
        Self {
            expected: Some(Expected::Json),
            ..Self::new(415, "unsupported_media_type", message)
        }
    }

    pub(super) fn unsupported_coding(found: &str) -> Self {
        let found: String = found.chars().take(100).collect();
        let message = format!(
            "the body may be sent as it is, or with `Content-Encoding: gzip`; it is coded as `{found}`"
        );
        Self {
            expected: Some(Expected::KnownCoding),
            ..Self::new(415, "unsupported_encoding", message)
        }
    }

    pub(super) fn foreign(foreign: &OriginError) -> Self {
        let code = match foreign {
            OriginError::Host { .. } => "forbidden_host",
            OriginError::Origin { .. } => "forbidden_origin",
        };
        Self::new(403, code, foreign.to_string())
    }

    pub(super) fn no_token() -> Self {
        Self::new(
            401,
            "invalid_api_key",
            "the token is missing or wrong; send it as `Authorization: Bearer`",
        )
    }

    pub(super) fn of_run(error: &RunError) -> Self {
        let status = match error.failure() {
            _ if error.status() == Some(429) => 429,
            // Not the model's server is busy, but this one.
            _ if error.kind() == ErrorKind::LimitExceeded && error.retry_after().is_some() => 503,
            _ => error.kind().http_status(),
        };
        Self {
            retry_after: error.retry_after(),
            has_run: true,
            ..Self::new(status, error.kind().as_str(), error_chain(error))
        }
    }

    pub(super) fn of_session(error: &SessionError) -> Self {
        let kind = error.kind();
        let status = match error {
            SessionError::Dropped { .. } => 410,
            _ => kind.http_status(),
        };
        Self::new(status, kind.as_str(), error_chain(error))
    }

    /// Something that was kept is not any more, or never was.
    pub(super) fn not_kept(what: &str, dropped: Option<Why>) -> Self {
        match dropped {
            Some(why) => {
                let message = format!("{what} is not kept any more: {}", why.as_str());
                Self::new(410, "gone", message)
            }
            None => Self::new(404, "not_found", format!("there is no {what}")),
        }
    }

    /// The error object, as OpenAI has it.
    pub(super) fn to_json(&self) -> Value {
        let kind = match self.status {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            499 => "cancelled",
            502 | 504 => "upstream_error",
            400..=498 => "invalid_request_error",
            _ => "server_error",
        };
        json!({"message": self.message, "type": kind, "param": self.param, "code": self.code})
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let mut response = super::reply::json(self.status, &json!({"error": self.to_json()}));
        let headers = response.headers_mut();
        if let Some(wait) = self.retry_after {
            let seconds = wait
                .as_secs()
                .saturating_add(u64::from(wait.subsec_nanos() > 0));
            headers.insert("retry-after", HeaderValue::from(seconds));
        }
        // OpenAI's clients ask again after some statuses, which would make the tool calls of a run again.
        if self.has_run {
            headers.insert("x-should-retry", HeaderValue::from_static("false"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        let (name, value) = match self.expected {
            None => return response,
            Some(Expected::Json) => (ACCEPT, "application/json"),
            Some(Expected::KnownCoding) => (ACCEPT_ENCODING, "gzip, identity"),
        };
        headers.insert(name, HeaderValue::from_static(value));
        response
    }
}
