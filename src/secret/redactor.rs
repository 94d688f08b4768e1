//! Takes secrets out of foreign texts: one type for every error, log, file and answer.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use memchr::memmem::Finder;
use serde_json::Value;

use super::Secret;
use super::encoding::{decode_base64, decode_percent, forms};
use super::matcher::Matcher;
use super::scan::{SecretScan, may_hold, scan};

/// Stands in place of a secret.
pub(crate) const REDACTED: &str = "[redacted]";

/// Marks the place where an excerpt of a message of a server was cut.
pub(crate) const CUT_MARK: &str = "... (";

/// A value with this many bytes may be a key, whatever its name.
const MIN_KEY_BYTES: usize = 16;

/// Takes secrets out of foreign texts, which may repeat them.
///
/// A secret is found as it is, in other letter cases, in hex, in base64 (standard and URL-safe, anywhere in the encoded text), and
/// behind up to three layers of escapes: those of URLs (`%41`), of JSON and programming languages (`\u0041`, `\x41`, `\/`) and of
/// HTML (`&#65;`, `&amp;`). It is replaced by `[redacted]`.
///
/// A secret that could be an ordinary word is not searched for, because texts would be damaged and nothing protected. That is a
/// secret with fewer than 6 bytes, with fewer than 16 bytes that are all letters (`ollama`, `EMPTY`), or with fewer than 8 bytes
/// that are all digits.
///
/// Clones share everything. A text without secrets is read once, without an allocation.
///
/// ```
/// use openai_agents::secret::Redactor;
/// use openai_agents::Secret;
///
/// let redactor = Redactor::of(&Secret::new("sk-12345"));
/// assert_eq!(redactor.redact("no key SK-12345"), "no key [redacted]");
/// assert_eq!(redactor.redact("?key=sk%2D12345&x=1"), "?key=[redacted]&x=1");
/// assert_eq!(redactor.redact("736b2d3132333435"), "[redacted]");
/// ```
#[derive(Clone, Default)]
pub struct Redactor(Option<Arc<RedactorInner>>);

struct RedactorInner {
    secrets: Vec<Secret>,
    matcher: Matcher,
    cut_mark: Finder<'static>,
}

/// Collects the secrets of a [`Redactor`].
#[derive(Debug, Default)]
#[must_use]
pub struct RedactorBuilder(Vec<Secret>);

impl Redactor {
    /// Starts a redactor without any secret.
    pub fn builder() -> RedactorBuilder {
        RedactorBuilder::default()
    }

    /// Makes a redactor for one secret.
    pub fn of(secret: &Secret) -> Self {
        Self::builder().secret(secret).build()
    }

