//! The behaviour of the public API, one file per subject.
#![cfg(test)]

mod support;
mod folder;
mod front;

mod run;
mod tool_use;
mod unknown_tools;
mod journal;
mod tools_failing;
mod limits;
mod streaming;
mod cancel;
mod wire_requests;
mod wire_errors;
mod responses_runs;
mod hosted_tools;
mod providers;
mod typed_output;
mod run_state;
mod agents_as_tools;
mod session_runs;
mod tool_sources;
mod guardrails;
mod panics;
mod secrets;
mod captures;
mod gpt_oss_completions;
mod captures_responses;
mod cases;
mod properties;
mod mcp_client;
mod mcp_http;
mod mcp_server;
mod server_access;
mod server_chat;
mod server_responses;
mod readme;
mod request_limit;
mod retry;
mod sessions;
mod session_processes;
mod session_compaction;
mod session_branches;
mod tidy;
mod tool_macro;
