//! The program and the library against a real model, named by `OPENAI_BASE_URL`, `OPENAI_MODEL` and `OPENAI_API_KEY`.
//!
//! `scripts/test --stage end-to-end` runs these with the model of `scripts/model-server`; what it can be asked is in
//! docs/model-server.md. Its wording varies, so calls are judged by what they mean and answers by the result in them.

// `cfg(test)` is always true here; it tells clippy that `unwrap` and indexing in helpers are in tests.
#[cfg(test)]
mod examples;
#[cfg(test)]
mod library;
#[cfg(test)]
mod responses;
#[cfg(test)]
mod program;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod workspace;
#[cfg(test)]
#[cfg(unix)]
mod plugins;

/// A variable without which nothing here can be tested; a test that skips itself would pass for one that passed.
#[cfg(test)]
fn variable(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: use scripts/test --stage end-to-end"))
}
