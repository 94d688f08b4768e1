//! Audio to a speaker: the program fills one end of a queue, the device reads the other and reports
//! what was played.
//!
//! The end of the device runs on a thread that must not wait. It takes pieces from a channel
//! without a lock, and counts in atomics.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tokio::sync::Notify;

/// Makes both ends of a queue, for a device of this sample rate.
pub(super) fn playback(sample_rate_hz: u32) -> (PlaybackQueue, PlaybackSource) {
    // Bounded in time by `PlaybackQueue::has_room`. A bound on the number of pieces would not say how long they last.
    let (sender, pieces) = channel();
    let state = Arc::new(PlaybackState::default());
    let queue = PlaybackQueue {
        sample_rate_hz,
        pieces: sender,
        state: Arc::clone(&state),
        sent: VecDeque::new(),
        n_waiting: 0,
        next_number: 0,
        item: None,
        n_of_item: 0,
    };
    let source = PlaybackSource {
        pieces,
        state,
        piece: None,
        generation: 0,
        has_run_dry: false,
        n_written: 0,
        played: PlayedRuns::default(),
    };
    (queue, source)
}

/// How much audio may wait: a long answer. It takes 29 MB on a device of 48 kHz.
const MAX_WAITING: Duration = Duration::from_secs(300);

/// What both ends share.
#[derive(Debug, Default)]
struct PlaybackState {
    /// Grows with each `clear`. Pieces of an earlier generation are not played.
    generation: AtomicU32,
    /// The number of the piece that was played last, in the upper half, and how many of its samples. One atomic, so that the two
    /// always belong together.
    heard: AtomicU64,
    /// How often the device found no samples in the middle of an item.
    n_gaps: AtomicU64,
    /// Signals that more was played.
    changed: Notify,
}

/// Samples in the queue.
#[derive(Debug)]
struct Piece {
    number: u32,
    generation: u32,
    samples: Vec<i16>,
    n_taken: usize,
    /// Whether it continues its item: then an empty queue before it was a gap.
    is_continued: bool,
}

/// The end that the program fills.
#[derive(Debug)]
pub(super) struct PlaybackQueue {
    sample_rate_hz: u32,
    pieces: Sender<Piece>,
    state: Arc<PlaybackState>,
    /// The pieces that were not yet played to their end.
    sent: VecDeque<SentPiece>,
    /// The number of their samples.
    n_waiting: u64,
    next_number: u32,
    /// The item that is being filled, and how many samples it has.
    item: Option<Arc<str>>,
    n_of_item: u64,
}

#[derive(Debug)]
struct SentPiece {
    number: u32,
    item: Arc<str>,
    /// The number of samples of the item before it.
    n_before: u64,
    n_samples: u32,
}

/// How much of an item was played, from its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeardItem {
    pub(crate) item: Arc<str>,
    pub(crate) position: Duration,
}

impl PlaybackQueue {
    /// Adds samples of an item.
    pub(super) fn push(&mut self, item: &str, samples: Vec<i16>) {
        self.send(item, samples);
    }

    /// Adds the last samples of an item. What follows is another item, even with the same name.
    pub(super) fn finish(&mut self, item: &str, samples: Vec<i16>) {
        self.send(item, samples);
        self.item = None;
    }

    fn send(&mut self, item: &str, samples: Vec<i16>) {
        let item = match &self.item {
            Some(current) if **current == *item => Arc::clone(current),
            _ => {
                self.n_of_item = 0;
                Arc::clone(self.item.insert(Arc::from(item)))
            }
        };
        self.next_number = self.next_number.wrapping_add(1);
        let n_samples = u32::try_from(samples.len()).unwrap_or(u32::MAX);
        self.sent.push_back(SentPiece {
            number: self.next_number,
            item,
            n_before: self.n_of_item,
            n_samples,
        });
        let is_continued = self.n_of_item > 0 && n_samples > 0;
        self.n_of_item += u64::from(n_samples);
        self.n_waiting += u64::from(n_samples);
        let sent = self.pieces.send(Piece {
            number: self.next_number,
            generation: self.state.generation.load(Ordering::Relaxed),
            samples,
            n_taken: 0,
            is_continued,
        });
        // If the device is gone, its stream reports it.
        drop(sent);
    }

    /// Drops what was not played yet.
    pub(super) fn clear(&mut self) {
        self.state.generation.fetch_add(1, Ordering::Release);
        self.sent.clear();
        self.n_waiting = 0;
        self.item = None;
    }

    /// Returns how much of the current item was played; `None` if nothing is played. An item that was
    /// played to its end is reported once.
    pub(super) fn heard(&mut self) -> Option<HeardItem> {
        let (number, n_of_piece) = split(self.state.heard.load(Ordering::Acquire));
        let mut heard: Option<HeardItem> = None;
        while let Some(piece) = self.sent.front() {
            if heard
                .as_ref()
                .is_some_and(|heard| !Arc::ptr_eq(&heard.item, &piece.item))
            {
                break;
            }
            let n_heard = match piece.number {
                at if at == number => n_of_piece,
                at if is_before(at, number) => piece.n_samples,
                _ => 0,
            };
            heard = Some(HeardItem {
                item: Arc::clone(&piece.item),
                position: lasts(piece.n_before + u64::from(n_heard), self.sample_rate_hz),
            });
            if n_heard < piece.n_samples {
                break;
            }
            self.n_waiting -= u64::from(piece.n_samples);
            self.sent.pop_front();
        }
        heard
    }

