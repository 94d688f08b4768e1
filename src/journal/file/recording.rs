//! A recording that was read.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::difference::{Difference, differences};
use super::line::{Asked, Header, Line, LineBody, VERSION, Version};
use super::replay::{RecordedModel, ReplayJournal};
use super::writer::failed;
use crate::file;
use crate::future::BoxError;
use crate::item::Item;
use crate::journal::{JournalError, RunBeginning};

/// What a [`FileJournal`](super::FileJournal) wrote; clones share it.
#[derive(Clone)]
pub struct Recording(Arc<RecordingInner>);

struct RecordingInner {
    beginning: RunBeginning,
    entries: Vec<Entry>,
    is_cut: bool,
}

/// One line of it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: Vec<Arc<str>>,
    pub(super) turn: u32,
    pub(super) call_id: Option<String>,
    pub(super) body: LineBody,
}

impl Recording {
    /// How large a file [`open`](Self::open) reads: 256 MiB.
    pub const MAX_BYTES: u64 = 256 * 1024 * 1024;

    /// Reads a regular file of at most [`MAX_BYTES`](Self::MAX_BYTES).
    ///
    /// # Errors
    ///
    /// [`JournalError::Unavailable`] when it cannot be read, and those of [`parse`](Self::parse).
    ///
    /// # Cancel safety
    ///
    /// Nothing is changed.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, JournalError> {
        let path = path.as_ref().to_owned();
        let store = path.display().to_string();
        let read = tokio::task::spawn_blocking(move || file::read(&path, Self::MAX_BYTES)).await;
        let read = read.map_err(|error| JournalError::Unavailable {
            store: store.clone(),
            source: error.into(),
        })?;
        let bytes = read.map_err(|error| failed(&store, error))?;
        Self::parse(&bytes, &store)
    }

    /// Reads the bytes of a recording; `name` is what errors call it.
    ///
    /// A last line that was being written when the process ended is left out, and the recording [says so](Self::is_cut).
    ///
    /// # Errors
    ///
    /// [`JournalError::Corrupt`] with the number of the line that cannot be read, [`JournalError::Newer`].
    pub fn parse(bytes: &[u8], name: &str) -> Result<Self, JournalError> {
        let corrupt = |n: usize, source: BoxError| JournalError::Corrupt {
            store: name.to_owned(),
            place: format!("line {}", n + 1),
            source,
        };
        let is_cut = !bytes.ends_with(b"\n");
        let mut lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
        // Behind the last line break stands nothing, or a line that was cut.
        lines.pop();
        let mut read = Vec::new();
        for (n, line) in lines.into_iter().enumerate() {
            let line: Line =
                serde_json::from_slice(line).map_err(|error| corrupt(n, error.into()))?;
            read.push(line);
        }
        let mut lines = read.iter().enumerate();
        let (_, first) = lines
            .next()
            .ok_or_else(|| corrupt(0, "there is no header".into()))?;
        let header = header(first, name)?.map_err(|error| corrupt(0, error))?;
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: HashMap<&[String], Vec<Item>> = HashMap::new();
        for (n, line) in lines {
            let mut body = line.body().map_err(|error| corrupt(n, error.into()))?;
            if let LineBody::Request(asked) = &mut body {
                let before = seen.entry(&line.path).or_default();
                complete(asked, before).map_err(|error| corrupt(n, error))?;
                before.clone_from(&asked.items);
            }
            entries.push(Entry {
                path: line.path.iter().map(|call| call.as_str().into()).collect(),
                turn: line.turn,
                call_id: line.call_id.clone(),
                body,
            });
        }
        Ok(Self(Arc::new(RecordingInner {
            beginning: RunBeginning::new(header.agent, header.input).settings(header.settings),
            entries,
            is_cut,
        })))
    }

    /// Returns what the run began with.
    pub fn beginning(&self) -> &RunBeginning {
        &self.0.beginning
    }

    /// Says whether the last line was cut, because the process ended while it was written.
    pub fn is_cut(&self) -> bool {
        self.0.is_cut
    }

    /// Counts the turns that the model has answered.
    pub fn turns(&self) -> u32 {
        let answered = self
            .entries()
            .iter()
            .filter(|entry| entry.path.is_empty() && matches!(entry.body, LineBody::Response(_)));
        answered.map(|entry| entry.turn).max().unwrap_or(0)
    }

    /// Plays the run back.
    ///
    /// Every outcome is from the recording, and what it does not have is [`JournalError::NotRecorded`].
    pub fn journal(&self) -> ReplayJournal {
        ReplayJournal::new(self.clone(), None)
    }

    /// Plays the turns before this one back, and lets the others happen.
    ///
    /// From this turn on, model and tools are really called.
    ///
    /// Turns count from 1. What the session was read to be is part of what was recorded; a run that goes on otherwise should not be written to
    /// it, so give such a run none, and the items of the first request as input.
    pub fn fork_at(&self, turn: u32) -> ReplayJournal {
        ReplayJournal::new(self.clone(), Some(turn))
    }

    /// Returns the items of the first request: the input, behind what the session held.
    pub fn first_items(&self) -> &[Item] {
        let first = self.entries().iter().find_map(|entry| match &entry.body {
            LineBody::Request(asked) if entry.path.is_empty() => Some(&*asked.items),
            _ => None,
        });
        first.unwrap_or(&self.0.beginning.input)
    }

    /// Returns a model for runs that are only played back.
    ///
    /// A request that reaches it is an error.
    pub fn model(&self) -> RecordedModel {
        RecordedModel::new()
    }

    /// Lists how another recording differs, in the order of the effects.
    ///
    /// The first difference is where they part.
    ///
    /// Ids that servers choose anew for each answer do not count.
    pub fn diff(&self, other: &Self) -> Vec<Difference> {
        differences(self, other)
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.0.entries
    }
}

fn header(line: &Line, name: &str) -> Result<Result<Header, BoxError>, JournalError> {
    if line.r#type != "header" {
        return Ok(Err("this is no header".into()));
    }
    let json = line.body.get();
    match serde_json::from_str::<Version>(json) {
        Ok(Version { version }) if version > VERSION => Err(JournalError::Newer {
            store: name.to_owned(),
            found: version,
            known: VERSION,
        }),
        Ok(_) => Ok(serde_json::from_str(json).map_err(Into::into)),
        Err(error) => Ok(Err(error.into())),
    }
}

/// Puts in front what a request has of the one before.
fn complete(asked: &mut Asked, before: &[Item]) -> Result<(), BoxError> {
    let same = before
        .get(..asked.n_same)
        .ok_or("it begins with more items than the request before has")?;
    asked.items.splice(..0, same.iter().cloned());
    asked.n_same = 0;
    Ok(())
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording")
            .field("agent", &self.0.beginning.agent)
            .field("turns", &self.turns())
            .field("is_cut", &self.0.is_cut)
            .finish_non_exhaustive()
    }
}
