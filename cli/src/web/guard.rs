//! What every request passes first: who asks, by which name, from which page, and whether there is room.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONNECTION, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use openai_agents::Secret;
use openai_agents::config::ServerConfig;
use subtle::ConstantTimeEq as _;

use super::Work;
use super::work::Busy;

/// The names of this machine's loopback, as they stand in a URL.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Decides which requests are let through.
#[derive(Clone)]
pub(crate) struct Guard {
    hosts: Arc<[String]>,
    token: Option<Secret>,
    work: Work,
}

/// Why a request is refused.
enum Refusal {
    Host,
    Origin,
    Token,
    Busy(Busy),
}

impl Guard {
    pub(super) fn new(config: &ServerConfig, work: Work) -> Self {
        Self {
            hosts: hosts(config).into(),
            token: config.token.clone(),
            work,
        }
    }

    /// A page in a browser can send requests to this machine, but cannot choose their `Host` and `Origin`.
    fn check(&self, request: &Request) -> Result<(), Refusal> {
        let headers = request.headers();
        let authority = request.uri().authority().map(Authority::as_str);
        let host = text_of(headers, HOST.as_str()).or(authority);
        if !host.is_some_and(|host| self.is_known(host)) {
            return Err(Refusal::Host);
        }
        if headers.contains_key(ORIGIN) {
            let origin = text_of(headers, ORIGIN.as_str());
            let host = origin.and_then(|origin| Some(origin.split_once("://")?.1));
            if !host.is_some_and(|host| self.is_known(host)) {
                return Err(Refusal::Origin);
            }
        }
        match &self.token {
            Some(token) if request.uri().path() != "/healthz" && !brings(headers, token) => {
                Err(Refusal::Token)
            }
            _ => Ok(()),
        }
    }

    /// Whether a host, perhaps with a port, is one of ours.
    fn is_known(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => name,
            _ => host,
        };
        self.hosts
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// Lets a request through, or answers it.
pub(super) async fn pass(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    if let Err(refusal) = guard.check(&request) {
        return refusal.into_response();
    }
    // What is only listened to is no work; its number is bounded by that of the sessions.
    if *request.method() != Method::POST {
        return next.run(request).await;
    }
    match guard.work.begin() {
        Ok(under_way) => next
            .run(request)
            .await
            .map(|body| under_way.until_end_of(body)),
        Err(busy) => Refusal::Busy(busy).into_response(),
    }
}

impl Refusal {
    fn into_response(self) -> Response {
        const CLOSE: &str = "close";
        match self {
            Self::Host => (StatusCode::FORBIDDEN, "this Host is not served here\n").into_response(),
            Self::Origin => (
                StatusCode::FORBIDDEN,
                "pages of this Origin are not served\n",
            )
                .into_response(),
            Self::Token => {
                let challenge = [(WWW_AUTHENTICATE, "Bearer")];
                (StatusCode::UNAUTHORIZED, challenge, "a token is needed\n").into_response()
            }
            Self::Busy(Busy::Full) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too many requests are under way\n",
            )
                .into_response(),
            Self::Busy(Busy::Ending) => (
                StatusCode::SERVICE_UNAVAILABLE,
                [(CONNECTION, CLOSE)],
                "the server is ending\n",
            )
                .into_response(),
        }
    }
}

/// Every name by which the server may be asked for.
pub(crate) fn hosts(config: &ServerConfig) -> Vec<String> {
    let mut hosts: Vec<String> = LOOPBACK.map(str::to_owned).to_vec();
    match config.bind.ip() {
        address if address.is_unspecified() => {}
        IpAddr::V4(address) => hosts.push(address.to_string()),
        IpAddr::V6(address) => hosts.push(format!("[{address}]")),
    }
    hosts.extend(config.allowed_hosts.iter().cloned());
    hosts
}

fn text_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The time that it takes tells nothing of the token but its length.
fn brings(headers: &HeaderMap, token: &Secret) -> bool {
    let brought = text_of(headers, AUTHORIZATION.as_str()).and_then(|text| text.split_once(' '));
    brought.is_some_and(|(scheme, brought)| {
        scheme.eq_ignore_ascii_case("bearer")
            && bool::from(brought.as_bytes().ct_eq(token.expose().as_bytes()))
    })
}
