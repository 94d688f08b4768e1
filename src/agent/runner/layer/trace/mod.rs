//! The trace of a run: a span for the run, for each agent at work in it, for each turn, and below those for its steps.
//!
//! Which span is around which follows from what is current: the run of an agent that is called as a tool begins while the span of that
//! call is polled, and so stands below it. A span of a step ends with the step's last outcome; one whose outcomes are dropped was
//! cancelled. Nothing that passes is changed.

mod call_inputs;
mod open;
mod step;

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use futures_util::StreamExt;

use super::{Performance, RunIdentity, RunStep, StepKind, StepOutcome};
use crate::agent::Agent;
use crate::model::ModelRequest;
use crate::tools::ToolContext;
use crate::trace::{
    ActiveSpan, Entered, PausedTrace, Span, SpanContent, SpanError, SpanId, SpanKind, SpanStart,
    SpanStatus, TraceId, TraceInfo, TraceScope, Tracer, gen_ai,
};
use call_inputs::CallInputs;
use open::OpenSpans;
use step::StepSpan;

/// Records one run.
pub(in crate::agent::runner) struct RunTrace {
    tracer: Tracer,
    trace: Arc<TraceInfo>,
    spans: OpenSpans,
    has_journal: bool,
    inputs: CallInputs,
}

/// Where a run belongs.
struct RunOrigin {
    trace: Arc<TraceInfo>,
    parent: Option<SpanId>,
    is_root: bool,
    paused: Option<PausedTrace>,
}

impl RunOrigin {
    fn find(tracer: &Tracer, run: &RunIdentity<'_>) -> Self {
        let paused = run.resumed_key().and_then(|key| tracer.resume(key));
        if let Some(paused) = paused {
            return Self {
                trace: Arc::clone(&paused.trace),
                parent: Some(paused.task),
                is_root: true,
                paused: Some(paused),
            };
        }
        if let Some(scope) = TraceScope::current() {
            let (trace, parent) = scope.place(|| run.agent.shared_name());
            return Self {
                trace,
                parent,
                is_root: !scope.is_span(),
                paused: None,
            };
        }
        Self {
            trace: Arc::new(TraceInfo {
                id: run
                    .durable_run
                    .map_or_else(TraceId::random, TraceId::of_name),
                name: run.agent.shared_name(),
                group: None,
                metadata: Vec::new(),
            }),
            parent: None,
            is_root: true,
            paused: None,
        }
    }
}

impl RunTrace {
    pub(super) fn begin(tracer: &Tracer, run: &RunIdentity<'_>) -> Self {
        let RunOrigin {
            trace,
            parent,
            is_root,
            paused,
        } = RunOrigin::find(tracer, run);
        let start = |kind| SpanStart::new(Arc::clone(&trace), parent, kind);
        if let Some(paused) = &paused {
            let mut wait = start(SpanKind::Approval).named("wait for approval");
            wait.started_at = Some(paused.paused_at);
            tracer.begin(wait).end_at(SystemTime::now());
        }
        let mut task = start(SpanKind::Task).described(run_description(run));
        task.is_root = is_root;
        let task = tracer.begin(task);
        let input = run.input();
        if !input.is_empty() && paused.is_none() {
            task.add_content("input", || {
                SpanContent::items(input.iter().cloned().collect())
            });
        }
        Self {
            spans: OpenSpans::new(tracer.clone(), Arc::clone(&trace), task),
            tracer: tracer.clone(),
            trace,
            has_journal: run.has_journal,
            inputs: CallInputs::default(),
        }
    }

    /// Begins a span of a step, with a name and attributes that are made when someone asks for them.
    fn step(
        &self,
        parent: &ActiveSpan,
        kind: SpanKind,
        describe: impl Fn(&mut Span) + Send + Sync + 'static,
    ) -> ActiveSpan {
        self.tracer
            .begin(self.start(parent, kind).described(describe))
    }

    fn start(&self, parent: &ActiveSpan, kind: SpanKind) -> SpanStart {
        let parent = Some(parent.context().span_id);
        SpanStart::new(Arc::clone(&self.trace), parent, kind)
    }
}

fn run_description(run: &RunIdentity<'_>) -> impl Fn(&mut Span) + Send + Sync + use<> {
    let agent = run.agent.shared_name();
    let session = run.session.cloned();
    let durable = run.durable_run.map(Arc::<str>::from);
    move |span| {
        span.name = format!("run {agent}").into();
        span.set(gen_ai::AGENT_NAME, &*agent);
        if let Some(session) = &session {
            span.set(gen_ai::CONVERSATION, session.as_str());
        }
        if let Some(durable) = &durable {
            span.set(gen_ai::DURABLE_RUN, &**durable);
        }
    }
}

