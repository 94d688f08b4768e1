//! What ends a run from outside: its handle, and its time.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::work::Work;
use crate::agent::runner::run::Run;
use crate::agent::runner::step::Outcome;
use crate::context::{Cancel, Control};

/// Each is told once; what it means is the run's matter.
pub(super) struct Interrupts {
    control: Arc<Control>,
    told: Option<Cancel>,
    deadline: Option<Deadline>,
}

struct Deadline {
    limit: Duration,
    /// Made when the run is first polled, since its time begins then.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Interrupts {
    pub(super) fn of(run: &Run) -> Self {
        let limit = run.max_duration();
        Self {
            control: Arc::clone(run.cx().control()),
            told: None,
            deadline: limit.map(|limit| Deadline { limit, sleep: None }),
        }
    }

    /// Returns what has come since the last look.
    ///
    /// The clock is looked at where nothing is in progress, since a run that never waits does not poll its timer.
    pub(super) fn take(&mut self, work: &Work) -> Option<Outcome> {
        // `told` is what the run has heard. A cancel after the turn may become one at once, and the
        // run has to hear that too.
        let asked = self.control.requested_cancel();
        if asked.is_some() && asked != self.told {
            self.told = asked;
            return asked.map(Outcome::Cancelled);
        }
        let deadline = self.deadline.as_mut().filter(|_| work.is_idle())?;
        (deadline.sleep().deadline() <= Instant::now()).then_some(Outcome::TimeOver)
    }

    /// Waits for the next, while the run waits for something else.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        if let Some(deadline) = &mut self.deadline
            && deadline.sleep().poll(cx).is_ready()
        {
            self.deadline = None;
            return Poll::Ready(Outcome::TimeOver);
        }
        self.control.register(cx.waker());
        // Once more, because what came before the waker was there has woken nobody.
        let asked = self.control.requested_cancel();
        if asked.is_some() && asked != self.told {
            self.told = asked;
            return asked.map_or(Poll::Pending, |when| Poll::Ready(Outcome::Cancelled(when)));
        }
        Poll::Pending
    }
}

impl Deadline {
    fn sleep(&mut self) -> Pin<&mut Sleep> {
        let limit = self.limit;
        self.sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)))
            .as_mut()
    }
}
