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
use crate::tools::{CallTexts, FunctionTool, ToolContext};
use crate::trace::{
    ActiveSpan, ResponseTexts, Span, SpanContent, SpanDraft, SpanError, SpanKind, SpanStart,
    SpanStatus, gen_ai,
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

/// What a model is given, where that is not withheld.
struct ModelInput {
    items: SpanContent,
    instructions: Option<Arc<str>>,
}

impl ModelInput {
    fn n_bytes(&self) -> usize {
        self.items.n_bytes() + self.instructions.as_deref().map_or(0, str::len)
    }
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
        (agent, turn): (&Agent, u32),
        request: &ModelRequest,
        names: (&Arc<str>, &Arc<str>),
    ) -> StepSpan {
        let turn = self.spans.turn(agent, turn);
        let input = self.tracer.records_content().then(|| ModelInput {
            items: self.inputs.content(&request.items),
            instructions: request.instructions.clone(),
        });
        let n_bytes = input.as_ref().map_or(0, ModelInput::n_bytes);
        let start = self.start(&turn, SpanKind::Generation).holding(n_bytes);
        let asked = generation_description(agent, request, names, input);
        let span = self.tracer.begin(start.described(asked));
        if !self.has_journal {
            span.note_effect();
        }
        let generation = Generation {
            delivery: request.delivery,
            has_begun: false,
            items: Few::default(),
        };
        StepSpan::new(span, Watched::Generation(generation))
    }

    pub(super) fn tool_step(&self, (agent, turn): (&Agent, u32), call: &ToolContext) -> StepSpan {
        let turn = self.spans.turn(agent, turn);
        let tool = call.tool_name().clone();
        let known = agent.tools().get(&tool);
        let description = known.map(FunctionTool::shared_description);
        let texts = call.texts().clone();
        let is_recorded = self.tracer.records_content();
        let n_bytes = if is_recorded {
            texts.arguments().len()
        } else {
            0
        };
        let start = self.start(&turn, SpanKind::Function).holding(n_bytes);
        let span = self.tracer.begin(start.described(move |span| {
            span.name = format!("{} {tool}", gen_ai::EXECUTE_TOOL).into();
            span.add(gen_ai::OPERATION, gen_ai::EXECUTE_TOOL);
            span.add(gen_ai::TOOL_NAME, &*tool);
            span.add(gen_ai::TOOL_CALL_ID, texts.call_id());
            span.add(gen_ai::TOOL_TYPE, "function");
            if let Some(description) = &description {
                span.add(gen_ai::TOOL_DESCRIPTION, &**description);
            }
            if is_recorded {
                let arguments = match &texts {
                    CallTexts::Item(call) => SpanContent::arguments(call.clone()),
                    CallTexts::Own { arguments, .. } => SpanContent::text(arguments.as_str()),
                };
                span.add_content("arguments", arguments);
            }
        }));
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
    agent: &Agent,
    request: &ModelRequest,
    (model, provider): (&Arc<str>, &Arc<str>),
    input: Option<ModelInput>,
) -> impl Fn(&mut Span) + Send + Sync + use<> {
    let (model, provider) = (Arc::clone(model), Arc::clone(provider));
    let (agent, settings) = (agent.shared_name(), Arc::clone(&request.settings));
    let is_stream = request.delivery == Delivery::Stream;
    let output = if request.output.is_some() {
        "json"
    } else {
        "text"
    };
    move |span| {
        span.name = format!("{} {model}", gen_ai::CHAT).into();
        span.add(gen_ai::OPERATION, gen_ai::CHAT);
        span.add(gen_ai::PROVIDER, &*provider);
        span.add(gen_ai::REQUEST_MODEL, &*model);
        span.add(gen_ai::AGENT_NAME, &*agent);
        span.add(gen_ai::REQUEST_STREAM, is_stream);
        span.add(gen_ai::OUTPUT_TYPE, output);
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
                span.add(name, value);
            }
        }
        if let Some(input) = &input {
            span.add_content("input", input.items.clone());
            if let Some(instructions) = &input.instructions {
                let instructions = SpanContent::text(Arc::clone(instructions));
                span.add_content("instructions", instructions);
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
            (Watched::Generation(_), StepOutcome::Model(ModelEvent::ResponseDone(meta))) => {
                return self.end_generation(meta, spans);
            }
            (Watched::Generation(generation), StepOutcome::Model(event)) => {
                generation.take(event, &self.span);
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
                Some(outcome) => return self.end_tool(outcome),
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
        let mut items = Few::default();
        match std::mem::replace(&mut self.kind, Watched::Over) {
            Watched::Around | Watched::Over => return,
            Watched::Session => self.note_replay(status),
            Watched::Generation(generation) => {
                self.note_replay(status);
                items = generation.items;
            }
            Watched::End | Watched::Tool | Watched::Handoff => {}
        }
        self.span.end_with(status, |draft| set_output(draft, items));
    }

    /// The answer is complete; the span is told all of it at once.
    fn end_generation(&mut self, meta: &ResponseMeta, spans: &OpenSpans) {
        let Watched::Generation(mut generation) = std::mem::replace(&mut self.kind, Watched::Over)
        else {
            return;
        };
        generation.begin(&self.span);
        self.note_replay(None);
        // Not the whole of it, which counts as an answer that is kept.
        let texts = ResponseTexts::new([
            meta.response_id.as_deref(),
            meta.model.as_deref(),
            meta.request_id.as_deref(),
            meta.finish_reason.as_deref(),
        ]);
        let usage = meta.usage.unwrap_or(Usage::UNREPORTED);
        spans.used(&usage);
        self.span.end_with(None, |draft| {
            draft.set_response(texts);
            draft.set_usage(usage);
            set_output(draft, generation.items);
            if !meta.deviations.is_empty() {
                // What stood in a field that could not be used is the server's answer, which is content.
                let deviations = meta.deviations.iter();
                let listed: Vec<Value> = deviations
                    .map(|deviation| json!({"code": deviation.code, "detail": deviation.detail}))
                    .collect();
                draft.set(gen_ai::DEVIATIONS, listed);
            }
        });
    }

    /// The tool has answered.
    fn end_tool(&mut self, outcome: &ToolOutcome) {
        self.kind = Watched::Over;
        let is_recorded = self.span.records_content();
        let result = is_recorded.then(|| match &outcome.output {
            OutputContent::Text(text) => SpanContent::text(text.as_str()),
            parts => SpanContent::text(serde_json::to_string(parts).unwrap_or_default()),
        });
        for result in &outcome.guardrails {
            let (guardrail, stage) = (result.guardrail.clone(), result.stage.as_str());
            let parent = Some(self.span.context().span_id);
            let start = SpanStart::new(self.span.trace(), parent, SpanKind::Guardrail);
            let verdict = self.span.tracer().begin(start.described(move |span| {
                describe_guardrail(span, &guardrail, stage);
            }));
            note_verdict(&verdict, result);
            verdict.end();
        }
        self.span.end_with(None, |draft| {
            if let Some(result) = result {
                draft.set_content("result", result);
            }
            if let Some(failure) = &outcome.failure {
                draft.set(gen_ai::ERROR_TYPE, gen_ai::TOOL_ERROR);
                // What a tool says may be what it was given.
                let message = if is_recorded {
                    failure.as_str()
                } else {
                    "the tool failed"
                };
                draft.fail(SpanError {
                    kind: gen_ai::TOOL_ERROR.into(),
                    message: message.to_owned(),
                });
            }
        });
    }
}

fn set_output(draft: &mut SpanDraft, items: Few<Item, 1>) {
    if !items.is_empty() {
        draft.set_content("output", SpanContent::items(items));
    }
}

impl Generation {
    fn take(&mut self, event: &ModelEvent, span: &ActiveSpan) {
        self.begin(span);
        match event {
            ModelEvent::ItemDone { item } if span.records_content() => {
                self.items.push(item.clone());
            }
            _ => {}
        }
    }

    fn begin(&mut self, span: &ActiveSpan) {
        if !std::mem::replace(&mut self.has_begun, true) && self.delivery == Delivery::Stream {
            let first = span.elapsed().as_secs_f64();
            span.set(gen_ai::TIME_TO_FIRST_CHUNK, first);
        }
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
