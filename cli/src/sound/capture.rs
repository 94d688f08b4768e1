//! Audio from a microphone: the device writes one end of a queue, the program reads the other.
//!
//! The end of the device runs on a thread that must not wait. What is not read in time is lost, and
//! counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cpal::{FromSample, Sample as _};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::playback::lasts;

/// Ten seconds of the usual pieces, half a megabyte. The reader is that late only if the machine
/// hangs or is overloaded.
const MAX_PIECES: usize = 500;

/// Makes both ends of a queue, for a device of this sample rate.
pub(super) fn capture(sample_rate_hz: u32) -> (CaptureQueue, CaptureSink) {
    let (sender, pieces) = channel(MAX_PIECES);
    let n_lost = Arc::new(AtomicU64::new(0));
    let sink = CaptureSink {
        pieces: sender,
        n_lost: Arc::clone(&n_lost),
    };
    let queue = CaptureQueue {
        sample_rate_hz,
        pieces,
        n_lost,
    };
    (queue, sink)
}

/// The end that the program reads.
#[derive(Debug)]
pub(super) struct CaptureQueue {
    pub(super) sample_rate_hz: u32,
    pieces: Receiver<Vec<i16>>,
    n_lost: Arc<AtomicU64>,
}

/// The end that the device writes.
#[derive(Debug)]
pub(super) struct CaptureSink {
    pieces: Sender<Vec<i16>>,
    n_lost: Arc<AtomicU64>,
}

impl CaptureSink {
    /// Takes samples of the device, and mixes them into one channel.
    pub(super) fn take<T>(&self, samples: &[T], n_channels: u16)
    where
        T: Copy,
        i16: FromSample<T>,
    {
        let n_channels = usize::from(n_channels.max(1));
        let frames = samples.chunks_exact(n_channels);
        let piece: Vec<i16> = frames.map(mixed).collect();
        let n_samples = piece.len() as u64;
        match self.pieces.try_send(piece) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => drop(self.n_lost.fetch_add(n_samples, Ordering::Relaxed)),
            // The program has closed the microphone.
            Err(TrySendError::Closed(_)) => {}
        }
    }
}

/// Mixes all channels by their mean: many microphones record on one of two channels only.
fn mixed<T>(frame: &[T]) -> i16
where
    T: Copy,
    i16: FromSample<T>,
{
    let samples = frame
        .iter()
        .map(|sample| i32::from(i16::from_sample(*sample)));
    let n_channels = i32::try_from(frame.len()).unwrap_or(i32::MAX).max(1);
    i16::try_from(samples.sum::<i32>() / n_channels).unwrap_or_default()
}

impl CaptureQueue {
    /// Waits for the next samples; `None` when the device is gone.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(super) async fn next(&mut self) -> Option<Vec<i16>> {
        self.pieces.recv().await
    }

    /// Drops samples that were not read.
    pub(super) fn clear(&mut self) {
        while self.pieces.try_recv().is_ok() {}
        self.n_lost.store(0, Ordering::Relaxed);
    }

    /// Returns how much was lost because it was not read in time, since the last call.
    pub(super) fn take_lost(&self) -> Duration {
        lasts(self.n_lost.swap(0, Ordering::Relaxed), self.sample_rate_hz)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn capture_mixes_channels_and_counts_what_nobody_takes() {
        let (mut queue, sink) = capture(1_000);
        sink.take(&[100_i16, 300, -5, -7], 2);
        assert_eq!(queue.next().await, Some(vec![200, -6]));
        sink.take(&[0.5_f32, -1.0], 1);
        assert_eq!(queue.next().await, Some(vec![16_384, -32_768]));
        for _ in 0..MAX_PIECES + 3 {
            sink.take(&[0_i16; 50], 1);
        }
        let lost = [queue.take_lost(), queue.take_lost()];
        assert_eq!(lost, [Duration::from_millis(150), Duration::ZERO]);
        queue.clear();
        sink.take(&[1_i16], 1);
        assert_eq!(queue.next().await, Some(vec![1]));
        drop(sink);
        assert_eq!(queue.next().await, None);
    }
}
