//! A scripted realtime server, and the scripts that it plays.

mod script;
mod server;

pub use script::{RealtimeScript, ScriptError, ScriptLine, UserAction};
pub use server::{RealtimePeer, RealtimeServer};
