//! URLs for requests, checked when they are parsed.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use hyper::Uri;

use super::HttpError;

/// The URL of a request.
///
/// It has `http` or `https`, a host, a path and perhaps a query, but no user and no fragment.
///
/// `Display` and `Debug` leave out the query, because some servers take keys in it.
///
/// ```
/// use openai_agents::http::Url;
///
/// let url = Url::parse("https://models.example/v1/models?key=1")?;
/// assert_eq!(url.host_port(), "models.example:443");
/// assert_eq!(url.to_string(), "https://models.example/v1/models");
/// assert!(Url::parse("models.example/v1").is_err());
/// # Ok::<(), openai_agents::http::HttpError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    uri: Uri,
    /// Path and query, for the request line.
    path_and_query: Uri,
    host_port: Arc<str>,
}

impl Url {
    /// Parses an absolute URL.
    ///
    /// # Errors
    ///
    /// [`HttpError::Url`] if it is not valid, or has user information, a fragment, no host or
    /// another scheme.
    pub fn parse(url: &str) -> Result<Self, HttpError> {
        Self::check(url).map_err(|reason| HttpError::Url {
            url: printable(url),
            reason,
        })
    }

    fn check(url: &str) -> Result<Self, &'static str> {
        let Some((scheme, _)) = url.split_once("://") else {
            return Err("it must begin with http:// or https://");
        };
        let default_port = match scheme.to_ascii_lowercase().as_str() {
            "http" => 80,
            "https" => 443,
            _ => return Err("its scheme is neither http nor https"),
        };
        if url.contains('#') {
            return Err("it has a fragment");
        }
        let uri: Uri = url.parse().map_err(|_| "it is not a valid URL")?;
        let authority = uri.authority().ok_or("it has no host")?;
        // A password in a URL would end up in logs and errors.
        if authority.as_str().contains('@') {
            return Err("it has a user name; send credentials in a header");
        }
        if authority.host().is_empty() {
            return Err("it has no host");
        }
        // `Uri` accepts ports that are too large or not numbers, and then reports none. So the port is parsed here.
        let after_host = authority
            .as_str()
            .get(authority.host().len()..)
            .unwrap_or_default();
        let port = match after_host.strip_prefix(':') {
            None => default_port,
            Some(port) => port
                .parse::<u16>()
                .map_err(|_| "its port is not a number from 0 to 65535")?,
        };
        let host_port = format!("{}:{port}", authority.host()).into();
        let path_and_query = match uri.path_and_query() {
            None => Uri::default(),
            Some(path) => {
                let path = Uri::builder().path_and_query(path.clone()).build();
                path.map_err(|_| "its path cannot be sent")?
            }
        };
        Ok(Self {
            uri,
            path_and_query,
            host_port,
        })
    }

    /// Returns `host:port`, with the default port if the URL has none.
    pub fn host_port(&self) -> &str {
        &self.host_port
    }

    /// Says whether requests are encrypted.
    pub fn is_https(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    /// Returns the value of the header `host`: the authority, without the default port of the scheme.
    pub(crate) fn host_header(&self) -> &str {
        let authority = self
            .uri
            .authority()
            .map_or("", |authority| authority.as_str());
        let default_port = if self.is_https() { ":443" } else { ":80" };
        authority.strip_suffix(default_port).unwrap_or(authority)
    }

    pub(super) const fn uri(&self) -> &Uri {
        &self.uri
    }

    pub(super) const fn path_and_query(&self) -> &Uri {
        &self.path_and_query
    }

    pub(super) fn shared_host_port(&self) -> Arc<str> {
        Arc::clone(&self.host_port)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, authority) = (self.uri.scheme_str(), self.uri.authority());
        f.write_str(scheme.unwrap_or_default())?;
        f.write_str("://")?;
        f.write_str(authority.map_or("", |authority| authority.as_str()))?;
        f.write_str(self.uri.path())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

/// The URL that the paths of an API are appended to, such as `https://models.example/v1`.
///
/// A trailing slash does not matter. A query is kept in every joined URL.
///
/// ```
/// use openai_agents::http::{BaseUrl, Url};
///
/// let base = BaseUrl::parse("http://127.0.0.1:8000/v1/")?;
/// assert_eq!(base.join("chat/completions")?, Url::parse("http://127.0.0.1:8000/v1/chat/completions")?);
/// # Ok::<(), openai_agents::http::HttpError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// Parses a base URL.
    ///
    /// # Errors
    ///
    /// As [`Url::parse`].
    pub fn parse(url: &str) -> Result<Self, HttpError> {
        Url::parse(url).map(Self)
    }

    /// Appends a path, which may have a query.
    ///
    /// # Errors
    ///
    /// [`HttpError::Url`] if the path has a fragment or characters that a URL cannot have.
    pub fn join(&self, path: &str) -> Result<Url, HttpError> {
        let uri = &self.0.uri;
        let (path, own_query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        let mut joined = format!(
            "{}://{}{}",
            uri.scheme_str().unwrap_or_default(),
            uri.authority().map_or("", |authority| authority.as_str()),
            uri.path().trim_end_matches('/'),
        );
        let path = path.trim_start_matches('/');
        if !path.is_empty() {
            joined.push('/');
            joined.push_str(path);
        }
        // The query of the base comes first. Azure, for example, has an `api-version` there.
        let queries = [uri.query(), own_query].into_iter().flatten();
        for (query, separator) in queries.zip(['?', '&']) {
            joined.push(separator);
            joined.push_str(query);
        }
        Url::parse(&joined)
    }

    /// Returns the URL itself.
    pub const fn as_url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BaseUrl({})", self.0)
    }
}

