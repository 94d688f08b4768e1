//! How two recordings differ.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use super::line::{Asked, LineBody};
use super::recording::{Entry, Recording};
use crate::item::Item;

/// One effect that two recordings have not alike.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The turn, from 1; 0 before the first.
    ///
    /// Of an effect inside an agent that is called as a tool it is that agent's.
    pub turn: u32,
    /// The calls of agents as tools that lead to the effect.
    ///
    /// Each is its turn and its place in it, such as `2.1`.
    pub path: Vec<String>,
    /// What differs.
    pub kind: DifferenceKind,
    /// What the first recording has; `None` if it has no such effect.
    pub before: Option<String>,
    /// What the second recording has; `None` if it has no such effect.
    pub after: Option<String>,
}

/// What of a turn differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DifferenceKind {
    /// What the model was asked.
    Request,
    /// What the model answered.
    Response,
    /// A tool call.
    ToolCall,
    /// What a tool call gave.
    ToolOutcome,
    /// What was read from the session.
    SessionRead,
    /// What was written to the session.
    SessionWrite,
}

/// Where an effect stands, without the ids that servers choose.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct EffectPlace {
    path: Vec<String>,
    turn: u32,
    kind: DifferenceKind,
    /// Which of its kind in the turn.
    n: usize,
    /// Which of several that would stand at one place, as outcomes of one call do where a file has been edited.
    again: usize,
}

pub(super) fn differences(first: &Recording, second: &Recording) -> Vec<Difference> {
    let (before, after) = (placed(first), placed(second));
    let of_second: HashMap<&EffectPlace, &LineBody> =
        after.iter().map(|(place, body)| (place, *body)).collect();
    let of_first: HashMap<&EffectPlace, &LineBody> =
        before.iter().map(|(place, body)| (place, *body)).collect();
    let mut found = Vec::new();
    for (place, body) in &before {
        let other = of_second.get(place);
        let (before, after) = match other {
            Some(other) => match told_apart(body, other) {
                Some((before, after)) => (Some(before), Some(after)),
                None => continue,
            },
            None => (Some(shown(body)), None),
        };
        found.push(place.difference(before, after));
    }
    let added = after
        .iter()
        .filter(|(place, _)| !of_first.contains_key(place));
    found.extend(added.map(|(place, body)| place.difference(None, Some(shown(body)))));
    found
}

/// The effects with their places, in order.
fn placed(recording: &Recording) -> Vec<(EffectPlace, &LineBody)> {
    let mut calls: HashMap<(Vec<String>, String), Vec<Arc<str>>> = HashMap::new();
    let mut counts: HashMap<(Vec<String>, u32, DifferenceKind), usize> = HashMap::new();
    let mut placed: Vec<(EffectPlace, &LineBody)> = Vec::new();
    let mut taken: HashMap<EffectPlace, usize> = HashMap::new();
    // Tools of a turn end in any order; their outcomes belong to their calls.
    let mut of_call: HashMap<(&[Arc<str>], u32, &str), usize> = HashMap::new();
    for entry in recording.entries() {
        let kind = kind(&entry.body);
        let path = path(entry, &mut calls);
        let count = counts.entry((path.clone(), entry.turn, kind)).or_default();
        let call = (
            &*entry.path,
            entry.turn,
            entry.call_id.as_deref().unwrap_or_default(),
        );
        // By number and not by id: servers choose new ids for each answer, so the ids of two
        // recordings never match.
        let n = match kind {
            DifferenceKind::ToolOutcome => of_call.get(&call).copied().unwrap_or(*count),
            _ => *count,
        };
        *count += 1;
        if kind == DifferenceKind::ToolCall {
            of_call.insert(call, n);
        }
        let mut place = EffectPlace {
            path,
            turn: entry.turn,
            kind,
            n,
            again: 0,
        };
        let n_taken = taken.entry(place.clone()).or_default();
        place.again = *n_taken;
        *n_taken += 1;
        placed.push((place, &entry.body));
    }
    placed
}

