//! Proxies, which are used only by request.

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use super::HttpError;
use super::url::is_loopback;

/// Says through which proxies requests go.
///
/// `http` requests are sent to the proxy whole; for `https` it only opens a tunnel. A proxy is itself spoken to in plain
/// HTTP. Requests to this machine (`localhost`, `127.0.0.0/8`, `::1`) never go through one.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Proxies {
    /// Requests go to their target, whatever the environment says.
    #[default]
    None,
    /// `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` (or lower case), read once by `build()`.
    ///
    /// As in curl, except that a value that cannot be used is an error. Inside a CGI program (`REQUEST_METHOD` is set)
    /// they are ignored, because there a client could set `HTTP_PROXY`.
    FromEnvironment,
    /// Everything goes through this proxy: `http://host:port`, or `http://user:password@host:port`.
    Through(crate::secret::Secret),
}

/// The proxies of a client, checked.
#[derive(Debug, Default)]
pub(super) struct ProxyTable(Option<Matcher>);

impl ProxyTable {
    /// `variable` reads the environment; a parameter so that a test need not change it.
    pub(super) fn new(
        proxies: &Proxies,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, HttpError> {
        let matcher = match proxies {
            Proxies::None => return Ok(Self(None)),
            Proxies::Through(proxy) => {
                check("the option `Proxies::Through`", proxy.expose())?;
                Matcher::builder().all(proxy.expose().to_owned()).build()
            }
            Proxies::FromEnvironment => {
                if variable("REQUEST_METHOD").is_some() {
                    return Ok(Self(None));
                }
                let read = |upper: &'static str| {
                    let value = variable(upper)
                        .or_else(|| variable(&upper.to_ascii_lowercase()))
                        .unwrap_or_default();
                    if !value.is_empty() {
                        check(upper, &value)?;
                    }
                    Ok(value)
                };
                let no_proxy = variable("NO_PROXY").or_else(|| variable("no_proxy"));
                Matcher::builder()
                    .all(read("ALL_PROXY")?)
                    .http(read("HTTP_PROXY")?)
                    .https(read("HTTPS_PROXY")?)
                    .no(no_proxy.unwrap_or_default())
                    .build()
            }
        };
        Ok(Self(Some(matcher)))
    }

    /// Gives the proxy for a target, if it has one.
    pub(super) fn proxy_for(&self, target: &Uri) -> Option<Intercept> {
        let matcher = self.0.as_ref()?;
        if is_loopback(target.host()?) {
            return None;
        }
        matcher.intercept(target)
    }

    /// Gives the credentials that a request itself must carry: only a plain one shows its head to the proxy.
    pub(super) fn authorization_for(&self, target: &Uri) -> Option<HeaderValue> {
        if target.scheme_str() == Some("https") {
            return None;
        }
        let mut value = self.proxy_for(target)?.basic_auth()?.clone();
        value.set_sensitive(true);
        Some(value)
    }
}

/// The matcher ignores what it does not understand; here that is an error.
fn check(setting: &'static str, proxy: &str) -> Result<(), HttpError> {
    let anywhere = Uri::from_static("http://proxied.invalid/");
    let reason = match Matcher::builder()
        .all(proxy.to_owned())
        .build()
        .intercept(&anywhere)
    {
        None => "it is not a URL such as http://host:port",
        Some(intercept) if intercept.uri().scheme_str() != Some("http") => {
            "only proxies that speak plain http are supported"
        }
        Some(_) => return Ok(()),
    };
    Err(HttpError::Proxy { setting, reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, Secret};

    #[test]
    fn proxies_come_from_variables_as_in_curl() {
        let table = |variables: &'static [(&str, &str)]| {
            ProxyTable::new(&Proxies::FromEnvironment, |name| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        let proxy = |variables, target: &str| {
            let intercept = table(variables)
                .unwrap()
                .proxy_for(&target.parse().unwrap());
            intercept.map(|intercept| intercept.uri().to_string())
        };
        let both: &[_] = &[
            ("http_proxy", "p:1"),
            ("HTTPS_PROXY", "http://q:2"),
            ("NO_PROXY", "local.test"),
        ];
        assert_eq!(
            proxy(both, "http://a.test/").as_deref(),
            Some("http://p:1/")
        );
        assert_eq!(
            proxy(both, "https://a.test/").as_deref(),
            Some("http://q:2/")
        );
        assert_eq!(proxy(both, "http://x.local.test/"), None);
        assert_eq!(proxy(both, "http://localhost:8000/"), None);
        assert_eq!(proxy(&[], "http://a.test/"), None);
        assert_eq!(
            proxy(
                &[("HTTP_PROXY", "p:1"), ("REQUEST_METHOD", "GET")],
                "http://a.test/"
            ),
            None
        );
        for value in ["socks5://p:1", "https://p:1", "ftp://p:1", "http://"] {
            let error =
                ProxyTable::new(&Proxies::Through(Secret::new(value)), |_| None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{value}");
        }
        let error = table(&[("ALL_PROXY", "socks5://user:pass@p:1")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the proxy of ALL_PROXY cannot be used: only proxies that speak plain http are supported"
        );
    }
}
