//! Spoken conversations: the two speech APIs over a socket, and the pipeline.

mod live;
mod pipeline;
mod stt;
mod tts;
