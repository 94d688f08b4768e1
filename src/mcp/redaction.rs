//! Keeps what a server was trusted with out of what is said about it.

use super::McpTransport;
use crate::secret::Secret;

/// The secrets of one server.
#[derive(Debug)]
pub(super) struct Redaction(Vec<Secret>);

impl Redaction {
    pub(super) fn of(transport: &McpTransport) -> Self {
        Self(match transport {
            McpTransport::Stdio(stdio) => stdio.environment.values().cloned().collect(),
            McpTransport::Http(http) => {
                let headers = http.headers.iter().map(|(_, value)| value.clone());
                headers.chain(http.bearer_token.clone()).collect()
            }
        })
    }

    /// Takes the secrets out of a text.
    pub(super) fn apply(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            text = secret.redact(&text);
        }
        text
    }
}
