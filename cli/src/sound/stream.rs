//! A stream of a device: opened, watched, and closed without waiting for a driver that is stuck.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use cpal::traits::{DeviceTrait as _, StreamTrait as _};
use cpal::{
    BufferSize, Device, FromSample, OutputCallbackInfo, SampleFormat, SizedSample, StreamConfig,
    SupportedBufferSize, SupportedStreamConfigRange,
};
use tokio::sync::Notify;

use super::capture::CaptureSink;
use super::playback::PlaybackSource;

/// The longest wait for a stream to end. Drivers take milliseconds, and one that is stuck must not
/// keep the program from ending.
const END: Duration = Duration::from_millis(500);

/// The most breaks in a row, each right after the stream was restarted. A device with more is gone,
/// whatever it reports.
const MAX_XRUNS_IN_A_ROW: u32 = 100;
/// The frames after which a break is no longer in a row with the last one: a tenth of a second on
/// most devices.
const SOUND_RUN: u64 = 4_800;

/// A stream that runs until it is dropped.
pub(super) struct OpenStream {
    stream: Option<cpal::Stream>,
    pub(super) health: Arc<StreamHealth>,
}

/// What a device has reported about its stream.
#[derive(Debug, Default)]
pub(super) struct StreamHealth {
    n_xruns: AtomicU64,
    n_xruns_in_a_row: AtomicU32,
    /// The frames since the last break.
    n_frames: AtomicU64,
    fault: OnceLock<cpal::Error>,
    failed: Notify,
}

/// The format that a device is opened with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StreamFormat {
    pub(super) samples: SampleFormat,
    pub(super) config: StreamConfig,
}

impl StreamFormat {
    /// Chooses the format that needs the least conversion: the wanted rate, one channel, 16 bits.
    pub(super) fn choose(
        offered: impl Iterator<Item = SupportedStreamConfigRange>,
        wanted_hz: u32,
    ) -> Option<Self> {
        let usable = offered.filter_map(|range| {
            let samples = range.sample_format();
            let by_format = match samples {
                SampleFormat::I16 => 0,
                SampleFormat::F32 => 1,
                SampleFormat::I32 => 2,
                SampleFormat::I24 => 3,
                _ => return None,
            };
            // Rates that every device handles well come before the others that it claims to support.
            let rates = [wanted_hz, 48_000, 44_100, 16_000, range.max_sample_rate()];
            let by_rate = rates.iter().position(|rate| range.contains_rate(*rate))?;
            let sample_rate = *rates.get(by_rate)?;
            let config = StreamConfig {
                channels: range.channels(),
                sample_rate,
                buffer_size: buffer_size(range.buffer_size(), sample_rate),
            };
            Some((
                (by_rate, range.channels(), by_format),
                Self { samples, config },
            ))
        });
        usable
            .min_by_key(|(rank, _)| *rank)
            .map(|(_, format)| format)
    }
}

/// Asks for 20 ms. An interruption is silent after two buffers, and slow machines can keep up.
fn buffer_size(offered: &SupportedBufferSize, sample_rate_hz: u32) -> BufferSize {
    match offered {
        SupportedBufferSize::Range { min, max } if min <= max => {
            BufferSize::Fixed((sample_rate_hz / 50).clamp(*min, *max))
        }
        SupportedBufferSize::Range { .. } | SupportedBufferSize::Unknown => BufferSize::Default,
    }
}

impl OpenStream {
    /// Starts recording.
    pub(super) fn capture(
        device: &Device,
        format: StreamFormat,
        sink: CaptureSink,
    ) -> Result<Self, cpal::Error> {
        match format.samples {
            SampleFormat::I16 => capture_as::<i16>(device, format.config, sink),
            SampleFormat::I32 => capture_as::<i32>(device, format.config, sink),
            SampleFormat::I24 => capture_as::<cpal::I24>(device, format.config, sink),
            _ => capture_as::<f32>(device, format.config, sink),
        }
    }

    /// Starts playing.
    pub(super) fn play(
        device: &Device,
        format: StreamFormat,
        source: PlaybackSource,
    ) -> Result<Self, cpal::Error> {
        match format.samples {
            SampleFormat::I16 => play_as::<i16>(device, format.config, source),
            SampleFormat::I32 => play_as::<i32>(device, format.config, source),
            SampleFormat::I24 => play_as::<cpal::I24>(device, format.config, source),
            _ => play_as::<f32>(device, format.config, source),
        }
    }

    fn start(stream: cpal::Stream, health: Arc<StreamHealth>) -> Result<Self, cpal::Error> {
        let stream = Self {
            stream: Some(stream),
            health,
        };
        if let Some(started) = &stream.stream {
            started.play()?;
        }
        Ok(stream)
    }
}

fn capture_as<T>(
    device: &Device,
    config: StreamConfig,
    sink: CaptureSink,
) -> Result<OpenStream, cpal::Error>
where
    T: SizedSample,
    i16: FromSample<T>,
{
    let health = Arc::new(StreamHealth::default());
    let (watched, watching) = (Arc::clone(&health), Arc::clone(&health));
    let stream = device.build_input_stream::<T, _, _>(
        config,
        move |samples, _| {
            watching.passed(samples.len() / usize::from(config.channels.max(1)));
            sink.take(samples, config.channels);
        },
        move |error| watched.note(error),
        None,
    )?;
    OpenStream::start(stream, health)
}

