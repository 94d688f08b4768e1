//! Writes the log to stderr.

use std::io::{self, Write};

use anyhow::Result;
use openai_agents::config::{Config, ConfigError, Origin};
use serde_json::value::RawValue;
use tracing_subscriber::EnvFilter;

use crate::output;

/// Starts the log with the filter of the configuration. From here on, no secret of the
/// configuration is written anywhere.
pub(crate) fn start(config: &Config) -> Result<()> {
    output::keep_secret(config.redactor());
    let Ok(filter) = EnvFilter::try_new(config.log_level()) else {
        return Err(invalid(config).into());
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Events)
        .with_ansi(false)
        .init();
    Ok(())
}

fn invalid(config: &Config) -> ConfigError {
    ConfigError::Invalid {
        key: "log_level".to_owned(),
        expected: "a log filter, such as info or warn,openai_agents=debug",
        origin: config
            .setting("log_level")
            .map_or(Origin::Default, |setting| setting.origin.clone()),
    }
}

/// Writes each log event as one line, because it may contain the words of a server.
struct Events;

impl Write for Events {
    /// Receives one whole event at a time from the subscriber.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let event = String::from_utf8_lossy(bytes);
        let event = event.trim_end_matches('\n');
        match event.split_once('\n') {
            // A request that `VLLM_DEBUG_PAYLOAD` shows as JSON over several lines. Its line ends are ours: those inside texts are escaped in JSON.
            Some((head, payload)) if serde_json::from_str::<&RawValue>(payload).is_ok() => {
                output::note(head);
                payload.lines().for_each(output::note);
            }
            _ => output::note(event),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
