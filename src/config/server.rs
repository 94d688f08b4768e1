//! Reads the section `server`: the address that the program serves at, and who may connect.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::ConfigError;
use super::fields::{Fields, Keys};
use crate::Secret;

const SERVER: Keys = Keys {
    known: &[
        "bind",
        "token",
        "allowed_hosts",
        "allowed_origins",
        "max_body_bytes",
        "max_bodies_bytes",
        "body_timeout_secs",
        "max_connections",
        "max_requests",
        "max_runs",
        "max_waiting_runs",
        "max_events",
        "max_kept",
        "max_kept_bytes",
        "max_kept_secs",
        "max_realtime_sessions",
    ],
    unsupported: &[],
};

/// Says at which address the program serves, and who may connect.
///
/// An address other than that of the loopback needs a token. One that means all interfaces also
/// needs `allowed_hosts`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The address to listen on; `127.0.0.1:8080` by default.
    pub bind: SocketAddr,
    /// The bearer token that every request must have; at least 16 bytes.
    pub token: Option<Secret>,
    /// The `Host` names to accept, beside those of the loopback and the address itself.
    pub allowed_hosts: Vec<String>,
    /// The origins of pages that may send requests, such as `https://example.com`, beside the server's own.
    pub allowed_origins: Vec<String>,
    /// The limits.
    pub limits: ServerLimits,
}

/// Holds the limits of a server.
///
/// What is not set has the default of the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerLimits {
    /// The largest body of a request in bytes, after decompression.
    pub max_body_bytes: Option<usize>,
    /// The most bytes of all bodies together, until their requests and runs are over.
    pub max_bodies_bytes: Option<usize>,
    /// The longest time for the body of a request to arrive.
    pub body_timeout: Option<Duration>,
    /// The most connections.
    pub max_connections: Option<usize>,
    /// The most requests at once that do work; those that only listen are not counted.
    pub max_requests: Option<u32>,
    /// The most runs at once.
    pub max_runs: Option<usize>,
    /// The most runs that wait for their turn, beside these.
    pub max_waiting_runs: Option<usize>,
    /// The most events that are kept of the runs of a session.
    pub max_events: Option<usize>,
    /// The most runs, responses and conversations that are kept, of each kind.
    pub max_kept: Option<usize>,
    /// The most bytes of everything that is kept.
    pub max_kept_bytes: Option<usize>,
    /// How long a thing is kept after it was last asked for.
    pub max_kept_age: Option<Duration>,
    /// The most realtime sessions at once.
    pub max_realtime_sessions: Option<usize>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            bind: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080),
            token: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            limits: ServerLimits::default(),
        }
    }
}

pub(super) fn server(parent: &mut Fields<'_>) -> Result<ServerConfig, ConfigError> {
    let Some(node) = parent.take("server") else {
        return Ok(ServerConfig::default());
    };
    let path = parent.path_of("server");
    let mut fields = Fields::new(&path, node, SERVER, parent.settings())?;
    let (bind_origin, token_origin) = (fields.origin_of("bind"), fields.origin_of("token"));
    let mut server = ServerConfig::default();
    if let Some(text) = fields.text("bind")? {
        server.bind = text.parse().map_err(|_| {
            let expected = "an address with a port, such as 127.0.0.1:8080 or [::1]:8080";
            fields.invalid("bind", expected, bind_origin.clone())
        })?;
    }
    server.token = fields.secret("token")?;
    server.allowed_hosts = fields.texts("allowed_hosts")?.unwrap_or_default();
    server.allowed_origins = origins(&mut fields)?;
    server.limits = limits(&mut fields)?;
    let token = server.token.as_ref().map(Secret::expose);
    if token.is_some_and(|token| token.len() < 16) {
        return Err(fields.invalid("token", "at least 16 bytes long", token_origin));
    }
    let address = server.bind.ip();
    // Anyone on the network could start runs, with the tools and the keys of this machine.
    if !address.is_loopback() && token.is_none() {
        let expected =
            "an address of this machine's loopback, unless `server.token` says who may connect";
        return Err(fields.invalid("bind", expected, bind_origin));
    }
    // `Host` is compared against DNS rebinding: a page can point its own name at this machine.
    // `0.0.0.0` says nothing about the names that are right.
    if address.is_unspecified() && server.allowed_hosts.is_empty() {
        let expected =
            "one address, unless `server.allowed_hosts` names what the machine is reached by";
        return Err(fields.invalid("bind", expected, bind_origin));
    }
    Ok(server)
}

/// Reads origins as browsers send them: scheme, host and port. A text with more would never match
/// one.
fn origins(fields: &mut Fields<'_>) -> Result<Vec<String>, ConfigError> {
    const KEY: &str = "allowed_origins";
    let origin = fields.origin_of(KEY);
    let origins = fields.texts(KEY)?.unwrap_or_default();
    let is_origin = |text: &String| {
        let host = text
            .strip_prefix("https://")
            .or(text.strip_prefix("http://"));
        host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', '?', '#', '@', ' ']))
    };
    if origins.iter().all(is_origin) {
        return Ok(origins);
    }
    let expected =
        "a list of origins such as https://example.com, with nothing behind host and port";
    Err(fields.invalid(KEY, expected, origin))
}

fn limits(fields: &mut Fields<'_>) -> Result<ServerLimits, ConfigError> {
    Ok(ServerLimits {
        max_body_bytes: size(fields, "max_body_bytes")?,
        max_bodies_bytes: size(fields, "max_bodies_bytes")?,
        body_timeout: seconds(fields, "body_timeout_secs")?,
        max_connections: size(fields, "max_connections")?,
        max_requests: size(fields, "max_requests")?.map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
        max_runs: size(fields, "max_runs")?,
        max_waiting_runs: size(fields, "max_waiting_runs")?,
        max_events: size(fields, "max_events")?,
        max_kept: size(fields, "max_kept")?,
        max_kept_bytes: size(fields, "max_kept_bytes")?,
        max_kept_age: seconds(fields, "max_kept_secs")?,
        max_realtime_sessions: size(fields, "max_realtime_sessions")?,
    })
}

fn size(fields: &mut Fields<'_>, key: &str) -> Result<Option<usize>, ConfigError> {
    let size = fields.count(key)?;
    Ok(size.map(|size| usize::try_from(size).unwrap_or(usize::MAX)))
}

fn seconds(fields: &mut Fields<'_>, key: &str) -> Result<Option<Duration>, ConfigError> {
    Ok(fields.count(key)?.map(Duration::from_secs))
}
