//! The log, on stderr.

use std::io::{self, Write};

use anyhow::Result;
use openai_agents::config::{Config, ConfigError, Origin};
use tracing_subscriber::EnvFilter;

use crate::sanitize::sanitize;

/// Starts the log with the filter of the configuration.
pub(crate) fn start(config: &Config) -> Result<()> {
    let Ok(filter) = EnvFilter::try_new(config.log_level()) else {
        return Err(invalid(config).into());
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Sanitized)
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

/// Stderr behind the escapes: what a server said may stand in a line of the log.
struct Sanitized;

impl Write for Sanitized {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        io::stderr().write_all(sanitize(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
