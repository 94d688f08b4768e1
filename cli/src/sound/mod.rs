//! The microphone and the speaker of this machine.
//!
//! `cpal` calls back on threads of its own, which must not wait: samples pass through queues ([`capture`], [`playback`]), and all that is
//! done with them is done by the command, another sample rate included. Everything above the queues can be tested without a device.

mod capture;
mod devices;
mod playback;
mod resampler;
mod silence;
mod stream;

use anyhow::Result;
use openai_agents::model::voice::PcmAudio;

use capture::CaptureQueue;
use devices::DeviceKind;
use playback::{HeardItem, PlaybackQueue};
use resampler::Resampler;
use stream::OpenStream;

pub(crate) use devices::Devices;
pub(crate) use silence::SilenceDetector;

/// The rate of realtime models, which speech servers understand too.
pub(crate) const SAMPLE_RATE_HZ: u32 = 24_000;

/// An open microphone.
pub(crate) struct Microphone {
    queue: CaptureQueue,
    resampler: Option<Resampler>,
    stream: OpenStream,
}

/// An open speaker.
pub(crate) struct Speaker {
    queue: PlaybackQueue,
    sample_rate_hz: u32,
    resampler: Option<Resampler>,
    stream: OpenStream,
}

impl Microphone {
    /// Waits for what is heard next, at [`SAMPLE_RATE_HZ`].
    ///
    /// # Errors
    ///
    /// The device is not there any more.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(crate) async fn next(&mut self) -> Result<Vec<i16>> {
        let samples = tokio::select! {
            biased;
            error = self.stream.health.failed() => return Err(devices::lost(DeviceKind::Microphone, &error)),
            samples = self.queue.next() => samples,
        };
        let Some(samples) = samples else {
            let error = cpal::ErrorKind::DeviceNotAvailable.into();
            return Err(devices::lost(DeviceKind::Microphone, &error));
        };
        match &mut self.resampler {
            Some(resampler) => resampler.push(&samples),
            None => Ok(samples),
        }
    }

    /// Throws away what was heard and not taken.
    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.stream.health.take_xruns();
        if let Some(resampler) = &mut self.resampler {
            resampler.reset();
        }
    }

    /// Says what is wrong with what was heard, since this was asked last.
    pub(crate) fn take_trouble(&self) -> Option<String> {
        let (lost, n_xruns) = (self.queue.take_lost(), self.stream.health.take_xruns());
        match (lost.is_zero(), n_xruns) {
            (true, 0) => None,
            (false, _) => Some(format!(
                "{lost:.1?} of the microphone was lost: it was not taken in time"
            )),
            (true, _) => Some(format!(
                "the microphone was not read in time, {n_xruns} times: something of it was lost"
            )),
        }
    }
}

impl Speaker {
    /// Adds audio of an item behind all others; more than one channel is not played.
    ///
    /// # Errors
    ///
    /// The audio has no rate that can be played.
    pub(crate) fn push(&mut self, item: &str, audio: &PcmAudio) -> Result<()> {
        let (from_hz, to_hz) = (audio.sample_rate_hz(), self.sample_rate_hz);
        let is_same = match &self.resampler {
            Some(resampler) => resampler.is_for(from_hz, to_hz),
            None => from_hz == to_hz,
        };
        if !is_same {
            self.resampler = Resampler::new(from_hz, to_hz)?;
        }
        let samples = samples_of(audio.bytes());
        let samples = match &mut self.resampler {
            Some(resampler) => resampler.push(&samples)?,
            None => samples,
        };
        self.queue.push(item, samples);
        Ok(())
    }

    /// Says that an item has no more audio.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub(crate) fn finish(&mut self, item: &str) -> Result<()> {
        let rest = match &mut self.resampler {
            Some(resampler) => resampler.finish()?,
            None => Vec::new(),
        };
        self.queue.finish(item, rest);
        Ok(())
    }

    /// Stops at once: nothing of what was pushed is played any more.
    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        if let Some(resampler) = &mut self.resampler {
            resampler.reset();
        }
    }

    /// Waits until more was heard.
    ///
    /// # Errors
    ///
    /// The device is not there any more.
    ///
    /// # Cancel safety
    ///
    /// It is not lost: the next call tells of it.
    pub(crate) async fn progress(&self) -> Result<()> {
        tokio::select! {
            biased;
            error = self.stream.health.failed() => Err(devices::lost(DeviceKind::Speaker, &error)),
            () = self.queue.progress() => Ok(()),
        }
    }

    /// Says how much of the item that is played was heard; an item that was heard to its end is said once.
    pub(crate) fn heard(&mut self) -> Option<HeardItem> {
        self.queue.heard()
    }

    /// Whether something is played, or waits for it.
    pub(crate) fn is_playing(&self) -> bool {
        self.queue.is_playing()
    }

    /// Whether more audio may be pushed.
    pub(crate) fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    /// Says what is wrong with what was played, since this was asked last.
    pub(crate) fn take_trouble(&self) -> Option<String> {
        let n_gaps = self.queue.take_gaps() + self.stream.health.take_xruns();
        (n_gaps > 0).then(|| format!("the speaker ran dry {n_gaps} times: the audio came too late"))
    }
}

fn samples_of(bytes: &[u8]) -> Vec<i16> {
    let samples = bytes.as_chunks::<2>().0.iter();
    samples.map(|sample| i16::from_le_bytes(*sample)).collect()
}

/// Makes audio of samples of [`SAMPLE_RATE_HZ`].
///
/// # Errors
///
/// None that can come of whole samples.
pub(crate) fn audio_of(samples: &[i16]) -> Result<PcmAudio> {
    let bytes: Vec<u8> = samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    Ok(PcmAudio::new(SAMPLE_RATE_HZ, 1, bytes)?)
}
