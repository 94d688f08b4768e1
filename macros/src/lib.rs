//! `#[tool]`: a plain function becomes a tool.
