//! The formats of realtime audio: what a byte of each lasts, and where samples and frames begin.

use std::time::Duration;

/// The format of audio that goes to a realtime model or comes from it.
///
/// It is always mono.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AudioFormat {
    /// Signed 16-bit samples, little endian, 24,000 a second.
    #[default]
    Pcm16,
    /// G.711 mu-law, 8,000 samples a second: telephony in North America and Japan.
    Pcmu,
    /// G.711 A-law, 8,000 samples a second: telephony elsewhere.
    Pcma,
}

impl AudioFormat {
    /// Returns the samples of a second.
    pub const fn sample_rate_hz(self) -> u32 {
        match self {
            Self::Pcm16 => 24_000,
            Self::Pcmu | Self::Pcma => 8_000,
        }
    }

    /// Returns the bytes of a sample.
    pub const fn sample_bytes(self) -> usize {
        match self {
            Self::Pcm16 => 2,
            Self::Pcmu | Self::Pcma => 1,
        }
    }

    /// Returns the bytes that are sent together at least.
    ///
    /// They are a sample, or a frame of 20 ms in telephony.
    pub const fn frame_bytes(self) -> usize {
        match self {
            Self::Pcm16 => 2,
            Self::Pcmu | Self::Pcma => 160,
        }
    }

    /// Says how long so many bytes last.
    pub const fn duration_of(self, n_bytes: u64) -> Duration {
        let rate = self.sample_rate_hz() as u64;
        let n_samples = n_bytes / self.sample_bytes() as u64;
        let nanos = (n_samples % rate) * 1_000_000_000 / rate;
        Duration::from_secs(n_samples / rate).saturating_add(Duration::from_nanos(nanos))
    }

    /// Returns the name in the protocol.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pcm16 => "audio/pcm",
            Self::Pcmu => "audio/pcmu",
            Self::Pcma => "audio/pcma",
        }
    }
}
