//! The answer of a turn: what of it was written, spoken and heard so far.

use std::collections::VecDeque;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt as _;

use super::sentences::{Sentence, SentenceSplitter};
use crate::future::BoxStream;
use crate::model::ModelError;
use crate::model::voice::{PcmAudio, SpeechEvent};
use crate::realtime::heard_prefix;

/// How much unspoken text may pile up before the run is no longer read. Models write faster than
/// anybody speaks.
const MAX_WAITING_BYTES: usize = 64 * 1024;

/// One answer, from its first word to the end of its audio.
#[derive(Default)]
pub(super) struct SpokenAnswer {
    splitter: SentenceSplitter,
    /// All that the model has written.
    text: String,
    /// Sentences whose speech was not requested yet.
    waiting: VecDeque<Sentence>,
    /// Their bytes.
    n_waiting: usize,
    /// The sentence that is being spoken, and the next one, whose audio is requested ahead.
    pub(super) speeches: VecDeque<Speech>,
    /// Sentences that have begun, with the duration of the audio that each has given so far.
    spoken: Vec<(Sentence, Duration)>,
    /// Total duration of the audio given to the application.
    pub(super) given: Duration,
    /// How much the application has reported as played. Without a report, the clock tells.
    pub(super) reported: Option<Duration>,
}

/// How many sentences are requested at once. With one ahead there is no pause between sentences;
/// more would be wasted by an interruption.
const MAX_SPEECHES: usize = 2;

/// How much audio of the next sentence is read ahead: about 20 seconds.
const MAX_EARLY_BYTES: usize = 1024 * 1024;

type SpeechEvents = BoxStream<'static, Result<SpeechEvent, ModelError>>;

/// A sentence and the audio of it.
pub(super) struct Speech {
    /// Taken when its audio begins to be given out.
    sentence: Option<Sentence>,
    stream: SpeechEvents,
    pub(super) sample_rate_hz: u32,
    /// Events read before it was this sentence's turn; `None` is the end of the stream.
    early: VecDeque<Option<Result<SpeechEvent, ModelError>>>,
    /// Bytes of audio among them.
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

    /// Reads ahead, but not past an error or the end.
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
    /// Adds text that the model wrote.
    pub(super) fn push_text(&mut self, delta: &str) {
        self.text.push_str(delta);
        let sentences = self.splitter.push(delta);
        self.add(sentences);
    }

    /// Ends a message, so that its last sentence is not joined to the next message.
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

    /// Whether more of the run may be read.
    pub(super) const fn has_room(&self) -> bool {
        self.n_waiting < MAX_WAITING_BYTES
    }

    /// Whether nothing is being spoken and nothing waits to be.
    pub(super) fn is_silent(&self) -> bool {
        self.speeches.is_empty() && self.waiting.is_empty()
    }

    /// Whether another sentence should be requested.
    pub(super) fn wants_speech(&self) -> bool {
        self.speeches.len() < MAX_SPEECHES
    }

    /// Takes the next sentence to request.
    pub(super) fn next_sentence(&mut self) -> Option<Sentence> {
        let sentence = self.waiting.pop_front()?;
        self.n_waiting -= sentence.text.len();
        Some(sentence)
    }

    /// Begins the sentence whose turn it is and returns its text; `None` if it has begun already.
    pub(super) fn begin_sentence(&mut self) -> Option<String> {
        let sentence = self.speeches.front_mut()?.sentence.take()?;
        let text = sentence.text.clone();
        self.spoken.push((sentence, Duration::ZERO));
        Some(text)
    }

    /// Polls the audio of the current sentence, and reads that of the next one ahead.
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

    /// Counts audio of the current sentence that is given to the application.
    pub(super) fn give(&mut self, audio: &PcmAudio) {
        self.given += audio.duration();
        if let Some((_, duration)) = self.spoken.last_mut() {
            *duration += audio.duration();
        }
    }

    /// Returns the text that belongs to the audio that was heard: a prefix of what the model wrote.
    pub(super) fn heard_text(&self, heard: Duration) -> &str {
        let (mut begin, mut before) = (0, Duration::ZERO);
        for (sentence, duration) in &self.spoken {
            let end = before + *duration;
            if heard >= end && !duration.is_zero() {
                begin = sentence.end;
                before = end;
                continue;
            }
            // The listener is inside this sentence: its share of heard audio estimates its share of
            // heard text.
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
