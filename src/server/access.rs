//! Who may connect: the names of the server, the pages whose requests it takes, and a token.

use std::hint::black_box;

use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri};

use crate::secret::Secret;

/// The names of this machine's loopback.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Decides about requests by their head alone, before anything else is looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Access {
    /// Further names, as `name` or `name:port`.
    pub(super) hosts: Vec<String>,
    /// Further origins.
    pub(super) origins: Vec<String>,
    pub(super) token: Option<Secret>,
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Host,
    Origin,
    Token,
}

impl Access {
    /// Whether the request is addressed to a name of the server and comes from no page, or from one that may ask.
    ///
    /// A name that an attacker can point to this machine is none of its names, which ends DNS rebinding.
    pub(super) fn check_names(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut hosts = headers.get_all(HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok());
        let is_one = host.is_some() && hosts.next().is_none();
        let named = host
            .into_iter()
            .chain(uri.authority().map(Authority::as_str));
        if !is_one || !named.into_iter().all(|host| self.is_own(host)) {
            return Err(Refusal::Host);
        }
        let mut origins = headers.get_all(ORIGIN).iter();
        let may_ask = |origin: &str| self.may_ask(origin);
        if !origins.all(|origin| origin.to_str().is_ok_and(may_ask)) {
            return Err(Refusal::Origin);
        }
        Ok(())
    }

    /// Whether the request has the token, in the header `Authorization: Bearer` and nowhere else.
    pub(super) fn check_token(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(token) = &self.token else {
            return Ok(());
        };
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (value, None) = (values.next(), values.next()) else {
            return Err(Refusal::Token);
        };
        let given = value.and_then(|value| value.as_bytes().split_at_checked(7));
        match given {
            Some((scheme, given)) if scheme.eq_ignore_ascii_case(b"bearer ") => {
                if is_same(given, token.expose().as_bytes()) {
                    return Ok(());
                }
                Err(Refusal::Token)
            }
            _ => Err(Refusal::Token),
        }
    }

    fn is_own(&self, host: &str) -> bool {
        let Some(authority) = authority(host) else {
            return false;
        };
        let name = authority.host();
        let is_listed =
            |own: &String| own.eq_ignore_ascii_case(host) || own.eq_ignore_ascii_case(name);
        is_loopback(name) || self.hosts.iter().any(is_listed)
    }

    fn may_ask(&self, origin: &str) -> bool {
        let Some(("http" | "https", host)) = origin.split_once("://") else {
            return false;
        };
        let is_listed = |own: &String| own.eq_ignore_ascii_case(origin);
        authority(host).is_some_and(|host| is_loopback(host.host()))
            || self.origins.iter().any(is_listed)
    }
}

fn authority(host: &str) -> Option<Authority> {
    let authority = host.parse::<Authority>().ok()?;
    // Nor is a name before an `@` a host, whoever reads it as one.
    let port = host.strip_prefix(authority.host())?;
    let is_port = port.is_empty() || authority.port_u16().is_some();
    is_port.then_some(authority)
}

fn is_loopback(name: &str) -> bool {
    LOOPBACK.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// Compares in a time that depends on the lengths only.
fn is_same(given: &[u8], token: &[u8]) -> bool {
    let differs = |differs, (a, b): (&u8, &u8)| black_box(differs | (a ^ b));
    given.len() == token.len() && given.iter().zip(token).fold(0, differs) == 0
}

#[cfg(test)]
mod tests;
