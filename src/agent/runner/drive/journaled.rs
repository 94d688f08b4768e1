//! The side effects of a run, through its journal.
//!
//! The journal is the innermost of what stands around a step: it is given the effect itself, which has not begun, under a key that is
//! the same in every execution of the run. The key has the calls of agents as tools that lead here, the turn, and which effect of
//! the turn it is; so it needs no counter that a run which goes on elsewhere would have to know.

use std::sync::Arc;

use futures_util::stream::poll_fn;

use crate::agent::runner::request::RunSetup;
use crate::agent::runner::session::{SessionChangeStep, SessionReadStep};
use crate::agent::runner::session_writes::SessionWrites;
use crate::journal::{
    Effect, EffectKey, ModelEffect, SessionChange, SessionRead, SessionReadEffect, SessionWrite,
    SessionWriteEffect,
};
use crate::model::{Model, ModelRequest};
use crate::session::{Session, SessionError, SessionItems, SessionTurn};
use crate::trace;

/// How often a run that lost its session tries to take out what it wrote; each time it fails, somebody else's change has succeeded.
const MAX_WITHDRAWALS: u32 = 100;

pub(super) fn model_call(
    setup: &RunSetup,
    model: &dyn Model,
    request: &ModelRequest,
) -> ModelEffect {
    // Making the call sends nothing. The request goes out when the stream is first polled, and a
    // journal that remembers the response never polls it.
    let call = model.call(request.clone());
    let Some(journal) = &setup.options.journal else {
        return call;
    };
    let call = if setup.options.tracer.is_some() || !setup.options.layers.is_empty() {
        noted(call)
    } else {
        call
    };
    let key = EffectKey::model_call(request.turn).within(&setup.scope.path);
    journal.model_call(key, request, call)
}

/// Tells the trace when a journal has the call made, which it does not for an outcome that it remembers.
fn noted(mut call: ModelEffect) -> ModelEffect {
    let mut has_begun = false;
    Box::pin(poll_fn(move |cx| {
        if !std::mem::replace(&mut has_begun, true) {
            trace::note_effect();
        }
        call.as_mut().poll_next(cx)
    }))
}

pub(super) fn session_read(setup: &RunSetup, read: SessionReadStep) -> SessionRead {
    let SessionReadStep {
        session,
        turn,
        effect,
        settings,
    } = read;
    let reader = Arc::clone(&session);
    let read = SessionReadEffect {
        key: EffectKey::new(turn, effect).within(&setup.scope.path),
        session,
        effect: Box::pin(async move {
            trace::note_effect();
            match settings {
                Some(settings) => settings.read(&*reader).await,
                None => reader.items(None).await,
            }
        }),
    };
    match &setup.options.journal {
        Some(journal) => journal.session_read(read),
        None => read.effect,
    }
}

pub(super) fn session_write(setup: &RunSetup, step: SessionChangeStep) -> SessionWrite {
    let SessionChangeStep {
        session,
        turn,
        effect,
        change,
    } = step;
    let write = SessionWriteEffect {
        // A claim writes the items back as they were, only to get a new version. See
        // `SessionClaim::take`.
        change: match effect {
            Effect::ClaimWrite(_) => SessionChange::Replace,
            _ => SessionChange::Append,
        },
        key: EffectKey::new(turn, effect).within(&setup.scope.path),
        session,
        turn: change,
    };
    match &setup.options.journal {
        Some(journal) => journal.session_write(write),
        None => write.make(),
    }
}

/// Takes out of the session what this run has written to it, because another has written since.
///
/// It alone passes no journal: it depends on nothing but the session, and done twice it does nothing.
pub(super) async fn withdraw(
    session: Arc<dyn Session>,
    written: SessionWrites,
) -> Result<(), SessionError> {
    let mut n_tries = 0;
    while !written.is_empty() {
        // Read, remove, and replace under the version that was read. If someone writes in between,
        // the replace conflicts, and the next round starts from what is there then.
        let SessionItems { mut items, version } = session.items(None).await?;
        // Nothing of it is left: another run removed it, or a compactor put it into a summary.
        let Some(own) = written.find(&items) else {
            break;
        };
        items.drain(own);
        n_tries += 1;
        let without = SessionTurn::new(items).after(version);
        match session.replace(without).await {
            Err(SessionError::Conflict { .. }) if n_tries < MAX_WITHDRAWALS => {}
            replaced => return replaced.map(drop),
        }
    }
    Ok(())
}
