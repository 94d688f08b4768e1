//! Limits the addresses that a client connects to. The name is looked up here, so that the checked
//! address is the one that is used.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll};
use std::vec;

use hyper::Uri;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use thiserror::Error;
use tower_service::Service;

use super::connector::Connecting;
use crate::future::BoxError;

/// The addresses that a client connects to.
#[derive(Debug, Clone, Default)]
pub(super) enum Addresses {
    #[default]
    Any,
    /// Public addresses, and any address of these hosts.
    Public { except: Vec<String> },
}

/// A host is, or has, an address that is not public.
#[derive(Debug, Error)]
#[error("`{host}` is {address}, which is not a public address")]
pub(super) struct NotPublic {
    host: String,
    address: IpAddr,
}

impl Addresses {
    /// Checks a host that is an address. A name is checked when it is looked up.
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

/// Looks names up, and refuses a name with an address that the client must not connect to.
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
            // One private address among public ones is refused as well. Otherwise the connector could pick it, by chance or
            // because the others do not answer.
            for address in &found {
                addresses.check(name.as_str(), address.ip())?;
            }
            Ok(found.into_iter())
        })
    }
}

/// Says whether an address is on the public internet, by the registries of special addresses (RFC
/// 6890 and later).
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

#[cfg(test)]
mod tests {
    use super::is_public;

    /// Both ends of each block of special addresses.
    const OTHERS: &str = "
        0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.1 127.255.255.255 169.254.0.0
        169.254.169.254 172.16.0.0 172.31.255.255 192.0.0.1 192.0.2.1 192.88.99.1 192.168.0.0 192.168.255.255 198.18.0.0
        198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
        :: ::1 ::127.0.0.1 ::ffff:10.0.0.1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 64:ff9b::a00:1 64:ff9b:1::808:808 100::1
        2001::1 2001:2::1 2001:db8::1 2002:a00:1::1 2002:808:808::1 3fff::1 5f00::1 fc00::1 fdff::1 fe80::1 fec0::1 ff02::1";

    /// Their neighbours, and forms of public addresses.
    const PUBLIC: &str = "
        1.0.0.0 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255 169.255.0.0
        172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255
        ::ffff:8.8.8.8 64:ff9b::808:808 2001:4860:4860::8888 2606:4700::1111";

    #[test]
    fn addresses_of_the_public_internet_are_told_from_all_others() {
        let wrong = |addresses: &'static str, expected: bool| {
            let addresses = addresses.split_whitespace();
            let wrong =
                addresses.filter(move |address| is_public(address.parse().unwrap()) != expected);
            wrong.collect::<Vec<&str>>()
        };
        assert_eq!(wrong(OTHERS, false), [""; 0]);
        assert_eq!(wrong(PUBLIC, true), [""; 0]);
    }
}
