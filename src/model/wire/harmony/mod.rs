//! The Harmony format, in which gpt-oss models read and write conversations as text, and its wire, `/completions`.
//!
//! The specification is OpenAI's [Harmony response format](https://cookbook.openai.com/articles/openai-harmony).

mod request;
mod render;
mod typescript;
mod stream;
mod transcript;
mod parser;
mod header;
pub(crate) mod leak;
pub(crate) mod served;
mod token;

pub(crate) use request::encode;
pub(crate) use stream::HarmonyDecoder;

#[cfg(test)]
mod tests;
