//! The spans of a session: its answers, what the user said, calls, handoffs and guardrails.
//!
//! They are read off the events that the application is told of, and know nothing else of the session.

use std::collections::HashMap;
use std::sync::Arc;

use super::event::RealtimeEvent;
use crate::future::BoxFuture;
use crate::kind::ErrorKind;
use crate::model::realtime::{RealtimeModel, ResponseStatus};
use crate::trace::{OpenSpan, SpanContent, SpanKind, SpanStatus, Tracer, gen_ai};
use crate::usage::Usage;

/// Records a session, if anyone wants that.
pub(super) struct SessionTrace(Option<SessionSpans>);

/// The open spans of a session; in the order in which they end when they are dropped.
struct SessionSpans {
    model: String,
    provider: String,
    calls: HashMap<String, OpenSpan>,
    transcriptions: HashMap<String, OpenSpan>,
    response: Option<Response>,
    usage: Usage,
    session: OpenSpan,
}

struct Response {
    span: OpenSpan,
    text: String,
}

impl SessionTrace {
    /// Begins the span of a session.
    pub(super) fn begin(
        tracer: Option<&Tracer>,
        agent: &Arc<str>,
        model: &dyn RealtimeModel,
    ) -> Self {
        let name = format!("realtime session {agent}");
        let session = OpenSpan::begin(tracer, agent, name);
        Self(session.map(|session| {
            session.set(gen_ai::AGENT_NAME, &**agent);
            session.set(gen_ai::REQUEST_MODEL, model.name());
            SessionSpans {
                model: model.name().to_owned(),
                provider: model.provider_name().to_owned(),
                calls: HashMap::new(),
                transcriptions: HashMap::new(),
                response: None,
                usage: Usage::default(),
                session,
            }
        }))
    }

    /// Has what a call does belong to its span.
    pub(super) fn in_call<T: Send + 'static>(
        &self,
        call_id: &str,
        call: impl Future<Output = T> + Send + 'static,
    ) -> BoxFuture<'static, T> {
        let span = self.0.as_ref().and_then(|spans| spans.calls.get(call_id));
        match span.map(OpenSpan::scope) {
            Some(scope) => Box::pin(scope.run(call)),
            None => Box::pin(call),
        }
    }

    /// Takes an event that the application is told of.
    pub(super) fn observe(&mut self, event: &RealtimeEvent) {
        let Some(spans) = &mut self.0 else { return };
        match event {
            RealtimeEvent::Ended { end } => {
                if let Some(kind) = end.kind() {
                    spans.session.fail_with(kind, end.to_string());
                }
                spans.session.set_usage(&spans.usage);
                spans.session.end();
                self.0 = None;
            }
            event => spans.observe(event),
        }
    }
}

impl SessionSpans {
    fn observe(&mut self, event: &RealtimeEvent) {
        match event {
            RealtimeEvent::ResponseStarted { response_id, agent } => {
                self.begin_response(response_id.as_deref(), agent);
            }
            RealtimeEvent::TextDone { text, .. } => {
                if let Some(response) = &mut self.response {
                    response.text.push_str(text);
                }
            }
            RealtimeEvent::ResponseDone { .. } => self.end_response(event),
            RealtimeEvent::UserTranscriptDelta { item_id, .. } => {
                self.transcription(item_id);
            }
            RealtimeEvent::UserTranscriptDone {
                item_id,
                transcript,
            } => {
                self.transcription(item_id)
                    .add_content("output", || SpanContent::text(transcript.as_str()));
                self.end_transcription(item_id);
            }
            RealtimeEvent::UserTranscriptFailed { item_id, error } => {
                self.transcription(item_id)
                    .fail_with(ErrorKind::ApiError, error.message.as_str());
                self.end_transcription(item_id);
            }
            RealtimeEvent::ToolCalled { .. } | RealtimeEvent::ToolEnded { .. } => self.call(event),
            RealtimeEvent::HandedOff { from, to } => {
                let span = self.child(SpanKind::Handoff, format!("handoff to {to}"));
                span.set(gen_ai::FROM_AGENT, &**from);
                span.set(gen_ai::TO_AGENT, &**to);
                span.end();
            }
            RealtimeEvent::GuardrailTripped { result, .. } => {
                let name = format!("guardrail {}", result.guardrail);
                let span = self.child(SpanKind::Guardrail, name);
                span.set(gen_ai::STAGE, result.stage.as_str());
                span.set(gen_ai::TRIPPED, true);
                span.fail_with(ErrorKind::GuardrailTripped, "the guardrail tripped");
                span.end();
            }
            RealtimeEvent::Interrupted { .. } => self.note("interrupted"),
            RealtimeEvent::Reconnected => self.note("reconnected"),
            RealtimeEvent::ServerError { error } => {
                let message = error.message.as_str().into();
                self.session.event("server error", [("message", message)]);
            }
            RealtimeEvent::Deviation { deviation } => {
                let code = (*deviation.code).into();
                self.session.event("deviation", [("code", code)]);
            }
            _ => {}
        }
    }

