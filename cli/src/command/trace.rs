//! `openai-agents trace`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand, ValueEnum};
use openai_agents::ErrorKind;
use openai_agents::config::Config;
use openai_agents::trace::{
    JsonLines, Span, SpanStatus, TraceFilter, TraceRetention, TraceStore, TraceSummary,
    UsageFilter, UsageKey, UsageTotal, otlp_json,
};
use serde_json::Value;

use crate::answer_file::AnswerFile;
use crate::args::Global;
use crate::exit::Exit;
use crate::failure::{Unusable, Usage};
use crate::output::{Lines, is_read};
use crate::render::{tree, usage};
use crate::{logging, output, recorder};

/// List, show, export and delete recorded runs
///
/// Runs are recorded by `run --trace`, and by every command if `trace.store` is set. Nothing leaves
/// this machine.
#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List traces, the newest first.
    List {
        /// Print each as a line of JSON.
        #[arg(long)]
        json: bool,
        /// Only those that failed.
        #[arg(long)]
        failed: bool,
        /// Only those of this agent.
        #[arg(long, value_name = "NAME")]
        agent: Option<String>,
        /// Only those that contain this text.
        #[arg(long, value_name = "TEXT")]
        text: Option<String>,
        /// At most this many.
        #[arg(long, value_name = "N", default_value = "20")]
        limit: usize,
    },
    /// Show a trace as a tree.
    Show {
        /// The trace, or the beginning of its id [default: the newest].
        id: Option<String>,
        /// Print each span as a line of JSON, with its content.
        #[arg(long)]
        json: bool,
    },
    /// Add up what the model calls of all recorded runs used.
    ///
    /// Money is in the currency of `prices`. Calls of models without a price are counted, and their cost is not known.
    Usage {
        /// Add up by these, such as day,model.
        #[arg(long, value_name = "KEY", value_delimiter = ',', default_value = "day")]
        by: Vec<By>,
        /// Only from this day on, such as 2026-11-27, in UTC.
        #[arg(long, value_name = "DAY")]
        since: Option<String>,
        /// Print each sum as a line of JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write a trace to a file.
    Export {
        /// The trace, or the beginning of its id [default: the newest].
        id: Option<String>,
        /// As one HTML page that needs nothing else.
        #[arg(long, conflicts_with_all = ["json", "otlp"])]
        html: bool,
        /// As lines of JSON [default].
        #[arg(long, conflicts_with = "otlp")]
        json: bool,
        /// As the JSON of OTLP, which OpenTelemetry collectors read.
        #[arg(long)]
        otlp: bool,
        /// Write to this file, instead of stdout.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Delete a trace, or those that are old.
    Delete {
        /// The trace, or the beginning of its id.
        #[arg(required_unless_present = "older_than", conflicts_with = "older_than")]
        id: Option<String>,
        /// Delete those that ended longer ago, such as 30d, 12h or 45m.
        #[arg(long, value_name = "AGE", value_parser = age)]
        older_than: Option<Duration>,
    },
}

/// The keys that usage can be added up by.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum By {
    /// The day, in UTC.
    Day,
    Model,
    Agent,
    Session,
}

impl From<By> for UsageKey {
    fn from(by: By) -> Self {
        match by {
            By::Day => Self::Day,
            By::Model => Self::Model,
            By::Agent => Self::Agent,
            By::Session => Self::Session,
        }
    }
}

impl TraceArgs {
    /// Says whether the action has --json and writes a list.
    pub(super) fn is_json(&self) -> bool {
        match self.action {
            Action::List { json, .. } | Action::Show { json, .. } | Action::Usage { json, .. } => {
                json
            }
            Action::Export { .. } | Action::Delete { .. } => false,
        }
    }
}

pub(crate) async fn run(global: Global, arguments: &TraceArgs) -> Result<Exit> {
    let config = global.load()?;
    logging::start(&config)?;
    let store = open(&config).await?;
    match &arguments.action {
        Action::List {
            json,
            failed,
            agent,
            text,
            limit,
        } => {
            let mut filter = TraceFilter::default();
            filter.status = failed.then_some(SpanStatus::Error);
            filter.agent.clone_from(agent);
            filter.text.clone_from(text);
            filter.limit = Some(*limit);
            let list = match &store {
                Some(store) => store.list(filter).await?.traces,
                None => Vec::new(),
            };
            is_read(write_list(&list, *json))?;
        }
        Action::Show { id, json } => {
            let (store, found) = find(store, &config, id.as_deref()).await?;
            let spans = store.spans(found.id()).await?;
            is_read(write_trace(&found, &spans, *json))?;
        }
        Action::Usage { by, since, json } => {
            let mut filter = UsageFilter::default();
            filter.by = by.iter().copied().map(Into::into).collect();
            filter.since.clone_from(since);
            let totals = match &store {
                Some(store) => store.usage(filter).await?,
                None => Vec::new(),
            };
            is_read(write_usage(&totals, *json))?;
        }
        Action::Export {
            id,
            html,
            otlp,
            output,
            ..
        } => {
            let file = output.as_deref().map(AnswerFile::new).transpose()?;
            let (store, found) = find(store, &config, id.as_deref()).await?;
            let spans = store.spans(found.id()).await?;
            let text = match (html, otlp) {
                (true, _) => tree::html(&found, &spans),
                (_, true) => otlp_json("openai-agents", &spans),
                _ => json_lines(spans)?,
            };
            write(&text, *html, file.as_ref())?;
        }
        Action::Delete {
            older_than: Some(age),
            ..
        } => delete_old(store, *age).await?,
        Action::Delete { id, .. } => {
            let (store, found) = find(store, &config, id.as_deref()).await?;
            store.delete(found.id()).await?;
        }
    }
    Ok(Exit::Done)
}

