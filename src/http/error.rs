//! The errors between a request and the last byte of its answer.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use thiserror::Error;

use super::certificate::certificate_problem;
use crate::future::BoxError;
use crate::kind::ErrorKind;

/// Says why a request has no complete answer.
///
/// `target` is `host:port`. No message contains a key, a query or a body. The error of another library is the
/// [`source`](StdError::source).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The URL cannot be used. It is shown without user information and query.
    #[error("the URL {url:?} cannot be used: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A header has a name or value that HTTP does not allow.
    ///
    /// The value is not shown: it may be a key.
    #[error("the header {name:?} cannot be sent: {reason}")]
    Header {
        /// The name of the header.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The proxy setting cannot be used.
    ///
    /// The value is not shown: it may hold a password.
    #[error("the proxy of {setting} cannot be used: {reason}")]
    Proxy {
        /// The variable or option that names the proxy.
        setting: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No trusted certificates can be loaded, which `https` needs.
    #[error("TLS cannot be set up: {reason}")]
    Tls {
        /// What is missing.
        reason: String,
    },
    /// The connection failed; the request was not sent.
    #[error("could not connect to {target}: {reason}")]
    Connect {
        /// `host:port`.
        target: String,
        /// The reason in a few words.
        reason: String,
        /// The error of the connection.
        source: BoxError,
    },
    /// The connection through the proxy failed; the request was not sent.
    #[error("could not connect to {target} through the proxy {proxy} (of {setting}): {reason}")]
    ViaProxy {
        /// `host:port`.
        target: String,
        /// `host:port` of the proxy.
        proxy: String,
        /// The variable or option that names the proxy.
        setting: &'static str,
        /// The reason in a few words.
        reason: String,
        /// The error of the connection.
        source: BoxError,
    },
    /// The certificate of the server is not trusted; the request was not sent.
    #[error("the certificate of {target} cannot be trusted: {problem}")]
    Certificate {
        /// `host:port`.
        target: String,
        /// What is wrong with it, and how to trust it.
        problem: String,
        /// The error of the handshake.
        source: BoxError,
    },
    /// The connect time-out elapsed; the request was not sent.
    #[error(
        "could not connect to {target} within {limit:?} (`timeouts.connect_secs`, or `connect_timeout` of the client)"
    )]
    ConnectTimeout {
        /// `host:port`.
        target: String,
        /// The time-out.
        limit: Duration,
    },
    /// The connection broke before the head of the answer.
    ///
    /// The server may have seen the request.
    #[error("{target} did not answer: {reason}")]
    NoResponse {
        /// `host:port`.
        target: String,
        /// The reason in a few words.
        reason: String,
        /// The error of the connection.
        source: BoxError,
    },
    /// The head of the answer is not HTTP.
    #[error("{target} did not answer in HTTP: {reason}")]
    NotHttp {
        /// `host:port`.
        target: String,
        /// What is wrong with it.
        reason: String,
        /// The error of the parser.
        source: BoxError,
    },
    /// The body was cut off, or its framing is broken.
    #[error("the answer of {target} broke off after {n_bytes} bytes: {reason}")]
    BodyCut {
        /// `host:port`.
        target: String,
        /// The bytes of the body that were received.
        n_bytes: u64,
        /// The reason in a few words.
        reason: String,
        /// The error of the connection.
        source: BoxError,
    },
    /// A stream's first event, or another answer's head, did not come in time.
    #[error(
        "{target} did not begin to answer within {limit:?} (`timeouts.first_event_secs`, or `first_event_timeout` of the client)"
    )]
    FirstEventTimeout {
        /// `host:port`.
        target: String,
        /// The time-out.
        limit: Duration,
    },
    /// The server was silent within an answer for longer than the idle time-out.
    #[error(
        "nothing more came from {target} for {limit:?} (`timeouts.idle_secs`, or `idle_timeout` of the client)"
    )]
    IdleTimeout {
        /// `host:port`.
        target: String,
        /// The time-out.
        limit: Duration,
    },
    /// The answer was not complete within the total time-out.
    #[error(
        "the answer of {target} was not complete within {limit:?} (`timeouts.total_secs`, or `total_timeout` of the client)"
    )]
    TotalTimeout {
        /// `host:port`.
        target: String,
        /// The time-out.
        limit: Duration,
    },
    /// The server redirects.
    ///
    /// Redirects are never followed, because the key would be sent to the new address.
    #[error("{target} redirects with status {status} to {}, which is not followed", to.as_deref().unwrap_or("nowhere"))]
    Redirect {
        /// `host:port`.
        target: String,
        /// The status.
        status: u16,
        /// Scheme, host and port of the new location, or its path if it has none.
        to: Option<String>,
    },
    /// The body is compressed, although no compression was requested.
    #[error(
        "the answer of {target} has the content encoding {encoding:?}, which was not asked for"
    )]
    ContentEncoding {
        /// `host:port`.
        target: String,
        /// The encoding that the server named.
        encoding: String,
    },
    /// The body is larger than the limit.
    #[error("the answer of {target} is larger than {max_bytes} bytes")]
    TooLarge {
        /// `host:port`.
        target: String,
        /// The limit.
        max_bytes: u64,
    },
}

