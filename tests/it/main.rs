//! The behaviour of the public API, one file per subject.
#![cfg(test)]

mod captures;
mod readme;
mod request_limit;
mod retry;
mod tidy;
mod tool_macro;
