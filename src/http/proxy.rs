//! Proxies, which are used only on request.

use std::mem;

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use super::HttpError;
use super::url::is_loopback;
use crate::secret::Redactor;

/// Says which proxies requests go through.
///
/// A proxy is `http://host:port`, `socks5://host:port` or `socks5h://host:port`, with `user:password@` before the host if it needs
/// that. Both SOCKS schemes mean the same: the proxy looks names up. An HTTP proxy gets full `http` requests, and opens a tunnel for
/// `https`. Requests to this machine (`localhost`, `127.0.0.0/8`, `::1`) never go through a proxy.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Proxies {
    /// No proxy, whatever the environment says.
    #[default]
    None,
    /// `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` (or lower case), read once by `build()`.
    ///
    /// They mean the same as for curl. A value that cannot be used fails the requests that need it. In a CGI program
    /// (`REQUEST_METHOD` is set) they are ignored, because a client could set `HTTP_PROXY` there by a header.
    FromEnvironment,
    /// This proxy, for all requests.
    Through(crate::secret::Secret),
}

/// The proxies of a client.
#[derive(Debug, Default)]
pub(super) struct ProxyTable {
    http: Option<Choice>,
    https: Option<Choice>,
    /// Knows the targets that need no proxy.
    exceptions: Option<Matcher>,
    /// Redacts the passwords of the proxies.
    pub(super) redactor: Redactor,
}

/// A proxy, or why it cannot be used. The value is not kept, since it may contain a password.
#[derive(Debug, Clone)]
struct Choice {
    setting: &'static str,
    proxy: Result<Proxy, &'static str>,
}

/// A proxy that can be used.
#[derive(Debug, Clone)]
pub(super) struct Proxy {
    /// The variable or option that names it.
    pub(super) setting: &'static str,
    pub(super) protocol: Protocol,
    intercept: Intercept,
}

/// The protocol of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http,
    Socks5,
}

impl ProxyTable {
    /// Makes the table. `variable` reads the environment, and is a parameter so that tests need not change that.
    pub(super) fn new(
        proxies: &Proxies,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, HttpError> {
        match proxies {
            Proxies::None => Ok(Self::default()),
            Proxies::Through(proxy) => {
                let choice = Choice::new("the option `Proxies::Through`", proxy.expose());
                // Judged at once: whoever names one proxy for everything wants to hear that it
                // cannot be used.
                choice.used()?;
                Ok(Self {
                    http: Some(choice.clone()),
                    https: Some(choice),
                    exceptions: None,
                    redactor: Redactor::builder().url(proxy.expose()).build(),
                })
            }
            Proxies::FromEnvironment if variable("REQUEST_METHOD").is_some() => Ok(Self::default()),
            Proxies::FromEnvironment => Ok(Self::from_environment(variable)),
        }
    }

    fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let read = |upper: &'static str| {
            variable(upper)
                .or_else(|| variable(&upper.to_ascii_lowercase()))
                .filter(|value| !value.trim().is_empty())
        };
        let mut secrets = Redactor::builder();
        let mut choice = |setting| {
            let value = read(setting)?;
            secrets = mem::take(&mut secrets).url(&value);
            Some(Choice::new(setting, value.trim()))
        };
        let all = choice("ALL_PROXY");
        // A matcher has exceptions only together with a proxy, so that it gets one that is never used.
        let exceptions = read("NO_PROXY").map(|targets| {
            let everywhere = Matcher::builder().all(ANYWHERE);
            everywhere.no(targets).build()
        });
        Self {
            http: choice("HTTP_PROXY").or_else(|| all.clone()),
            https: choice("HTTPS_PROXY").or(all),
            exceptions,
            redactor: secrets.build(),
        }
    }

    /// Returns the proxy for a target, if it has one.
    ///
    /// # Errors
    ///
    /// [`HttpError::Proxy`] if it needs one that cannot be used.
    pub(super) fn proxy_for(&self, target: &Uri) -> Result<Option<&Proxy>, HttpError> {
        // By the scheme of the target, as in curl: `HTTP_PROXY` is for `http` URLs and says nothing
        // about how the proxy is spoken to.
        let choice = match target.scheme_str() {
            Some("https") => &self.https,
            _ => &self.http,
        };
        let Some(choice) = choice else {
            return Ok(None);
        };
        let is_exception = target.host().is_none_or(is_loopback)
            || self
                .exceptions
                .as_ref()
                .is_some_and(|exceptions| exceptions.intercept(target).is_none());
        if is_exception {
            return Ok(None);
        }
        // Only here does a setting that cannot be used become an error. A program whose targets are
        // all exceptions need not care.
        choice.used().map(Some)
    }
}

impl Choice {
    fn new(setting: &'static str, value: &str) -> Self {
        Self {
            setting,
            proxy: Proxy::parse(setting, value),
        }
    }

    fn used(&self) -> Result<&Proxy, HttpError> {
        let Self { setting, proxy } = self;
        proxy
            .as_ref()
            .map_err(|&reason| HttpError::Proxy { setting, reason })
    }
}

const ANYWHERE: &str = "http://proxied.invalid/";
const SCHEMES: &str = "it must begin with http://, socks5:// or socks5h://";

