//! Time-outs that cost nothing while bytes flow.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// Measures how long the program waits for something, and elapses at a limit.
///
/// [`touch`](Self::touch) only stores a value: it reads no clock and moves no timer, so that it can
/// be called for every chunk. A wait begins at the first [`poll_elapsed`](Self::poll_elapsed) after
/// it, which must be called only when nothing is ready. So a consumer that is slow to poll is not
/// mistaken for a silent server.
#[derive(Debug)]
pub(crate) struct IdleTimer {
    limit: Option<Duration>,
    waiting_since: Option<Instant>,
    /// Made at the first wait, and moved only when it fires too early: at most once per limit.
    sleep: Option<Alarm>,
}

/// A timer that wakes the task that polled it last.
pub(super) type Alarm = Pin<Box<Sleep>>;

impl IdleTimer {
    /// Creates a timer. Without a limit it never elapses.
    pub(crate) const fn new(limit: Option<Duration>) -> Self {
        Self {
            limit,
            waiting_since: None,
            sleep: None,
        }
    }

    /// Creates a timer for a wait that has already begun.
    pub(crate) const fn waiting_since(limit: Option<Duration>, since: Option<Instant>) -> Self {
        Self {
            limit,
            waiting_since: since,
            sleep: None,
        }
    }

    /// Uses the timer of an earlier wait, which is set to an earlier time.
    pub(super) fn use_alarm(&mut self, alarm: Option<Alarm>) {
        self.sleep = alarm;
    }

    /// Gives the timer away, if there was a wait.
    pub(super) const fn take_alarm(&mut self) -> Option<Alarm> {
        self.sleep.take()
    }

    /// Returns the start of the current wait.
    pub(crate) const fn since(&self) -> Option<Instant> {
        self.waiting_since
    }

    /// Ends the wait, because something has come.
    pub(crate) const fn touch(&mut self) {
        self.waiting_since = None;
    }

    /// Waits, and gives the limit once it has elapsed.
    pub(crate) fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
        let Some(limit) = self.limit else {
            return Poll::Pending;
        };
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        // A limit beyond the range of the clock never elapses.
        let Some(deadline) = since.checked_add(limit) else {
            return Poll::Pending;
        };
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= deadline {
                return Poll::Ready(limit);
            }
            // The timer fired for an older wait. Moving it only now is why `touch` costs nothing.
            sleep.as_mut().reset(deadline);
        }
    }
}

/// The time-outs of a client; `None` is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timeouts {
    /// For name lookup, TCP, proxy and TLS together.
    pub(crate) connect: Option<Duration>,
    /// From the connection to the first event of a stream, or to the head of another answer.
    pub(crate) first_event: Option<Duration>,
    /// Between two events of a stream, or two pieces of another body.
    pub(crate) idle: Option<Duration>,
    /// From the start to the last byte of the answer.
    pub(crate) total: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Some(Duration::from_secs(5)),
            // A machine without a GPU takes minutes to process a long prompt.
            first_event: Some(Duration::from_secs(600)),
            idle: Some(Duration::from_secs(300)),
            total: None,
        }
    }
}

/// The time-outs of one request, from its start to the last byte of the answer.
#[derive(Debug)]
pub(super) struct Timers {
    /// For the head of the answer.
    pub(super) head: IdleTimer,
    /// Between two pieces of the body.
    pub(super) idle: IdleTimer,
    total: Option<(Duration, Pin<Box<Sleep>>)>,
}

impl Timers {
    pub(super) fn start(timeouts: &Timeouts) -> Self {
        Self {
            head: IdleTimer::new(timeouts.first_event),
            idle: IdleTimer::new(timeouts.idle),
            total: timeouts.total.map(|limit| (limit, Box::pin(sleep(limit)))),
        }
    }

    /// Returns the total time-out once it has elapsed.
    pub(super) fn poll_total(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
        match &mut self.total {
            None => Poll::Pending,
            Some((limit, sleep)) => sleep.as_mut().poll(cx).map(|()| *limit),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::advance;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);
    /// Timers count in milliseconds, and round up.
    const TICK: Duration = Duration::from_millis(1);

    /// Polls once, as one does when nothing is ready.
    async fn has_elapsed(timer: &mut IdleTimer) -> bool {
        poll_fn(|cx| Poll::Ready(timer.poll_elapsed(cx).is_ready())).await
    }

    #[tokio::test(start_paused = true)]
    async fn only_waiting_counts() {
        let mut timer = IdleTimer::new(Some(LIMIT));
        // Nobody waits, so nothing elapses.
        advance(LIMIT * 2).await;
        assert!(!has_elapsed(&mut timer).await);
        advance(LIMIT / 2).await;
        assert!(!has_elapsed(&mut timer).await);
        timer.touch();
        advance(LIMIT * 2).await;
        assert!(!has_elapsed(&mut timer).await);
        advance(LIMIT + TICK).await;
        assert!(has_elapsed(&mut timer).await);
    }

    #[tokio::test(start_paused = true)]
    async fn idle_timer_without_touch_expires() {
        let mut timer = IdleTimer::new(Some(LIMIT));
        for _ in 0..2 {
            assert!(!has_elapsed(&mut timer).await);
            advance(LIMIT / 2 + TICK).await;
        }
        assert!(has_elapsed(&mut timer).await);
    }

    #[tokio::test(start_paused = true)]
    async fn timer_wakes_its_task() {
        let mut timer = IdleTimer::new(Some(LIMIT));
        assert!(!has_elapsed(&mut timer).await);
        timer.touch();
        advance(LIMIT / 2).await;
        let before = Instant::now();
        assert_eq!(poll_fn(|cx| timer.poll_elapsed(cx)).await, LIMIT);
        assert!((LIMIT..=LIMIT + TICK).contains(&before.elapsed()));
    }

    #[tokio::test(start_paused = true)]
    async fn timer_with_the_alarm_of_another_elapses_at_its_own_time() {
        for n_before in [LIMIT / 2, LIMIT * 2] {
            let mut first = IdleTimer::new(Some(LIMIT));
            assert!(!has_elapsed(&mut first).await);
            let alarm = first.take_alarm();
            assert!(alarm.is_some());
            advance(n_before).await;
            let mut second = IdleTimer::new(Some(LIMIT));
            second.use_alarm(alarm);
            let before = Instant::now();
            assert_eq!(poll_fn(|cx| second.poll_elapsed(cx)).await, LIMIT);
            assert!((LIMIT..=LIMIT + TICK).contains(&before.elapsed()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_it_never_elapses() {
        let mut timer = IdleTimer::new(None);
        assert!(!has_elapsed(&mut timer).await);
        advance(LIMIT * 1000).await;
        assert!(!has_elapsed(&mut timer).await);
    }
}
