//! The behaviour of the public API, one file per subject.
#[cfg(test)]
mod tool_macro;
