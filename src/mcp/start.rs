//! Explains why a server could not be started or reached, for the person who can mend it.

use std::error::Error;

use hyper::header::{InvalidHeaderName, InvalidHeaderValue};
use rmcp::service::{ClientInitializeError, ServiceError};
use rmcp::transport::DynamicTransportError;

use super::McpError;
use super::backend::Fault;
use super::connection::Remains;
use super::frames::is_unreadable;
use crate::error::error_chain;
use crate::http::HttpError;
use crate::secret::Redactor;

/// Why a connection could not be made.
#[derive(Debug)]
pub(super) enum StartError {
    Handshake(Box<ClientInitializeError>),
    Unauthorized(String),
    Other(Box<dyn Error + Send + Sync>),
}

impl StartError {
    pub(super) fn into_error(
        self,
        server: String,
        redactor: &Redactor,
        remains: Remains,
    ) -> McpError {
        let reason = match self {
            Self::Unauthorized(reason) => {
                let reason = redactor.redact(&reason).into_owned();
                return McpError::Unauthorized { server, reason };
            }
            Self::Handshake(error) => match error.auth_challenge() {
                Some(challenge) => {
                    let reason = redactor.redact(challenge).into_owned();
                    return McpError::Unauthorized { server, reason };
                }
                None => match (&*error, remains.end) {
                    (
                        ClientInitializeError::ConnectionClosed(_)
                        | ClientInitializeError::TransportError { .. },
                        Some(end),
                    ) => {
                        format!("it ended {end} before it had answered")
                    }
                    (error, _) => of_handshake(error),
                },
            },
            Self::Other(error) => error_chain(&*error),
        };
        McpError::Connect {
            server,
            reason: redactor.redact(&reason).into_owned(),
            stderr: remains.stderr,
        }
    }
}

fn of_handshake(error: &ClientInitializeError) -> String {
    match error {
        ClientInitializeError::TransportError { error, .. } => of_transport(error),
        // Both had an answer; the second is to the question that every version knows.
        ClientInitializeError::LegacyFallbackFailed { discover, fallback } => {
            let (first, second) = (of_handshake(discover), of_handshake(fallback));
            if first == second {
                return second;
            }
            format!("{second} (to `initialize`; to `server/discover`, {first})")
        }
        ClientInitializeError::JsonRpcError(error) if is_unreadable(error) => {
            format!("it answered with {}", error.message)
        }
        ClientInitializeError::JsonRpcError(error) => {
            format!("it refused: {} (code {})", error.message, error.code.0)
        }
        ClientInitializeError::ConnectionClosed(_) => {
            "it closed its output before it had answered".to_owned()
        }
        ClientInitializeError::NoCompatibleProtocolVersion {
            client_supported,
            server_supported,
        } => {
            let listed = |versions: &[rmcp::model::ProtocolVersion]| {
                let versions: Vec<_> = versions.iter().map(ToString::to_string).collect();
                versions.join(", ")
            };
            let (ours, theirs) = (listed(client_supported), listed(server_supported));
            format!("it speaks versions {theirs} of the protocol, none of {ours}")
        }
        ClientInitializeError::ExpectedInitResponse(_)
        | ClientInitializeError::ExpectedInitResult(_)
        | ClientInitializeError::ConflictInitResponseId(..)
        | ClientInitializeError::UncorrelatedErrorResponse { .. } => {
            "it answered with something that is no answer to the handshake".to_owned()
        }
        error => error_chain(error),
    }
}

/// Says why a request failed.
pub(super) fn words_of(error: &ServiceError) -> String {
    match error {
        ServiceError::TransportSend(error) => of_transport(error),
        ServiceError::InputRequiredRoundsExceeded { max_rounds } => {
            format!("it asked for input {max_rounds} times in a row, and gave no result")
        }
        error => error_chain(error),
    }
}

/// Whether the server has forgotten the session, in which nothing can succeed any more.
pub(super) fn is_session_lost(error: &ServiceError) -> bool {
    let ServiceError::TransportSend(error) = error else {
        return false;
    };
    matches!(fault_of(error), Some(Fault::SessionExpired))
}

fn of_transport(error: &DynamicTransportError) -> String {
    match fault_of(error) {
        Some(Fault::Client(error)) => error_chain(error),
        Some(Fault::SessionExpired) => {
            "it does not know the session any more (HTTP 404); connect anew".to_owned()
        }
        Some(Fault::TransportChannelClosed) => "the connection is closed".to_owned(),
        Some(Fault::ControlRequestTimeout) => "it did not take a message".to_owned(),
        Some(error) => error_chain(error),
        None => error_chain(&*error.error),
    }
}

/// Finds what our own HTTP client said.
fn fault_of(error: &DynamicTransportError) -> Option<&Fault> {
    let mut source: Option<&(dyn Error + 'static)> = Some(&*error.error);
    while let Some(current) = source {
        if let Some(fault) = current.downcast_ref::<Fault>() {
            return Some(fault);
        }
        source = current.source();
    }
    None
}

impl From<ClientInitializeError> for StartError {
    fn from(error: ClientInitializeError) -> Self {
        Self::Handshake(Box::new(error))
    }
}

macro_rules! other_errors {
    ($($error:ty),+) => {
        $(impl From<$error> for StartError {
            fn from(error: $error) -> Self {
                Self::Other(Box::new(error))
            }
        })+
    };
}

other_errors!(HttpError, InvalidHeaderName, InvalidHeaderValue);
