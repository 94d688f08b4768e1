//! The wire of `/chat/completions`.

mod request;
mod messages;
mod types;
mod response;
mod stream;
mod assembly;
mod thinking;
mod shape;

pub(crate) use request::encode;
pub(crate) use stream::Decoder;
pub(in crate::model::wire) use types::WireUsage;

#[cfg(test)]
mod tests;