    /// Says whether something is in the queue that was not played to its end.
    pub(super) fn is_playing(&self) -> bool {
        !self.sent.is_empty()
    }

    /// Says whether the queue has room.
    pub(super) fn has_room(&self) -> bool {
        lasts(self.n_waiting, self.sample_rate_hz) < MAX_WAITING
    }

    /// Returns the number of gaps inside items, since the last call.
    pub(super) fn take_gaps(&self) -> u64 {
        self.state.n_gaps.swap(0, Ordering::Relaxed)
    }

    /// Waits until more was played.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the next call returns at once.
    pub(super) async fn progress(&self) {
        self.state.changed.notified().await;
    }
}

/// The end that the device reads.
#[derive(Debug)]
pub(super) struct PlaybackSource {
    pieces: Receiver<Piece>,
    state: Arc<PlaybackState>,
    piece: Option<Piece>,
    generation: u32,
    /// Whether the queue was empty since the last piece.
    has_run_dry: bool,
    /// The number of samples that the device got, silence included.
    n_written: u64,
    played: PlayedRuns,
}

impl PlaybackSource {
    /// Starts to fill a buffer. The device still has `n_delayed` earlier samples to play, from
    /// which follows what was heard.
    pub(super) fn begin(&mut self, n_delayed: u64) {
        self.generation = self.state.generation.load(Ordering::Acquire);
        if self
            .piece
            .as_ref()
            .is_some_and(|piece| piece.generation != self.generation)
        {
            self.piece = None;
        }
        if let Some((number, n_samples)) = self
            .played
            .heard_at(self.n_written.saturating_sub(n_delayed))
        {
            let heard = u64::from(number) << 32 | u64::from(n_samples);
            if self.state.heard.swap(heard, Ordering::AcqRel) != heard {
                self.state.changed.notify_one();
            }
        }
    }

    /// Returns the next sample, or silence.
    pub(super) fn next_sample(&mut self) -> i16 {
        let position = self.n_written;
        self.n_written += 1;
        loop {
            if let Some(piece) = &mut self.piece {
                if let Some(sample) = piece.samples.get(piece.n_taken) {
                    self.played.push(position, piece.number, piece.n_taken);
                    piece.n_taken += 1;
                    return *sample;
                }
                self.piece = None;
            }
            let Ok(piece) = self.pieces.try_recv() else {
                self.has_run_dry = true;
                return 0;
            };
            if piece.generation == self.generation {
                if std::mem::take(&mut self.has_run_dry) && piece.is_continued {
                    self.state.n_gaps.fetch_add(1, Ordering::Relaxed);
                }
                self.piece = Some(piece);
            }
        }
    }
}

/// Consecutive samples of one piece that the device got.
#[derive(Debug, Clone, Copy)]
struct PlayedRun {
    /// Its position in everything that the device got.
    begin: u64,
    number: u32,
    /// The number of samples of the piece before it.
    n_before: u32,
    n_samples: u32,
}

/// What the device got and may not have played yet.
#[derive(Debug, Default)]
struct PlayedRuns(VecDeque<PlayedRun>);

/// The most runs that are remembered. If a device is further behind, the oldest count as played.
const MAX_RUNS: usize = 256;

impl PlayedRuns {
    fn push(&mut self, position: u64, number: u32, n_taken: usize) {
        let n_taken = u32::try_from(n_taken).unwrap_or(u32::MAX);
        if let Some(last) = self.0.back_mut()
            && last.number == number
            && last.begin + u64::from(last.n_samples) == position
        {
            last.n_samples += 1;
            return;
        }
        if self.0.len() == MAX_RUNS {
            self.0.pop_front();
        }
        self.0.push_back(PlayedRun {
            begin: position,
            number,
            n_before: n_taken,
            n_samples: 1,
        });
    }

    /// Returns the piece that is being heard, and how many of its samples were.
    fn heard_at(&mut self, position: u64) -> Option<(u32, u32)> {
        let is_heard = |run: &PlayedRun| run.begin < position;
        while self.0.len() > 1 && self.0.get(1).is_some_and(is_heard) {
            self.0.pop_front();
        }
        let run = self.0.front().filter(|run| is_heard(run))?;
        let n_heard = u32::try_from(position - run.begin).unwrap_or(u32::MAX);
        Some((run.number, run.n_before + n_heard.min(run.n_samples)))
    }
}

