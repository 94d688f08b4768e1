//! The span of one step, and what it learns of the step's outcomes.

use std::sync::Arc;

use serde_json::{Value, json};

use super::RunTrace;
use super::open::OpenSpans;
use crate::agent::Agent;
use crate::agent::runner::layer::{RunStep, StepKind, StepOutcome};
use crate::error::RunFailure;
use crate::few::Few;
use crate::guardrail::GuardrailResult;
use crate::item::{Item, OutputContent};
use crate::journal::ToolOutcome;
use crate::kind::ErrorKind;
use crate::model::{Delivery, ModelError, ModelEvent, ModelRequest, ResponseMeta};
use crate::tools::{CallTexts, ToolContext};
use crate::trace::{
    ActiveSpan, ResponseTexts, Span, SpanContent, SpanError, SpanKind, SpanStart, SpanStatus,
    gen_ai,
};
use crate::usage::Usage;

/// The span of a step that goes on.
pub(super) struct StepSpan {
    span: ActiveSpan,
    kind: Watched,
}

/// What is looked at in the outcomes.
enum Watched {
    /// Nothing: the span is that of an agent or turn, and goes on.
    Around,
    /// How it ended.
    End,
    /// How it ended, and whether it happened.
    Session,
    Generation(Generation),
    Tool,
    Handoff,
    Over,
}

struct Generation {
    delivery: Delivery,
    has_begun: bool,
    items: Few<Item, 1>,
}

impl RunTrace {
    pub(super) fn session_step(&self, step: &RunStep) -> StepSpan {
        let (name, session, n_items) = match &step.kind {
            StepKind::ReadSession { session } => ("read session", session, None),
            StepKind::WriteSession { session, items } => {
                ("write session", session, Some(items.len()))
            }
            StepKind::WithdrawTurns { session } => ("withdraw from session", session, None),
            _ => return StepSpan::around(self.spans.innermost()),
        };
        let session = session.clone();
        let innermost = self.spans.innermost();
        let span = self.step(&innermost, SpanKind::Session, move |span| {
            span.name = name.into();
            span.set(gen_ai::SESSION, session.as_str());
            if let Some(n_items) = n_items {
                span.set(gen_ai::ITEMS, n_items);
            }
        });
        // What is taken out of a session passes no journal.
        if !self.has_journal || matches!(step.kind, StepKind::WithdrawTurns { .. }) {
            span.note_effect();
        }
        StepSpan::new(span, Watched::Session)
    }

    pub(super) fn list_step(&self, step: &RunStep) -> StepSpan {
        let agent = self.spans.agent(&step.agent);
        let span = self.step(&agent, SpanKind::McpTools, |span| {
            span.name = "list tools".into();
        });
        StepSpan::new(span, Watched::End)
    }

    pub(super) fn guardrail_step(
        &self,
        step: &RunStep,
        name: &Arc<str>,
        stage: &'static str,
    ) -> StepSpan {
        let agent = self.spans.agent(&step.agent);
        let name = Arc::clone(name);
        let span = self.step(&agent, SpanKind::Guardrail, move |span| {
            describe_guardrail(span, &name, stage);
        });
        StepSpan::new(span, Watched::End)
    }

    pub(super) fn generation_step(
        &self,
        step: &RunStep,
        request: &Arc<ModelRequest>,
        model: (&Arc<str>, &Arc<str>),
    ) -> StepSpan {
        let turn = self.spans.turn(&step.agent, step.turn);
        let asked = generation_description(step, request, model);
        let span = self.step(&turn, SpanKind::Generation, asked);
        if !self.has_journal {
            span.note_effect();
        }
        span.add_content("input", || self.inputs.content(&request.items));
        if let Some(instructions) = &request.instructions {
            span.add_content("instructions", || {
                SpanContent::text(Arc::clone(instructions))
            });
        }
        let generation = Generation {
            delivery: request.delivery,
            has_begun: false,
            items: Few::default(),
        };
        StepSpan::new(span, Watched::Generation(generation))
    }

    pub(super) fn tool_step(&self, step: &RunStep, call: &ToolContext) -> StepSpan {
        let turn = self.spans.turn(&step.agent, step.turn);
        let tool = call.tool_name().clone();
        let known = step.agent.tools().get(&tool);
        let description = known.map(|known| Box::<str>::from(&*known.spec().description));
        let texts = call.texts().clone();
        let arguments = texts.clone();
        let span = self.step(&turn, SpanKind::Function, move |span| {
            span.name = format!("{} {tool}", gen_ai::EXECUTE_TOOL).into();
            span.set(gen_ai::OPERATION, gen_ai::EXECUTE_TOOL);
            span.set(gen_ai::TOOL_NAME, &*tool);
            span.set(gen_ai::TOOL_CALL_ID, texts.call_id());
            span.set(gen_ai::TOOL_TYPE, "function");
            if let Some(description) = &description {
                span.set(gen_ai::TOOL_DESCRIPTION, &**description);
            }
        });
        span.add_content("arguments", || match arguments {
            CallTexts::Item(call) => SpanContent::arguments(call),
            CallTexts::Own { arguments, .. } => SpanContent::text(arguments),
        });
        StepSpan::new(span, Watched::Tool)
    }

