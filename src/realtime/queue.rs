//! The events that wait for the application, within bounds.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::event::RealtimeEvent;

/// How many bytes of audio and text wait at most before the connection is read no further: nearly three minutes of PCM.
///
/// Servers send audio faster than it is played, and what the user does comes behind it on the same connection. So an application may lag
/// by a whole answer before its user cannot interrupt any more.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// How many events wait at most.
const MAX_EVENTS: usize = 4096;

/// What an event takes beside its content.
const EVENT_COST: usize = 64;

/// A queue from the driver to the application.
#[derive(Debug, Default)]
pub(super) struct EventQueue(Mutex<QueueState>);

#[derive(Debug, Default)]
struct QueueState {
    events: VecDeque<RealtimeEvent>,
    n_bytes: usize,
    is_over: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl EventQueue {
    /// Adds an event. It is always taken: one event of the server can make several, and the bound is asked for before the next is read.
    pub(super) fn push(&self, event: RealtimeEvent) {
        let mut state = self.lock();
        if let RealtimeEvent::Interrupted { cut, .. } = &event {
            // What waits to be played is not to be played any more.
            let mut n_dropped = 0;
            let QueueState { events, .. } = &mut *state;
            events.retain(|waiting| {
                let is_cut = matches!(waiting, RealtimeEvent::Audio { item_id, .. } if cut.iter().any(|cut| cut.item_id == *item_id));
                n_dropped += if is_cut { cost(waiting) } else { 0 };
                !is_cut
            });
            state.n_bytes = state.n_bytes.saturating_sub(n_dropped);
        }
        state.is_over = matches!(event, RealtimeEvent::Ended { .. });
        state.n_bytes += cost(&event);
        state.events.push_back(event);
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    /// Notes that nothing comes any more, whatever happened to the driver.
    pub(super) fn finish(&self) {
        let mut state = self.lock();
        state.is_over = true;
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    /// Waits for an event; `None` behind the last.
    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<RealtimeEvent>> {
        let mut state = self.lock();
        let Some(event) = state.events.pop_front() else {
            if state.is_over {
                return Poll::Ready(None);
            }
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        state.n_bytes = state.n_bytes.saturating_sub(cost(&event));
        if state.has_room()
            && let Some(writer) = state.writer.take()
        {
            writer.wake();
        }
        Poll::Ready(Some(event))
    }

    /// Waits until the next event of the server may be read.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.has_room() {
            return Poll::Ready(());
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueState {
    fn has_room(&self) -> bool {
        self.n_bytes < MAX_BYTES && self.events.len() < MAX_EVENTS
    }
}

fn cost(event: &RealtimeEvent) -> usize {
    let content = match event {
        RealtimeEvent::Audio { audio, .. } => audio.len(),
        RealtimeEvent::Received { json } => json.len(),
        RealtimeEvent::TextDelta { delta, .. }
        | RealtimeEvent::UserTranscriptDelta { delta, .. } => delta.len(),
        RealtimeEvent::TextDone { text, .. } => text.len(),
        RealtimeEvent::UserTranscriptDone { transcript, .. } => transcript.len(),
        RealtimeEvent::Other { name, json } => name.len() + json.len(),
        RealtimeEvent::ToolEnded { output, .. } => output.len(),
        RealtimeEvent::ToolCalled { arguments, .. }
        | RealtimeEvent::ApprovalRequired { arguments, .. } => arguments.len(),
        RealtimeEvent::ItemAdded { item } => item.n_bytes(),
        RealtimeEvent::ServerError { error }
        | RealtimeEvent::UserTranscriptFailed { error, .. } => error.message.len(),
        RealtimeEvent::Deviation { deviation } => {
            deviation.detail.len() + deviation.received.as_ref().map_or(0, String::len)
        }
        // A parsed value takes up to this much of memory for the server's settings, which come once.
        RealtimeEvent::SessionUpdated { session } => 16 * session.to_string().len(),
        RealtimeEvent::Reconnected
        | RealtimeEvent::AudioDone { .. }
        | RealtimeEvent::SpeechStarted
        | RealtimeEvent::SpeechStopped
        | RealtimeEvent::Interrupted { .. }
        | RealtimeEvent::ResponseStarted { .. }
        | RealtimeEvent::ResponseDone { .. }
        | RealtimeEvent::HandedOff { .. }
        | RealtimeEvent::GuardrailTripped { .. }
        | RealtimeEvent::Ended { .. } => 256,
    };
    content + EVENT_COST
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::realtime::event::{CutItem, InterruptedBy};

    fn audio(item_id: &str) -> RealtimeEvent {
        RealtimeEvent::Audio {
            item_id: item_id.to_owned(),
            audio: vec![0; 1024 * 1024].into(),
        }
    }

    #[test]
    fn queue_full_has_no_room_until_events_are_taken_or_cut() {
        let queue = EventQueue::default();
        let mut cx = Context::from_waker(Waker::noop());
        for n in 0..8 {
            assert!(queue.poll_room(&mut cx).is_ready(), "{n}");
            queue.push(audio(if n < 4 { "item_1" } else { "item_2" }));
        }
        assert!(queue.poll_room(&mut cx).is_pending());
        assert!(matches!(
            queue.poll_next(&mut cx),
            Poll::Ready(Some(RealtimeEvent::Audio { .. }))
        ));
        assert!(queue.poll_room(&mut cx).is_ready());
        queue.push(audio("item_2"));
        let cut = CutItem {
            item_id: "item_2".to_owned(),
            heard: std::time::Duration::ZERO,
        };
        let by = InterruptedBy::Speech;
        queue.push(RealtimeEvent::Interrupted { by, cut: vec![cut] });
        assert!(queue.poll_room(&mut cx).is_ready());
        // What was cut is not played any more; the rest is.
        let mut left = Vec::new();
        while let Poll::Ready(Some(event)) = queue.poll_next(&mut cx) {
            left.push(event.to_string());
        }
        let item_1 = "audio of item_1: 1048576 bytes";
        assert_eq!(
            left,
            [
                item_1,
                item_1,
                item_1,
                "interrupted by speech, item_2 after 0ns"
            ]
        );
        queue.finish();
        assert!(matches!(queue.poll_next(&mut cx), Poll::Ready(None)));
    }
}
