//! Where spans go.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use serde_json::Value;

use super::active::ActiveSpan;
use super::id::{SpanContext, SpanId, TraceId};
use super::processor::Processor;
use super::record::{Description, SpanRecord, SpanStart};
use super::scope::TraceScope;
use super::span::TraceInfo;
use crate::secret::Redactor;

/// How many paused runs are remembered, so that those that go on continue their trace.
const MAX_PAUSED: usize = 1024;

/// Records traces and gives their spans to its processors; a cheap handle.
///
/// A runner or a run is given it ([`Runner::tracer`](crate::Runner::tracer)); without one nothing is recorded anywhere, and with one the
/// run is the same. Nothing leaves the program but by a processor that was put there.
///
/// ```
/// use openai_agents::testing::ScriptedModel;
/// use openai_agents::trace::{MemorySpans, SpanKind, Tracer};
/// use openai_agents::{Agent, Runner};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let spans = MemorySpans::default();
/// let tracer = Tracer::builder().processor(spans.clone()).build();
/// let runner = Runner::new(ScriptedModel::text("Paris.")).tracer(&tracer);
/// let agent = Agent::builder("Guide").build()?;
/// runner.run(&agent, "The capital of France?").await?;
/// let kinds: Vec<_> = spans.ended().iter().map(|span| span.kind).collect();
/// assert_eq!(kinds, [SpanKind::Generation, SpanKind::Turn, SpanKind::Agent, SpanKind::Task]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tracer(Arc<TracerInner>);

struct TracerInner {
    processors: Vec<Arc<dyn Processor>>,
    redactor: Redactor,
    content: ContentRecording,
    propagation: Propagation,
    told: ToldContext,
    paused: Mutex<VecDeque<(u64, PausedTrace)>>,
}

/// What other programs are told of while a span is current.
#[derive(Debug, Clone, Copy, Default)]
enum ToldContext {
    /// The span.
    #[default]
    Span,
    /// What was around the tracer: nobody but this process could find its spans.
    #[cfg_attr(
        not(feature = "mcp-server"),
        expect(dead_code, reason = "only MCP servers make such a tracer")
    )]
    Around(Option<SpanContext>),
}

/// Whether what goes in and comes out is recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContentRecording {
    /// The requests and answers of models, the arguments and results of tools, inputs and outputs.
    #[default]
    Recorded,
    /// Nothing of it.
    ///
    /// Names, times, counts, kinds of errors and the words of model servers alone are recorded.
    Withheld,
}

/// Whether model servers are told of the trace by the header `traceparent`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Propagation {
    /// They are not.
    #[default]
    NotToModels,
    /// Each request has it: for a server of one's own that is traced as well.
    ToModels,
}

/// Builds a [`Tracer`].
#[derive(Default)]
#[must_use = "a tracer is made by build()"]
pub struct TracerBuilder {
    processors: Vec<Arc<dyn Processor>>,
    redactor: Redactor,
    content: ContentRecording,
    propagation: Propagation,
    told: ToldContext,
}

/// A trace about to begin; see [`Tracer::trace`].
#[derive(Debug)]
#[must_use = "a trace holds what is run in it"]
pub struct TraceBuilder {
    tracer: Tracer,
    trace: TraceInfo,
    parent: Option<SpanId>,
}

/// A run that waits for decisions, as its trace knows it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PausedTrace {
    /// Its trace.
    pub trace: Arc<TraceInfo>,
    /// The span of the run that waits.
    pub task: SpanId,
    /// Since when.
    pub paused_at: SystemTime,
}

impl Tracer {
    /// Begins a tracer without processors.
    pub fn builder() -> TracerBuilder {
        TracerBuilder::default()
    }