    /// Says whether it has no secrets.
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Says whether both are clones of one redactor, or both have no secrets.
    #[cfg(any(feature = "http", feature = "sqlite"))]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        }
    }

    /// Says whether a secret contains this character, so that a match may span it.
    ///
    /// Only for a character that no escape and no encoding uses: other forms of a secret do not
    /// contain it then.
    #[cfg(feature = "sqlite")]
    pub(crate) fn reaches_over(&self, character: char) -> bool {
        let mut secrets = self.0.iter().flat_map(|inner| &inner.secrets);
        secrets.any(|secret| secret.expose().contains(character))
    }

    /// Returns the text without the secrets.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let Some(inner) = &self.0 else {
            return Cow::Borrowed(text);
        };
        let bytes = text.as_bytes();
        // Searching for the last byte of the mark is cheapest, and most texts do not have it.
        let is_cut = memchr::memchr(b'(', bytes).is_some() && inner.cut_mark.find(bytes).is_some();
        if !is_cut {
            if !may_hold(&inner.matcher, bytes) {
                return Cow::Borrowed(text);
            }
            return without(text, &scan(&inner.matcher, bytes));
        }
        // An excerpt may have been cut inside a secret, of which only the beginning is left.
        let mut pieces = text.split(CUT_MARK).peekable();
        let mut redacted = String::with_capacity(text.len());
        while let Some(piece) = pieces.next() {
            if pieces.peek().is_some() {
                redacted.push_str(&self.redact_cut(piece));
                redacted.push_str(CUT_MARK);
            } else {
                redacted.push_str(&without(piece, &scan(&inner.matcher, piece.as_bytes())));
            }
        }
        Cow::Owned(redacted)
    }

    /// Redacts a text that was cut at its end, perhaps inside a secret.
    ///
    /// It does for this text what [`redact`](Self::redact) does for a whole one.
    pub fn redact_cut<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let Some(inner) = &self.0 else {
            return Cow::Borrowed(text);
        };
        let mut scan = scan(&inner.matcher, text.as_bytes());
        if scan.telling < text.len() {
            let telling = scan.telling;
            scan.found.retain(|range| range.start < telling);
            match scan.found.last_mut() {
                Some(last) if last.end >= telling => last.end = text.len(),
                _ => scan.found.push(telling..text.len()),
            }
        }
        without(text, &scan)
    }

    /// Returns a JSON text without the secrets. It stays valid JSON.
    ///
    /// A text that is not JSON is redacted as text.
    pub fn redact_json<'a>(&self, json: &'a str) -> Cow<'a, str> {
        if !self.is_in(json) {
            return Cow::Borrowed(json);
        }
        match serde_json::from_str(json) {
            Ok(value) => Cow::Owned(self.redact_value(value).to_string()),
            Err(_) => self.redact(json),
        }
    }

    /// Returns a JSON value without the secrets.
    ///
    /// They are taken out of its texts, its field names and its numbers.
    pub fn redact_value(&self, value: Value) -> Value {
        if self.changes_value(&value) {
            self.without(value)
        } else {
            value
        }
    }

    fn without(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.redact(&text).into_owned()),
            Value::Number(number) if self.changes_value(&Value::Number(number.clone())) => {
                REDACTED.into()
            }
            Value::Array(values) => {
                let values = values.into_iter();
                values.map(|value| self.without(value)).collect()
            }
            Value::Object(fields) => fields
                .into_iter()
                .map(|(name, value)| {
                    let name = self.redact(&name).into_owned();
                    (name, self.without(value))
                })
                .collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value,
        }
    }

    /// Says whether redacting would change a value.
    fn changes_value(&self, value: &Value) -> bool {
        let changes = |text: &str| matches!(self.redact(text), Cow::Owned(_));
        match value {
            Value::String(text) => changes(text),
            // Most numbers are counts, and shorter than any secret of digits that is searched for.
            Value::Number(number) if number.as_u64().is_some_and(|count| count < 1_000_000) => {
                false
            }
            Value::Number(number) => self.is_in(&number.to_string()),
            Value::Array(values) => values.iter().any(|value| self.changes_value(value)),
            Value::Object(fields) => fields
                .iter()
                .any(|(name, value)| changes(name) || self.changes_value(value)),
            Value::Null | Value::Bool(_) => false,
        }
    }

    /// Redacts a text in place.
    pub fn redact_in(&self, text: &mut String) {
        if let Cow::Owned(redacted) = self.redact(text) {
            *text = redacted;
        }
    }

    /// Says whether a text contains a secret.
    pub fn is_in(&self, text: &str) -> bool {
        let inner = self.0.as_ref();
        let inner = inner.filter(|inner| may_hold(&inner.matcher, text.as_bytes()));
        inner.is_some_and(|inner| {
            let scan = scan(&inner.matcher, text.as_bytes());
            !scan.found.is_empty()
        })
    }

    pub(super) fn scan(&self, text: &str) -> Option<SecretScan> {
        let inner = self.0.as_ref()?;
        Some(scan(&inner.matcher, text.as_bytes()))
    }
}

impl RedactorBuilder {
    /// Adds a key, token or password.
    pub fn secret(mut self, secret: &Secret) -> Self {
        if is_distinctive(secret.expose()) {
            self.0.push(secret.clone());
        }
        self
    }

    /// Adds the value of a header.
    ///
    /// It is the token of `Bearer TOKEN`, or the password of `Basic ...`.
    ///
    /// Addresses and ordinary words are not added.
    pub fn header(mut self, value: &Secret) -> Self {
        let mut words = value.expose().split_ascii_whitespace();
        let mut is_basic = false;
        for word in words.by_ref() {
            if is_basic {
                self = self.credentials(word);
            }
            is_basic = word.eq_ignore_ascii_case("basic");
            if !is_place(word) {
                self = self.secret(&word.into());
            }
        }
        self
    }

