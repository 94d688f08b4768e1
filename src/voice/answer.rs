//! The answer of a turn: what of it was written, spoken and heard.

use std::collections::VecDeque;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt as _;

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
    /// The sentence that is being spoken, and the one behind it, whose audio is asked for meanwhile.
    pub(super) speeches: VecDeque<Speech>,
    /// The sentences that were spoken or are, with the audio of each that was given out.
    spoken: Vec<(Sentence, Duration)>,
    /// The audio that was given out, in sum.
    pub(super) given: Duration,
    /// How much the application says that was played; without a report the clock says it.
    pub(super) reported: Option<Duration>,
}

/// How many sentences are asked for at once: with one ahead there is no pause between two, and an interruption wastes little.
const MAX_SPEECHES: usize = 2;

/// How much audio of a sentence waits before it is read no further: 20 seconds.
const MAX_EARLY_BYTES: usize = 1024 * 1024;

type SpeechEvents = BoxStream<'static, Result<SpeechEvent, ModelError>>;

/// A sentence that is being spoken.
pub(super) struct Speech {
    sentence: Option<Sentence>,
    stream: SpeechEvents,
    pub(super) sample_rate_hz: u32,
    /// What came before it was this sentence's turn.
    early: VecDeque<Option<Result<SpeechEvent, ModelError>>>,
    n_early: usize,
}

impl Speech {
    pub(super) const fn new(sentence: Sentence, stream: SpeechEvents) -> Self {
        Self {
            sentence: Some(sentence),
            stream,
            sample_rate_hz: 0,
            early: VecDeque::new(),
            n_early: 0,
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<SpeechEvent, ModelError>>> {
        match self.early.pop_front() {
            Some(event) => Poll::Ready(event),
            None => self.stream.poll_next_unpin(cx),
        }
    }

    /// Reads ahead; what is behind an error or the end is not asked for.
    fn poll_early(&mut self, cx: &mut Context<'_>) {
        let is_over = |event: &Option<Result<SpeechEvent, ModelError>>| {
            matches!(event, None | Some(Err(_) | Ok(SpeechEvent::Done { .. })))
        };
        while self.n_early < MAX_EARLY_BYTES
            && !self.early.back().is_some_and(is_over)
            && let Poll::Ready(event) = self.stream.poll_next_unpin(cx)
        {
            if let Some(Ok(SpeechEvent::Audio { audio })) = &event {
                self.n_early += audio.len();
            }
            self.early.push_back(event);
        }
    }
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
        self.speeches.is_empty() && self.waiting.is_empty()
    }

    /// Whether another sentence is to be asked for.
    pub(super) fn wants_speech(&self) -> bool {
        self.speeches.len() < MAX_SPEECHES
    }

    /// Takes the next sentence that is to be asked for.
    pub(super) fn next_sentence(&mut self) -> Option<Sentence> {
        let sentence = self.waiting.pop_front()?;
        self.n_waiting -= sentence.text.len();
        Some(sentence)
    }

    /// Begins to give out the sentence whose turn it is, if it was not begun; gives its text.
    pub(super) fn begin_sentence(&mut self) -> Option<String> {
        let sentence = self.speeches.front_mut()?.sentence.take()?;
        let text = sentence.text.clone();
        self.spoken.push((sentence, Duration::ZERO));
        Some(text)
    }

    /// Waits for the audio of the sentence whose turn it is, and reads that of the next one ahead.
    pub(super) fn poll_speech(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<SpeechEvent, ModelError>>> {
        let mut speeches = self.speeches.iter_mut();
        let Some(first) = speeches.next() else {
            return Poll::Pending;
        };
        for next in speeches {
            next.poll_early(cx);
        }
        first.poll_next(cx)
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

    /// Begins the next sentence, in place of the one before.
    fn begun(answer: &mut SpokenAnswer) -> Option<String> {
        let sentence = answer.next_sentence()?;
        let silent = Box::pin(futures_util::stream::pending());
        answer.speeches = VecDeque::from([Speech::new(sentence, silent)]);
        answer.begin_sentence()
    }

    #[test]
    fn heard_text_goes_with_the_heard_audio() {
        let mut answer = SpokenAnswer::default();
        answer.push_text("One two three four. Five six. Seven");
        answer.finish_message();
        assert_eq!(begun(&mut answer).as_deref(), Some("One two three four."));
        answer.give(&silence(1_000));
        assert_eq!(begun(&mut answer).as_deref(), Some("Five six."));
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
        assert_eq!(begun(&mut answer).as_deref(), Some("Seven"));
        assert_eq!(
            answer.heard_text(Duration::from_secs(9)),
            "One two three four. Five six."
        );
    }
}
