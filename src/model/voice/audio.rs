//! Recorded speech: samples with their rate and channels, and files as a server takes them.

use std::io::Cursor;
use std::time::Duration;

use bytes::Bytes;

use crate::kind::ErrorKind;

/// Speech as samples: signed 16-bit, little endian, channels interleaved.
///
/// It always has whole frames: a sample for each channel.
///
/// ```
/// use openai_agents::model::voice::PcmAudio;
///
/// let second = PcmAudio::new(24_000, 1, vec![0; 48_000])?;
/// assert_eq!(second.duration().as_millis(), 1000);
/// assert_eq!(PcmAudio::from_wav(&second.to_wav()?)?, second);
/// # Ok::<(), openai_agents::model::voice::AudioError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PcmAudio {
    sample_rate_hz: u32,
    n_channels: u16,
    bytes: Bytes,
}

/// A recording as a server takes it.
///
/// It is the bytes of a file, and a name whose ending says the format.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AudioFile {
    /// The name; servers tell the format by its ending.
    pub name: String,
    /// The bytes.
    pub bytes: Bytes,
}

/// Says why audio cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AudioError {
    /// The bytes are no WAV file, or one that cannot be read.
    #[error("this is no WAV file that can be read: {reason}")]
    NotWav {
        /// What is wrong with it.
        reason: String,
    },
    /// The bytes end in the middle of a frame.
    #[error("{n_bytes} bytes are not a whole number of frames of {n_channels} channels of 16 bits")]
    PartFrame {
        /// How many bytes there are.
        n_bytes: usize,
        /// How many channels there are.
        n_channels: u16,
    },
    /// The sample rate or the number of channels is none.
    #[error("{sample_rate_hz} Hz and {n_channels} channels are not a format of audio")]
    NoFormat {
        /// The sample rate.
        sample_rate_hz: u32,
        /// The number of channels.
        n_channels: u16,
    },
    /// The audio has another sample rate or other channels than the audio before it.
    #[error("audio of {found} follows audio of {expected}")]
    FormatChanged {
        /// The format so far.
        expected: String,
        /// The new one.
        found: String,
    },
    /// There is more audio than can be taken at once.
    #[error("{n_bytes} bytes of audio are more than the {max_bytes} that can be taken at once")]
    TooLarge {
        /// How many bytes there are.
        n_bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
}

impl AudioError {
    /// Returns the stable kind.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLarge { .. } => ErrorKind::LimitExceeded,
            Self::NotWav { .. }
            | Self::PartFrame { .. }
            | Self::NoFormat { .. }
            | Self::FormatChanged { .. } => ErrorKind::Unsupported,
        }
    }
}

/// The header that [`PcmAudio::to_wav`] writes.
const WAV_HEADER_BYTES: usize = 44;

impl PcmAudio {
    /// Takes samples.
    ///
    /// # Errors
    ///
    /// [`AudioError::NoFormat`] or [`AudioError::PartFrame`].
    pub fn new(
        sample_rate_hz: u32,
        n_channels: u16,
        bytes: impl Into<Bytes>,
    ) -> Result<Self, AudioError> {
        let bytes = bytes.into();
        if sample_rate_hz == 0 || n_channels == 0 {
            return Err(AudioError::NoFormat {
                sample_rate_hz,
                n_channels,
            });
        }
        if bytes.len() % (usize::from(n_channels) * 2) != 0 {
            return Err(AudioError::PartFrame {
                n_bytes: bytes.len(),
                n_channels,
            });
        }
        Ok(Self {
            sample_rate_hz,
            n_channels,
            bytes,
        })
    }