/// Parses an age such as `30d`.
fn age(text: &str) -> Result<Duration, &'static str> {
    const EXPECTED: &str = "expected a number of days, hours or minutes, such as 30d, 12h or 45m";
    let unit = match text.chars().next_back() {
        Some('d') => 24 * 60 * 60,
        Some('h') => 60 * 60,
        Some('m') => 60,
        _ => return Err(EXPECTED),
    };
    let number = text.get(..text.len() - 1).unwrap_or_default();
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: Option<u64> = number.parse().ok().filter(|_| is_number);
    let seconds = number.and_then(|number| number.checked_mul(unit));
    seconds.map(Duration::from_secs).ok_or(EXPECTED)
}

async fn delete_old(store: Option<TraceStore>, age: Duration) -> Result<()> {
    let n_deleted = match store {
        Some(store) => store.prune(TraceRetention::default().max_age(age)).await?,
        None => 0,
    };
    output::note(format_args!("{n_deleted} traces were deleted"));
    Ok(())
}

/// Opens the store; `None` if it does not exist yet.
async fn open(config: &Config) -> Result<Option<TraceStore>> {
    let path = recorder::path(config)?;
    if !path.try_exists().unwrap_or(true) {
        return Ok(None);
    }
    Ok(Some(TraceStore::open(path).await?))
}

/// Finds a trace by the beginning of its id, or the newest.
async fn find(
    store: Option<TraceStore>,
    config: &Config,
    id: Option<&str>,
) -> Result<(TraceStore, TraceSummary)> {
    let path = recorder::path(config)?.display();
    let gone = |message: String| Unusable {
        kind: ErrorKind::Config,
        message,
        hint: None,
    };
    let none = || {
        gone(format!(
            "nothing is recorded in {path}; `run --trace` records a run"
        ))
    };
    let store = store.ok_or_else(none)?;
    let Some(id) = id else {
        let newest = store.list(TraceFilter::default()).await?;
        let newest = newest.traces.into_iter().next().ok_or_else(none)?;
        return Ok((store, newest));
    };
    if !id
        .chars()
        .all(|digit| matches!(digit, '0'..='9' | 'a'..='f'))
        || id.len() > 32
    {
        return Err(Usage(format!(
            "`{id}` is not the id of a trace or its beginning; `trace list` shows them"
        ))
        .into());
    }
    let mut filter = TraceFilter::default();
    filter.id_prefix = Some(id.to_owned());
    // Two are enough to see that the beginning fits more than one.
    filter.limit = Some(2);
    let mut found = store.list(filter).await?.traces;
    match (found.pop(), found.pop()) {
        (Some(found), None) => Ok((store, found)),
        (Some(_), Some(_)) => Err(gone(format!(
            "several traces in {path} have an id that begins with {id}; give more of it"
        ))
        .into()),
        (None, _) => Err(gone(format!(
            "no trace in {path} has an id that begins with {id}"
        ))
        .into()),
    }
}

fn write_list(list: &[TraceSummary], json: bool) -> std::io::Result<()> {
    let mut out = Lines::stdout();
    for trace in list {
        if json {
            let mut line = trace.to_value();
            line.shift_insert(0, "type".to_owned(), "trace".into());
            out.json(&Value::Object(line))?;
        } else {
            out.text(tree::summary(trace))?;
        }
    }
    Ok(())
}

fn write_usage(totals: &[UsageTotal], json: bool) -> std::io::Result<()> {
    let mut out = Lines::stdout();
    if json {
        return totals.iter().try_for_each(|total| {
            let mut line = total.to_value();
            line.shift_insert(0, "type".to_owned(), "usage".into());
            out.json(&Value::Object(line))
        });
    }
    usage::table(totals)
        .iter()
        .try_for_each(|line| out.text(line))
}

fn write_trace(trace: &TraceSummary, spans: &[Span], json: bool) -> std::io::Result<()> {
    let mut out = Lines::stdout();
    if json {
        for span in spans {
            let span = span.to_json();
            let fields = span.strip_prefix('{').unwrap_or(&span);
            out.stored_json(&format!(r#"{{"type":"span",{fields}"#))?;
        }
        return Ok(());
    }
    tree::lines(trace, spans)
        .iter()
        .try_for_each(|line| out.text(line))
}

fn json_lines(spans: Vec<Span>) -> Result<String> {
    let mut bytes = Vec::new();
    let spans: Vec<_> = spans.into_iter().map(std::sync::Arc::new).collect();
    JsonLines::new(&mut bytes).write(&spans)?;
    String::from_utf8(bytes).context("the recorded trace is not UTF-8")
}

fn write(text: &str, html: bool, file: Option<&AnswerFile>) -> Result<()> {
    if let Some(file) = file {
        return file.write_bytes(text.as_bytes());
    }
    let mut out = Lines::stdout();
    is_read(text.lines().try_for_each(|line| {
        if html {
            out.text(line)
        } else {
            out.stored_json(line)
        }
    }))?;
    Ok(())
}