impl Proxy {
    fn parse(setting: &'static str, value: &str) -> Result<Self, &'static str> {
        let intercept = Matcher::builder()
            .all(value.to_owned())
            .build()
            .intercept(&Uri::from_static(ANYWHERE));
        let Some(intercept) = intercept else {
            // The matcher gives no reason. A scheme that it does not know is told apart from other
            // mistakes here.
            let is_foreign = value
                .split_once("://")
                .is_some_and(|(scheme, _)| !["http", "socks5", "socks5h"].contains(&scheme));
            return Err(if is_foreign {
                SCHEMES
            } else {
                "it is not a URL such as http://host:port"
            });
        };
        let protocol = match intercept.uri().scheme_str() {
            Some("http") => Protocol::Http,
            Some("socks5" | "socks5h") => Protocol::Socks5,
            _ => return Err(SCHEMES),
        };
        Ok(Self {
            setting,
            protocol,
            intercept,
        })
    }

    /// Returns the address of the proxy with its port.
    pub(super) fn address(&self) -> Uri {
        let default_port = match self.protocol {
            Protocol::Http => 80,
            Protocol::Socks5 => 1080,
        };
        let uri = self.intercept.uri();
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(default_port);
        // Cannot fail: host and port come from a URI.
        format!("http://{host}:{port}/")
            .parse()
            .unwrap_or_else(|_| uri.clone())
    }

    /// Returns `host:port`, for messages.
    pub(super) fn host_port(&self) -> String {
        let address = self.address();
        let authority = address.authority();
        authority.map_or_else(String::new, ToString::to_string)
    }

    /// Returns the credentials of an HTTP proxy.
    pub(super) fn basic_auth(&self) -> Option<&HeaderValue> {
        self.intercept.basic_auth()
    }

    /// Returns user and password of a SOCKS proxy.
    pub(super) fn user(&self) -> Option<(&str, &str)> {
        self.intercept.raw_auth()
    }

    /// Returns the credentials that the request itself must have. Only plain requests show their head
    /// to the proxy.
    pub(super) fn authorization_for(&self, target: &Uri) -> Option<HeaderValue> {
        if target.scheme_str() == Some("https") || self.protocol != Protocol::Http {
            return None;
        }
        let mut value = self.basic_auth()?.clone();
        value.set_sensitive(true);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, Secret};

    type Variables = &'static [(&'static str, &'static str)];

    fn table(variables: Variables) -> ProxyTable {
        ProxyTable::new(&Proxies::FromEnvironment, |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
        .unwrap()
    }

    /// The proxy of a target, or what is said of it.
    #[track_caller]
    fn check(variables: Variables, target: &str, expected: &str) {
        let table = table(variables);
        let found = match table.proxy_for(&target.parse().unwrap()) {
            Ok(None) => "none".to_owned(),
            Ok(Some(proxy)) => format!("{:?} {}", proxy.protocol, proxy.address()),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Config);
                error.to_string()
            }
        };
        assert_eq!(found, expected, "{variables:?} {target}");
    }

    #[test]
    fn proxies_come_from_variables_as_in_curl() {
        let both: Variables = &[
            ("http_proxy", "p:1"),
            ("HTTPS_PROXY", "http://q:2"),
            ("NO_PROXY", "local.test"),
        ];
        check(both, "http://a.test/", "Http http://p:1/");
        check(both, "https://a.test/", "Http http://q:2/");
        check(both, "http://x.local.test/", "none");
        check(both, "http://localhost:8000/", "none");
        check(&[], "http://a.test/", "none");
        let cgi: Variables = &[("HTTP_PROXY", "p:1"), ("REQUEST_METHOD", "GET")];
        check(cgi, "http://a.test/", "none");
        check(
            &[("ALL_PROXY", "socks5://s")],
            "https://a.test/",
            "Socks5 http://s:1080/",
        );
        check(
            &[("all_proxy", "socks5h://u:p@s:9")],
            "http://a.test/",
            "Socks5 http://s:9/",
        );
        check(
            &[("ALL_PROXY", "p:1"), ("NO_PROXY", "*")],
            "https://a.test/",
            "none",
        );
        check(&[("ALL_PROXY", " ")], "http://a.test/", "none");
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_an_error_where_it_is_needed_only() {
        let broken: Variables = &[
            ("ALL_PROXY", "socks4://user:pass@p:1"),
            ("HTTPS_PROXY", "http://q:2"),
            ("NO_PROXY", "in.test"),
        ];
        check(broken, "http://127.0.0.1:8000/", "none");
        check(broken, "http://[::1]:8000/", "none");
        check(broken, "http://a.in.test/", "none");
        check(broken, "https://a.test/", "Http http://q:2/");
        check(
            broken,
            "http://a.test/",
            "the proxy of ALL_PROXY cannot be used: it must begin with http://, socks5:// or socks5h://",
        );
        check(
            &[("HTTP_PROXY", "http://")],
            "http://a.test/",
            "the proxy of HTTP_PROXY cannot be used: it is not a URL such as http://host:port",
        );
        check(
            &[("ALL_PROXY", "https://p:1"), ("NO_PROXY", "*")],
            "https://a.test/",
            "none",
        );
    }

    #[test]
    fn an_option_that_cannot_be_used_is_an_error_at_once() {
        for value in [
            "socks4://p:1",
            "https://p:1",
            "ftp://p:1",
            "http://",
            "socks://p:1",
        ] {
            let error =
                ProxyTable::new(&Proxies::Through(Secret::new(value)), |_| None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{value}");
        }
    }
}
