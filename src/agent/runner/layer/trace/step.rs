//! The span of one step, and what it learns of the step's outcomes.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::RunTrace;
use super::open::OpenSpans;
use crate::agent::Agent;
use crate::agent::runner::layer::{RunStep, StepKind, StepOutcome};
use crate::error::RunFailure;
use crate::guardrail::GuardrailResult;
use crate::item::Item;
use crate::journal::ToolOutcome;
use crate::kind::ErrorKind;
use crate::model::{Delivery, ModelError, ModelEvent, ModelRequest, ResponseMeta};
use crate::tools::ToolContext;
use crate::trace::{
    ActiveSpan, SpanContent, SpanError, SpanKind, SpanStart, SpanStatus, gen_ai, set_usage,
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
    started: Instant,
    delivery: Delivery,
    has_begun: bool,
    items: Vec<Item>,
}

/// Items as content, written when they are asked for.
pub(super) fn items_content(items: Vec<Item>) -> SpanContent {
    SpanContent::made(move || serde_json::to_string(&items).unwrap_or_default())
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
        let span = self.step(&self.spans.innermost(), SpanKind::Session, name);
        span.set(gen_ai::SESSION, session.as_str());
        if let Some(n_items) = n_items {
            span.set(gen_ai::ITEMS, n_items);
        }
        // What is taken out of a session passes no journal.
        if !self.has_journal || matches!(step.kind, StepKind::WithdrawTurns { .. }) {
            span.note_effect();
        }
        StepSpan::new(span, Watched::Session)
    }

    pub(super) fn list_step(&self, step: &RunStep) -> StepSpan {
        let agent = self.spans.agent(&step.agent);
        let span = self.step(&agent, SpanKind::McpTools, "list tools");
        StepSpan::new(span, Watched::End)
    }

    pub(super) fn guardrail_step(
        &self,
        step: &RunStep,
        name: &str,
        stage: &'static str,
    ) -> StepSpan {
        let agent = self.spans.agent(&step.agent);
        let span = self.step(&agent, SpanKind::Guardrail, format!("guardrail {name}"));
        span.set(gen_ai::STAGE, stage);
        StepSpan::new(span, Watched::End)
    }

    pub(super) fn generation_step(
        &self,
        step: &RunStep,
        request: &Arc<ModelRequest>,
        (model, provider): (&str, &str),
    ) -> StepSpan {
        let turn = self.spans.turn(&step.agent, step.turn);
        let name = format!("{} {model}", gen_ai::CHAT);
        let span = self.step(&turn, SpanKind::Generation, name);
        if !self.has_journal {
            span.note_effect();
        }
        span.change(|span| {
            let settings = &request.settings;
            let mut known = vec![
                (gen_ai::OPERATION, gen_ai::CHAT.into()),
                (gen_ai::PROVIDER, provider.into()),
                (gen_ai::REQUEST_MODEL, model.into()),
                (gen_ai::AGENT_NAME, step.agent.name().into()),
                (
                    gen_ai::REQUEST_STREAM,
                    (request.delivery == Delivery::Stream).into(),
                ),
                (
                    gen_ai::OUTPUT_TYPE,
                    if request.output.is_some() {
                        "json"
                    } else {
                        "text"
                    }
                    .into(),
                ),
            ];
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
            known.extend(
                set.into_iter()
                    .filter_map(|(name, value)| Some((name, value?))),
            );
            let known = known
                .into_iter()
                .map(|(name, value): (_, Value)| (name.into(), value));
            span.attributes.extend(known);
        });
        span.add_content("input", || items_content(request.items.to_vec()));
        if let Some(instructions) = &request.instructions {
            span.add_content("instructions", || {
                SpanContent::text(Arc::clone(instructions))
            });
        }
        let generation = Generation {
            started: Instant::now(),
            delivery: request.delivery,
            has_begun: false,
            items: Vec::new(),
        };
        StepSpan::new(span, Watched::Generation(generation))
    }

    pub(super) fn tool_step(&self, step: &RunStep, call: &ToolContext) -> StepSpan {
        let turn = self.spans.turn(&step.agent, step.turn);
        let tool = call.tool_name();
        let span = self.step(
            &turn,
            SpanKind::Function,
            format!("{} {tool}", gen_ai::EXECUTE_TOOL),
        );
        span.set(gen_ai::OPERATION, gen_ai::EXECUTE_TOOL);
        span.set(gen_ai::TOOL_NAME, &**tool);
        span.set(gen_ai::TOOL_CALL_ID, call.call_id());
        span.set(gen_ai::TOOL_TYPE, "function");
        if let Some(known) = step.agent.tools().get(tool) {
            span.set(gen_ai::TOOL_DESCRIPTION, &*known.spec().description);
        }
        span.add_content("arguments", || SpanContent::text(call.arguments()));
        StepSpan::new(span, Watched::Tool)
    }

    pub(super) fn handoff_step(&self, step: &RunStep, to: &Agent) -> StepSpan {
        let turn = self.spans.turn(&step.agent, step.turn);
        let name = format!("handoff to {}", to.name());
        let span = self.step(&turn, SpanKind::Handoff, name);
        span.set(gen_ai::FROM_AGENT, step.agent.name());
        span.set(gen_ai::TO_AGENT, to.name());
        StepSpan::new(span, Watched::Handoff)
    }
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
                    self.span.add_content("output", || items_content(items));
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
            let first = self.started.elapsed().as_secs_f64();
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
    let texts = [
        (gen_ai::RESPONSE_ID, &meta.response_id),
        (gen_ai::RESPONSE_MODEL, &meta.model),
        (gen_ai::REQUEST_ID, &meta.request_id),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            span.set(name, text.as_str());
        }
    }
    if let Some(reason) = &meta.finish_reason {
        span.set(gen_ai::FINISH_REASONS, vec![reason.as_str()]);
    }
    set_usage(span, &meta.usage.unwrap_or(Usage::UNREPORTED));
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
    span.add_content("result", || {
        let output = outcome.output.clone();
        SpanContent::made(move || match &output {
            crate::item::OutputContent::Text(text) => text.clone(),
            output => serde_json::to_string(output).unwrap_or_default(),
        })
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
        let verdict = span.tracer().begin(SpanStart {
            trace: span.trace(),
            parent: Some(span.context().span_id),
            kind: SpanKind::Guardrail,
            is_root: false,
            name: format!("guardrail {}", result.guardrail).into(),
            attributes: vec![(gen_ai::STAGE.into(), result.stage.as_str().into())],
            content: Vec::new(),
            started_at: None,
        });
        note_verdict(&verdict, result);
        verdict.end();
    }
}