impl HttpError {
    /// Returns the stable kind.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Url { .. } | Self::Header { .. } | Self::Proxy { .. } | Self::Tls { .. } => {
                ErrorKind::Config
            }
            Self::Connect { .. }
            | Self::ViaProxy { .. }
            | Self::Certificate { .. }
            | Self::NoResponse { .. }
            | Self::NotHttp { .. }
            | Self::BodyCut { .. } => ErrorKind::Transport,
            Self::ConnectTimeout { .. } => ErrorKind::TimeoutConnect,
            Self::FirstEventTimeout { .. } | Self::IdleTimeout { .. } => ErrorKind::TimeoutIdle,
            Self::TotalTimeout { .. } => ErrorKind::TimeoutTotal,
            Self::Redirect { .. } => ErrorKind::Redirect,
            Self::ContentEncoding { .. } => ErrorKind::ContentEncoding,
            Self::TooLarge { .. } => ErrorKind::LimitExceeded,
        }
    }

    /// Makes the error for a connection that failed.
    pub(super) fn from_connect(
        target: String,
        connect_limit: Option<Duration>,
        error: BoxError,
    ) -> Self {
        // Already one of ours, such as a proxy that cannot be used.
        let source = match error.downcast::<Self>() {
            Ok(known) => return *known,
            Err(other) => other,
        };
        if let (Some(_), Some(limit)) = (find::<ConnectTimedOut>(&*source), connect_limit) {
            return Self::ConnectTimeout { target, limit };
        }
        if let Some(problem) = find_tls(&*source).and_then(certificate_problem) {
            return Self::Certificate {
                target,
                problem,
                source,
            };
        }
        let reason = reason(&*source);
        match find::<ViaProxy>(&*source) {
            Some(ViaProxy {
                setting, address, ..
            }) => Self::ViaProxy {
                target,
                proxy: address.clone(),
                setting,
                reason,
                source,
            },
            None => Self::Connect {
                target,
                reason,
                source,
            },
        }
    }

    /// Makes the error for a request that has no answer.
    pub(super) fn from_request(target: String, error: hyper::Error) -> Self {
        let (reason, is_parse) = (reason(&error), error.is_parse());
        let source = Box::new(error);
        if is_parse {
            Self::NotHttp {
                target,
                reason,
                source,
            }
        } else {
            Self::NoResponse {
                target,
                reason,
                source,
            }
        }
    }

    /// Makes the error for a body that broke off.
    pub(super) fn from_body(target: &str, n_bytes: u64, error: hyper::Error) -> Self {
        Self::BodyCut {
            target: target.to_owned(),
            n_bytes,
            reason: reason(&error),
            source: Box::new(error),
        }
    }
}

/// Marks the connect time-out in a chain of foreign errors.
#[derive(Debug, Error)]
#[error("connect time-out")]
pub(super) struct ConnectTimedOut;

/// Marks, in a chain of foreign errors, that the connection went through a proxy.
#[derive(Debug, Error)]
#[error("through a proxy")]
pub(super) struct ViaProxy {
    pub(super) setting: &'static str,
    /// `host:port` of the proxy.
    pub(super) address: String,
    pub(super) source: BoxError,
}

/// Finds the error of a handshake. An I/O error contains it, but does not give it as its source.
fn find_tls<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    chain(error).find_map(|cause| {
        let mut inside: &(dyn StdError + 'static) = cause;
        loop {
            if let Some(found) = inside.downcast_ref() {
                return Some(found);
            }
            inside = inside.downcast_ref::<io::Error>()?.get_ref()?;
        }
    })
}

fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    chain(error).find_map(|cause| cause.downcast_ref())
}

/// Returns the shortest description of a chain of errors: the kind of the I/O error, or the message
/// of the innermost error.
fn reason(error: &(dyn StdError + 'static)) -> String {
    let io_kind = chain(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        // Only errors of the system. An I/O error that wraps another one has a kind that says less
        // than the inner message.
        .filter(|cause| cause.raw_os_error().is_some())
        .last()
        .map(io::Error::kind);
    match io_kind {
        Some(kind) => kind.to_string(),
        None => chain(error)
            .last()
            .map_or_else(String::new, ToString::to_string),
    }
}

fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |cause: &&'a (dyn StdError + 'static)| {
        (*cause).source()
    })
}
