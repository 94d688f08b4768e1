//! The behaviour of the public API, one file per subject.
mod tool_macro;
