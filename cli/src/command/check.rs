//! `openai-agents check`.

use std::io::{self, Write};

use anyhow::Result;
use clap::Args;
use openai_agents::config::{Config, ConfigError};

use crate::args::Global;
use crate::exit::Exit;
use crate::logging;
use crate::output::quiet_on_broken_pipe;
use crate::sanitize::sanitize;

/// Show every setting with its origin, and what is missing
///
/// Secrets are counted and never shown. The exit code is 0 if a run could start, and 2 if something is missing or wrong.
#[derive(Debug, Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(global: Global) -> Result<Exit> {
    let config = global.load()?;
    logging::start(&config)?;
    let missing: Vec<ConfigError> = [config.base_url().err(), config.model().err()]
        .into_iter()
        .flatten()
        .collect();
    quiet_on_broken_pipe(write(&mut io::stdout().lock(), &config, &missing))?;
    Ok(if missing.is_empty() {
        Exit::Done
    } else {
        Exit::Usage
    })
}

fn write(out: &mut impl Write, config: &Config, missing: &[ConfigError]) -> io::Result<()> {
    let file = config.file().display().to_string();
    let state = if config.file_exists() {
        "read"
    } else {
        "not there"
    };
    writeln!(out, "configuration file: {} ({state})\n", sanitize(&file))?;
    let rows: Vec<[String; 3]> = config
        .origins()
        .iter()
        .map(|setting| {
            let origin = setting.origin.to_string();
            [&setting.key, &setting.value, &origin].map(|cell| one_line(cell))
        })
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let (keys, values) = (width(0), width(1));
    for [key, value, origin] in &rows {
        writeln!(out, "{key:keys$}  {value:values$}  {origin}")?;
    }
    for error in missing {
        writeln!(out, "\nmissing: {}", sanitize(&error.to_string()))?;
    }
    out.flush()
}

/// A value is one cell of a table, whatever it holds.
fn one_line(text: &str) -> String {
    sanitize(text).replace('\n', "\\n").replace('\t', "\\t")
}
