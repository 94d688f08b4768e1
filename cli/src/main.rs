//! The program `openai-agents`.

fn main() {}