    /// A span in the session.
    fn child(&self, kind: SpanKind, name: String) -> OpenSpan {
        self.session.child(kind, name)
    }

    fn note(&self, what: &'static str) {
        self.session.event(what, []);
    }

    fn begin_response(&mut self, id: Option<&str>, agent: &str) {
        let span = self.child(
            SpanKind::Generation,
            format!("{} {}", gen_ai::CHAT, self.model),
        );
        span.note_effect();
        span.set(gen_ai::OPERATION, gen_ai::CHAT);
        span.set(gen_ai::PROVIDER, self.provider.as_str());
        span.set(gen_ai::REQUEST_MODEL, self.model.as_str());
        span.set(gen_ai::AGENT_NAME, agent);
        if let Some(id) = id {
            span.set(gen_ai::RESPONSE_ID, id);
        }
        let text = String::new();
        self.response = Some(Response { span, text });
    }

    fn end_response(&mut self, event: &RealtimeEvent) {
        let (
            Some(response),
            RealtimeEvent::ResponseDone {
                status,
                reason,
                error,
                usage,
                ..
            },
        ) = (self.response.take(), event)
        else {
            return;
        };
        let Response { span, text } = response;
        if !text.is_empty() {
            span.add_content("output", || SpanContent::text(text));
        }
        let usage = usage.unwrap_or(Usage::UNREPORTED);
        self.usage += usage;
        span.set_usage(&usage);
        let reason = reason.as_deref().unwrap_or(status.as_str());
        span.set(gen_ai::FINISH_REASONS, vec![reason]);
        match status {
            ResponseStatus::Completed => span.end(),
            ResponseStatus::Cancelled => span.end_as(SpanStatus::Cancelled),
            _ => {
                let kind = if *status == ResponseStatus::Incomplete {
                    ErrorKind::ResponseIncomplete
                } else {
                    ErrorKind::ResponseFailed
                };
                let said = error.as_ref().map(|error| error.message.as_str());
                span.fail_with(kind, said.unwrap_or(reason));
                span.end();
            }
        }
    }

    /// The span of what the user says in an item, which begins with the first that is known of it.
    fn transcription(&mut self, item_id: &str) -> &OpenSpan {
        let session = &self.session;
        let begin = || session.child(SpanKind::Transcription, "transcription".to_owned());
        let known = self.transcriptions.entry(item_id.to_owned());
        known.or_insert_with(begin)
    }

    fn end_transcription(&mut self, item_id: &str) {
        if let Some(span) = self.transcriptions.remove(item_id) {
            span.end();
        }
    }

    fn call(&mut self, event: &RealtimeEvent) {
        match event {
            RealtimeEvent::ToolCalled {
                agent,
                tool,
                call_id,
                arguments,
            } => {
                let name = format!("{} {tool}", gen_ai::EXECUTE_TOOL);
                let span = self.child(SpanKind::Function, name);
                span.set(gen_ai::OPERATION, gen_ai::EXECUTE_TOOL);
                span.set(gen_ai::TOOL_NAME, tool.as_str());
                span.set(gen_ai::TOOL_CALL_ID, call_id.as_str());
                span.set(gen_ai::TOOL_TYPE, "function");
                span.set(gen_ai::AGENT_NAME, &**agent);
                span.add_content("arguments", || SpanContent::text(arguments.as_str()));
                self.calls.insert(call_id.clone(), span);
            }
            RealtimeEvent::ToolEnded {
                call_id,
                output,
                failure,
                ..
            } => {
                let Some(span) = self.calls.remove(call_id) else {
                    return;
                };
                span.add_content("result", || SpanContent::text(output.as_str()));
                if let Some(failure) = failure {
                    // What a tool says may be what it was given.
                    let message = if span.records_content() {
                        failure.message.as_str()
                    } else {
                        "the tool failed"
                    };
                    span.fail_with(failure.kind, message);
                }
                span.end();
            }
            _ => {}
        }
    }
}
