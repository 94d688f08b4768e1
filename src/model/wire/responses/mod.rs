//! The wire of `/responses`.

mod request;
mod types;
mod item;
mod response;
mod stream;

pub(crate) use request::encode;
pub(crate) use stream::ResponsesDecoder;

#[cfg(test)]
mod tests;
