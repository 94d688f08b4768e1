//! The spans of a run that are around its steps.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::agent::{Agent, OutputType};
use crate::tools::ToolName;
use crate::trace::{
    ActiveSpan, Span, SpanContext, SpanKind, SpanStart, SpanStatus, TraceInfo, Tracer, gen_ai,
};
use crate::usage::Usage;

/// The run, the agent at work, and its turn; those that are open when the last handle is dropped were cancelled.
#[derive(Clone)]
pub(super) struct OpenSpans(Arc<RunSpans>);

struct RunSpans {
    tracer: Tracer,
    trace: Arc<TraceInfo>,
    task: ActiveSpan,
    inner: Mutex<InnerSpans>,
}

#[derive(Default)]
struct InnerSpans {
    agent: Option<(Agent, ActiveSpan)>,
    turn: Option<(u32, ActiveSpan)>,
    /// The conversation has left the agent, though what follows the handoff still belongs to its turn.
    has_handed_off: bool,
}

impl OpenSpans {
    pub(super) fn new(tracer: Tracer, trace: Arc<TraceInfo>, task: ActiveSpan) -> Self {
        Self(Arc::new(RunSpans {
            tracer,
            trace,
            task,
            inner: Mutex::default(),
        }))
    }

    pub(super) fn task(&self) -> &ActiveSpan {
        &self.0.task
    }

    /// The span of the agent at work, which begins with its first step.
    pub(super) fn agent(&self, agent: &Agent) -> ActiveSpan {
        self.0.with_agent(&mut self.0.lock(), agent, Clone::clone)
    }

    /// The span of a turn, which begins with its first step.
    pub(super) fn turn(&self, agent: &Agent, number: u32) -> ActiveSpan {
        let mut inner = self.0.lock();
        let around = self.0.with_agent(&mut inner, agent, ActiveSpan::context);
        if let Some((open, span)) = &inner.turn {
            if *open == number {
                return span.clone();
            }
            span.end();
        }
        let agent = agent.shared_name();
        let start = self.0.start(around, SpanKind::Turn);
        let span = self.0.tracer.begin(start.described(move |span| {
            span.name = format!("turn {number}").into();
            span.add(gen_ai::TURN, number);
            span.add(gen_ai::AGENT_NAME, &*agent);
        }));
        inner.turn = Some((number, span.clone()));
        span
    }

    /// The innermost span that is open.
    pub(super) fn innermost(&self) -> ActiveSpan {
        let inner = self.0.lock();
        let turn = inner.turn.as_ref().map(|(_, span)| span);
        let agent = inner.agent.as_ref().map(|(_, span)| span);
        turn.or(agent).unwrap_or(&self.0.task).clone()
    }

    /// Notes that the conversation goes to another agent, or to the same one anew.
    pub(super) fn handed_off(&self) {
        self.0.lock().has_handed_off = true;
    }

    /// Adds what a model call of the turn used.
    pub(super) fn used(&self, usage: &Usage) {
        if let Some((_, turn)) = &self.0.lock().turn {
            turn.set_usage(usage);
        }
    }

    /// Ends all of them.
    pub(super) fn end(&self, status: SpanStatus) {
        self.0.end(status);
    }
}

impl RunSpans {
    fn start(&self, parent: SpanContext, kind: SpanKind) -> SpanStart {
        SpanStart::new(Arc::clone(&self.trace), Some(parent.span_id), kind)
    }

    fn with_agent<T>(
        &self,
        inner: &mut InnerSpans,
        agent: &Agent,
        with: impl FnOnce(&ActiveSpan) -> T,
    ) -> T {
        if let Some((open, span)) = &inner.agent
            && open.is_same(agent)
            && !inner.has_handed_off
        {
            return with(span);
        }
        inner.close(None);
        let start = self.start(self.task.context(), SpanKind::Agent);
        let span = self.tracer.begin(start.described(agent_description(agent)));
        let (_, span) = inner.agent.insert((agent.clone(), span));
        with(span)
    }

    fn end(&self, status: SpanStatus) {
        self.lock().close(Some(status));
        self.task.end_as(status);
    }

    fn lock(&self) -> MutexGuard<'_, InnerSpans> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The names are taken now: an agent that is kept until an exporter has it would keep its tools and what they hold.
fn agent_description(agent: &Agent) -> impl Fn(&mut Span) + Send + Sync + use<> {
    let name = agent.shared_name();
    let handoffs: Vec<Box<str>> = agent.handoffs().map(Box::from).collect();
    let tools = agent.tools().specs();
    let tools: Vec<ToolName> = tools.map(|tool| tool.name.clone()).collect();
    let output: Box<str> = match agent.output_type().map(OutputType::format) {
        Some(Some(format)) => format.name.as_str().into(),
        Some(None) => "object".into(),
        None => "str".into(),
    };
    move |span| {
        span.name = format!("{} {name}", gen_ai::INVOKE_AGENT).into();
        span.set(gen_ai::OPERATION, gen_ai::INVOKE_AGENT);
        span.set(gen_ai::AGENT_NAME, &*name);
        let handoffs: Vec<&str> = handoffs.iter().map(|name| &**name).collect();
        span.set(gen_ai::HANDOFFS, handoffs);
        let tools: Vec<&str> = tools.iter().map(|name| &**name).collect();
        span.set(gen_ai::TOOLS, tools);
        span.set(gen_ai::AGENT_OUTPUT, &*output);
    }
}

impl InnerSpans {
    fn close(&mut self, status: Option<SpanStatus>) {
        self.has_handed_off = false;
        let turn = self.turn.take().map(|(_, span)| span);
        let agent = self.agent.take().map(|(_, span)| span);
        for span in [turn, agent].into_iter().flatten() {
            match status {
                Some(status) => span.end_as(status),
                None => span.end(),
            }
        }
    }
}

/// A run that ended has ended them; what is open here was dropped.
impl Drop for RunSpans {
    fn drop(&mut self) {
        self.end(SpanStatus::Cancelled);
    }
}
