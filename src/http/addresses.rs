//! Which addresses a client connects to: the one that was checked is the one that is connected to, because the name is looked up here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll};
use std::vec;

use hyper::Uri;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use thiserror::Error;
use tower_service::Service;

use super::connector::Connecting;
use crate::future::BoxError;

/// Which addresses a client connects to.
#[derive(Debug, Clone, Default)]
pub(super) enum Addresses {
    #[default]
    Any,
    /// Those that everyone can reach, and of these hosts any.
    Public { except: Vec<String> },
}

/// A name stands for an address in a network of its own, or is one.
#[derive(Debug, Error)]
#[error("`{host}` is {address}, which is no public address")]
pub(super) struct NotPublic {
    host: String,
    address: IpAddr,
}

impl Addresses {
    /// Checks a host that is an address; one that is a name is checked when it is looked up.
    pub(super) fn check_literal(&self, target: &Uri) -> Result<(), NotPublic> {
        let host = target.host().unwrap_or_default();
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        match literal.parse() {
            Ok(address) => self.check(host, address),
            Err(_) => Ok(()),
        }
    }

    fn check(&self, host: &str, address: IpAddr) -> Result<(), NotPublic> {
        let is_free = match self {
            Self::Any => true,
            Self::Public { except } => {
                let mut except = except.iter();
                except.any(|free| free.eq_ignore_ascii_case(host)) || is_public(address)
            }
        };
        if is_free {
            return Ok(());
        }
        Err(NotPublic {
            host: host.to_owned(),
            address,
        })
    }
}

/// Looks names up, and refuses one that has an address that the client does not connect to.
#[derive(Debug, Clone)]
pub(super) struct Resolver {
    system: GaiResolver,
    addresses: Addresses,
}

impl Resolver {
    pub(super) fn new(addresses: Addresses) -> Self {
        let system = GaiResolver::new();
        Self { system, addresses }
    }
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.system.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let found = self.system.call(name.clone());
        let addresses = self.addresses.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = found.await?.collect();
            // One that is refused among others is a trick: which of them is taken would be left to chance.
            for address in &found {
                addresses.check(name.as_str(), address.ip())?;
            }
            Ok(found.into_iter())
        })
    }
}

/// Whether an address is one of the public internet, by the registries of special addresses (RFC 6890 and what came after).
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127 | 224..=255, ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    let last_v4 = || {
        let [.., high, low] = parts;
        Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
    };
    match parts {
        // An IPv4 address in another form: mapped, or translated by the network (NAT64).
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => is_public_v4(last_v4()),
        // Protocol assignments (Teredo among them), documentation, and tunnels (6to4) that end anywhere.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}
