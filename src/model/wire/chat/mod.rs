//! The wire of `/chat/completions`.

mod request;
mod messages;
mod tool_media;
mod types;
mod response;
mod stream;
mod builder;
mod calls;
mod extra;
mod thinking;
mod template;

pub(crate) use request::{deviations, encode};
pub(crate) use stream::ChatDecoder;

#[cfg(test)]
mod tests;
