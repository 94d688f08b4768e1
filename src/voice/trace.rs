//! Records the spans of a spoken turn: transcription, run and speech.

use std::collections::VecDeque;
use std::sync::Arc;

use super::error::VoiceError;
use crate::trace::{OpenSpan, SpanContent, SpanKind, TraceScope, Tracer, gen_ai};

/// Records the turns of a pipeline, if there is a tracer.
pub(super) struct TurnTrace {
    tracer: Option<Tracer>,
    spans: Option<TurnSpans>,
}

/// The open spans of a turn. Fields are dropped in this order, so inner spans end before outer
/// ones.
struct TurnSpans {
    transcription: Option<OpenSpan>,
    /// One for each sentence whose speech was requested; the first is being spoken.
    sentences: VecDeque<OpenSpan>,
    speech: Option<OpenSpan>,
    turn: OpenSpan,
}

impl TurnTrace {
    pub(super) const fn new(tracer: Option<Tracer>) -> Self {
        Self {
            tracer,
            spans: None,
        }
    }

    /// Begins a turn. Spans of the one before that are still open end as cancelled.
    pub(super) fn begin(&mut self, agent: &Arc<str>) {
        self.spans = None;
        let turn = OpenSpan::begin(self.tracer.as_ref(), agent, "voice turn".to_owned());
        self.spans = turn.map(|turn| TurnSpans {
            transcription: None,
            sentences: VecDeque::new(),
            speech: None,
            turn,
        });
    }

    pub(super) fn transcribe(&mut self, model: &str) {
        if let Some(spans) = &mut self.spans {
            let name = format!("transcription {model}");
            let span = spans.turn.child(SpanKind::Transcription, name);
            span.set(gen_ai::REQUEST_MODEL, model);
            spans.transcription = Some(span);
        }
    }

    pub(super) fn transcribed(&mut self, text: &str) {
        let span = self
            .spans
            .as_mut()
            .and_then(|spans| spans.transcription.take());
        if let Some(span) = span {
            span.add_content("output", || SpanContent::text(text));
            span.end();
        }
    }

    /// The scope for the run, whose spans become children of the turn.
    pub(super) fn scope(&self) -> Option<TraceScope> {
        self.spans.as_ref().map(|spans| spans.turn.scope())
    }

    /// Calls a function inside that scope.
    pub(super) fn enter<T>(&self, act: impl FnOnce() -> T) -> T {
        match self.scope() {
            Some(scope) => scope.enter(act),
            None => act(),
        }
    }

    /// Begins the span of a sentence; the first one also begins the group of all.
    pub(super) fn speak(&mut self, text: &str, model: &str) {
        let Some(spans) = &mut self.spans else { return };
        let turn = &spans.turn;
        let speech = spans
            .speech
            .get_or_insert_with(|| turn.child(SpanKind::SpeechGroup, "speech_group".to_owned()));
        let sentence = speech.child(SpanKind::Speech, format!("speech {model}"));
        sentence.set(gen_ai::REQUEST_MODEL, model);
        sentence.add_content("input", || SpanContent::text(text));
        spans.sentences.push_back(sentence);
    }

    pub(super) fn spoken(&mut self) {
        let span = self
            .spans
            .as_mut()
            .and_then(|spans| spans.sentences.pop_front());
        if let Some(span) = span {
            span.end();
        }
    }

    /// Ends all open spans of the turn as cancelled.
    pub(super) fn cancel(&mut self) {
        self.spans = None;
    }

    pub(super) fn end(&mut self) {
        if let Some(spans) = self.spans.take() {
            if let Some(speech) = &spans.speech {
                speech.end();
            }
            spans.turn.end();
        }
    }

    /// Ends the turn and what failed in it with the error. A failed run has recorded its own.
    pub(super) fn fail(&mut self, error: &VoiceError) {
        let Some(spans) = self.spans.take() else {
            return;
        };
        let failed = match error {
            VoiceError::Transcription(_) => spans.transcription.as_ref(),
            VoiceError::Speech(_) => spans.sentences.front(),
            _ => None,
        };
        for span in failed.into_iter().chain([&spans.turn]) {
            span.fail_with(error.kind(), error.to_string());
            span.end();
        }
    }
}
