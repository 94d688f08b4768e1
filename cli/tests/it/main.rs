//! The behaviour of the program, one file per command.

// `cfg(test)` is always true here; it tells clippy that `unwrap` and indexing in helpers are in tests.
#[cfg(test)]
mod agents;
#[cfg(test)]
mod answer_ends;
#[cfg(test)]
mod approvals;
#[cfg(test)]
mod chat;
#[cfg(test)]
mod check;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod clock;
#[cfg(test)]
mod durable;
#[cfg(test)]
mod echo;
#[cfg(test)]
mod exits;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod mcp;
#[cfg(test)]
mod outside_tools;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod memory;
#[cfg(test)]
#[cfg(all(feature = "microphone", target_os = "linux"))]
mod microphone;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod ports;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod run;
#[cfg(test)]
mod serve;
#[cfg(test)]
#[cfg(all(feature = "jemalloc", target_os = "linux", target_env = "gnu"))]
mod serve_memory;
#[cfg(test)]
mod served_agents;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod spoken;
#[cfg(test)]
mod stdin;
#[cfg(test)]
mod support;
#[cfg(test)]
mod together;
#[cfg(test)]
mod trace;
#[cfg(test)]
mod words;
#[cfg(test)]
#[cfg(unix)]
mod plugins;
#[cfg(test)]
#[cfg(unix)]
mod skills;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod workspace;
