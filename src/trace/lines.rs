//! Traces as JSON lines, in a file or wherever else bytes can be written.
//!
//! The first line is `{"type": "header", "version": 1}`. A line `{"type": "trace", ..}` stands before the first span of each trace, and
//! `{"type": "span", ..}` is written for each span that ended. Files can be continued and concatenated.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::id::TraceId;
use super::processor::Exporter;
use super::span::{Span, TraceInfo};
use crate::future::BoxError;

/// The version of the format; newer files are refused.
const VERSION: u64 = 1;

/// How many traces are remembered as already written. After that many the memory starts anew; a
/// trace line that is repeated does no harm.
const MAX_REMEMBERED: usize = 4096;

/// Writes spans as JSON lines.
pub struct JsonLines<W> {
    to: W,
    target: String,
    has_header: bool,
    told: HashSet<TraceId>,
}

/// Says why a text cannot be read as traces.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadTracesError {
    /// A line is not JSON, or neither a trace nor a span.
    #[error("line {line} is neither a trace nor a span")]
    Line {
        /// The line, from 1.
        line: usize,
    },
    /// A newer version of this library wrote it.
    #[error("the traces have version {found}; this library reads up to version {VERSION}")]
    Newer {
        /// Their version.
        found: u64,
    },
}

impl JsonLines<File> {
    /// Appends to a file, which is created if necessary, readable by its owner only.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened.
    pub fn append(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        Ok(Self {
            has_header: file.metadata()?.len() > 0,
            target: path.display().to_string(),
            ..Self::new(file)
        })
    }
}

impl<W: Write> JsonLines<W> {
    /// Writes to any writer.
    pub fn new(to: W) -> Self {
        Self {
            to,
            target: "JSON lines".to_owned(),
            has_header: false,
            told: HashSet::new(),
        }
    }

    /// Writes spans, each trace before its first span, and flushes.
    ///
    /// # Errors
    ///
    /// When the writer fails.
    pub fn write(&mut self, spans: &[Arc<Span>]) -> io::Result<()> {
        // All lines go out in one write, so that a process that is killed leaves no half line.
        let mut text = Vec::new();
        if !std::mem::replace(&mut self.has_header, true) {
            writeln!(text, "{}", json!({"type": "header", "version": VERSION}))?;
        }
        for span in spans {
            if self.told.len() == MAX_REMEMBERED {
                self.told.clear();
            }
            if self.told.insert(span.trace.id) {
                let mut trace = span.trace.to_value();
                trace.shift_insert(0, "type".to_owned(), "trace".into());
                writeln!(text, "{}", Value::Object(trace))?;
            }
            let span = span.to_json();
            let fields = span.strip_prefix('{').unwrap_or(&span);
            writeln!(text, r#"{{"type":"span",{fields}"#)?;
        }
        self.to.write_all(&text)?;
        self.to.flush()
    }
}

impl<W: Write + Send + 'static> Exporter for JsonLines<W> {
    fn export(&mut self, spans: &[Arc<Span>]) -> Result<(), BoxError> {
        Ok(self.write(spans)?)
    }

    fn target(&self) -> String {
        self.target.clone()
    }
}

/// Reads spans that were written as JSON lines.
///
/// # Errors
///
/// [`ReadTracesError`] for a line that is neither header, trace nor span, or a newer version.
pub fn read_lines(text: &str) -> Result<Vec<Span>, ReadTracesError> {
    let mut traces = HashMap::<TraceId, Arc<TraceInfo>>::new();
    let mut spans = Vec::new();
    for (n, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let bad = || ReadTracesError::Line { line: n + 1 };
        let json: Value = serde_json::from_str(line).map_err(|_| bad())?;
        match json.get("type").and_then(Value::as_str) {
            Some("header") => {
                let found = json.get("version").and_then(Value::as_u64);
                let found = found.ok_or_else(bad)?;
                if found > VERSION {
                    return Err(ReadTracesError::Newer { found });
                }
            }
            Some("trace") => {
                let trace = TraceInfo::from_value(&json).ok_or_else(bad)?;
                traces.insert(trace.id, Arc::new(trace));
            }
            Some("span") => {
                let id = json.get("trace_id").and_then(Value::as_str);
                let id = id.and_then(|id| id.parse().ok());
                let trace = id.and_then(|id| traces.get(&id)).ok_or_else(bad)?;
                spans.push(Span::from_json(trace, &json).ok_or_else(bad)?);
            }
            _ => return Err(bad()),
        }
    }
    Ok(spans)
}

impl<W> fmt::Debug for JsonLines<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLines")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}
