//! `openai-agents devices`.

use anyhow::Result;
use clap::Args;

use super::microphone;
use crate::exit::Exit;

/// List the microphones and speakers
///
/// Each line has the kind, the id for --input-device or --output-device, and the name. A star marks the device that is used if you name
/// none.
///
/// They are used by `realtime --microphone`, `talk --microphone`, `listen --microphone`, `talk --play` and `speak --play`. The program has
/// them when it is built with its feature `microphone`.
///
/// Exit codes: 0 done; 2 the sound system does not answer, or the program was built without it.
#[derive(Debug, Args)]
pub(crate) struct DevicesArgs {
    /// Print each device as a line of JSON.
    #[arg(long)]
    pub(super) json: bool,
}

pub(crate) fn run(arguments: &DevicesArgs) -> Result<Exit> {
    microphone::list(arguments.json)?;
    Ok(Exit::Done)
}
