//! The behaviour of the public API, one file per subject.
#![cfg(test)]

mod captures;
mod readme;
mod tidy;
mod tool_macro;
