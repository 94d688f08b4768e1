//! Sends comments into a silent event stream, because proxies and clients close one that looks dead.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use futures_util::Stream;
use tokio::time::{Instant, Sleep, sleep};

/// The longest silence.
const SILENCE: Duration = Duration::from_secs(15);

/// A line that readers of events pass over.
const COMMENT: &[u8] = b": waiting\n\n";

/// A stream with a comment for each long silence.
pub(super) struct Commented<S> {
    stream: Pin<Box<S>>,
    /// When something came last.
    last: Instant,
    timer: Pin<Box<Sleep>>,
}

impl<S> Commented<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream: Box::pin(stream),
            last: Instant::now(),
            timer: Box::pin(sleep(SILENCE)),
        }
    }
}

impl<S: Stream<Item = Bytes>> Stream for Commented<S> {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let this = &mut *self;
        if let Poll::Ready(next) = this.stream.as_mut().poll_next(cx) {
            this.last = Instant::now();
            return Poll::Ready(next);
        }
        // The timer is not set anew for each event; it looks again when it is due.
        while this.timer.as_mut().poll(cx).is_ready() {
            let due = this.last + SILENCE;
            if due > Instant::now() {
                this.timer.as_mut().reset(due);
                continue;
            }
            this.last = Instant::now();
            this.timer.as_mut().reset(this.last + SILENCE);
            return Poll::Ready(Some(Bytes::from_static(COMMENT)));
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, stream};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silence_of_15_seconds_is_a_comment() {
        let pauses = [10, 10, 40].map(Duration::from_secs);
        let slow = stream::iter(pauses).then(|pause| async move {
            sleep(pause).await;
            Bytes::from_static(b"data: x\n\n")
        });
        let told: Vec<Bytes> = Commented::new(slow).collect().await;
        let told: Vec<&[u8]> = told.iter().map(|bytes| &bytes[..6]).collect();
        let (event, comment) = (&b"data: "[..], &b": wait"[..]);
        assert_eq!(told, [event, event, comment, comment, event]);
    }
}
