//! The section `server`: where the program serves, and to whom.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::ConfigError;
use super::fields::{Fields, Keys};
use crate::Secret;

const SERVER: Keys = Keys {
    known: &["bind", "token", "allowed_hosts"],
    unsupported: &[],
};

/// Says where the program serves, and to whom.
///
/// An address other than the loopback's has a token and names of its own.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The address to listen at; `127.0.0.1:8080` by default.
    pub bind: SocketAddr,
    /// What every request must bring as a bearer token; at least 16 bytes.
    pub token: Option<Secret>,
    /// The names by which it is reached, beside those of the loopback and the address itself.
    pub allowed_hosts: Vec<String>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            bind: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080),
            token: None,
            allowed_hosts: Vec::new(),
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
    let token = server.token.as_ref().map(Secret::expose);
    if token.is_some_and(|token| token.len() < 16) {
        return Err(fields.invalid("token", "at least 16 bytes long", token_origin));
    }
    let address = server.bind.ip();
    if !address.is_loopback() && token.is_none() {
        let expected =
            "an address of this machine's loopback, unless `server.token` says who may connect";
        return Err(fields.invalid("bind", expected, bind_origin));
    }
    if address.is_unspecified() && server.allowed_hosts.is_empty() {
        let expected =
            "one address, unless `server.allowed_hosts` names what the machine is reached by";
        return Err(fields.invalid("bind", expected, bind_origin));
    }
    Ok(server)
}
