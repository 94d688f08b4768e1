//! The form in which journals keep outcomes, and how a model's answer is kept while it passes.

use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use super::{JournalError, ModelEffect};
use crate::future::BoxFuture;
use crate::item::Item;
use crate::model::{ModelError, ModelEvent, ResponseAccumulator, ResponseMeta};
use crate::session::{SessionItems, SessionVersion};

/// A model's whole answer; its deltas are not kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StoredResponse {
    pub(super) items: Vec<Item>,
    /// Journals that exist have it under this name.
    #[serde(rename = "end")]
    pub(super) meta: ResponseMeta,
}

/// What was read from a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StoredItems {
    pub(super) items: Vec<Item>,
    pub(super) version: SessionVersion,
}

impl StoredResponse {
    /// The answer as a model gives it that answers whole.
    pub(super) fn into_events(self) -> ModelEffect {
        let items = self.items.into_iter();
        let events = items.map(|item| Ok(ModelEvent::ItemDone { item }));
        let done = ModelEvent::ResponseDone(Box::new(self.meta));
        Box::pin(stream::iter(events.chain([Ok(done)])))
    }
}

/// Passes the events of a call on, and its end once the answer is kept.
pub(super) fn store_response(
    call: ModelEffect,
    keep: impl FnOnce(StoredResponse) -> BoxFuture<'static, Result<(), JournalError>> + Send + 'static,
) -> ModelEffect {
    struct Passing<F> {
        call: ModelEffect,
        fold: ResponseAccumulator,
        keep: F,
    }

    let passing = Passing {
        call,
        fold: ResponseAccumulator::default(),
        keep,
    };
    Box::pin(stream::unfold(Some(passing), |passing| async move {
        let mut passing = passing?;
        let event = match passing.call.next().await? {
            Ok(event) => event,
            Err(error) => return Some((Err(error), None)),
        };
        // The answer is put together while it passes. Whoever watches gets each event at once; only
        // the last waits.
        passing.fold.push(event.clone());
        if !matches!(event, ModelEvent::ResponseDone(_)) {
            return Some((Ok(event), Some(passing)));
        }
        let Passing { fold, keep, .. } = passing;
        let kept = async {
            let response = fold.finish()?;
            let answer = StoredResponse {
                items: response.items,
                meta: response.meta,
            };
            keep(answer).await.map_err(ModelError::from)
        };
        // On the disk before the run learns that the answer is complete. If keeping fails, the run
        // gets that error and not the end, because it must not act on an answer that a crash would
        // lose.
        Some((kept.await.map(|()| event), None))
    }))
}

impl From<SessionItems> for StoredItems {
    fn from(read: SessionItems) -> Self {
        Self {
            items: read.items,
            version: read.version,
        }
    }
}

impl From<StoredItems> for SessionItems {
    fn from(kept: StoredItems) -> Self {
        Self::new(kept.items, kept.version)
    }
}
