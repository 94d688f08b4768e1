//! Layers around the steps of a run, as a trace, a counter or a cache would be.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::{Stream, StreamExt, stream};
use openai_agents::agent::ModelInputFilter;
use openai_agents::agent::runner::{
    RunIdentity, RunLayer, RunStep, StepKind, StepOutcome, StepOutcomes,
};
use openai_agents::guardrail::{GuardrailTiming, Verdict};
use openai_agents::model::{Delivery, ModelEvent, ResponseMeta};
use openai_agents::session::{MemorySession, SessionId};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::{Agent, ErrorKind, InputGuardrail, Item, OutputGuardrail, RunEvent, Runner};
use serde_json::json;

use crate::support::{agent, call, instant, tool};

/// Notes where steps begin and end, and which run they are of.
#[derive(Clone, Default)]
struct Trace {
    lines: Arc<Mutex<Vec<String>>>,
    /// The run, of which there is one of these.
    run: Option<Arc<RunSpan>>,
}

struct RunSpan {
    name: String,
    lines: Arc<Mutex<Vec<String>>>,
}

/// A step that has begun.
struct Span {
    trace: Trace,
    step: String,
    outcomes: StepOutcomes,
    is_over: bool,
}

impl Trace {
    fn note(&self, line: String) {
        self.lines.lock().unwrap().push(line);
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    fn name(&self) -> &str {
        self.run.as_ref().map_or("none", |run| &run.name)
    }
}

impl RunLayer for Trace {
    fn begin(&self, run: &RunIdentity<'_>) -> Option<Arc<dyn RunLayer>> {
        let name = match &self.run {
            None => run.agent.name().to_owned(),
            Some(around) => format!("{}>{}", around.name, run.agent.name()),
        };
        self.note(format!("{name} begins at {:?}", run.path));
        let lines = Arc::clone(&self.lines);
        Some(Arc::new(Self {
            lines: Arc::clone(&self.lines),
            run: Some(Arc::new(RunSpan { name, lines })),
        }))
    }

