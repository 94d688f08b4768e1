//! The microphone and the speaker of this machine.
//!
//! `cpal` calls back on threads of its own, which must not wait. Samples pass through queues
//! ([`capture`], [`playback`]), and all work on them, such as a change of the sample rate, is done
//! by the command. Everything above the queues can be tested without a device.

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

/// The sample rate of realtime models. Speech servers accept it as well.
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
    /// Waits for the next samples, at [`SAMPLE_RATE_HZ`].
    ///
    /// # Errors
    ///
    /// The device is gone.
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

    /// Drops samples that were not read.
    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.stream.health.take_xruns();
        if let Some(resampler) = &mut self.resampler {
            resampler.reset();
        }
    }

    /// Describes what was lost of the recording, since the last call.
    pub(crate) fn take_trouble(&self) -> Option<String> {
        let (lost, n_xruns) = (self.queue.take_lost(), self.stream.health.take_xruns());
        match (lost.is_zero(), n_xruns) {
            (true, 0) => None,
            (false, _) => Some(format!(
                "{lost:.1?} of the microphone was lost: the program was too slow to read it"
            )),
            (true, _) => Some(format!(
                "the microphone was read too late {n_xruns} times: parts of it were lost"
            )),
        }
    }
}

impl Speaker {
    /// Adds audio of an item to the queue. Only one channel can be played.
    ///
    /// # Errors
    ///
    /// Its sample rate cannot be played.
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

    /// Ends the audio of an item.
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

    /// Stops at once, and drops everything in the queue.
    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        if let Some(resampler) = &mut self.resampler {
            resampler.reset();
        }
    }

    /// Waits until more was played.
    ///
    /// # Errors
    ///
    /// The device is gone.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the next call returns at once.
    pub(crate) async fn progress(&self) -> Result<()> {
        tokio::select! {
            biased;
            error = self.stream.health.failed() => Err(devices::lost(DeviceKind::Speaker, &error)),
            () = self.queue.progress() => Ok(()),
        }
    }

    /// Returns how much of the current item was played. An item that was played to its end is
    /// reported once.
    pub(crate) fn heard(&mut self) -> Option<HeardItem> {
        self.queue.heard()
    }

    /// Says whether something is played or waits in the queue.
    pub(crate) fn is_playing(&self) -> bool {
        self.queue.is_playing()
    }

    /// Says whether the queue has room.
    pub(crate) fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    /// Describes what was wrong with the playing, since the last call.
    pub(crate) fn take_trouble(&self) -> Option<String> {
        let n_gaps = self.queue.take_gaps() + self.stream.health.take_xruns();
        (n_gaps > 0)
            .then(|| format!("the speaker had gaps {n_gaps} times: the audio arrived too late"))
    }
}

fn samples_of(bytes: &[u8]) -> Vec<i16> {
    let samples = bytes.as_chunks::<2>().0.iter();
    samples.map(|sample| i16::from_le_bytes(*sample)).collect()
}

/// Makes audio of samples at [`SAMPLE_RATE_HZ`].
///
/// # Errors
///
/// None for whole samples.
pub(crate) fn audio_of(samples: &[i16]) -> Result<PcmAudio> {
    let bytes: Vec<u8> = samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    Ok(PcmAudio::new(SAMPLE_RATE_HZ, 1, bytes)?)
}
