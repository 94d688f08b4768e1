//! Spoken conversations with any agent: speech to text, a run, and its answer spoken sentence by sentence.
//!
//! A [`Pipeline`] connects a speech recogniser ([`Stt`](crate::model::voice::Stt)), a [`Runner`](crate::Runner) and a speech
//! synthesiser ([`Tts`](crate::model::voice::Tts)).
#![doc = include_str!("../../docs/voice.md")]

mod answer;
mod builder;
mod error;
mod event;
mod pipeline;
mod trace;
mod sentences;

pub use builder::PipelineBuilder;
pub use error::VoiceError;
pub use event::{Interruption, VoiceEvent};
pub use pipeline::Pipeline;