    /// Reads a WAV file of integers of 8 to 32 bits or of floats.
    ///
    /// Samples become 16 bits.
    ///
    /// A file whose length was not known when its head was written (from a pipe) is read to its end.
    ///
    /// # Errors
    ///
    /// [`AudioError::NotWav`], also for a file that ends before its samples do.
    pub fn from_wav(file: &[u8]) -> Result<Self, AudioError> {
        let not_wav = |error: hound::Error| AudioError::NotWav {
            reason: error.to_string(),
        };
        let patched = with_known_length(file);
        let file = patched.as_deref().unwrap_or(file);
        let reader = hound::WavReader::new(Cursor::new(file)).map_err(not_wav)?;
        let spec = reader.spec();
        let mut bytes = Vec::with_capacity(file.len().min(reader.len() as usize * 2));
        match spec.sample_format {
            hound::SampleFormat::Int => {
                let bits = i32::from(spec.bits_per_sample);
                for sample in reader.into_samples::<i32>() {
                    let sample = i64::from(sample.map_err(not_wav)?);
                    let sample = if bits > 16 {
                        sample >> (bits - 16)
                    } else {
                        sample << (16 - bits)
                    };
                    let clamped = sample.clamp(i64::from(i16::MIN), i64::from(i16::MAX));
                    bytes.extend_from_slice(&i16::try_from(clamped).unwrap_or(0).to_le_bytes());
                }
            }
            hound::SampleFormat::Float => {
                for sample in reader.into_samples::<f32>() {
                    let sample = sample.map_err(not_wav)?;
                    #[expect(
                        clippy::cast_possible_truncation,
                        reason = "it is clamped; what is no number becomes silence"
                    )]
                    let sample = (sample.clamp(-1.0, 1.0) * 32767.0) as i16;
                    bytes.extend_from_slice(&sample.to_le_bytes());
                }
            }
        }
        Self::new(spec.sample_rate, spec.channels, bytes)
    }

    /// Writes a WAV file.
    ///
    /// # Errors
    ///
    /// [`AudioError::TooLarge`] beyond 4 GiB, which the format cannot say.
    pub fn to_wav(&self) -> Result<Vec<u8>, AudioError> {
        let max_bytes = u32::MAX as usize - WAV_HEADER_BYTES;
        let n_bytes = self.bytes.len();
        let length = u32::try_from(n_bytes).ok().filter(|_| n_bytes <= max_bytes);
        let length = length.ok_or(AudioError::TooLarge { n_bytes, max_bytes })?;
        let frame_bytes = self.n_channels.saturating_mul(2);
        let bytes_per_second = self.sample_rate_hz.saturating_mul(u32::from(frame_bytes));
        let mut file = Vec::with_capacity(WAV_HEADER_BYTES + n_bytes);
        file.extend_from_slice(b"RIFF");
        file.extend_from_slice(&(length + 36).to_le_bytes());
        file.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0");
        file.extend_from_slice(&self.n_channels.to_le_bytes());
        file.extend_from_slice(&self.sample_rate_hz.to_le_bytes());
        file.extend_from_slice(&bytes_per_second.to_le_bytes());
        file.extend_from_slice(&frame_bytes.to_le_bytes());
        file.extend_from_slice(b"\x10\0data");
        file.extend_from_slice(&length.to_le_bytes());
        file.extend_from_slice(&self.bytes);
        Ok(file)
    }

    /// Returns the samples of a second.
    pub const fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    /// Returns the number of channels.
    pub const fn n_channels(&self) -> u16 {
        self.n_channels
    }

    /// Returns the samples as bytes.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Says whether there is no sample.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Says how long it lasts.
    pub const fn duration(&self) -> Duration {
        let n_frames = self.bytes.len() as u64 / (self.n_channels as u64 * 2);
        let rate = self.sample_rate_hz as u64;
        let nanos = (n_frames % rate) * 1_000_000_000 / rate;
        Duration::from_secs(n_frames / rate).saturating_add(Duration::from_nanos(nanos))
    }

    /// Describes the format, as `24000 Hz, 1 channel`.
    pub fn format(&self) -> String {
        let channels = if self.n_channels == 1 {
            "channel"
        } else {
            "channels"
        };
        format!("{} Hz, {} {channels}", self.sample_rate_hz, self.n_channels)
    }

    /// Checks that this audio can follow other audio.
    pub(crate) fn check_follows(&self, before: &Self) -> Result<(), AudioError> {
        if (self.sample_rate_hz, self.n_channels) == (before.sample_rate_hz, before.n_channels) {
            return Ok(());
        }
        Err(AudioError::FormatChanged {
            expected: before.format(),
            found: self.format(),
        })
    }
}

impl AudioFile {
    /// Takes a file as it is; the ending of its name says the format.
    pub fn new(name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self {
            name: name.into(),
            bytes: bytes.into(),
        }
    }

    /// Makes a WAV file of samples.
    ///
    /// # Errors
    ///
    /// As [`PcmAudio::to_wav`].
    pub fn wav(audio: &PcmAudio) -> Result<Self, AudioError> {
        Ok(Self::new("audio.wav", audio.to_wav()?))
    }

