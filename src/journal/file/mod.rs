//! A journal in a file of lines: a recording, to look at, to compare and to play back.
//!
//! It is apart from the trace of the run, which tells of the same effects: a run that is played back needs every outcome, whole, in the
//! order in which the run took them, or an error that says which is missing. A span may be withheld, cut or lost, has the bytes of HTTP
//! exchanges and not the values that came of them, and ends in its own time.

mod line;
mod writer;
mod recording;
mod replay;
mod difference;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures_util::{StreamExt, stream};
use serde::Serialize;

use super::stored::{StoredItems, store_response};
use super::{
    EffectKey, Journal, JournalError, ModelEffect, RunBeginning, SessionRead, SessionReadEffect,
    SessionWrite, SessionWriteEffect, ToolCallEffect, ToolEffect,
};
use crate::item::{History, Item};
use crate::model::ModelRequest;
use line::{Asked, Header, Line, RecordedCall, VERSION};
use writer::LineWriter;

pub use difference::{Difference, DifferenceKind};
pub use recording::Recording;
pub use replay::{RecordedModel, ReplayJournal};

/// Records what happens in a run, one JSON object a line, as it happens.
///
/// The first line says what the run began with; then come requests, responses, tool calls and their outcomes, what was read from the session
/// and what was written to it. A [`Recording`] reads it. Everything happens as without a journal: a line that cannot be written, say because
/// the disk is full, ends the recording and not the run, and [`failure`](Self::failure) says so. What was asked is there word for word, but no keys: neither headers nor `extra_body`. Failed model
/// calls leave a request without a response.
///
/// The file can be read and written by its owner only.
///
/// # Cancel safety
///
/// Dropping the last handle waits for the line that is being written.
///
/// ```
/// use std::sync::Arc;
///
/// use openai_agents::journal::{FileJournal, Recording, RunBeginning};
/// use openai_agents::testing::ScriptedModel;
/// use openai_agents::{Agent, Item, Runner};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let file = std::env::temp_dir().join(format!("openai-agents-doc-{}.jsonl", std::process::id()));
/// let agent = Agent::builder("Guide").build()?;
/// let beginning = RunBeginning::new("Guide", [Item::user("Where is Paris?")]);
/// let journal = FileJournal::create(&file, &beginning).await?;
/// let runner = Runner::new(ScriptedModel::text("In France."));
/// runner.run(&agent, beginning.input).journal(Arc::new(journal)).await?;
///
/// let recording = Recording::open(&file).await?;
/// let replay = Runner::new(recording.model()).run(&agent, recording.beginning().input.clone());
/// let result = replay.journal(Arc::new(recording.journal())).await?;
/// assert_eq!(result.final_output(), "In France.");
/// # std::fs::remove_file(&file)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FileJournal(Arc<FileJournalInner>);

struct FileJournalInner {
    writer: LineWriter,
    /// Why the recording ended before the run.
    failure: OnceLock<JournalError>,
    /// The items of the latest request of each run inside the run.
    seen: Mutex<HashMap<Vec<Arc<str>>, History>>,
}

impl FileJournal {
    /// Makes the file, which must not be there yet, and writes its first line.
    ///
    /// # Errors
    ///
    /// [`JournalError::Refused`] when the file is there, and the other errors of a file that cannot be written.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the file may have been made.
    pub async fn create(
        path: impl AsRef<Path>,
        beginning: &RunBeginning,
    ) -> Result<Self, JournalError> {
        let writer = LineWriter::create(path.as_ref().to_owned()).await?;
        let journal = Self::new(writer);
        let header = Header {
            version: VERSION,
            library: env!("CARGO_PKG_VERSION").to_owned(),
            agent: beginning.agent.clone(),
            input: beginning.input.clone(),
            settings: beginning.settings.clone(),
        };
        let line = Line::new("header", None, &header);
        journal.0.writer.write(line).await?;
        Ok(journal)
    }

    fn new(writer: LineWriter) -> Self {
        Self(Arc::new(FileJournalInner {
            writer,
            failure: OnceLock::new(),
            seen: Mutex::default(),
        }))
    }

    /// Says why the recording ended before the run, if it did.
    ///
    /// The recording is right as far as it goes.
    pub fn failure(&self) -> Option<&JournalError> {
        self.0.failure.get()
    }

    /// Writes a line, unless one before it could not be written: what comes behind a gap would be read wrongly.
    async fn write(&self, r#type: &str, key: &EffectKey, body: &impl Serialize) {
        if self.failure().is_some() {
            return;
        }
        let line = Line::new(r#type, Some(key), body);
        if let Err(error) = self.0.writer.write(line).await {
            // Side by side two lines can fail; the first says why.
            self.0.failure.set(error).ok();
        }
    }

    /// What is asked, without the items that the request before has as well.
    fn asked(&self, key: &EffectKey, request: &ModelRequest) -> Asked {
        let mut asked = Asked::of(request);
        // Turn k+1 repeats the items of turn k. Written out each time, a recording would grow with
        // the square of its turns.
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // By path, because an agent that is called as a tool has a conversation of its own, and
        // several may go on side by side.
        let before = seen.insert(key.path.clone(), request.items.clone());
        let before: &[Item] = before.as_deref().unwrap_or_default();
        let both = before.iter().zip(&asked.items);
        asked.n_same = both.take_while(|(before, now)| before == now).count();
        asked.items.drain(..asked.n_same);
        asked
    }

    async fn ask(self, key: EffectKey, asked: Asked, call: ModelEffect) -> ModelEffect {
        self.write("request", &key, &asked).await;
        store_response(call, move |answer| {
            Box::pin(async move {
                self.write("response", &key, &answer).await;
                Ok(())
            })
        })
    }
}

impl Journal for FileJournal {
    fn model_call(&self, key: EffectKey, request: &ModelRequest, call: ModelEffect) -> ModelEffect {
        let asked = self.asked(&key, request);
        let asked = self.clone().ask(key, asked, call);
        Box::pin(stream::once(asked).flatten())
    }

    fn tool_call(&self, call: ToolCallEffect) -> ToolEffect {
        let journal = self.clone();
        Box::pin(async move {
            let line = RecordedCall {
                tool: call.tool.to_string(),
                arguments: call.arguments,
            };
            // Before the call, so that a recording which breaks off shows what was being done.
            journal.write("tool_call", &call.key, &line).await;
            let outcome = call.effect.await?;
            journal.write("tool_outcome", &call.key, &outcome).await;
            Ok(outcome)
        })
    }

    fn session_read(&self, read: SessionReadEffect) -> SessionRead {
        let journal = self.clone();
        Box::pin(async move {
            let kept = StoredItems::from(read.effect.await?);
            journal.write("session_read", &read.key, &kept).await;
            Ok(kept.into())
        })
    }

    fn session_write(&self, write: SessionWriteEffect) -> SessionWrite {
        let journal = self.clone();
        Box::pin(async move {
            let key = write.key.clone();
            let items = write.turn.items.clone();
            let version = write.make().await?;
            let kept = StoredItems { items, version };
            journal.write("session_write", &key, &kept).await;
            Ok(kept.version)
        })
    }
}

impl fmt::Debug for FileJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileJournal")
            .field(&self.0.writer.store())
            .finish()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