impl RunTrace {
    /// Records a step, whose outcomes pass as they are.
    pub(super) fn perform(&self, step: &RunStep, inner: Performance) -> Performance {
        let watched = match &step.kind {
            StepKind::Pause { .. } | StepKind::Finish { .. } | StepKind::Fail { .. } => {
                return self.last_step(step, inner);
            }
            StepKind::ReadSession { .. }
            | StepKind::WriteSession { .. }
            | StepKind::WithdrawTurns { .. } => self.session_step(step),
            StepKind::ListTools => self.list_step(step),
            StepKind::CheckInput { guardrail } => self.guardrail_step(step, guardrail, "input"),
            StepKind::CheckOutput { guardrail } => self.guardrail_step(step, guardrail, "output"),
            StepKind::CallModel {
                request,
                model,
                provider,
            } => {
                let at = (&step.agent, step.turn);
                return self.model_call(at, request, (model, provider), inner);
            }
            StepKind::CallTool { call } => {
                return self.tool_call((&step.agent, step.turn), call, inner);
            }
            StepKind::HandOff { to, .. } => self.handoff_step(step, to),
            StepKind::EndAgent { output } => {
                let agent = self.spans.agent(&step.agent);
                agent.add_content("output", || SpanContent::text(Arc::clone(output)));
                StepSpan::around(agent)
            }
            // The callbacks of the application, which may begin spans of their own.
            StepKind::PrepareRequest { .. } | StepKind::DecideToolUse => {
                StepSpan::around(self.spans.turn(&step.agent, step.turn))
            }
            StepKind::MergeInput
            | StepKind::StartAgent
            | StepKind::CheckOffers
            | StepKind::FilterHistory => StepSpan::around(self.spans.agent(&step.agent)),
        };
        self.watch(watched, inner)
    }

    /// Records a call of a model, by an agent in a turn.
    pub(in crate::agent::runner) fn model_call(
        &self,
        at: (&Agent, u32),
        request: &ModelRequest,
        names: (&Arc<str>, &Arc<str>),
        inner: Performance,
    ) -> Performance {
        self.watch(self.generation_step(at, request, names), inner)
    }

    /// Records a call of a tool, by an agent in a turn.
    pub(in crate::agent::runner) fn tool_call(
        &self,
        at: (&Agent, u32),
        call: &ToolContext,
        inner: Performance,
    ) -> Performance {
        self.watch(self.tool_step(at, call), inner)
    }

    fn watch(&self, step: StepSpan, inner: Performance) -> Performance {
        Performance::Watched(Box::new(WatchedStep {
            scope: Some(TraceScope::span(step.current().clone())),
            step,
            spans: self.spans.clone(),
            inner,
        }))
    }

    /// The run ends once its last step has: the hooks that are told of it belong to it.
    fn last_step(&self, step: &RunStep, mut inner: Performance) -> Performance {
        let task = self.spans.task().clone();
        task.set(gen_ai::TURNS, step.turn);
        task.set_usage(&step.cx.usage());
        let mut error = None;
        let status = match &step.kind {
            StepKind::Pause { pause_key, .. } => {
                task.set(gen_ai::PAUSE_KEY, format!("{pause_key:016x}"));
                self.tracer.pause(
                    *pause_key,
                    PausedTrace {
                        trace: Arc::clone(&self.trace),
                        task: task.context().span_id,
                        paused_at: SystemTime::now(),
                    },
                );
                SpanStatus::Paused
            }
            StepKind::Fail { kind, message } => {
                if *kind == crate::kind::ErrorKind::Cancelled {
                    SpanStatus::Cancelled
                } else {
                    error = Some(SpanError::new(*kind, message.as_str()));
                    SpanStatus::Error
                }
            }
            StepKind::Finish { output } => {
                task.add_content("output", || SpanContent::text(Arc::clone(output)));
                SpanStatus::Ok
            }
            _ => SpanStatus::Ok,
        };
        if let Some(error) = error {
            task.fail(error);
        }
        let (spans, mut scope) = (self.spans.clone(), Some(TraceScope::span(task)));
        Performance::Stream(Box::pin(futures_util::stream::poll_fn(move |cx| {
            let entered = Entered::new(&mut scope);
            let outcome = std::task::ready!(inner.poll_next_unpin(cx));
            drop(entered);
            spans.end(status);
            Poll::Ready(outcome)
        })))
    }
}

/// A step whose span goes on.
pub(in crate::agent::runner) struct WatchedStep {
    /// Always there, but for while it is current.
    scope: Option<TraceScope>,
    step: StepSpan,
    spans: OpenSpans,
    inner: Performance,
}

impl WatchedStep {
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<StepOutcome>> {
        let entered = Entered::new(&mut self.scope);
        let polled = self.inner.poll_next_unpin(cx);
        drop(entered);
        match &polled {
            Poll::Ready(Some(outcome)) => self.step.take(outcome, &self.spans),
            Poll::Ready(None) => self.step.end(),
            Poll::Pending => {}
        }
        polled
    }
}

impl Drop for WatchedStep {
    fn drop(&mut self) {
        self.step.drop_unfinished();
    }
}
