//! Which names the server has, and the pages whose requests it takes.

use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri};

/// The names of this machine's loopback.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Decides about requests by their head alone, before anything else is looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    /// Further names, as `name` or `name:port`.
    pub(super) hosts: Vec<String>,
    /// Further origins.
    pub(super) origins: Vec<String>,
}

/// What of a request is not the server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Foreign {
    #[error("the Host of the request is not a name of this server")]
    Host,
    #[error("pages of this Origin may not use this server")]
    Origin,
}

impl Names {
    /// Whether the request is addressed to a name of the server and comes from no page, or from one that may ask.
    ///
    /// A name that an attacker can point to this machine is none of its names, which ends DNS rebinding.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Foreign> {
        let mut hosts = headers.get_all(HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok());
        let is_one = host.is_some() && hosts.next().is_none();
        let named = host
            .into_iter()
            .chain(uri.authority().map(Authority::as_str));
        if !is_one || !named.into_iter().all(|host| self.is_own(host)) {
            return Err(Foreign::Host);
        }
        let mut origins = headers.get_all(ORIGIN).iter();
        let may_ask = |origin: &str| self.may_ask(origin);
        if !origins.all(|origin| origin.to_str().is_ok_and(may_ask)) {
            return Err(Foreign::Origin);
        }
        Ok(())
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
        let Some(asking) = Page::parse(origin) else {
            return false;
        };
        let is_listed = |own: &String| Page::parse(own).is_some_and(|own| own == asking);
        self.is_own(asking.authority.as_str()) || self.origins.iter().any(is_listed)
    }
}

/// Where a page is from.
struct Page {
    scheme: String,
    authority: Authority,
    port: u16,
}

impl Page {
    fn parse(origin: &str) -> Option<Self> {
        let (scheme, host) = origin.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let default = match &*scheme {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let authority = authority(host)?;
        let port = authority.port_u16().unwrap_or(default);
        Some(Self {
            scheme,
            authority,
            port,
        })
    }
}

impl PartialEq for Page {
    fn eq(&self, other: &Self) -> bool {
        let (host, of_other) = (self.authority.host(), other.authority.host());
        self.scheme == other.scheme
            && host.eq_ignore_ascii_case(of_other)
            && self.port == other.port
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

#[cfg(test)]
mod tests;
