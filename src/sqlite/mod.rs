//! A SQLite file and the thread that owns its connection, for every room that keeps something in one.
//!
//! Several rooms can share one file and one [`Worker`]; each has its own tables and its own errors.

mod worker;
mod open;
mod failure;

pub(crate) use failure::{Failure, StoreError, Trouble};
pub(crate) use open::{Access, check_format, has_all};
pub(crate) use worker::Worker;
