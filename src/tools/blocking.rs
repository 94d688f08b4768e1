//! Work that blocks, kept off the threads that drive runs.

use std::panic::resume_unwind;

/// Runs a function that blocks on a thread of its own.
///
/// `#[tool]` does this for functions that are not `async`. A panic of the function goes on in the caller, with its message.
///
/// # Panics
///
/// When the function does, when there is no tokio runtime, or when the runtime shuts down before the function starts.
///
/// # Cancel safety
///
/// When the future is dropped, a function that has started runs to its end and its result is dropped; a thread cannot be stopped.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let sum = openai_agents::tools::blocking(|| (1..=100).sum::<u32>()).await;
/// assert_eq!(sum, 5050);
/// # }
/// ```
pub async fn blocking<T, F>(function: F) -> T
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    match tokio::task::spawn_blocking(function).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(payload) => resume_unwind(payload),
            Err(error) => resume_unwind(Box::new(error.to_string())),
        },
    }
}
