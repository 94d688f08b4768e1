//! Audio in pieces: what waits for the rest of a frame, and how much of an item was heard.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::model::realtime::AudioFormat;

/// Bytes that wait until they are a whole frame.
#[derive(Debug)]
pub(super) struct Frames {
    frame_bytes: usize,
    rest: BytesMut,
}

impl Frames {
    pub(super) fn new(frame_bytes: usize) -> Self {
        Self {
            frame_bytes,
            rest: BytesMut::new(),
        }
    }

    /// Adds bytes, and gives all whole frames.
    pub(super) fn push(&mut self, audio: &Bytes) -> Bytes {
        if self.rest.is_empty() {
            // The usual case copies nothing but the rest.
            let whole = audio.len() - audio.len() % self.frame_bytes;
            self.rest
                .extend_from_slice(audio.get(whole..).unwrap_or_default());
            return audio.slice(..whole);
        }
        self.rest.extend_from_slice(audio);
        let whole = self.rest.len() - self.rest.len() % self.frame_bytes;
        self.rest.split_to(whole).freeze()
    }

    /// Returns what is left of whole samples, for the end of a turn.
    pub(super) fn finish(&mut self, format: AudioFormat) -> Bytes {
        let whole = self.rest.len() - self.rest.len() % format.sample_bytes();
        let rest = std::mem::take(&mut self.rest);
        rest.freeze().slice(..whole)
    }
}

/// The audio of one item of the model: what came, and what was heard of it.
#[derive(Debug)]
pub(super) struct ItemAudio {
    pub(super) content_index: u32,
    format: AudioFormat,
    frames: Frames,
    n_bytes: u64,
    /// Since when the player plays without a pause, and what of the item came before.
    playing_since: Duration,
    before: Duration,
    reported: Option<Duration>,
    /// Where the item was cut.
    pub(super) cut: Option<Duration>,
    /// Whether the server was told of the cut; once is enough.
    pub(super) is_truncated: bool,
}

impl ItemAudio {
    pub(super) fn new(content_index: u32, format: AudioFormat) -> Self {
        Self {
            content_index,
            format,
            frames: Frames::new(format.sample_bytes()),
            n_bytes: 0,
            playing_since: Duration::ZERO,
            before: Duration::ZERO,
            reported: None,
            cut: None,
            is_truncated: false,
        }
    }

    /// Takes audio and gives its whole samples; `plays_until` is when the player will have played all that it has.
    pub(super) fn push(
        &mut self,
        now: Duration,
        audio: &Bytes,
        plays_until: &mut Duration,
    ) -> Bytes {
        let audio = self.frames.push(audio);
        // The player had nothing left to play, so there was a pause. From here on it is counted
        // anew, behind the audio that came before.
        if self.n_bytes == 0 || now >= *plays_until {
            self.playing_since = now.max(*plays_until);
            self.before = self.received();
        }
        self.n_bytes += audio.len() as u64;
        let lasts = self.format.duration_of(audio.len() as u64);
        *plays_until = (*plays_until).max(now).saturating_add(lasts);
        audio
    }

    pub(super) fn received(&self) -> Duration {
        self.format.duration_of(self.n_bytes)
    }

    pub(super) fn report(&mut self, position: Duration) {
        self.reported = Some(position);
    }

    /// Says how much was heard: what the application reported, or what a player that never pauses has played.
    ///
    /// It is never more than what came: a server refuses to keep audio that it has not sent.
    pub(super) fn heard(&self, now: Duration, has_playback_reports: bool) -> Duration {
        if let Some(cut) = self.cut {
            return cut;
        }
        let received = self.received();
        if has_playback_reports {
            return self.reported.unwrap_or_default().min(received);
        }
        // No reports: a player that never pauses has played since `playing_since`.
        let played = self
            .before
            .saturating_add(now.saturating_sub(self.playing_since));
        played.min(received)
    }

    /// Notes late audio of an item that was cut: it is not played, but the server has it.
    pub(super) fn push_unheard(&mut self, audio: &Bytes) {
        self.n_bytes += self.frames.push(audio).len() as u64;
    }
}
