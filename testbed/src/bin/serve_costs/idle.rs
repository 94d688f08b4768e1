//! What the program costs while nobody asks.

use std::fs;

use crate::client::ClientConnection;
use crate::program::{Program, beside_this};
use crate::{BoxError, Report};

/// How much memory it may have.
const MAX_KB: usize = 20 * 1024;

pub(crate) async fn measure() -> Result<Report, BoxError> {
    let program = Program::start("", "http://127.0.0.1:1/v1")?;
    // What is made for the first connection belongs to it.
    drop(ClientConnection::open(program.address).await?);
    let idle = program.resident_kb()?;
    let size = fs::metadata(beside_this("openai-agents")?)?.len();
    let mut report = Report::default();
    report.add("program_kb", size / 1024);
    report.add_time("ms_to_start", program.started_in);
    report.add("rss_kb", idle);
    report.expect("below 20 MB", idle < MAX_KB);
    Ok(report)
}
