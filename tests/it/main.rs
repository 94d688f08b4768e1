//! The behaviour of the public API, one file per subject.
#![cfg(test)]

mod gpt_oss_completions;
mod readme;
mod tidy;
mod tool_macro;
