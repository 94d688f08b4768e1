//! An error and its causes in one line.

use std::error::Error;

/// Writes an error and its causes, one behind the other.
///
/// An error of this crate says its own level only, and leaves the cause to [`source`](Error::source). Some libraries end their own text
/// with that of the cause; such a cause is not written twice.
///
/// ```
/// use openai_agents::error::error_chain;
/// use openai_agents::session::SessionError;
///
/// let error = SessionError::Unavailable {
///     store: "postgres://db/chat".to_owned(),
///     source: "connection refused".into(),
/// };
/// assert_eq!(error_chain(&error), "the session store postgres://db/chat cannot be reached: connection refused");
/// ```
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