/// Names the calls that lead to an effect by their turns and by which of the turn they are.
fn path(entry: &Entry, calls: &mut HashMap<(Vec<String>, String), Vec<Arc<str>>>) -> Vec<String> {
    let mut path = Vec::new();
    for call in &entry.path {
        let turn = call.split('/').next().unwrap_or_default().to_owned();
        let siblings = calls.entry((path.clone(), turn.clone())).or_default();
        let n = siblings.iter().position(|sibling| sibling == call);
        let n = n.unwrap_or_else(|| {
            siblings.push(Arc::clone(call));
            siblings.len() - 1
        });
        path.push(format!("{turn}.{}", n + 1));
    }
    path
}

const fn kind(body: &LineBody) -> DifferenceKind {
    match body {
        LineBody::Request(_) => DifferenceKind::Request,
        LineBody::Response(_) => DifferenceKind::Response,
        LineBody::ToolCall(_) => DifferenceKind::ToolCall,
        LineBody::ToolOutcome(_) => DifferenceKind::ToolOutcome,
        LineBody::SessionRead(_) => DifferenceKind::SessionRead,
        LineBody::SessionWrite(_) => DifferenceKind::SessionWrite,
    }
}

/// What is not alike in both, as text; `None` when all is.
fn told_apart(before: &LineBody, after: &LineBody) -> Option<(String, String)> {
    let (before, after) = match (before, after) {
        (LineBody::Request(before), LineBody::Request(after)) => changed_parts(before, after),
        _ => (shown(before), shown(after)),
    };
    (before != after).then_some((before, after))
}

/// The parts of two requests that differ; items without those that both begin with.
fn changed_parts(before: &Asked, after: &Asked) -> (String, String) {
    let items = (plain(&before.items), plain(&after.items));
    let n_same = items
        .0
        .iter()
        .zip(&items.1)
        .take_while(|(a, b)| a == b)
        .count();
    let rest = |items: Vec<Value>| items.into_iter().skip(n_same).collect::<Value>();
    let parts = [
        (
            "instructions",
            json!(before.instructions),
            json!(after.instructions),
        ),
        ("prompt", json!(before.prompt), json!(after.prompt)),
        ("items", rest(items.0), rest(items.1)),
        ("tools", json!(before.tools), json!(after.tools)),
        ("output", json!(before.output), json!(after.output)),
        ("settings", json!(before.settings), json!(after.settings)),
    ];
    let changed = parts
        .into_iter()
        .filter(|(_, before, after)| before != after);
    let texts = changed
        .map(|(name, before, after)| (format!("{name}: {before}"), format!("{name}: {after}")));
    let (before, after): (Vec<String>, Vec<String>) = texts.unzip();
    (before.join("; "), after.join("; "))
}

fn shown(body: &LineBody) -> String {
    let all = |items: &[Item]| json!(plain(items)).to_string();
    match body {
        LineBody::Request(asked) => all(&asked.items),
        LineBody::Response(answer) => all(&answer.items),
        LineBody::ToolCall(call) => format!("{}({})", call.tool, call.arguments),
        LineBody::ToolOutcome(outcome) => outcome.output.text(),
        LineBody::SessionRead(kept) | LineBody::SessionWrite(kept) => all(&kept.items),
    }
}

/// Items without their ids.
fn plain(items: &[Item]) -> Vec<Value> {
    let plain = |item: &Item| {
        let mut value: Value = serde_json::from_str(item.to_json()).unwrap_or_default();
        if let Some(fields) = value.as_object_mut() {
            fields.remove("id");
            fields.remove("call_id");
        }
        value
    };
    items.iter().map(plain).collect()
}

impl EffectPlace {
    fn difference(&self, before: Option<String>, after: Option<String>) -> Difference {
        Difference {
            turn: self.turn,
            path: self.path.clone(),
            kind: self.kind,
            before,
            after,
        }
    }
}

impl DifferenceKind {
    /// Names it for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
            Self::ToolCall => "tool call",
            Self::ToolOutcome => "tool outcome",
            Self::SessionRead => "session read",
            Self::SessionWrite => "session write",
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for call in &self.path {
            write!(f, "in call {call}: ")?;
        }
        write!(f, "turn {}: {}", self.turn, self.kind.name())?;
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, " changed from {before} to {after}"),
            (Some(before), None) => write!(f, " only in the first: {before}"),
            (None, Some(after)) => write!(f, " only in the second: {after}"),
            (None, None) => Ok(()),
        }
    }
}