fn play_as<T>(
    device: &Device,
    config: StreamConfig,
    mut source: PlaybackSource,
) -> Result<OpenStream, cpal::Error>
where
    T: SizedSample + FromSample<i16>,
{
    let health = Arc::new(StreamHealth::default());
    let (watched, watching) = (Arc::clone(&health), Arc::clone(&health));
    // A driver that reports no channels must not cause a panic: `chunks_exact_mut` refuses 0.
    let n_channels = usize::from(config.channels.max(1));
    let stream = device.build_output_stream::<T, _, _>(
        config,
        move |buffer, info| {
            watching.passed(buffer.len() / n_channels);
            source.begin(n_delayed(info, config.sample_rate));
            for frame in buffer.chunks_exact_mut(n_channels) {
                frame.fill(T::from_sample(source.next_sample()));
            }
        },
        move |error| watched.note(error),
        None,
    )?;
    OpenStream::start(stream, health)
}

/// Returns the number of samples that the device plays before this buffer.
fn n_delayed(info: &OutputCallbackInfo, sample_rate_hz: u32) -> u64 {
    let timestamp = info.timestamp();
    let delay = timestamp
        .playback
        .saturating_duration_since(timestamp.callback);
    let samples = delay.as_nanos() * u128::from(sample_rate_hz) / 1_000_000_000;
    u64::try_from(samples).unwrap_or(u64::MAX)
}

impl StreamHealth {
    /// Counts frames that the device asked for or delivered.
    fn passed(&self, n_frames: usize) {
        self.n_frames.fetch_add(n_frames as u64, Ordering::Relaxed);
    }

    /// Records a report of the device. Breaks are counted, and changes without consequence are
    /// ignored.
    fn note(&self, error: cpal::Error) {
        match error.kind() {
            cpal::ErrorKind::DeviceChanged | cpal::ErrorKind::RealtimeDenied => return,
            cpal::ErrorKind::Xrun => {
                self.n_xruns.fetch_add(1, Ordering::Relaxed);
                if self.n_frames.swap(0, Ordering::Relaxed) > SOUND_RUN {
                    self.n_xruns_in_a_row.store(0, Ordering::Relaxed);
                }
                if self.n_xruns_in_a_row.fetch_add(1, Ordering::Relaxed) < MAX_XRUNS_IN_A_ROW {
                    return;
                }
            }
            _ => {}
        }
        // The first error is the cause of the later ones.
        drop(self.fault.set(error));
        self.failed.notify_one();
    }

    /// Waits until the stream fails.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the next call returns at once.
    pub(super) async fn failed(&self) -> cpal::Error {
        loop {
            if let Some(fault) = self.fault.get() {
                return fault.clone();
            }
            self.failed.notified().await;
        }
    }

    /// Returns how often the device was served too late, since the last call.
    pub(super) fn take_xruns(&self) -> u64 {
        self.n_xruns.swap(0, Ordering::Relaxed)
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let stream = self.stream.take();
        let (ended, has_ended) = mpsc::channel();
        // Dropping a stream waits for the thread of its driver.
        let end = move || {
            drop(stream);
            // The receiver is gone if the wait was too long.
            ended.send(()).ok();
        };
        let ending = thread::Builder::new()
            .name("openai-agents-sound".to_owned())
            .spawn(end);
        if ending.is_ok() {
            // A device that is not released by then is released by the end of the process.
            has_ended.recv_timeout(END).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(
        n_channels: u16,
        rates: (u32, u32),
        samples: SampleFormat,
    ) -> SupportedStreamConfigRange {
        let buffer = SupportedBufferSize::Range { min: 16, max: 900 };
        SupportedStreamConfigRange::new(n_channels, rates.0, rates.1, buffer, samples)
    }

    fn chosen(
        offers: &[SupportedStreamConfigRange],
    ) -> Option<(u32, u16, SampleFormat, BufferSize)> {
        let chosen = StreamFormat::choose(offers.iter().copied(), 24_000)?;
        let config = chosen.config;
        Some((
            config.sample_rate,
            config.channels,
            chosen.samples,
            config.buffer_size,
        ))
    }

    #[test]
    fn stream_format_is_the_one_with_the_least_conversion() {
        use SampleFormat::{F32, I16, I32, U8};
        let small = BufferSize::Fixed(480);
        for (offers, expected) in [
            // Whatever passes through a sound server.
            (
                vec![
                    offered(2, (1, 384_000), F32),
                    offered(1, (1, 384_000), I16),
                    offered(1, (1, 384_000), U8),
                ],
                Some((24_000, 1, I16, small)),
            ),
            // A card as it is; the buffer is as small as it can be.
            (
                vec![
                    offered(2, (44_100, 44_100), I32),
                    offered(2, (48_000, 48_000), I32),
                    offered(6, (48_000, 48_000), I16),
                ],
                Some((48_000, 2, I32, BufferSize::Fixed(900))),
            ),
            // A headset.
            (
                vec![
                    offered(1, (8_000, 8_000), I16),
                    offered(1, (16_000, 16_000), I16),
                ],
                Some((16_000, 1, I16, BufferSize::Fixed(320))),
            ),
            (vec![offered(1, (24_000, 24_000), U8)], None),
            (vec![], None),
        ] {
            assert_eq!(chosen(&offers), expected, "{offers:?}");
        }
    }

    #[tokio::test]
    async fn stream_that_only_breaks_has_failed_and_one_that_goes_on_has_not() {
        let health = StreamHealth::default();
        let xrun = || cpal::Error::from(cpal::ErrorKind::Xrun);
        for _ in 0..3 * MAX_XRUNS_IN_A_ROW {
            health.note(xrun());
            health.passed(5_000);
        }
        health.note(cpal::ErrorKind::RealtimeDenied.into());
        assert!(health.fault.get().is_none());
        assert_eq!((health.take_xruns(), health.take_xruns()), (300, 0));
        for _ in 0..=MAX_XRUNS_IN_A_ROW {
            health.passed(480);
            health.note(xrun());
        }
        health.note(cpal::ErrorKind::DeviceNotAvailable.into());
        assert_eq!(health.failed().await, xrun());
    }
}
