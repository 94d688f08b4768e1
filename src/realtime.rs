//! Realtime sessions: text and audio both ways, tools beside the audio, interruptions at what was heard.
//!
//! A [`RealtimeAgent`] speaks in a [`RealtimeSession`], which tells the application [`RealtimeEvent`]s.
#![doc = include_str!("../docs/realtime.md")]

mod agent;
mod audio;
mod conversation;
mod error;
mod event;
mod machine;
mod queue;
mod drive;
mod retelling;
mod session;
mod trace;
mod display;
mod streaming;
pub(crate) mod probe;
#[cfg(test)]
mod tests;

pub use agent::{RealtimeAgent, RealtimeAgentBuilder, RealtimeHandoff};
#[cfg(feature = "voice")]
pub(crate) use conversation::heard_prefix;
pub use conversation::{RealtimeContent, RealtimeItem};
pub use error::RealtimeError;
pub use event::{CutItem, InterruptedBy, RealtimeEvent, SessionEnd, ToolFault};
pub use session::{Clock, RealtimeHandle, RealtimeSession, RealtimeSessionBuilder, Reconnect};
pub use streaming::StreamingSession;
