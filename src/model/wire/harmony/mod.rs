//! The Harmony format, in which gpt-oss models read and write conversations as text.
//!
//! The specification is OpenAI's [Harmony response format](https://cookbook.openai.com/articles/openai-harmony).

mod token;
pub(crate) mod leak;
