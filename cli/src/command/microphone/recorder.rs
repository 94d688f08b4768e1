//! Records what somebody says, to its end.

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

/// As much as speech servers take: about eight minutes.
const MAX_SAMPLES: usize = 12 * 1024 * 1024;

/// A microphone, and what ends a recording.
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
    /// Nothing is typed any more.
    EndOfInput,
}

/// The keys that end something.
pub(crate) struct StopKeys {
    /// Only of a terminal: in a pipe there is nobody who presses a key.
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
    /// Takes an open microphone; Ctrl-C ends a recording instead of the program if it may.
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

    /// Gives the keys, which also end what is not a recording.
    pub(crate) const fn keys(&mut self) -> &mut StopKeys {
        &mut self.keys
    }

    /// Records until somebody is silent who has spoken, or a key is pressed.
    ///
    /// # Errors
    ///
    /// The microphone has failed, or too much was recorded.
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
        self.microphone.clear();
        output::note(match (&self.keys.lines, &self.keys.interrupt) {
            (Some(_), _) => "listening; silence or Enter ends it",
            (None, Some(_)) => "listening; silence or Ctrl-C ends it",
            (None, None) => "listening; silence ends it",
        });
        SilenceDetector::new(SAMPLE_RATE_HZ, self.silence)
    }

    /// Waits for more, or for the end.
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

    /// Records into a stream; the other one moves it on, and has an event only if the recording fails.
    pub(crate) fn into_stream(
        mut self,
    ) -> (
        SampleStream,
        impl Stream<Item = Result<TranscriptionEvent>> + Send + Unpin,
    ) {
        // What the server does not take in time is lost by the microphone, which counts it: there is no need to wait here.
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
