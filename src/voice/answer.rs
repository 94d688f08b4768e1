//! The answer of a turn: what of it was written, spoken and heard.

use std::collections::VecDeque;
use std::time::Duration;

use super::sentences::{Sentence, SentenceSplitter};
use crate::future::BoxStream;
use crate::model::ModelError;
use crate::model::voice::{PcmAudio, SpeechEvent};
use crate::realtime::heard_prefix;

/// How much text may wait to be spoken before the run is read no further.
const MAX_WAITING_BYTES: usize = 64 * 1024;

/// An answer from its first word to the end of its audio.
#[derive(Default)]
pub(super) struct SpokenAnswer {
    splitter: SentenceSplitter,
    text: String,
    /// The sentences that are to be spoken.
    waiting: VecDeque<Sentence>,
    n_waiting: usize,
    pub(super) speech: Option<Speech>,
    /// The sentences that were spoken or are, with the audio of each that was given out.
    spoken: Vec<(Sentence, Duration)>,
    /// The audio that was given out, in sum.
    pub(super) given: Duration,
    /// How much the application says that was played; without a report the clock says it.
    pub(super) reported: Option<Duration>,
}

/// A sentence that is being spoken.
pub(super) struct Speech {
    pub(super) stream: BoxStream<'static, Result<SpeechEvent, ModelError>>,
    pub(super) sample_rate_hz: u32,
}

impl SpokenAnswer {
    /// Takes more of the text.
    pub(super) fn push_text(&mut self, delta: &str) {
        self.text.push_str(delta);
        let sentences = self.splitter.push(delta);
        self.add(sentences);
    }

    /// Ends a message: the next one begins with a sentence of its own.
    pub(super) fn finish_message(&mut self) {
        let last = self.splitter.finish();
        self.add(last);
    }

    fn add(&mut self, sentences: impl IntoIterator<Item = Sentence>) {
        for sentence in sentences {
            self.n_waiting += sentence.text.len();
            self.waiting.push_back(sentence);
        }
    }

    /// Whether more of the run is to be read.
    pub(super) const fn has_room(&self) -> bool {
        self.n_waiting < MAX_WAITING_BYTES
    }

    /// Whether there is something to be spoken or being spoken.
    pub(super) fn is_silent(&self) -> bool {
        self.speech.is_none() && self.waiting.is_empty()
    }

    /// Takes the next sentence that is to be spoken.
    pub(super) fn next_sentence(&mut self) -> Option<String> {
        let sentence = self.waiting.pop_front()?;
        self.n_waiting -= sentence.text.len();
        let text = sentence.text.clone();
        self.spoken.push((sentence, Duration::ZERO));
        Some(text)
    }

    /// Notes that audio of the sentence under way was given out.
    pub(super) fn give(&mut self, audio: &PcmAudio) {
        self.given += audio.duration();
        if let Some((_, duration)) = self.spoken.last_mut() {
            *duration += audio.duration();
        }
    }

    /// Gives the text that goes with the audio that was heard: a prefix of what was written.
    pub(super) fn heard_text(&self, heard: Duration) -> &str {
        let (mut begin, mut before) = (0, Duration::ZERO);
        for (sentence, duration) in &self.spoken {
            let end = before + *duration;
            if heard >= end && !duration.is_zero() {
                begin = sentence.end;
                before = end;
                continue;
            }
            let said = self.text.get(begin..sentence.end).unwrap_or_default();
            let part = heard_prefix(said, heard.saturating_sub(before), *duration);
            return self.text.get(..begin + part.len()).unwrap_or_default();
        }
        self.text.get(..begin).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silence(milliseconds: usize) -> PcmAudio {
        PcmAudio::new(24_000, 1, vec![0; milliseconds * 48]).unwrap()
    }

    #[test]
    fn heard_text_goes_with_the_heard_audio() {
        let mut answer = SpokenAnswer::default();
        answer.push_text("One two three four. Five six. Seven");
        answer.finish_message();
        assert_eq!(
            answer.next_sentence().as_deref(),
            Some("One two three four.")
        );
        answer.give(&silence(1_000));
        assert_eq!(answer.next_sentence().as_deref(), Some("Five six."));
        answer.give(&silence(500));
        answer.give(&silence(500));
        for (heard, expect) in [
            (0, ""),
            (500, "One two"),
            (999, "One two three"),
            (1_000, "One two three four."),
            (1_500, "One two three four. Five"),
            (2_000, "One two three four. Five six."),
            (9_000, "One two three four. Five six."),
        ] {
            assert_eq!(
                answer.heard_text(Duration::from_millis(heard)),
                expect,
                "{heard} ms"
            );
        }
        assert_eq!(answer.next_sentence().as_deref(), Some("Seven"));
        assert_eq!(
            answer.heard_text(Duration::from_secs(9)),
            "One two three four. Five six."
        );
    }
}