    /// Adds the value of an environment variable that looks like a secret.
    ///
    /// It does if its name or its form is that of a secret.
    ///
    /// A path is never added, and of a URL only its secret parts: messages about a folder must stay
    /// readable.
    pub fn variable(self, name: &str, value: &Secret) -> Self {
        let text = value.expose();
        if text.contains("://") {
            self.url(text)
        } else if !is_place(text) && (is_called_secret(name) || looks_like_key(text)) {
            self.secret(value)
        } else {
            self
        }
    }

    /// Adds the secret parts of a URL.
    ///
    /// They are the password (or a lone user name), and keys in its query.
    pub fn url(mut self, url: &str) -> Self {
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let after_scheme = address.split_once("://").map_or(address, |(_, rest)| rest);
        let authority = after_scheme.split('/').next().unwrap_or_default();
        if let Some((user, _)) = authority.rsplit_once('@') {
            let secret = user.split_once(':').map_or(user, |(_, password)| password);
            self = self.secret(&secret.into());
            self = self.secret(&decode_percent(secret).into());
        }
        let query = query.split('#').next().unwrap_or_default();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            if value.len() >= MIN_KEY_BYTES || is_called_secret(name) {
                self = self.secret(&value.into());
                self = self.secret(&decode_percent(value).into());
            }
        }
        self
    }

    /// Adds the secrets of another redactor.
    pub fn all_of(mut self, other: &Redactor) -> Self {
        if let Some(inner) = &other.0 {
            self.0.extend(inner.secrets.iter().cloned());
        }
        self
    }

    /// Builds the redactor.
    pub fn build(self) -> Redactor {
        let mut secrets = self.0;
        secrets.sort_by(|one, other| one.expose().cmp(other.expose()));
        secrets.dedup_by(|one, other| one.expose() == other.expose());
        if secrets.is_empty() {
            return Redactor::default();
        }
        let forms: Vec<Vec<u8>> = secrets
            .iter()
            .flat_map(|secret| forms(secret.expose().as_bytes()))
            .collect();
        let matcher = Matcher::new(forms.iter().map(Vec::as_slice));
        Redactor(Some(Arc::new(RedactorInner {
            secrets,
            matcher,
            cut_mark: Finder::new(CUT_MARK),
        })))
    }

    /// Adds the password of `Basic` credentials.
    fn credentials(self, word: &str) -> Self {
        let decoded = decode_base64(word).and_then(|bytes| String::from_utf8(bytes).ok());
        match decoded.as_deref().and_then(|pair| pair.split_once(':')) {
            Some((_, password)) => self.secret(&password.into()),
            None => self,
        }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_secrets = self.0.as_ref().map_or(0, |inner| inner.secrets.len());
        write!(f, "Redactor({n_secrets})")
    }
}

/// Says whether a secret cannot be an ordinary word.
fn is_distinctive(secret: &str) -> bool {
    let min_bytes = if secret.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        16
    } else if secret.bytes().all(|byte| byte.is_ascii_digit()) {
        8
    } else {
        6
    };
    secret.trim().len() >= min_bytes
}

/// Says whether a text is a path or a URL.
fn is_place(text: &str) -> bool {
    text.contains("://")
        || ["/", "./", "../", "~/"]
            .iter()
            .any(|begin| text.starts_with(begin))
}

/// Says whether the name of a parameter or variable is that of a secret.
fn is_called_secret(name: &str) -> bool {
    const PARTS: [&str; 8] = [
        "key",
        "token",
        "secret",
        "pass",
        "credential",
        "cookie",
        "private",
        "signature",
    ];
    const WORDS: [&str; 5] = ["auth", "code", "dsn", "pwd", "sig"];
    let name = name.to_ascii_lowercase();
    let mut words = name.split(|letter: char| !letter.is_ascii_alphabetic());
    PARTS.iter().any(|part| name.contains(part)) || words.any(|word| WORDS.contains(&word))
}

fn looks_like_key(text: &str) -> bool {
    text.len() >= MIN_KEY_BYTES
        && text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
        && !text.contains(|letter: char| letter == '/' || letter.is_whitespace())
}

fn without<'a>(text: &'a str, scan: &SecretScan) -> Cow<'a, str> {
    if scan.found.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut redacted = String::with_capacity(text.len());
    let mut end = 0;
    for range in &scan.found {
        redacted.push_str(text.get(end..range.start).unwrap_or_default());
        redacted.push_str(REDACTED);
        end = range.end;
    }
    redacted.push_str(text.get(end..).unwrap_or_default());
    Cow::Owned(redacted)
}