    pub(super) fn handoff_step(&self, step: &RunStep, to: &Agent) -> StepSpan {
        let turn = self.spans.turn(&step.agent, step.turn);
        let (from, to) = (step.agent.shared_name(), to.shared_name());
        let span = self.step(&turn, SpanKind::Handoff, move |span| {
            span.name = format!("handoff to {to}").into();
            span.set(gen_ai::FROM_AGENT, &*from);
            span.set(gen_ai::TO_AGENT, &*to);
        });
        StepSpan::new(span, Watched::Handoff)
    }
}

/// What is asked, without the request itself: a run is to be alone with its conversation again once its model has answered.
fn generation_description(
    step: &RunStep,
    request: &ModelRequest,
    (model, provider): (&Arc<str>, &Arc<str>),
) -> impl Fn(&mut Span) + Send + Sync + use<> {
    let (model, provider) = (Arc::clone(model), Arc::clone(provider));
    let (agent, settings) = (step.agent.shared_name(), Arc::clone(&request.settings));
    let is_stream = request.delivery == Delivery::Stream;
    let output = if request.output.is_some() {
        "json"
    } else {
        "text"
    };
    move |span| {
        span.name = format!("{} {model}", gen_ai::CHAT).into();
        span.set(gen_ai::OPERATION, gen_ai::CHAT);
        span.set(gen_ai::PROVIDER, &*provider);
        span.set(gen_ai::REQUEST_MODEL, &*model);
        span.set(gen_ai::AGENT_NAME, &*agent);
        span.set(gen_ai::REQUEST_STREAM, is_stream);
        span.set(gen_ai::OUTPUT_TYPE, output);
        let set = [
            (
                gen_ai::REQUEST_TEMPERATURE,
                settings.temperature.map(Value::from),
            ),
            (gen_ai::REQUEST_TOP_P, settings.top_p.map(Value::from)),
            (
                gen_ai::REQUEST_MAX_TOKENS,
                settings.max_tokens.map(Value::from),
            ),
            (gen_ai::REQUEST_SEED, settings.seed.map(Value::from)),
        ];
        for (name, value) in set {
            if let Some(value) = value {
                span.set(name, value);
            }
        }
    }
}

fn describe_guardrail(span: &mut Span, name: &str, stage: &'static str) {
    span.name = format!("guardrail {name}").into();
    span.set(gen_ai::STAGE, stage);
}

impl StepSpan {
    const fn new(span: ActiveSpan, kind: Watched) -> Self {
        Self { span, kind }
    }

    /// A step without a span of its own, in one that goes on after it.
    pub(super) const fn around(span: ActiveSpan) -> Self {
        Self::new(span, Watched::Around)
    }

    pub(super) const fn current(&self) -> &ActiveSpan {
        &self.span
    }

    /// Takes an outcome; with the last the span ends.
    pub(super) fn take(&mut self, outcome: &StepOutcome, spans: &OpenSpans) {
        match (&mut self.kind, outcome) {
            (Watched::Around | Watched::Over, _) => return,
            (Watched::Generation(generation), StepOutcome::Model(event)) => {
                generation.take(event, &self.span, spans);
            }
            (_, StepOutcome::Failed(failure)) => note_failure(&self.span, failure),
            (_, StepOutcome::SessionFailed(error)) => {
                self.span
                    .fail(SpanError::new(error.kind(), error.to_string()));
            }
            (_, StepOutcome::Verdict(result)) => note_verdict(&self.span, result),
            (_, StepOutcome::SessionRead(read)) => self.span.set(gen_ai::ITEMS, read.items.len()),
            (_, StepOutcome::ToolsListed(lists)) => {
                let names = lists.iter().flat_map(|list| list.iter());
                let names: Vec<&str> = names.map(|tool| &**tool.name()).collect();
                self.span.set(gen_ai::TOOLS, names);
            }
            (Watched::Tool, StepOutcome::ToolCalled(end)) => match end.outcome() {
                Some(outcome) => note_output(&self.span, outcome),
                None => return self.end_as(Some(SpanStatus::Paused)),
            },
            (Watched::Handoff, _) => spans.handed_off(),
            _ => {}
        }
        if outcome.is_last() {
            self.end();
        }
    }

    /// The step gives no more.
    pub(super) fn end(&mut self) {
        self.end_as(None);
    }

    /// The step was dropped, if it has not ended.
    pub(super) fn drop_unfinished(&mut self) {
        self.end_as(Some(SpanStatus::Cancelled));
    }