fn split(heard: u64) -> (u32, u32) {
    let number = u32::try_from(heard >> 32).unwrap_or(u32::MAX);
    let n_samples = u32::try_from(heard & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    (number, n_samples)
}

/// Says whether a number was given before another. They wrap around after 4 billion.
const fn is_before(number: u32, other: u32) -> bool {
    number != other && other.wrapping_sub(number) < u32::MAX / 2
}

/// Returns how long samples last.
pub(super) fn lasts(n_samples: u64, sample_rate_hz: u32) -> Duration {
    let rate = u64::from(sample_rate_hz.max(1));
    // The whole seconds apart, so that the product cannot overflow.
    let nanos = n_samples % rate * 1_000_000_000 / rate;
    Duration::from_secs(n_samples / rate) + Duration::from_nanos(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a device of 1,000 Hz is given in one buffer of 10 samples, that has so many to play before it.
    fn buffer(source: &mut PlaybackSource, n_delayed: u64) -> Vec<i16> {
        source.begin(n_delayed);
        (0..10).map(|_| source.next_sample()).collect()
    }

    fn heard(queue: &mut PlaybackQueue) -> Option<(String, u64)> {
        let heard = queue.heard()?;
        let milliseconds = u64::try_from(heard.position.as_millis()).unwrap();
        Some((heard.item.to_string(), milliseconds))
    }

    macro_rules! at {
        ($item:literal, $milliseconds:literal) => {
            Some(($item.to_owned(), $milliseconds))
        };
    }

    #[test]
    fn playback_position_is_what_the_device_has_played_and_not_what_it_was_given() {
        let (mut queue, mut source) = playback(1_000);
        assert_eq!(buffer(&mut source, 0), [0; 10]);
        queue.push("a", vec![1; 12]);
        queue.finish("a", vec![2; 3]);
        queue.finish("b", vec![3; 2]);
        assert_eq!(heard(&mut queue), at!("a", 0));
        // The silence before it is still to be played.
        assert_eq!(buffer(&mut source, 10), [1; 10]);
        assert_eq!(heard(&mut queue), at!("a", 0));
        assert_eq!(buffer(&mut source, 14), [1, 1, 2, 2, 2, 3, 3, 0, 0, 0]);
        assert_eq!(heard(&mut queue), at!("a", 0));
        assert_eq!(buffer(&mut source, 14), [0; 10]);
        assert_eq!(heard(&mut queue), at!("a", 6));
        buffer(&mut source, 18);
        assert_eq!(heard(&mut queue), at!("a", 12));
        buffer(&mut source, 24);
        assert_eq!(heard(&mut queue), at!("a", 15));
        assert_eq!(heard(&mut queue), at!("b", 1));
        assert!(queue.is_playing());
        buffer(&mut source, 0);
        assert_eq!(heard(&mut queue), at!("b", 2));
        assert_eq!((heard(&mut queue), queue.is_playing()), (None, false));
    }

    #[test]
    fn playback_that_is_cleared_is_silent_at_once_and_begins_with_what_comes_next() {
        let (mut queue, mut source) = playback(1_000);
        queue.push("a", vec![1; 100]);
        queue.push("a", vec![1; 100]);
        assert_eq!(buffer(&mut source, 0), [1; 10]);
        queue.clear();
        assert_eq!((heard(&mut queue), queue.is_playing()), (None, false));
        assert_eq!(buffer(&mut source, 0), [0; 10]);
        queue.push("a", vec![2; 15]);
        assert_eq!(buffer(&mut source, 0), [2; 10]);
        assert_eq!(heard(&mut queue), at!("a", 0));
        buffer(&mut source, 3);
        assert_eq!(heard(&mut queue), at!("a", 7));
        assert_eq!(queue.take_gaps(), 0);
    }

    #[test]
    fn playback_that_runs_dry_within_an_item_is_counted_when_it_goes_on() {
        let (mut queue, mut source) = playback(1_000);
        queue.push("a", vec![1; 5]);
        buffer(&mut source, 0);
        buffer(&mut source, 0);
        assert_eq!(queue.take_gaps(), 0);
        queue.push("a", vec![1; 5]);
        buffer(&mut source, 0);
        assert_eq!((queue.take_gaps(), queue.take_gaps()), (1, 0));
        // The end that comes late, and the next item, are no gaps.
        queue.finish("a", Vec::new());
        buffer(&mut source, 0);
        queue.push("b", vec![1; 5]);
        buffer(&mut source, 0);
        assert_eq!(queue.take_gaps(), 0);
        assert_eq!(heard(&mut queue), at!("a", 10));
    }

    #[test]
    fn playback_has_room_for_five_minutes() {
        let (mut queue, _source) = playback(1_000);
        queue.push("a", vec![0; 299_999]);
        assert!(queue.has_room());
        queue.push("a", vec![0; 1]);
        assert!(!queue.has_room());
        queue.clear();
        assert!(queue.has_room());
    }

    #[test]
    fn playback_numbers_may_begin_again() {
        assert!(is_before(u32::MAX, 0) && is_before(1, 2));
        assert!(!is_before(0, u32::MAX) && !is_before(2, 2));
    }
}
