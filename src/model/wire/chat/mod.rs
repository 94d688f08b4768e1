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

/// What decoding needs to know of the request that is answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    /// The turn of the run; ids that the server leaves out are made from it.
    pub(crate) turn: u32,
    /// Whether tools were sent as legacy functions, so that a legacy call is what was asked for.
    pub(crate) functions: bool,
}

#[cfg(test)]
mod tests;
