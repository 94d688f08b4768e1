//! Writing to pipes that may be closed.

use std::io;

use anyhow::{Context as _, Result};

/// Takes a closed pipe for an end, not for a failure: `openai-agents check | head -1` is fine.
pub(crate) fn quiet_on_broken_pipe(written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write to stdout"),
    }
}
