//! Header lines, which never print secrets.

use std::fmt;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::HttpError;
use crate::secret::Secret;

/// Holds the header lines of a request or an answer.
///
/// `Debug` prints the names only: a server may echo a key in any of them.
///
/// ```
/// use openai_agents::{Secret, http::Headers};
///
/// let mut headers = Headers::new();
/// headers.insert("content-type", "application/json")?;
/// headers.insert_bearer(&Secret::new("sk-123"))?;
/// assert_eq!(headers.get("Content-Type"), Some("application/json"));
/// assert!(!format!("{headers:?}").contains("sk-123"));
/// # Ok::<(), openai_agents::http::HttpError>(())
/// ```
#[derive(Clone, Default)]
pub struct Headers(HeaderMap);

impl Headers {
    /// Creates an empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a header, replacing one with the same name.
    ///
    /// # Errors
    ///
    /// [`HttpError::Header`] if the name or value has characters that HTTP does not allow.
    pub fn insert(&mut self, name: &str, value: &str) -> Result<(), HttpError> {
        let (name, value) = parse(name, value)?;
        self.0.insert(name, value);
        Ok(())
    }

    /// Sets a header whose whole value is a key, such as `api-key`.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert); the error does not show the key.
    pub fn insert_secret(&mut self, name: &str, value: &Secret) -> Result<(), HttpError> {
        let (name, mut value) = parse(name, value.expose())?;
        value.set_sensitive(true);
        self.0.insert(name, value);
        Ok(())
    }

    /// Sets `authorization: Bearer` with the key.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert); the error does not show the key.
    pub fn insert_bearer(&mut self, key: &Secret) -> Result<(), HttpError> {
        let value = Secret::new(format!("Bearer {}", key.expose()));
        self.insert_secret("authorization", &value)
    }

    /// Returns the first value of a header, if it is visible ASCII.
    ///
    /// The case of the name does not matter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }

    /// Returns the first value of a header, as [`get`](Self::get), for a name that is parsed once and
    /// used often.
    pub(crate) fn value(&self, name: &HeaderName) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }

    /// Returns names and values in order. Values that are not visible ASCII are left out.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
    }

    /// Returns the values that were set as secrets.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = Secret> {
        let secret = self.0.values().filter(|value| value.is_sensitive());
        secret.filter_map(|value| value.to_str().ok().map(Secret::new))
    }

    pub(crate) const fn from_map(map: HeaderMap) -> Self {
        Self(map)
    }

    pub(super) const fn as_map(&self) -> &HeaderMap {
        &self.0
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.0.keys().map(HeaderName::as_str))
            .finish()
    }
}

fn parse(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), HttpError> {
    let refused = |reason| HttpError::Header {
        name: name.to_owned(),
        reason,
    };
    let parsed_name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| refused("its name has a character that is not allowed"))?;
    let value = HeaderValue::from_str(value).map_err(|_| {
        refused("its value has a character that is not allowed, such as a line end")
    })?;
    Ok((parsed_name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn a_key_that_is_no_header_is_refused_unseen() {
        let mut headers = Headers::new();
        let error = headers
            .insert_bearer(&Secret::new("sk-secret\n"))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(
            error.to_string(),
            "the header \"authorization\" cannot be sent: its value has a character that is not allowed, such as a line end"
        );
        assert!(!format!("{error:?}{headers:?}").contains("sk-secret"));
        headers.insert("a b", "c").unwrap_err();
        assert_eq!(headers.iter().count(), 0);
    }
}
