//! Converts the sample rate, if a device does not have the one that is needed.

use anyhow::{Context as _, Result};
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Async, FixedAsync, Indexing, Resampler as _, SincInterpolationParameters,
    SincInterpolationType, WindowFunction,
};

/// Converts samples of one channel from one rate to another, piece by piece.
pub(super) struct Resampler {
    from_hz: u32,
    to_hz: u32,
    filter: Async<f32>,
    waiting: Vec<f32>,
    /// Samples of the delay of the filter that are still to be dropped.
    n_early: usize,
    n_in: u64,
    n_out: u64,
}

/// The filter takes chunks of this size: a hundredth of a second at 48 kHz.
const CHUNK_SAMPLES: usize = 480;

impl Resampler {
    /// Makes a resampler; `None` if the rates are the same.
    pub(super) fn new(from_hz: u32, to_hz: u32) -> Result<Option<Self>> {
        if from_hz == to_hz {
            return Ok(None);
        }
        // 64 points keep aliasing inaudible in speech of 16 bits, at a tenth of the cost of the settings for music.
        let shape = SincInterpolationParameters::new(64, WindowFunction::BlackmanHarris2)
            .interpolation(SincInterpolationType::Linear);
        let ratio = f64::from(to_hz) / f64::from(from_hz);
        let filter = Async::new_sinc(ratio, 1.0, &shape, CHUNK_SAMPLES, 1, FixedAsync::Input);
        let filter = filter.with_context(|| format!("cannot make {to_hz} Hz of {from_hz} Hz"))?;
        let n_early = filter.output_delay();
        Ok(Some(Self {
            from_hz,
            to_hz,
            filter,
            waiting: Vec::new(),
            n_early,
            n_in: 0,
            n_out: 0,
        }))
    }

    /// Says whether it converts between these rates.
    pub(super) const fn is_for(&self, from_hz: u32, to_hz: u32) -> bool {
        self.from_hz == from_hz && self.to_hz == to_hz
    }

    /// Takes samples, and gives those that are ready.
    pub(super) fn push(&mut self, samples: &[i16]) -> Result<Vec<i16>> {
        self.n_in += samples.len() as u64;
        self.waiting
            .extend(samples.iter().map(|sample| f32::from(*sample)));
        let mut out = Vec::new();
        while self.waiting.len() >= CHUNK_SAMPLES {
            let rest = self.waiting.split_off(CHUNK_SAMPLES);
            let chunk = std::mem::replace(&mut self.waiting, rest);
            self.convert(&chunk, &mut out)?;
        }
        Ok(out)
    }

    /// Returns the remaining samples, so that the output lasts as long as the input, and starts over.
    pub(super) fn finish(&mut self) -> Result<Vec<i16>> {
        let n_all = self.n_in * u64::from(self.to_hz) / u64::from(self.from_hz);
        let mut out = Vec::new();
        let mut chunk = std::mem::take(&mut self.waiting);
        // Silence pushes the last samples through the delay of the filter.
        while self.n_out < n_all {
            self.convert(&chunk, &mut out)?;
            chunk.clear();
        }
        let n_late = usize::try_from(self.n_out - n_all).unwrap_or(usize::MAX);
        out.truncate(out.len().saturating_sub(n_late));
        self.reset();
        Ok(out)
    }

    /// Drops everything and starts over.
    pub(super) fn reset(&mut self) {
        self.filter.reset();
        self.waiting.clear();
        self.n_early = self.filter.output_delay();
        (self.n_in, self.n_out) = (0, 0);
    }

    /// Converts a chunk, filled up with silence.
    fn convert(&mut self, chunk: &[f32], out: &mut Vec<i16>) -> Result<()> {
        let mut padded = chunk.to_vec();
        padded.resize(CHUNK_SAMPLES, 0.0);
        let input = InterleavedSlice::new(&padded, 1, CHUNK_SAMPLES).context("cannot resample")?;
        let converted = self.filter.process(&input, Some(&Indexing::new()));
        let converted = converted.context("cannot resample")?.take_data();
        let n_skipped = self.n_early.min(converted.len());
        self.n_early -= n_skipped;
        let kept = converted.into_iter().skip(n_skipped);
        let n_before = out.len();
        out.extend(kept.map(to_sample));
        self.n_out += (out.len() - n_before) as u64;
        Ok(())
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "it is clamped; what is no number becomes silence"
)]
fn to_sample(sample: f32) -> i16 {
    sample
        .round()
        .clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tone of this frequency, as loud as speech.
    fn tone(hz: f64, rate_hz: u32, n_samples: usize) -> Vec<i16> {
        let step = std::f64::consts::TAU * hz / f64::from(rate_hz);
        let n_samples = u32::try_from(n_samples).unwrap();
        let phases = (0..n_samples).map(|at| f64::from(at) * step);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it is quieter than the loudest"
        )]
        phases.map(|phase| (8_000.0 * phase.sin()) as i16).collect()
    }

    #[test]
    fn resampler_tone_of_any_rate_is_the_same_tone_and_as_long() {
        for (from_hz, to_hz) in [
            (48_000, 24_000),
            (44_100, 24_000),
            (16_000, 24_000),
            (24_000, 48_000),
            (22_050, 48_000),
        ] {
            let n_in = from_hz as usize / 2;
            let mut resampler = Resampler::new(from_hz, to_hz).unwrap().unwrap();
            // The second time it has forgotten the first.
            for _ in 0..2 {
                let mut out = Vec::new();
                for piece in tone(440.0, from_hz, n_in).chunks(777) {
                    out.extend(resampler.push(piece).unwrap());
                }
                out.extend(resampler.finish().unwrap());
                let expected = tone(440.0, to_hz, to_hz as usize / 2);
                assert_eq!(out.len(), expected.len(), "{from_hz} to {to_hz}");
                // Both ends are cut off, which no filter draws sharply.
                let inner = 200..expected.len() - 200;
                let worst = out[inner.clone()].iter().zip(&expected[inner]);
                let worst = worst.map(|(a, b)| a.abs_diff(*b)).max().unwrap();
                // The filter knows its delay to a sample, which is up to 925 of such a tone; another tone would be far off in the end.
                assert!(worst < 1_000, "{from_hz} to {to_hz}: {worst}");
            }
        }
    }

    #[test]
    fn resampler_of_equal_rates_is_none() {
        assert!(Resampler::new(24_000, 24_000).unwrap().is_none());
    }
}