    /// Begins a trace of several runs, or with a name of its own.
    ///
    /// ```
    /// use openai_agents::testing::{ScriptedModel, ScriptedTurn};
    /// use openai_agents::trace::{MemorySpans, Tracer, span};
    /// use openai_agents::{Agent, Runner};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let spans = MemorySpans::default();
    /// let tracer = Tracer::builder().processor(spans.clone()).build();
    /// let model = ScriptedModel::new([ScriptedTurn::text("A joke."), ScriptedTurn::text("Good.")]);
    /// let runner = Runner::new(model).tracer(&tracer);
    /// let agent = Agent::builder("Joker").build()?;
    /// let told = tracer.trace("Joke").group("chat-7").run(async {
    ///     let joke = runner.run(&agent, "Tell a joke.").await?;
    ///     span("rate").run(runner.run(&agent, joke.final_output())).await
    /// });
    /// told.await?;
    /// let ended = spans.ended();
    /// assert!(ended.iter().all(|span| &*span.trace.name == "Joke"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn trace(&self, name: impl Into<Arc<str>>) -> TraceBuilder {
        TraceBuilder {
            tracer: self.clone(),
            trace: TraceInfo {
                id: TraceId::random(),
                name: name.into(),
                group: None,
                metadata: Vec::new(),
            },
            parent: None,
        }
    }

    /// Waits until the processors have passed on what they were given.
    ///
    /// It waits no longer than this time, and says whether they have.
    ///
    /// A program calls it before it ends.
    pub async fn flush(&self, limit: Duration) -> bool {
        let flushed = self.0.processors.iter().map(|to| to.flush());
        tokio::time::timeout(limit, join_all(flushed)).await.is_ok()
    }

    /// Counts the spans that were lost, because a processor could not keep up.
    pub fn n_lost(&self) -> u64 {
        self.0.processors.iter().map(|to| to.n_lost()).sum()
    }

    /// Says whether what goes in and comes out is recorded.
    pub fn records_content(&self) -> bool {
        self.0.content == ContentRecording::Recorded
    }

    /// Makes a tracer with the same processors that records content, or not.
    #[must_use]
    pub fn with_content(&self, content: ContentRecording) -> Self {
        self.to_builder().content(content).build()
    }

    /// Begins a tracer whose spans stay in this process: other programs are told of what is around it, and of nothing else.
    #[cfg(feature = "mcp-server")]
    pub(crate) fn in_process(around: Option<SpanContext>) -> TracerBuilder {
        TracerBuilder {
            told: ToldContext::Around(around),
            ..TracerBuilder::default()
        }
    }

    /// Begins one that is like this.
    pub(crate) fn to_builder(&self) -> TracerBuilder {
        TracerBuilder {
            processors: self.0.processors.clone(),
            redactor: self.0.redactor.clone(),
            content: self.0.content,
            propagation: self.0.propagation,
            told: self.0.told,
        }
    }

    /// What other programs are told of while this span is current.
    pub(super) fn told_context(&self, span: SpanContext) -> Option<SpanContext> {
        match self.0.told {
            ToldContext::Span => Some(span),
            ToldContext::Around(around) => around,
        }
    }

    pub(crate) fn tells_models(&self) -> bool {
        self.0.propagation == Propagation::ToModels
    }

    pub(crate) fn begin<D: Description + 'static>(&self, start: SpanStart<D>) -> ActiveSpan {
        ActiveSpan::new(self.clone(), start)
    }

    pub(super) fn started(&self, span: &ActiveSpan) {
        self.0.processors.iter().for_each(|to| to.on_start(span));
    }

    pub(super) fn ended(&self, span: &SpanRecord) {
        self.0.processors.iter().for_each(|to| to.on_end(span));
    }

    pub(super) fn redactor(&self) -> &Redactor {
        &self.0.redactor
    }

    /// Remembers a run that waits, by what is the same when it goes on.
    pub(crate) fn pause(&self, key: u64, paused: PausedTrace) {
        let mut waiting = self.paused();
        if waiting.len() == MAX_PAUSED {
            waiting.pop_front();
        }
        waiting.push_back((key, paused));
    }

    /// Finds the trace of a run that goes on: that of this process, or of another that a processor has kept.
    pub(crate) fn resume(&self, key: u64) -> Option<PausedTrace> {
        let mut waiting = self.paused();
        if let Some(at) = waiting.iter().rposition(|(known, _)| *known == key) {
            return waiting.remove(at).map(|(_, paused)| paused);
        }
        drop(waiting);
        self.0.processors.iter().find_map(|from| from.paused(key))
    }

    fn paused(&self) -> std::sync::MutexGuard<'_, VecDeque<(u64, PausedTrace)>> {
        self.0.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TracerBuilder {
    /// Gives spans to a processor too.
    pub fn processor(mut self, processor: impl Processor + 'static) -> Self {
        self.processors.push(Arc::new(processor));
        self
    }

    /// Says whether what goes in and comes out is recorded.
    pub const fn content(mut self, content: ContentRecording) -> Self {
        self.content = content;
        self
    }

    /// Says whether model servers are told of the trace.
    pub const fn propagation(mut self, propagation: Propagation) -> Self {
        self.propagation = propagation;
        self
    }

    /// Takes the secrets that this one knows out of all spans.
    ///
    /// Those of model endpoints and MCP servers are taken out without it.
    pub fn redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = redactor;
        self
    }

    /// Makes the tracer.
    #[must_use]
    pub fn build(self) -> Tracer {
        Tracer(Arc::new(TracerInner {
            processors: self.processors,
            redactor: self.redactor,
            content: self.content,
            propagation: self.propagation,
            told: self.told,
            paused: Mutex::default(),
        }))
    }
}

impl TraceBuilder {
    /// Says what several traces have in common, such as a chat.
    pub fn group(mut self, group: impl Into<Arc<str>>) -> Self {
        self.trace.group = Some(group.into());
        self
    }

    /// Says something of the trace.
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.trace.metadata.push((name.into(), value.into()));
        self
    }

    /// Sets the id, which is random otherwise.
    pub const fn id(mut self, id: TraceId) -> Self {
        self.trace.id = id;
        self
    }

    /// Continues the trace of another program.
    pub const fn parent(mut self, parent: SpanContext) -> Self {
        self.trace.id = parent.trace_id;
        self.parent = Some(parent.span_id);
        self
    }

    /// Makes the scope of the trace.
    #[must_use]
    pub fn scope(self) -> TraceScope {
        TraceScope::trace(Arc::new(self.trace), self.tracer, self.parent)
    }

    /// Runs a future in the trace.
    ///
    /// The runs and spans that begin in it belong to the trace.
    pub async fn run<F: IntoFuture>(self, future: F) -> F::Output {
        self.scope().run(future).await
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer")
            .field("n_processors", &self.0.processors.len())
            .field("content", &self.0.content)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TracerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracerBuilder")
            .field("n_processors", &self.processors.len())
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}
