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