    /// Returns the media type that the ending of the name stands for.
    pub(crate) fn media_type(&self) -> &'static str {
        let ending = self.name.rsplit_once('.').map_or("", |(_, ending)| ending);
        match ending.to_ascii_lowercase().as_str() {
            "wav" => "audio/wav",
            "mp3" | "mpga" | "mpeg" => "audio/mpeg",
            "mp4" | "m4a" => "audio/mp4",
            "ogg" | "oga" | "opus" => "audio/ogg",
            "flac" => "audio/flac",
            "webm" => "audio/webm",
            _ => "application/octet-stream",
        }
    }
}

/// Writes the length of the samples into a head that does not know it: programs that write into a pipe leave 0 or the largest number.
fn with_known_length(file: &[u8]) -> Option<Vec<u8>> {
    let mut at = 12;
    loop {
        let name = file.get(at..at + 4)?;
        let length = u32::from_le_bytes(file.get(at + 4..at + 8)?.try_into().ok()?);
        let begin = at + 8;
        if name == b"data" {
            let rest = u32::try_from(file.len() - begin).ok()?;
            let is_unknown = length == u32::MAX || length == u32::MAX - 36 || length == 0;
            if !is_unknown || rest == 0 {
                return None;
            }
            let mut known = file.to_vec();
            known
                .get_mut(at + 4..begin)?
                .copy_from_slice(&rest.to_le_bytes());
            return Some(known);
        }
        // Chunks begin at even positions.
        let length = usize::try_from(length).ok()?;
        at = begin.checked_add(length.checked_add(length % 2)?)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(length: u32, n_bytes: usize) -> Vec<u8> {
        let audio = PcmAudio::new(8_000, 1, vec![7; n_bytes]).unwrap();
        let mut file = audio.to_wav().unwrap();
        file[40..44].copy_from_slice(&length.to_le_bytes());
        file
    }

    #[test]
    fn wav_from_a_pipe_is_read_to_its_end() {
        for unknown in [0, u32::MAX, u32::MAX - 36] {
            let audio = PcmAudio::from_wav(&header(unknown, 320)).unwrap();
            assert_eq!(audio, PcmAudio::new(8_000, 1, vec![7; 320]).unwrap());
        }
    }

    #[test]
    fn wav_that_breaks_off_is_an_error() {
        let error = PcmAudio::from_wav(&header(640, 320)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        for cut in 0..44 {
            PcmAudio::from_wav(&header(320, 320)[..cut]).unwrap_err();
        }
    }

    #[test]
    fn wav_of_other_widths_becomes_16_bits() {
        fn check<S: hound::Sample + Copy>(
            bits: u16,
            format: hound::SampleFormat,
            samples: &[S],
            expect: &[i16],
        ) {
            let spec = hound::WavSpec {
                channels: 1,
                sample_rate: 16_000,
                bits_per_sample: bits,
                sample_format: format,
            };
            let mut file = Cursor::new(Vec::new());
            let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
            for sample in samples {
                writer.write_sample(*sample).unwrap();
            }
            writer.finalize().unwrap();
            let bytes: Vec<u8> = expect.iter().flat_map(|s| s.to_le_bytes()).collect();
            let audio = PcmAudio::from_wav(&file.into_inner()).unwrap();
            assert_eq!(audio, PcmAudio::new(16_000, 1, bytes).unwrap());
        }
        use hound::SampleFormat::{Float, Int};
        check(8, Int, &[-128_i8, 0, 127], &[-32768, 0, 32512]);
        check(16, Int, &[-32768_i16, 1, 32767], &[-32768, 1, 32767]);
        check(
            24,
            Int,
            &[-8_388_608_i32, 256, 8_388_607],
            &[-32768, 1, 32767],
        );
        check(32, Int, &[i32::MIN, 65536, i32::MAX], &[-32768, 1, 32767]);
        check(
            32,
            Float,
            &[-2.0_f32, 0.0, 1.0, f32::NAN],
            &[-32767, 0, 32767, 0],
        );
    }

    #[test]
    fn half_a_frame_is_no_audio() {
        PcmAudio::new(24_000, 1, vec![0; 3]).unwrap_err();
        PcmAudio::new(24_000, 2, vec![0; 6]).unwrap_err();
        PcmAudio::new(0, 1, vec![0; 4]).unwrap_err();
        PcmAudio::new(24_000, 0, vec![0; 4]).unwrap_err();
    }
}
