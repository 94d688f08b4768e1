//! Surfaces: agents and tools, served to other programs.

pub mod mcp;
