//! Decides by `Host` and `Origin` who may ask, before anything else of a request is read.

use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Uri};

/// The names of this machine's loopback.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The names by which programs in containers and virtual machines reach their host: Docker's two, Podman's, Lima's.
///
/// The zone `.internal` is reserved and is never delegated in the public DNS, so that nobody can point these names at this machine to get
/// past the check (DNS rebinding). A resolver that lies about them could; so they are names for programs only, and a page that was
/// loaded from one may not ask: see [`AllowedHosts::check`].
const CONTAINER_HOSTS: [&str; 4] = [
    "host.docker.internal",
    "gateway.docker.internal",
    "host.containers.internal",
    "host.lima.internal",
];

/// Decides about requests by their head alone, before anything else is looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct AllowedHosts {
    /// Further names, as `name` or `name:port`.
    pub(super) hosts: Vec<String>,
    /// Origins of pages that may ask beside the server's own.
    pub(super) origins: Vec<String>,
}

/// Who asks, as far as the head of the request says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Caller {
    /// A program, or a page that was loaded from this server.
    Own,
    /// A page of a listed origin, which is to be told that it may read the answer.
    Listed(HeaderValue),
}

/// What of a request is not the server's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum OriginError {
    #[error(
        "the Host `{host}` is not a name of this server; `server.allowed_hosts` of the configuration (`allow_host` of the library) lists \
         further names"
    )]
    Host { host: String },
    #[error(
        "pages of the Origin `{origin}` may not use this server; `server.allowed_origins` of the configuration (`allow_origin` of the \
         library) lists those that may"
    )]
    Origin { origin: String },
}

impl AllowedHosts {
    /// Finds out who asks, if the request is addressed to a name of the server and comes from no foreign page.
    ///
    /// A page may ask if it was loaded from the very address that it asks, or if its origin is listed. Another port of this machine is
    /// another program, whose pages are foreign. A name that an attacker can point to this machine is none of its names, which ends DNS
    /// rebinding.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<Caller, OriginError> {
        let mut hosts = headers.get_all(HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok());
        // Two `Host` headers are a request that two programs may read differently, so neither is
        // taken.
        let (Some(host), None) = (host, hosts.next()) else {
            return Err(foreign_host(host.unwrap_or_default()));
        };
        // A request may name its host in its first line as well, as those to a proxy do. Both have
        // to be ours.
        for named in uri
            .authority()
            .map(Authority::as_str)
            .into_iter()
            .chain([host])
        {
            if !self.is_own(named) {
                return Err(foreign_host(named));
            }
        }
        let mut origins = headers.get_all(ORIGIN).iter();
        // Browsers send `Origin` with every POST, and with each GET whose answer another page could
        // read.
        let Some(origin) = origins.next() else {
            return Ok(Caller::Own);
        };
        if origins.next().is_some() {
            return Err(foreign_origin("several"));
        }
        let Ok(text) = origin.to_str() else {
            return Err(foreign_origin("not text"));
        };
        let asking = Origin::parse(text).ok_or_else(|| foreign_origin(text))?;
        let is_listed = |own: &String| Origin::parse(own).as_ref() == Some(&asking);
        if self.origins.iter().any(is_listed) {
            return Ok(Caller::Listed(origin.clone()));
        }
        if asking.is_of_host(host) && !is_one_of(&CONTAINER_HOSTS, asking.authority.host()) {
            return Ok(Caller::Own);
        }
        Err(foreign_origin(text))
    }

    /// Returns a listed origin that no browser sends, so that listing it allows nothing.
    pub(super) fn wrong_origin(&self) -> Option<&str> {
        let wrong = self.origins.iter().find(|own| Origin::parse(own).is_none());
        wrong.map(String::as_str)
    }

    fn is_own(&self, host: &str) -> bool {
        let Some(authority) = authority(host) else {
            return false;
        };
        let name = authority.host();
        let is_listed =
            |own: &String| own.eq_ignore_ascii_case(host) || own.eq_ignore_ascii_case(name);
        is_one_of(&LOOPBACK, name)
            || is_one_of(&CONTAINER_HOSTS, name)
            || self.hosts.iter().any(is_listed)
    }
}

fn foreign_host(host: &str) -> OriginError {
    let host = excerpt(host);
    OriginError::Host { host }
}

fn foreign_origin(origin: &str) -> OriginError {
    let origin = excerpt(origin);
    OriginError::Origin { origin }
}

/// Returns the beginning of a header, which is visible ASCII already.
fn excerpt(header: &str) -> String {
    header.chars().take(100).collect()
}

/// Where a page is from: scheme, host and port.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    scheme: String,
    authority: Authority,
    port: u16,
}

impl Origin {
    /// Reads an origin as browsers send it, such as `https://example.com`; nothing may follow the port.
    pub(super) fn parse(origin: &str) -> Option<Self> {
        let (scheme, host) = origin.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let default = default_port(&scheme)?;
        // It would be a pattern, which nothing here is.
        let authority = authority(host).filter(|host| !host.as_str().contains('*'))?;
        let port = authority.port_u16().unwrap_or(default);
        Some(Self {
            scheme,
            authority,
            port,
        })
    }

    /// Whether a page of this origin was loaded from the address that this `Host` names.
    ///
    /// The scheme is the page's: a proxy in front of the server may speak TLS.
    fn is_of_host(&self, host: &str) -> bool {
        let (Some(asked), Some(default)) = (authority(host), default_port(&self.scheme)) else {
            return false;
        };
        asked.host().eq_ignore_ascii_case(self.authority.host())
            && asked.port_u16().unwrap_or(default) == self.port
    }
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        let (host, of_other) = (self.authority.host(), other.authority.host());
        self.scheme == other.scheme
            && host.eq_ignore_ascii_case(of_other)
            && self.port == other.port
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

fn authority(host: &str) -> Option<Authority> {
    let authority = host.parse::<Authority>().ok()?;
    // Nor is a name before an `@` a host, whoever reads it as one.
    let port = host.strip_prefix(authority.host())?;
    let is_port = port.is_empty() || authority.port_u16().is_some();
    is_port.then_some(authority)
}

fn is_one_of(names: &[&str], name: &str) -> bool {
    names.iter().any(|own| own.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests;
