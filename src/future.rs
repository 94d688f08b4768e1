//! The boxed futures, streams and errors that the object-safe traits and callbacks of this crate use.

use std::error::Error;
use std::pin::Pin;

use futures_core::Stream;

/// A boxed future that can move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A boxed stream that can move between threads.
pub type BoxStream<'a, T> = Pin<Box<dyn Stream<Item = T> + Send + 'a>>;

/// A boxed error of the application.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// What an asynchronous callback may give.
///
/// It is a value, or a `Result` of it with any error.
///
/// An error ends the run with the error `callback_failed`. `Ok(value)` alone leaves the type of the error open; then give the value as it
/// is, or say the type: `Ok::<_, BoxError>(value)`.
///
/// # Callbacks that capture
///
/// A callback is a [`Fn`] that gives a future of its own, called for any number of runs at once. Neither its captures nor what it borrows
/// can move into the future: clone what the future needs, then move the clones in.
///
/// ```
/// use openai_agents::guardrail::{InputGuardrail, Verdict};
///
/// struct Blocklist(Vec<String>);
///
/// let blocked = std::sync::Arc::new(Blocklist(vec!["password".to_owned()]));
/// let guardrail = InputGuardrail::new("no secrets", move |input| {
///     let blocked = std::sync::Arc::clone(&blocked);
///     async move {
///         let text = input.text();
///         match blocked.0.iter().find(|word| text.contains(*word)) {
///             Some(word) => Verdict::trip(word.as_str()),
///             None => Verdict::pass(),
///         }
///     }
/// });
/// # let _ = guardrail;
/// ```
///
/// A callback that captures nothing is an `async` closure: `async |input| Verdict::pass()`. What the application gave the run is reached
/// through the context that each callback is told: `input.cx.state::<Blocklist>()?`.
#[diagnostic::on_unimplemented(
    message = "a callback that is to give a `{T}` gives a `{Self}`",
    label = "this callback",
    note = "give a `{T}`, or a `Result<{T}, E>` with any error type"
)]
pub trait IntoOutcome<T> {
    /// Returns the value or the error.
    ///
    /// # Errors
    ///
    /// The callback's own.
    fn into_outcome(self) -> Result<T, BoxError>;
}

impl<T> IntoOutcome<T> for T {
    fn into_outcome(self) -> Result<T, BoxError> {
        Ok(self)
    }
}

impl<T, E: Into<BoxError>> IntoOutcome<T> for Result<T, E> {
    fn into_outcome(self) -> Result<T, BoxError> {
        self.map_err(Into::into)
    }
}
