//! Removes the secrets that a server was given, and those that arise while it is used, from everything that it says.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use super::McpTransport;
use super::call_headers::CallHeaders;
use crate::secret::{Redactor, RedactorBuilder, Secret};

/// What an authorization server and a client say to each other under these names is for nobody else (RFC 6749, 7591, 7636, 8628).
const GRANTED: [&str; 10] = [
    "access_token",
    "refresh_token",
    "id_token",
    "registration_access_token",
    "client_secret",
    "client_assertion",
    "assertion",
    "code_verifier",
    "device_code",
    "code",
];

/// The secrets of one server: those of its configuration, and those that came since.
pub(super) struct ServerSecrets {
    known: RwLock<SecretSet>,
    pub(super) of_calls: CallHeaders,
}

/// What is taken out.
struct SecretSet {
    /// All of it.
    redactor: Redactor,
    /// What is not of calls.
    lasting: Redactor,
    /// The values of headers of calls, the latest last: each user may have others.
    of_calls: VecDeque<Secret>,
}

/// How many values of headers of calls are looked for, the latest: a server has no reason to repeat those of a call that is long over.
const MAX_OF_CALLS: usize = 256;

impl ServerSecrets {
    /// Collects the secrets that the server is given.
    pub(super) fn new(transport: &McpTransport) -> Self {
        let lasting = configured(transport);
        Self {
            known: RwLock::new(SecretSet {
                redactor: lasting.clone(),
                lasting,
                of_calls: VecDeque::new(),
            }),
            of_calls: CallHeaders::default(),
        }
    }

    /// Returns what takes out all that are known now.
    pub(super) fn redactor(&self) -> Redactor {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.redactor.clone()
    }

    /// Adds secrets; they are taken out of all that is read from now on.
    fn add(&self, secrets: RedactorBuilder) {
        let mut known = self.write();
        // A redactor is never changed: who has the old one goes on with it, and nobody waits for a
        // lock while text is searched.
        known.lasting = secrets.all_of(&known.lasting).build();
        known.join();
    }

    fn write(&self) -> RwLockWriteGuard<'_, SecretSet> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the values of the headers of a call.
    pub(super) fn add_of_call(&self, headers: &[(String, Secret)]) {
        let mut known = self.write();
        let n_before = known.of_calls.len();
        for (_, value) in headers {
            let is_known = |it: &Secret| it.expose() == value.expose();
            if !known.of_calls.iter().any(is_known) {
                known.of_calls.push_back(value.clone());
            }
        }
        if known.of_calls.len() == n_before {
            return;
        }
        let n_over = known.of_calls.len().saturating_sub(MAX_OF_CALLS);
        known.of_calls.drain(..n_over);
        known.join();
    }

    /// Adds what the query of an address holds, such as the code with which a user comes back.
    pub(super) fn add_url(&self, url: &str) {
        self.add(Redactor::builder().url(url));
    }

    /// Adds the credentials of a header.
    pub(super) fn add_header(&self, value: &str) {
        self.add(Redactor::builder().header(&value.into()));
    }

    /// Adds what is granted or asked for by a message of OAuth: a form, JSON, or what an authorization server takes for one of them.
    pub(super) fn add_granted(&self, message: &[u8]) {
        let message = String::from_utf8_lossy(message);
        let secrets = GRANTED.iter().flat_map(|name| values(&message, name));
        let secrets = secrets.fold(Redactor::builder(), |secrets, value| secrets.secret(&value));
        self.add(secrets);
    }
}

impl SecretSet {
    fn join(&mut self) {
        let of_calls = self.of_calls.iter();
        let secrets = of_calls.fold(Redactor::builder(), RedactorBuilder::header);
        self.redactor = secrets.all_of(&self.lasting).build();
    }
}

impl fmt::Debug for ServerSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.redactor().fmt(f)
    }
}

fn configured(transport: &McpTransport) -> Redactor {
    let secrets = Redactor::builder();
    match transport {
        McpTransport::Stdio(stdio) => stdio
            .environment
            .iter()
            .fold(secrets, |secrets, (name, value)| {
                secrets.variable(name, value)
            }),
        McpTransport::Http(http) => {
            let headers = http.headers.iter();
            let secrets = headers.fold(secrets.url(&http.url), |secrets, (_, value)| {
                secrets.header(value)
            });
            let client_secret = http.oauth.as_ref().and_then(|oauth| oauth.client_secret());
            let given = http.bearer_token.iter().chain(client_secret);
            given.fold(secrets, RedactorBuilder::secret)
        }
    }
    .build()
}

/// Finds the values of a field wherever it stands: behind `"name":` or `name=`, whether or not the whole can be read.
fn values<'a>(message: &'a str, name: &'a str) -> impl Iterator<Item = Secret> + 'a {
    message.match_indices(name).filter_map(move |(at, _)| {
        // The whole name only: `code` must not be found in `code_challenge`.
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let before = message.get(..at)?;
        let after = message.get(at + name.len()..)?;
        if before.ends_with(is_letter) || after.starts_with(is_letter) {
            return None;
        }
        let after = after.trim_start_matches(['"', '\'']).trim_start();
        if let Some(value) = after.strip_prefix('=') {
            let end = value.find(['&', ' ', '\n', '"']).unwrap_or(value.len());
            let value = value.get(..end)?;
            let decoded = crate::secret::decode_percent(&value.replace('+', " "));
            return Some(Secret::new(decoded));
        }
        let value = after.strip_prefix(':')?.trim_start().strip_prefix('"')?;
        let mut is_escaped = false;
        let end = value.find(|letter| {
            let is_end = letter == '"' && !is_escaped;
            is_escaped = letter == '\\' && !is_escaped;
            is_end
        });
        let value = value.get(..end.unwrap_or(value.len()))?;
        let unescaped = serde_json::from_str(&format!("\"{value}\""));
        Some(Secret::new(unescaped.unwrap_or_else(|_| value.to_owned())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_of_oauth_whatever_its_form_gives_its_secrets() {
        for (message, expected) in [
            (
                r#"{"access_token":"a b\/c","token_type":"Bearer"}"#,
                &["a b/c"][..],
            ),
            (r#"{"x":1, "access_token" : "cut of"#, &["cut of"]),
            ("access_token=a%2Fb&scope=all", &["a/b"]),
            (
                "grant_type=authorization_code&code=c-1&redirect_uri=x",
                &["c-1"],
            ),
            (r#"{"token_endpoint":"https://example.com/code"}"#, &[]),
            (
                r#"{"error":"invalid_grant","error_description":"no code"}"#,
                &[],
            ),
        ] {
            let found: Vec<Secret> = GRANTED
                .iter()
                .flat_map(|name| values(message, name))
                .collect();
            let found: Vec<_> = found.iter().map(Secret::expose).collect();
            assert_eq!(found, expected, "{message}");
        }
    }
}
