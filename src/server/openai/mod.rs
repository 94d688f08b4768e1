//! Agents behind the OpenAI API: each is a model, to any client of that API.

pub(super) mod models;
pub(super) mod chat;
pub(super) mod responses;
pub(super) mod conversations;
mod request_fields;
mod settings;
mod client_tools;
mod open_turns;
mod head;

pub(super) use open_turns::OpenTurns;