    fn perform(&self, step: &RunStep, outcomes: StepOutcomes) -> StepOutcomes {
        let step = match &step.kind {
            StepKind::CallTool { call } => format!("{} {}", step.name(), call.call_id()),
            StepKind::CheckInput { guardrail } | StepKind::CheckOutput { guardrail } => {
                format!("{} {guardrail}", step.name())
            }
            _ => step.name().to_owned(),
        };
        self.note(format!("{}: {step}", self.name()));
        Box::pin(Span {
            trace: self.clone(),
            step,
            outcomes,
            is_over: false,
        })
    }
}

impl Stream for Span {
    type Item = StepOutcome;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<StepOutcome>> {
        let outcome = std::task::ready!(self.outcomes.poll_next_unpin(cx));
        if let Some(outcome) = &outcome
            && outcome.is_last()
        {
            self.is_over = true;
            let end = match outcome {
                StepOutcome::Failed(failure) => format!("failed: {failure}"),
                _ => "done".to_owned(),
            };
            self.trace
                .note(format!("{}: {} {end}", self.trace.name(), self.step));
        }
        Poll::Ready(outcome)
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if !self.is_over {
            let line = format!("{}: {} dropped", self.trace.name(), self.step);
            self.trace.note(line);
        }
    }
}

impl Drop for RunSpan {
    fn drop(&mut self) {
        let line = format!("{} is over", self.name);
        self.lines.lock().unwrap().push(line);
    }
}

/// Names the steps of all runs.
#[derive(Clone, Default)]
struct Steps(Arc<Mutex<Vec<&'static str>>>);

impl RunLayer for Steps {
    fn perform(&self, step: &RunStep, outcomes: StepOutcomes) -> StepOutcomes {
        self.0.lock().unwrap().push(step.name());
        outcomes
    }
}

#[tokio::test]
async fn layer_of_a_run_with_everything_sees_every_step_in_order() {
    let steps = Steps::default();
    let pass = async |_| Ok::<_, String>(Verdict::pass());
    let other = Agent::builder("Other").build().unwrap();
    let first = agent([instant("t", "ok")])
        .to_builder()
        .handoff(&other)
        .input_guardrail(InputGuardrail::new("first", pass).timing(GuardrailTiming::Blocking))
        .input_guardrail(InputGuardrail::new("beside", pass))
        .build()
        .unwrap();
    let model = ScriptedModel::new([
        ScriptedTurn::items([call("c1", "t", "{}")]),
        ScriptedTurn::items([call("c2", "transfer_to_other", "{}")]),
        ScriptedTurn::text("done"),
    ]);
    let session = MemorySession::new(SessionId::new("s").unwrap());
    let output_pass = async |_| Ok::<_, String>(Verdict::pass());
    let result = Runner::new(model)
        .layer(steps.clone())
        .output_guardrail(OutputGuardrail::new("last", output_pass))
        .model_input_filter(ModelInputFilter::new(async |input| Ok::<_, String>(input)))
        .run(&first, "go")
        .session(&session)
        .await
        .unwrap();
    assert_eq!(result.final_output(), "done");
    assert_eq!(
        *steps.0.lock().unwrap(),
        [
            "read_session",
            "check_input",
            "start_agent",
            "prepare_request",
            "check_input",
            "call_model",
            "call_tool",
            "write_session",
            "prepare_request",
            "call_model",
            "hand_off",
            "write_session",
            "start_agent",
            "prepare_request",
            "call_model",
            "end_agent",
            "check_output",
            "write_session",
            "finish",
        ]
    );
}

#[tokio::test]
async fn layer_of_parallel_tools_and_a_nested_run_sees_whose_steps_they_are() {
    let trace = Trace::default();
    let inner = Agent::builder("Inner").build().unwrap();
    let outer = agent([instant("t", "ok")])
        .to_builder()
        .tool(inner.as_tool("Asks."))
        .build()
        .unwrap();
    let model = ScriptedModel::new([
        ScriptedTurn::items([
            call("c1", "t", "{}"),
            call("c2", "inner", r#"{"input":"hi"}"#),
        ]),
        ScriptedTurn::text("inside"),
        ScriptedTurn::text("outside"),
    ]);
    let runner = Runner::new(model).layer(trace.clone());
    runner.run(&outer, "go").await.unwrap();
    assert_eq!(
        trace.lines(),
        [
            "A begins at []",
            "A: start_agent",
            "A: start_agent done",
            "A: call_model",
            "A: call_model done",
            "A: call_tool c1",
            "A: call_tool c2",
            "A: call_tool c1 done",
            "A>Inner begins at [\"1/c2\"]",
            "A>Inner: start_agent",
            "A>Inner: start_agent done",
            "A>Inner: call_model",
            "A>Inner: call_model done",
            "A>Inner: end_agent",
            "A>Inner: end_agent done",
            "A>Inner: finish",
            "A>Inner: finish done",
            "A>Inner is over",
            "A: call_tool c2 done",
            "A: call_model",
            "A: call_model done",
            "A: end_agent",
            "A: end_agent done",
            "A: finish",
            "A: finish done",
            "A is over",
        ]
    );
}

#[tokio::test]
async fn layer_of_a_dropped_run_is_dropped_with_its_step() {
    let trace = Trace::default();
    let hangs = tool("hangs", |_| std::future::pending());
    let model = ScriptedModel::new([ScriptedTurn::items([call("c1", "hangs", "{}")])]);
    let runner = Runner::new(model).layer(trace.clone());
    let mut stream = runner
        .run(&agent([hangs]), "go")
        .delivery(Delivery::Whole)
        .stream();
    while let Some(event) = stream.next().await {
        if let RunEvent::ResponseDone { .. } = event.unwrap() {
            break;
        }
    }
    assert!(futures_util::FutureExt::now_or_never(stream.next()).is_none());
    drop(stream);
    let expected = ["A: call_tool c1", "A: call_tool c1 dropped", "A is over"];
    assert_eq!(trace.lines().split_off(5), expected);
}

#[tokio::test]
async fn layer_of_a_failed_run_sees_what_failed() {
    let trace = Trace::default();
    let trips = async |_| Ok::<_, String>(Verdict::trip("no"));
    let strict = Agent::builder("A")
        .input_guardrail(InputGuardrail::new("strict", trips).timing(GuardrailTiming::Blocking))
        .build()
        .unwrap();
    let runner = Runner::new(ScriptedModel::new([])).layer(trace.clone());
    let error = runner.run(&strict, "go").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::GuardrailTripped);
    assert_eq!(
        trace.lines(),
        [
            "A begins at []",
            "A: check_input strict",
            "A: check_input strict done",
            "A: fail",
            "A: fail done",
            "A is over",
        ]
    );
}

/// Answers in the place of the model.
struct Remembered;

impl RunLayer for Remembered {
    fn perform(&self, step: &RunStep, outcomes: StepOutcomes) -> StepOutcomes {
        let StepKind::CallModel { request, .. } = &step.kind else {
            return outcomes;
        };
        let text = format!("{} items", request.items.len());
        let events = [
            ModelEvent::ItemDone {
                item: Item::assistant(text),
            },
            ModelEvent::ResponseDone(Box::<ResponseMeta>::default()),
        ];
        Box::pin(stream::iter(events.map(StepOutcome::Model)))
    }
}

#[tokio::test]
async fn layer_with_an_outcome_of_its_own_answers_for_the_model() {
    let model = ScriptedModel::new([]);
    let runner = Runner::new(model.clone()).layer(Remembered);
    let result = runner.run(&agent([]), "go").await.unwrap();
    assert_eq!(result.final_output(), "1 items");
    assert!(model.requests().is_empty());
}

/// Swallows the outcomes of one kind of step.
struct Silent(&'static str);

impl RunLayer for Silent {
    fn perform(&self, step: &RunStep, outcomes: StepOutcomes) -> StepOutcomes {
        if step.name() == self.0 {
            return Box::pin(stream::empty());
        }
        outcomes
    }
}

#[tokio::test]
async fn layer_without_an_outcome_ends_the_run_by_an_error() {
    for (step, kind) in [
        ("start_agent", ErrorKind::CallbackFailed),
        ("call_model", ErrorKind::NoTerminalEvent),
        ("call_tool", ErrorKind::CallbackFailed),
        ("write_session", ErrorKind::CallbackFailed),
        ("end_agent", ErrorKind::CallbackFailed),
    ] {
        let model = ScriptedModel::new([
            ScriptedTurn::tool_call("t", json!({})),
            ScriptedTurn::text("done"),
        ]);
        let session = MemorySession::new(SessionId::new("s").unwrap());
        let runner = Runner::new(model).layer(Silent(step));
        let run = runner.run(&agent([instant("t", "ok")]), "go");
        let error = run.session(&session).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{step}: {error}");
    }
}

#[tokio::test]
async fn layer_cannot_change_how_a_run_ended() {
    let runner = Runner::new(ScriptedModel::text("done")).layer(Silent("finish"));
    let result = runner.run(&agent([]), "go").await.unwrap();
    assert_eq!(result.final_output(), "done");
}
