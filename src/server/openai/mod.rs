//! Agents behind the OpenAI API: each is a model, to any client of that API.

pub(super) mod models;
pub(super) mod chat;
pub(super) mod responses;
pub(super) mod conversations;
mod settings;