    /// What a journal remembered was given without that anything was sent.
    fn note_replay(&self, status: Option<SpanStatus>) {
        if status.is_none() && !self.span.has_effect() {
            self.span.set(gen_ai::REPLAYED, true);
        }
    }

    fn end_as(&mut self, status: Option<SpanStatus>) {
        match std::mem::replace(&mut self.kind, Watched::Over) {
            Watched::Around | Watched::Over => return,
            Watched::Session => self.note_replay(status),
            Watched::Generation(generation) => {
                self.note_replay(status);
                if !generation.items.is_empty() {
                    let items = generation.items;
                    self.span
                        .add_content("output", || SpanContent::items(items));
                }
            }
            Watched::End | Watched::Tool | Watched::Handoff => {}
        }
        match status {
            Some(status) => self.span.end_as(status),
            None => self.span.end(),
        }
    }
}

impl Generation {
    fn take(&mut self, event: &ModelEvent, span: &ActiveSpan, spans: &OpenSpans) {
        if !std::mem::replace(&mut self.has_begun, true) && self.delivery == Delivery::Stream {
            let first = span.elapsed().as_secs_f64();
            span.set(gen_ai::TIME_TO_FIRST_CHUNK, first);
        }
        match event {
            ModelEvent::ItemDone { item } if span.records_content() => {
                self.items.push(item.clone());
            }
            ModelEvent::ResponseDone(meta) => {
                note_response(span, meta);
                spans.used(&meta.usage.unwrap_or(Usage::UNREPORTED));
            }
            _ => {}
        }
    }
}

fn note_response(span: &ActiveSpan, meta: &ResponseMeta) {
    // Not the whole of it, which counts as an answer that is kept.
    span.set_response(ResponseTexts::new([
        meta.response_id.as_deref(),
        meta.model.as_deref(),
        meta.request_id.as_deref(),
        meta.finish_reason.as_deref(),
    ]));
    span.set_usage(&meta.usage.unwrap_or(Usage::UNREPORTED));
    if !meta.deviations.is_empty() {
        // What stood in a field that could not be used is the server's answer, which is content.
        let deviations = meta.deviations.iter();
        let listed: Vec<Value> = deviations
            .map(|deviation| json!({"code": deviation.code, "detail": deviation.detail}))
            .collect();
        span.set(gen_ai::DEVIATIONS, listed);
    }
}

fn note_failure(span: &ActiveSpan, failure: &RunFailure) {
    let kind = failure.kind();
    span.set(gen_ai::ERROR_TYPE, kind.as_str());
    span.fail(SpanError::new(kind, failure.to_string()));
    if let RunFailure::Model(error) = failure {
        note_model_error(span, error);
    }
}

fn note_model_error(span: &ActiveSpan, error: &ModelError) {
    if let Some(status) = error.status() {
        span.set(gen_ai::STATUS_CODE, status);
    }
    if let Some(id) = error.request_id() {
        span.set(gen_ai::REQUEST_ID, id);
    }
}

fn note_verdict(span: &ActiveSpan, result: &GuardrailResult) {
    span.set(gen_ai::TRIPPED, result.is_tripped);
    if !result.info.is_null() {
        span.add_content("info", || SpanContent::text(result.info.to_string()));
    }
    if result.is_tripped {
        let message = if span.records_content() {
            match &result.info {
                Value::String(info) => info.clone(),
                info => info.to_string(),
            }
        } else {
            "the guardrail tripped".to_owned()
        };
        span.set(gen_ai::ERROR_TYPE, ErrorKind::GuardrailTripped.as_str());
        span.fail(SpanError::new(ErrorKind::GuardrailTripped, message));
    }
}

fn note_output(span: &ActiveSpan, outcome: &ToolOutcome) {
    span.add_content("result", || match &outcome.output {
        OutputContent::Text(text) => SpanContent::text(text.as_str()),
        parts => SpanContent::text(serde_json::to_string(parts).unwrap_or_default()),
    });
    if let Some(failure) = &outcome.failure {
        span.set(gen_ai::ERROR_TYPE, gen_ai::TOOL_ERROR);
        // What a tool says may be what it was given.
        let message = if span.records_content() {
            failure.as_str()
        } else {
            "the tool failed"
        };
        span.fail(SpanError {
            kind: gen_ai::TOOL_ERROR.into(),
            message: message.to_owned(),
        });
    }
    for result in &outcome.guardrails {
        let parent = Some(span.context().span_id);
        let start = SpanStart::new(span.trace(), parent, SpanKind::Guardrail);
        let (guardrail, stage) = (result.guardrail.clone(), result.stage.as_str());
        let verdict = span.tracer().begin(start.described(move |span| {
            describe_guardrail(span, &guardrail, stage);
        }));
        note_verdict(&verdict, result);
        verdict.end();
    }
}
