//! Sessions in real Postgres and Redis servers, which the tests also kill.
//!
//! Run by `scripts/test --stage databases`, or by `scripts/databases run -- cargo test --all-features --test databases`.
#![cfg(test)]

mod control;
mod killed;
mod listing;
mod postgres;
mod redis;
mod tls;

use std::env;

use openai_agents::Secret;

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set; this test is for: scripts/test --stage databases")
    })
}

fn url(name: &str) -> Secret {
    Secret::new(variable(name))
}
