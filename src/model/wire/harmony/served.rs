//! What servers of Harmony models leave in the answers of other APIs.

use super::leak::{self, Leak};
use crate::kind::ErrorKind;
use crate::model::ModelError;
use crate::model::wire::excerpt;

/// The namespace in which Harmony models see their tools; some servers leave it before the name.
const NAMESPACE: &str = "functions.";

/// Returns the tool's own name.
pub(crate) fn tool_name(name: &str) -> &str {
    name.strip_prefix(NAMESPACE)
        .filter(|rest| !rest.is_empty())
        .unwrap_or(name)
}

/// Refuses a name that a server cut out of Harmony text in the wrong place.
pub(crate) fn check_tool_name(name: &str) -> Result<(), ModelError> {
    leak::check(name).map_err(|leak| leaked("the name of a tool call", &leak))
}

/// The error of a control token that leaked.
pub(crate) fn leaked(place: &str, leak: &Leak) -> ModelError {
    let Leak { token, text } = leak;
    let message = format!(
        "{place} holds the Harmony control token {token}, which the server should have parsed: {}",
        excerpt(text)
    );
    ModelError::new(ErrorKind::Harmony, message)
}
