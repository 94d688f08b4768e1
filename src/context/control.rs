//! Ending a run from outside, and knowing that it ended.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

use crate::item::Item;

/// When a run that is cancelled ends.
///
/// ```
/// use openai_agents::testing::ScriptedModel;
/// use openai_agents::{Agent, Cancel, ErrorKind, Runner};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runner = Runner::new(ScriptedModel::text("The Seine."));
/// let run = runner.run(&Agent::builder("Guide").build()?, "The river of Paris?").stream();
/// run.handle().cancel(Cancel::Now); // from anywhere, as from a button
/// assert_eq!(run.finish().await.unwrap_err().kind(), ErrorKind::Cancelled);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cancel {
    /// At once: the model's connection closes, tools are dropped where they stand.
    Now,
    /// After the turn: its tools finish, and no further turn begins.
    AfterTurn,
}

/// 0 is a run that nobody has cancelled.
const AFTER_TURN: u8 = 1;
const NOW: u8 = 2;
const OVER: u8 = 3;

/// What a run, its handles and its tools share about its end.
#[derive(Debug, Default)]
pub(crate) struct Control {
    state: AtomicU8,
    /// Whoever polls the run.
    run: AtomicWaker,
    /// Whoever waits for the end of the run.
    ended: Notify,
    inbox: Mutex<Inbox>,
}

/// What was sent to a run and not taken yet.
#[derive(Debug)]
enum Inbox {
    Open(Vec<Item>),
    /// The run has its final output, or is over.
    Closed,
}

impl Default for Inbox {
    fn default() -> Self {
        Self::Open(Vec::new())
    }
}

impl Control {
    /// Asks for an end; an earlier request for a sooner one stands.
    pub(crate) fn cancel(&self, when: Cancel) {
        let requested = match when {
            Cancel::Now => NOW,
            Cancel::AfterTurn => AFTER_TURN,
        };
        self.state.fetch_max(requested, Ordering::SeqCst);
        self.run.wake();
        if when == Cancel::Now {
            self.ended.notify_waiters();
        }
    }

    /// Says what was asked for, unless the run is over.
    pub(crate) fn requested_cancel(&self) -> Option<Cancel> {
        match self.state.load(Ordering::SeqCst) {
            AFTER_TURN => Some(Cancel::AfterTurn),
            NOW => Some(Cancel::Now),
            _ => None,
        }
    }

    /// Has this waker woken when a cancel is requested.
    pub(crate) fn register(&self, waker: &Waker) {
        self.run.register(waker);
    }

    /// Keeps items for the next turn of the run; gives them back if there will be none.
    pub(crate) fn send(&self, items: Vec<Item>) -> Result<(), Vec<Item>> {
        match &mut *self.inbox() {
            Inbox::Open(waiting) => {
                waiting.extend(items);
                Ok(())
            }
            Inbox::Closed => Err(items),
        }
    }

    /// Takes what was sent.
    pub(crate) fn take_input(&self) -> Vec<Item> {
        match &mut *self.inbox() {
            Inbox::Open(waiting) => std::mem::take(waiting),
            Inbox::Closed => Vec::new(),
        }
    }

    /// Takes what was sent; if that is nothing, nothing more is taken.
    ///
    /// In one step, so that nobody can send between the look and the end of the run.
    pub(crate) fn take_last_input(&self) -> Vec<Item> {
        let mut inbox = self.inbox();
        match &mut *inbox {
            Inbox::Open(waiting) if !waiting.is_empty() => std::mem::take(waiting),
            Inbox::Open(_) | Inbox::Closed => {
                *inbox = Inbox::Closed;
                Vec::new()
            }
        }
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the run is over, by whatever end.
    pub(crate) fn end(&self) {
        *self.inbox() = Inbox::Closed;
        self.state.store(OVER, Ordering::SeqCst);
        self.ended.notify_waiters();
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.state.load(Ordering::SeqCst) >= NOW
    }

    pub(crate) async fn cancelled(&self) {
        loop {
            // Registered before the look at the state, so that no end is missed.
            let notified = self.ended.notified();
            if self.is_cancelled() {
                return;
            }
            notified.await;
        }
    }
}
