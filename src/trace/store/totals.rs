//! Adds up usage by day, model, agent or session.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::Connection;
use serde_json::{Map, Value};

use super::{StoreFailure, TraceStoreError};
use crate::trace::gen_ai;
use crate::trace::span::{Span, SpanKind, TraceInfo};
use crate::trace::time::{parse_rfc3339, rfc3339};
use crate::trace::usage::usage_of;
use crate::usage::Usage;

/// The length of a day as text: `2026-11-27`.
const DAY: usize = 10;

/// What usage can be grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UsageKey {
    /// The day on which the model was called, in UTC.
    Day,
    /// The model that was called.
    Model,
    /// The agent that called it.
    Agent,
    /// The session of the run, if it had one.
    Session,
}

/// Says which usage to add up and how to group it.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct UsageFilter {
    /// The keys to group by; without any there is one total.
    pub by: Vec<UsageKey>,
    /// Only usage from this day on, in UTC, such as `2026-11-27`.
    pub since: Option<String>,
}

/// Usage of the model calls of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsageTotal {
    /// The values of the group's keys; `None` where calls have none, such as a session.
    pub keys: Vec<(UsageKey, Option<String>)>,
    /// What they used together.
    pub usage: Usage,
}

impl UsageKey {
    /// Returns its name, such as `day`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Model => "model",
            Self::Agent => "agent",
            Self::Session => "session",
        }
    }
}

impl UsageTotal {
    /// Returns it as JSON: a field for each key, and `usage`.
    pub fn to_value(&self) -> Map<String, Value> {
        let keys = self.keys.iter();
        let keys = keys.map(|(key, value)| (key.as_str().to_owned(), value.clone().into()));
        let mut json: Map<String, Value> = keys.collect();
        let usage = serde_json::to_value(self.usage).unwrap_or_default();
        json.insert("usage".to_owned(), usage);
        json
    }
}

/// Adds up all model calls that were made. A call that a journal replayed used nothing: it was
/// counted when it was made.
pub(super) fn usage_totals(
    db: &Connection,
    filter: &UsageFilter,
) -> Result<Vec<UsageTotal>, StoreFailure> {
    if let Some(since) = &filter.since {
        let is_day = since.len() == DAY && parse_rfc3339(&format!("{since}T00:00:00Z")).is_some();
        if !is_day {
            return Err(StoreFailure::Own(TraceStoreError::Filter {
                detail: "`since` must be a day such as 2026-11-27",
            }));
        }
    }
    // The search in the text leaves out most rows at little cost. The lines of the others are
    // parsed.
    let mut statement = db.prepare(
        r#"SELECT traces.id, session_id, spans FROM trace_spans
           JOIN traces ON traces.id = trace_id WHERE instr(spans, '"kind":"generation"')"#,
    )?;
    let mut rows = statement.query([])?;
    let mut totals = BTreeMap::<Vec<Option<String>>, Usage>::new();
    while let Some(row) = rows.next()? {
        let id = row.get_ref(0)?.as_str().unwrap_or_default();
        let session = row.get_ref(1)?.as_str_or_null().unwrap_or_default();
        let Ok(id) = id.parse() else { continue };
        let trace = Arc::new(TraceInfo {
            id,
            name: "".into(),
            group: None,
            metadata: Vec::new(),
        });
        for line in row.get_ref(2)?.as_str().unwrap_or_default().lines() {
            let json: Value = serde_json::from_str(line).map_err(StoreFailure::refused)?;
            let Some(span) = Span::from_json(&trace, &json) else {
                continue;
            };
            if span.kind != SpanKind::Generation || span.is_replayed() {
                continue;
            }
            let mut day = rfc3339(span.started_at);
            day.truncate(DAY);
            if filter.since.as_ref().is_some_and(|since| day < *since) {
                continue;
            }
            let text = |name| Some(span.attribute(name)?.as_str()?.to_owned());
            let keys = filter.by.iter().map(|key| match key {
                UsageKey::Day => Some(day.clone()),
                UsageKey::Model => text(gen_ai::REQUEST_MODEL),
                UsageKey::Agent => text(gen_ai::AGENT_NAME),
                UsageKey::Session => session.map(str::to_owned),
            });
            *totals.entry(keys.collect()).or_default() += usage_of(&span);
        }
    }
    let totals = totals.into_iter().map(|(keys, usage)| UsageTotal {
        keys: filter.by.iter().copied().zip(keys).collect(),
        usage,
    });
    Ok(totals.collect())
}
