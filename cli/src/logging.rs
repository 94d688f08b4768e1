//! The log, on stderr.

use std::io;

use anyhow::Result;
use openai_agents::config::{Config, ConfigError, Origin};
use tracing_subscriber::EnvFilter;

/// Starts the log with the filter of the configuration.
pub(crate) fn start(config: &Config) -> Result<()> {
    let Ok(filter) = EnvFilter::try_new(config.log_level()) else {
        return Err(invalid(config).into());
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false)
        .init();
    Ok(())
}

fn invalid(config: &Config) -> ConfigError {
    let setting = config
        .origins()
        .iter()
        .find(|setting| setting.key == "log_level");
    ConfigError::Invalid {
        key: "log_level".to_owned(),
        expected: "a log filter, such as info or warn,openai_agents=debug",
        origin: setting.map_or(Origin::Default, |setting| setting.origin.clone()),
    }
}