/// Says whether a host is this machine, without a name lookup.
pub(super) fn is_loopback(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => {
            host.eq_ignore_ascii_case("localhost")
                || host.to_ascii_lowercase().ends_with(".localhost")
        }
    }
}

/// Returns what may be shown of a URL that cannot be used: neither its query nor its user.
fn printable(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = url
        .split_once("://")
        .map_or(("", url), |(scheme, rest)| (scheme, rest));
    let separator = if scheme.is_empty() { "" } else { "://" };
    match rest.rsplit_once('@') {
        Some((_, rest)) => format!("{scheme}{separator}..@{rest}"),
        None => url.to_owned(),
    }
}

/// Returns what may be shown of the `Location` of a redirect: where it leads, without path and query.
pub(super) fn redirect_origin(location: &str) -> String {
    match Url::parse(location) {
        Ok(url) => format!(
            "{}://{}",
            url.uri.scheme_str().unwrap_or_default(),
            url.host_port
        ),
        Err(_) => printable(location),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn loopback_hosts_are_known() {
        for host in [
            "localhost",
            "LocalHost.",
            "a.localhost",
            "127.0.0.1",
            "127.9.9.9",
            "[::1]",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example", "mylocalhost", "128.0.0.1", "[::2]"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn urls_are_checked() {
        let cases = [
            ("", "it must begin with http:// or https://"),
            (
                "localhost:8000/v1",
                "it must begin with http:// or https://",
            ),
            ("ftp://a/", "its scheme is neither http nor https"),
            ("http://", "it is not a valid URL"),
            ("http:///v1", "it is not a valid URL"),
            ("http://:80/v1", "it has no host"),
            (
                "http://a:99999/",
                "its port is not a number from 0 to 65535",
            ),
            ("http://a:b/", "its port is not a number from 0 to 65535"),
            ("http://a b/", "it is not a valid URL"),
            ("http://a/#x", "it has a fragment"),
            (
                "http://user:pass@a/?key=k",
                "it has a user name; send credentials in a header",
            ),
        ];
        for (url, expected) in cases {
            let error = Url::parse(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            let HttpError::Url { url: shown, reason } = error else {
                panic!("{url}")
            };
            assert_eq!(reason, expected, "{url}");
            assert!(
                !shown.contains("pass") && !shown.contains("key="),
                "{shown}"
            );
        }
        assert_eq!(
            Url::parse("http://[::1]:8000/").unwrap().host_port(),
            "[::1]:8000"
        );
        assert_eq!(Url::parse("HTTPS://a").unwrap().host_port(), "a:443");
    }

    #[test]
    fn paths_are_joined() {
        let cases = [
            ("http://a", "chat", "http://a/chat"),
            ("http://a/", "/chat", "http://a/chat"),
            ("http://a/v1", "chat/x", "http://a/v1/chat/x"),
            ("http://a/v1//", "", "http://a/v1"),
            (
                "https://a:1/v1?version=2",
                "chat",
                "https://a:1/v1/chat?version=2",
            ),
            ("http://a?k=v", "chat?x=y", "http://a/chat?k=v&x=y"),
            ("http://a", "chat?x=y", "http://a/chat?x=y"),
        ];
        for (base, path, expected) in cases {
            let joined = BaseUrl::parse(base).unwrap().join(path).unwrap();
            assert_eq!(joined, Url::parse(expected).unwrap(), "{base} {path}");
        }
        BaseUrl::parse("http://a").unwrap().join("a b").unwrap_err();
    }
}
