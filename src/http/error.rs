//! What can go wrong between a request and the last byte of its answer.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use thiserror::Error;

use super::certificate::certificate_problem;
use crate::future::BoxError;
use crate::kind::ErrorKind;

/// Says why a request has no whole answer.
///
/// A target is `host:port`. No message holds a key, a query or a body; what another library said is the
/// [`source`](StdError::source).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The URL cannot be used; without user information and query.
    #[error("the URL {url:?} cannot be used: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A header has a name or value that HTTP does not allow. The value is not shown: it may be a key.
    #[error("the header {name:?} cannot be sent: {reason}")]
    Header {
        /// The name of the header.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The proxy setting cannot be used. The value is not shown: it may hold a password.
    #[error("the proxy of {setting} cannot be used: {reason}")]
    Proxy {
        /// The variable or option that names the proxy.
        setting: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There are no certificates to be trusted that can be used, which `https` needs.
    #[error("TLS cannot be set up: {reason}")]
    Tls {
        /// What is missing.
        reason: String,
    },
    /// No connection; the request was not sent.
    #[error("could not connect to {target}: {reason}")]
    Connect {
        /// `host:port`.
        target: String,
        /// What happened, in a few words.
        reason: String,
        /// The error of the connection.
        source: BoxError,
    },
    /// No connection through the proxy; the request was not sent.
    #[error("could not connect to {target} through the proxy {proxy} (of {setting}): {reason}")]
    ViaProxy {
        /// `host:port`.
        target: String,
        /// `host:port` of the proxy.
        proxy: String,
        /// The variable or option that names the proxy.
        setting: &'static str,
        /// What happened, in a few words.
        reason: String,
        /// The error of the connection.
        source: BoxError,
    },
    /// The certificate of the server is not to be trusted; the request was not sent.
    #[error("the certificate of {target} cannot be trusted: {problem}")]
    Certificate {
        /// `host:port`.
        target: String,
        /// What is wrong with it, and what can be done.
        problem: String,
        /// The error of the handshake.
        source: BoxError,
    },
    /// No connection within the connect time-out; the request was not sent.
    #[error(
        "could not connect to {target} within {limit:?} (`timeouts.connect_secs`, or `connect_timeout` of the client)"
    )]
    ConnectTimeout {
        /// `host:port`.
        target: String,
        /// The time-out.
        limit: Duration,
    },
    /// The connection broke before the head of the answer. Whether the request was seen is unknown.
    #[error("{target} did not answer: {reason}")]
    NoResponse {
        /// `host:port`.
        target: String,
        /// What happened, in a few words.
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
    /// The body ended before its end, or its framing is broken.
    #[error("the answer of {target} broke off after {n_bytes} bytes: {reason}")]
    BodyCut {
        /// `host:port`.
        target: String,
        /// How many bytes of the body had come.
        n_bytes: u64,
        /// What happened, in a few words.
        reason: String,
        /// The error of the connection.
        source: BoxError,
    },
    /// No event of a stream, or no head of any other answer, within the time-out for the first.
    #[error(
        "{target} did not begin to answer within {limit:?} (`timeouts.first_event_secs`, or `first_event_timeout` of the client)"
    )]
    FirstEventTimeout {
        /// `host:port`.
        target: String,
        /// The time-out.
        limit: Duration,
    },
    /// Silence within an answer for longer than the idle time-out.
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
    /// The server redirects, which is never followed: the key would go along.
    #[error("{target} redirects with status {status} to {}, which is not followed", to.as_deref().unwrap_or("nowhere"))]
    Redirect {
        /// `host:port`.
        target: String,
        /// The status.
        status: u16,
        /// Scheme, host and port of the new location, if it names them; else its path.
        to: Option<String>,
    },
    /// The body is compressed, which was not asked for.
    #[error(
        "the answer of {target} has the content encoding {encoding:?}, which was not asked for"
    )]
    ContentEncoding {
        /// `host:port`.
        target: String,
        /// The encoding that the server named.
        encoding: String,
    },
    /// The body is larger than the bound.
    #[error("the answer of {target} is larger than {max_bytes} bytes")]
    TooLarge {
        /// `host:port`.
        target: String,
        /// The bound.
        max_bytes: u64,
    },
}

impl HttpError {
    /// Gives the stable kind.
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

    /// Tells why there is no connection.
    pub(super) fn from_connect(
        target: String,
        connect_limit: Option<Duration>,
        error: BoxError,
    ) -> Self {
        // A proxy that cannot be used, say.
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

    /// Tells what became of a request that was to be sent over a connection.
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

    /// Tells how a body broke.
    pub(super) fn from_body(target: &str, n_bytes: u64, error: hyper::Error) -> Self {
        Self::BodyCut {
            target: target.to_owned(),
            n_bytes,
            reason: reason(&error),
            source: Box::new(error),
        }
    }
}

/// Marks, in a chain of foreign errors, that it was the connect time-out.
#[derive(Debug, Error)]
#[error("connect time-out")]
pub(super) struct ConnectTimedOut;

/// Notes, in a chain of foreign errors, that the connection was to go through a proxy.
#[derive(Debug, Error)]
#[error("through a proxy")]
pub(super) struct ViaProxy {
    pub(super) setting: &'static str,
    /// `host:port` of the proxy.
    pub(super) address: String,
    pub(super) source: BoxError,
}

/// Finds the error of a handshake, which an I/O error holds without naming it as its source.
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

/// The shortest true statement of a chain of errors: the kind of the I/O error, or what the innermost one says.
fn reason(error: &(dyn StdError + 'static)) -> String {
    let io_kind = chain(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
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
