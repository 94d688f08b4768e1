//! Records a question to its end.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use anyhow::Result;
use futures_util::{Stream, StreamExt as _, stream};
use openai_agents::model::voice::{PcmAudio, TranscriptionEvent};
use tokio::sync::mpsc;

use super::super::listen::SampleStream;
use super::note_trouble;
use crate::failure::Usage;
use crate::output;
use crate::signal::{Signals, SparedInterrupt};
use crate::sound::{Microphone, SAMPLE_RATE_HZ, SilenceDetector, audio_of};
use crate::typed_lines::TypedLines;

/// The most that speech servers take: 24 MiB of samples, about eight minutes.
const MAX_SAMPLES: usize = 12 * 1024 * 1024;

/// A microphone, and the silence and keys that end a recording.
pub(crate) struct QuestionRecorder {
    microphone: Microphone,
    silence: Duration,
    keys: StopKeys,
}

/// What ended a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordingEnd {
    Silence,
    /// Enter or Ctrl-C.
    Key,
    /// Stdin has ended.
    EndOfInput,
}

/// The keys that end a recording or an answer.
pub(crate) struct StopKeys {
    /// Lines of a terminal. A pipe has nobody who presses a key.
    lines: Option<TypedLines>,
    interrupt: Option<SparedInterrupt>,
}

impl StopKeys {
    /// Waits for a key.
    ///
    /// # Errors
    ///
    /// The terminal cannot be read.
    ///
    /// # Cancel safety
    ///
    /// No key is lost.
    pub(crate) async fn pressed(&mut self) -> Result<RecordingEnd> {
        let Self { lines, interrupt } = self;
        let line = async {
            match lines {
                Some(lines) => lines.next().await,
                None => std::future::pending().await,
            }
        };
        let interrupted = async {
            match interrupt {
                Some(interrupt) => interrupt.came().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            line = line => Ok(match line? {
                Some(_) => RecordingEnd::Key,
                None => RecordingEnd::EndOfInput,
            }),
            () = interrupted => Ok(RecordingEnd::Key),
        }
    }
}

impl QuestionRecorder {
    /// Takes an open microphone. With `interrupts`, Ctrl-C ends a recording instead of the program.
    ///
    /// # Errors
    ///
    /// The terminal cannot be read.
    pub(crate) fn new(
        microphone: Microphone,
        silence: Duration,
        interrupts: Option<&Signals>,
    ) -> Result<Self> {
        let keys = StopKeys {
            lines: io::stdin()
                .is_terminal()
                .then(TypedLines::read)
                .transpose()?,
            interrupt: interrupts.map(Signals::spare_interrupt),
        };
        Ok(Self {
            microphone,
            silence,
            keys,
        })
    }

    /// Returns the keys, which also stop an answer.
    pub(crate) const fn keys(&mut self) -> &mut StopKeys {
        &mut self.keys
    }

    /// Records until the speaker has been silent for a while, or a key is pressed.
    ///
    /// # Errors
    ///
    /// The microphone fails, or the recording becomes too long.
    pub(crate) async fn record(&mut self) -> Result<(PcmAudio, RecordingEnd)> {
        let mut detector = self.begin();
        let mut recording = Vec::new();
        loop {
            let (samples, end) = self.next(&mut detector).await?;
            recording.extend_from_slice(&samples);
            if recording.len() > MAX_SAMPLES {
                let message = "the recording is larger than what speech servers take";
                return Err(Usage(message.to_owned()).into());
            }
            if let Some(end) = end {
                return Ok((audio_of(&recording)?, end));
            }
        }
    }

    fn begin(&mut self) -> SilenceDetector {
        // Drops what was recorded while an answer was played.
        self.microphone.clear();
        output::note(match (&self.keys.lines, &self.keys.interrupt) {
            (Some(_), _) => "listening; silence or Enter ends it",
            (None, Some(_)) => "listening; silence or Ctrl-C ends it",
            (None, None) => "listening; silence ends it",
        });
        SilenceDetector::new(SAMPLE_RATE_HZ, self.silence)
    }

    /// Waits for more samples, or for the end.
    async fn next(
        &mut self,
        detector: &mut SilenceDetector,
    ) -> Result<(Vec<i16>, Option<RecordingEnd>)> {
        let (samples, end) = tokio::select! {
            biased;
            end = self.keys.pressed() => (Vec::new(), Some(end?)),
            samples = self.microphone.next() => (samples?, None),
        };
        let silence = detector.push(&samples).then_some(RecordingEnd::Silence);
        let end = end.or(silence);
        if end.is_some() {
            note_trouble(self.microphone.take_trouble());
        }
        Ok((samples, end))
    }

    /// Records into a stream. The second stream drives the recording, and has an item only if that
    /// fails.
    pub(crate) fn into_stream(
        mut self,
    ) -> (
        SampleStream,
        impl Stream<Item = Result<TranscriptionEvent>> + Send + Unpin,
    ) {
        // One piece is enough: if the server is slow, the microphone drops samples and counts them.
        let (sender, mut pieces) = mpsc::channel(1);
        let recording = async move {
            let mut detector = self.begin();
            loop {
                let (samples, end) = self.next(&mut detector).await?;
                let is_taken = samples.is_empty() || sender.send(audio_of(&samples)?).await.is_ok();
                if end.is_some() || !is_taken {
                    return Ok(());
                }
            }
        };
        let failure = stream::once(recording)
            .filter_map(|recorded: Result<()>| async { recorded.err().map(Err) });
        let samples = stream::poll_fn(move |cx| pieces.poll_recv(cx));
        (Box::pin(samples), Box::pin(failure))
    }
}
