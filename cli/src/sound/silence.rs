//! Finds the end of a spoken question: the silence after it.

use std::time::Duration;

/// Detects speech by its loudness.
///
/// This is enough for one person at a microphone; a key ends the question as well. Loud means
/// louder than the noise of the room, which is the quietest recent level.
#[derive(Debug)]
pub(crate) struct SilenceDetector {
    frame_samples: usize,
    n_needed: usize,
    rest: Vec<i16>,
    /// The mean square of the noise.
    noise: u64,
    n_loud: usize,
    n_quiet: usize,
}

const FRAMES_A_SECOND: u32 = 50;
/// A fifth of a second: a click is not speech.
const MIN_LOUD_FRAMES: usize = 10;
/// Speech is at least four times (12 dB) louder than the noise. Squares are compared, so 16 times.
const LOUDER: u64 = 16;
/// 50 dB below the loudest: anything quieter is not speech.
const QUIETEST_SPEECH: u64 = 100 * 100;
/// The noise that is assumed at first.
const FIRST_NOISE: u64 = 200 * 200;

impl SilenceDetector {
    /// Makes a detector that ends a question after this much silence.
    pub(crate) fn new(sample_rate_hz: u32, silence: Duration) -> Self {
        let n_needed = silence.as_millis() * u128::from(FRAMES_A_SECOND) / 1_000;
        Self {
            frame_samples: (sample_rate_hz / FRAMES_A_SECOND).max(1) as usize,
            n_needed: usize::try_from(n_needed).unwrap_or(usize::MAX).max(1),
            rest: Vec::new(),
            noise: FIRST_NOISE,
            n_loud: 0,
            n_quiet: 0,
        }
    }

    /// Takes samples. Says whether the question is over.
    pub(crate) fn push(&mut self, samples: &[i16]) -> bool {
        self.rest.extend_from_slice(samples);
        let frames = std::mem::take(&mut self.rest);
        let frames = frames.chunks_exact(self.frame_samples);
        self.rest = frames.remainder().to_vec();
        let mut is_over = false;
        for frame in frames {
            is_over |= self.push_frame(frame);
        }
        is_over
    }

    fn push_frame(&mut self, frame: &[i16]) -> bool {
        let squares = frame
            .iter()
            .map(|sample| u64::from(sample.unsigned_abs()).pow(2));
        let level = squares.sum::<u64>() / frame.len().max(1) as u64;
        let is_loud = level > (self.noise * LOUDER).max(QUIETEST_SPEECH);
        // The noise level falls at once and rises by half a percent per frame, 3 dB in three seconds. So a fan that
        // starts soon counts as noise, and a sentence does not.
        self.noise = (self.noise + self.noise / 200 + 1).min(level);
        if is_loud {
            self.n_loud += 1;
            self.n_quiet = 0;
        } else {
            self.n_quiet += 1;
        }
        self.n_loud >= MIN_LOUD_FRAMES && self.n_quiet >= self.n_needed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is heard: a loudness for so many milliseconds each.
    fn ends_at(heard: &[(i16, usize)]) -> Option<usize> {
        let mut detector = SilenceDetector::new(24_000, Duration::from_secs(1));
        let samples = heard.iter().flat_map(|(loudness, milliseconds)| {
            (0..milliseconds * 24).map(move |at| if at % 2 == 0 { *loudness } else { -loudness })
        });
        let samples: Vec<i16> = samples.collect();
        let mut pieces = (1..).zip(samples.chunks(240));
        pieces.find_map(|(at, piece)| detector.push(piece).then_some(at * 10))
    }

    #[test]
    fn question_ends_a_second_behind_its_last_word() {
        for (heard, expected) in [
            (&[(20, 500), (3_000, 2_000), (20, 3_000)][..], Some(3_500)),
            // A pause within the sentence is shorter.
            (
                &[
                    (20, 500),
                    (3_000, 800),
                    (20, 900),
                    (3_000, 800),
                    (20, 3_000),
                ],
                Some(4_000),
            ),
            // It begins at once, and in a room that is not quiet.
            (&[(3_000, 1_000), (150, 3_000)], Some(2_000)),
            // Nobody spoke, or something fell down.
            (&[(20, 10_000)], None),
            (&[(20, 500), (3_000, 100), (20, 5_000)], None),
        ] {
            assert_eq!(ends_at(heard), expected, "{heard:?}");
        }
    }
}
