//! A run that is played back from a recording, whole or up to a turn.

use std::sync::Arc;

use futures_util::stream;

use super::line::{Asked, LineBody};
use super::recording::{Entry, Recording};
use crate::future::BoxStream;
use crate::journal::{
    Effect, EffectKey, Journal, JournalError, ModelEffect, SessionRead, SessionReadEffect,
    SessionWrite, SessionWriteEffect, ToolCallEffect, ToolEffect,
};
use crate::kind::ErrorKind;
use crate::model::{Model, ModelError, ModelEvent, ModelRequest};

/// Gives recorded outcomes in the place of effects; made by [`Recording::journal`] and [`Recording::fork_at`].
///
/// A request that is not the recorded one ends the run by [`JournalError::Changed`].
#[derive(Debug, Clone)]
pub struct ReplayJournal {
    recording: Recording,
    /// The turn of the outermost run from which on things happen.
    live_from: Option<u32>,
}

/// Stands in for the model of a run that is played back; it answers nothing.
#[derive(Debug, Clone)]
pub struct RecordedModel(());

impl ReplayJournal {
    pub(super) fn new(recording: Recording, live_from: Option<u32>) -> Self {
        Self {
            recording,
            live_from,
        }
    }

    fn is_live(&self, key: &EffectKey) -> bool {
        self.live_from
            .is_some_and(|turn| outermost_turn(key) >= turn)
    }

    fn find<'a, T>(
        &'a self,
        key: &EffectKey,
        outcome: impl Fn(&'a LineBody) -> Option<T>,
    ) -> Result<T, JournalError> {
        let call_id = match &key.effect {
            Effect::ToolCall(id) => Some(id),
            _ => None,
        };
        let is_it = |entry: &&Entry| {
            entry.turn == key.turn && entry.path == key.path && entry.call_id.as_ref() == call_id
        };
        // A linear search. A recording has a few entries for each turn, and a replay asks for each
        // once.
        let mut found = self.recording.entries().iter().filter(is_it);
        let outcome = found.find_map(|entry| outcome(&entry.body));
        outcome.ok_or_else(|| JournalError::NotRecorded {
            effect: key.to_string(),
        })
    }

    fn answer(&self, key: &EffectKey, request: &ModelRequest) -> Result<ModelEffect, JournalError> {
        let asked = self.find(key, |body| match body {
            LineBody::Request(asked) => Some(asked),
            _ => None,
        })?;
        // An answer to another question would lead the run to where it has never been, and look like a replay.
        let parts = Asked::of(request).changed_from(asked);
        if !parts.is_empty() {
            return Err(JournalError::Changed {
                effect: key.to_string(),
                parts,
            });
        }
        let answer = self.find(key, |body| match body {
            LineBody::Response(answer) => Some(answer),
            _ => None,
        })?;
        Ok(answer.clone().into_events())
    }
}

/// The turn of the outermost run in which an effect happens.
fn outermost_turn(key: &EffectKey) -> u32 {
    let outermost = key.path.first().and_then(|call| call.split('/').next());
    let turn = outermost.and_then(|turn| turn.parse().ok());
    turn.unwrap_or(key.turn)
}

impl Journal for ReplayJournal {
    fn model_call(&self, key: EffectKey, request: &ModelRequest, call: ModelEffect) -> ModelEffect {
        // A fork: from this turn on the run asks the real model.
        if self.is_live(&key) {
            return call;
        }
        let answer = self.answer(&key, request);
        answer.unwrap_or_else(|error| Box::pin(stream::iter([Err(ModelError::from(error))])))
    }

    fn tool_call(&self, call: ToolCallEffect) -> ToolEffect {
        if self.is_live(&call.key) {
            return call.effect;
        }
        let outcome = self.find(&call.key, |body| match body {
            LineBody::ToolOutcome(outcome) => Some(outcome.clone()),
            _ => None,
        });
        Box::pin(async move { outcome.map_err(|error| error.of_tool(call.tool)) })
    }

    fn session_read(&self, read: SessionReadEffect) -> SessionRead {
        if self.is_live(&read.key) {
            return read.effect;
        }
        let items = self.find(&read.key, |body| match body {
            LineBody::SessionRead(kept) => Some(kept.clone().into()),
            _ => None,
        });
        Box::pin(async move { items.map_err(|error| error.of_session(read.session.id().clone())) })
    }

    fn session_write(&self, write: SessionWriteEffect) -> SessionWrite {
        if self.is_live(&write.key) {
            return write.make();
        }
        let version = self.find(&write.key, |body| match body {
            LineBody::SessionWrite(kept) => Some(kept.version.clone()),
            _ => None,
        });
        let session = Arc::clone(&write.session);
        Box::pin(async move { version.map_err(|error| error.of_session(session.id().clone())) })
    }
}

impl RecordedModel {
    pub(super) const fn new() -> Self {
        Self(())
    }
}

impl Model for RecordedModel {
    fn name(&self) -> &'static str {
        "recorded"
    }

    fn call(&self, _: ModelRequest) -> BoxStream<'static, Result<ModelEvent, ModelError>> {
        let error = ModelError::new(
            ErrorKind::Inconsistent,
            "a model that is played back can answer nothing new",
        );
        Box::pin(stream::iter([Err(error)]))
    }
}
