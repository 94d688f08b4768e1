//! Removes the secrets that a server was given from everything that it says.

use super::McpTransport;
use crate::secret::Redactor;

/// Collects the secrets of one server.
pub(super) fn redactor(transport: &McpTransport) -> Redactor {
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
            match &http.bearer_token {
                Some(token) => secrets.secret(token),
                None => secrets,
            }
        }
    }
    .build()
}
