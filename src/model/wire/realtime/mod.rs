//! The realtime wire: client events into JSON, JSON into server events.
//!
//! It writes the GA protocol and reads the names of the beta as well, which gateways still send.

mod decode;
mod encode;
mod item;
#[cfg(test)]
mod tests;

pub(crate) use decode::decode;
pub(crate) use encode::{encode, session};
