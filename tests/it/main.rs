//! The behaviour of the public API, one file per subject.
#![cfg(test)]

mod support;

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
mod secrets;
mod captures;
mod gpt_oss_completions;
mod captures_responses;
mod parity;
mod mcp_client;
mod mcp_http;
mod mcp_server;
mod readme;
mod request_limit;
mod retry;
mod tidy;
mod tool_macro;
