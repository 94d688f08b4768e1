//! The behaviour of the program, one file per command.

// `cfg(test)` is always true here; it tells clippy that `unwrap` in these helpers is in tests.
#[cfg(test)]
mod support;

mod agents;
mod check;
mod failures;
mod run;
