//! What holds for every run, whatever its model does: random scripts with tools of all kinds, handoffs, pauses and repeated ids.

use std::collections::HashMap;

use futures_util::stream;
use openai_agents::agent::runner::UnknownTool;
use openai_agents::agent::{AgentBuilder, HandoffFilter, Interruption};
use openai_agents::future::BoxStream;
use openai_agents::item::{ItemKind, Message, Part, Reasoning, Role};
use openai_agents::model::{Delivery, ModelError, ModelEvent, ModelRequest};
use openai_agents::testing::{ScriptedModel, ScriptedTurn};
use openai_agents::tools::ToolOptions;
use openai_agents::trace::{MemorySpans, Tracer};
use openai_agents::{
    Agent, ErrorKind, FunctionTool, Handoff, Item, Limits, Model, RunError, RunRequest, RunResult,
    RunState, Runner, Usage,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{assert_well_formed, call, play, tool_with};

/// What a random model calls. `danger` waits for approval, `hidden` is disabled, `inner` is an agent that calls `danger`.
const CALLED: [&str; 11] = [
    "instant",
    "slow",
    "failing",
    "danger",
    "danger",
    "careful",
    "hidden",
    "unknown",
    "inner",
    "transfer_to_main",
    "transfer_to_other",
];

#[derive(Debug, Clone)]
enum ScriptStep {
    Text(String),
    Reasoning(String),
    Call(usize, usize),
}

#[derive(Debug, Clone)]
enum Turn {
    Steps(Vec<ScriptStep>),
    Refusal,
    Empty,
    Error,
}

/// A random run.
#[derive(Debug, Clone)]
struct Script {
    turns: Vec<Turn>,
    filter: Filter,
}

#[derive(Debug, Clone, Copy)]
enum Filter {
    None,
    Nested,
    RemoveTools,
}

fn script() -> impl Strategy<Value = Script> {
    let step = prop_oneof![
        2 => "[a-c \n]{1,8}".prop_map(ScriptStep::Text),
        1 => "[a-c ]{1,5}".prop_map(ScriptStep::Reasoning),
        6 => (0..CALLED.len(), 0..4_usize).prop_map(|(n, id)| ScriptStep::Call(n, id)),
    ];
    let turn = prop_oneof![
        12 => vec(step, 1..5).prop_map(Turn::Steps),
        1 => Just(Turn::Refusal),
        1 => Just(Turn::Empty),
        1 => Just(Turn::Error),
    ];
    let filter = prop_oneof![
        2 => Just(Filter::None),
        1 => Just(Filter::Nested),
        1 => Just(Filter::RemoveTools),
    ];
    (vec(turn, 0..7), filter).prop_map(|(turns, filter)| Script { turns, filter })
}

impl Turn {
    fn items(&self, n: usize) -> Vec<Item> {
        match self {
            Self::Empty => vec![Item::assistant("")],
            Self::Error => Vec::new(),
            Self::Refusal => {
                let refusal = "no".to_owned();
                vec![Message::from_parts(Role::Assistant, vec![Part::Refusal { refusal }]).into()]
            }
            Self::Steps(steps) => {
                // Ids come again in later turns, but not within one.
                let mut seen = HashMap::new();
                let item = |step: &ScriptStep| match step {
                    ScriptStep::Text(text) => Item::assistant(text),
                    ScriptStep::Reasoning(text) => Reasoning::from_summary(text).into(),
                    ScriptStep::Call(which, id) => {
                        let times = seen.entry(*id).or_insert(0);
                        *times += 1;
                        let arguments = match CALLED[*which] {
                            "inner" => format!(r#"{{"input":"{n}"}}"#),
                            name if name.starts_with("transfer") => "{}".to_owned(),
                            _ => format!(r#"{{ "n":{n} }}"#),
                        };
                        call(&format!("c{id}_{times}"), CALLED[*which], &arguments)
                    }
                };
                steps.iter().map(item).collect()
            }
        }
    }

    fn scripted(&self, n: usize) -> ScriptedTurn {
        if matches!(self, Self::Error) {
            let busy = ModelError::new(ErrorKind::ApiStatus, "busy").with_status(503);
            return ScriptedTurn::error(busy);
        }
        ScriptedTurn::items(self.items(n)).with_usage(Usage::of_request(5, n as u64, 5 + n as u64))
    }
}

/// The model of the agent `Inner`: it calls `danger` once and says what it was told.
struct InnerModel;

impl Model for InnerModel {
    fn name(&self) -> &'static str {
        "inner"
    }

    fn call(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, ModelError>> {
        let item = match request.items.last().map(Item::kind) {
            Some(ItemKind::FunctionCallOutput(output)) => {
                Item::assistant(format!("inner: {}", output.output.text()))
            }
            _ => call("i1", "danger", r#"{ "n":0 }"#),
        };
        let done = ModelEvent::ResponseDone(Box::default());
        Box::pin(stream::iter([Ok(ModelEvent::ItemDone { item }), Ok(done)]))
    }
}

/// Whether calls of `danger` and `careful` wait for approval.
#[derive(Debug, Clone, Copy, PartialEq)]
enum ApprovalNeed {
    Needed,
    NotNeeded,
}

fn tools(approval: ApprovalNeed) -> Vec<FunctionTool> {
    let loose = || ToolOptions::default().strict(false);
    let says = |name: &'static str, n_yields: usize| {
        tool_with(name, loose(), move |cx| async move {
            for _ in 0..n_yields {
                tokio::task::yield_now().await;
            }
            Ok(format!("{name} {}", cx.arguments()))
        })
    };
    let is_needed = approval == ApprovalNeed::Needed;
    let mut tools = vec![
        says("instant", 0),
        says("slow", 3),
        tool_with("failing", loose(), |_| async { Err("boom".to_owned()) }),
        says("danger", 1).needs_approval_if(move |_, _| is_needed),
        says("careful", 0)
            .needs_approval_if(move |_, call| is_needed && !call.arguments.contains('1')),
        says("hidden", 0).enabled_if(|_| false),
    ];
    let danger = tools[3].clone();
    let inner = Agent::builder("Inner")
        .tool(danger)
        .model(InnerModel)
        .build();
    let inner = inner.unwrap().as_tool("Asks the inner agent.").build();
    tools.push(inner.unwrap());
    tools
}

/// A script, the agents for it, and what they are asked.
struct RandomStage {
    model: ScriptedModel,
    runner: Runner,
    main: Agent,
}

impl RandomStage {
    fn new(script: &Script, approval: ApprovalNeed) -> Self {
        let agent = |name: &str, to: &str| {
            let agent = Agent::builder(name).handoff(Handoff::to_name(to));
            let tools = tools(approval).into_iter();
            tools.fold(agent, AgentBuilder::tool).build().unwrap()
        };
        let turns = script.turns.iter().enumerate();
        let model = ScriptedModel::new(turns.map(|(n, turn)| turn.scripted(n)));
        let (main, other) = (agent("Main", "Other"), agent("Other", "Main"));
        let mut runner = Runner::new(model.clone())
            .register_agent(&other)
            .unknown_tool(UnknownTool::TellModel)
            .limits(Limits::turns(6));
        runner = match script.filter {
            Filter::None => runner,
            Filter::Nested => runner.handoff_filter(HandoffFilter::nested_history()),
            Filter::RemoveTools => runner.handoff_filter(HandoffFilter::remove_tools()),
        };
        Self {
            model,
            runner,
            main,
        }
    }

    /// Runs to the end; each pause is decided about by `decide` and left through JSON.
    async fn run(
        &self,
        is_streamed: bool,
        decide: fn(&mut RunState, &[Interruption]),
    ) -> (RandomOutcome, usize) {
        let mut n_pauses = 0;
        let mut request = if is_streamed {
            self.runner.run(&self.main, "go").delivery(Delivery::Stream)
        } else {
            self.runner.run(&self.main, "go").delivery(Delivery::Whole)
        };
        loop {
            let ended = play(request).await.1;
            let error = match ended {
                Err(error) if error.kind() == ErrorKind::ApprovalRequired => error,
                ended => return (RandomOutcome::of(&ended, &self.model), n_pauses),
            };
            n_pauses += 1;
            let mut state = error.into_state().unwrap();
            let waiting = state.interruptions();
            decide(&mut state, &waiting);
            let state = RunState::from_json(&state.to_json().unwrap()).unwrap();
            request = self.resume(state, is_streamed);
        }
    }

    fn resume(&self, state: RunState, is_streamed: bool) -> RunRequest {
        if is_streamed {
            self.runner
                .resume(&self.main, state)
                .delivery(Delivery::Stream)
        } else {
            self.runner
                .resume(&self.main, state)
                .delivery(Delivery::Whole)
        }
    }
}

/// What came of a run, and what its model was asked.
#[derive(Debug, PartialEq)]
struct RandomOutcome {
    ended: Result<String, (ErrorKind, String)>,
    items: Vec<Item>,
    usage: Usage,
    turns: u32,
    last_agent: String,
    n_deviations: usize,
    asked: Vec<Vec<Item>>,
}

impl RandomOutcome {
    fn of(ended: &Result<RunResult, RunError>, model: &ScriptedModel) -> Self {
        let (output, progress) = match ended {
            Ok(result) => (Ok(result.final_output().to_owned()), result.progress()),
            Err(error) => (Err((error.kind(), error.to_string())), error.progress()),
        };
        let asked = model.requests();
        Self {
            ended: output,
            items: progress.items.clone(),
            usage: progress.usage,
            turns: progress.turns,
            last_agent: progress.last_agent.name().to_owned(),
            n_deviations: progress.deviations().count(),
            asked: asked.iter().map(|request| request.items.to_vec()).collect(),
        }
    }
}

fn approve(state: &mut RunState, waiting: &[Interruption]) {
    for call in waiting {
        state.approve(&call.id).unwrap();
    }
}

/// The others wait on, so that the run pauses again.
fn approve_last(state: &mut RunState, waiting: &[Interruption]) {
    state.approve(&waiting.last().unwrap().id).unwrap();
}

/// It holds for the other calls of the tool.
fn approve_first_always(state: &mut RunState, waiting: &[Interruption]) {
    state.approve_always(&waiting[0].id).unwrap();
}

fn reject(state: &mut RunState, waiting: &[Interruption]) {
    for call in waiting {
        state.reject(&call.id).unwrap();
    }
}

fn call_id(item: &Item) -> Option<&str> {
    match item.kind() {
        ItemKind::FunctionCall(call) => Some(&call.call_id),
        _ => None,
    }
}

fn output_id(item: &Item) -> Option<&str> {
    match item.kind() {
        ItemKind::FunctionCallOutput(output) => Some(&output.call_id),
        _ => None,
    }
}

/// Checks that the items are what the model said, turn by turn, with the outputs of each turn behind it in the order of its calls.
fn check_transcript(script: &Script, outcome: &RandomOutcome) {
    assert_well_formed(&outcome.items);
    let mut rest = &outcome.items[..];
    for (n, turn) in script.turns.iter().enumerate().take(outcome.turns as usize) {
        let said = turn.items(n);
        let (items, behind) = rest.split_at(said.len());
        assert_eq!(items, said, "turn {n}");
        let calls: Vec<_> = said.iter().filter_map(call_id).collect();
        let (outputs, behind) = behind.split_at(calls.len());
        let outputs: Vec<_> = outputs.iter().filter_map(output_id).collect();
        assert_eq!(outputs, calls, "turn {n}");
        rest = behind;
    }
    assert_eq!(rest, [], "items that nobody said");
}

/// A state as JSON, without the ids of its run and of the runs inside it, which no two runs have in common.
fn without_run_ids(state: &RunState) -> serde_json::Value {
    fn blank(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(fields) => {
                fields.remove("run");
                fields.values_mut().for_each(blank);
            }
            serde_json::Value::Array(values) => values.iter_mut().for_each(blank),
            _ => {}
        }
    }
    let mut json = serde_json::from_str(&state.to_json().unwrap()).unwrap();
    blank(&mut json);
    json
}

fn in_runtime<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn a_transcript_is_what_was_said_with_each_call_answered_in_order(script in script()) {
        let stage = RandomStage::new(&script, ApprovalNeed::NotNeeded);
        let (outcome, n_pauses) = in_runtime(stage.run(false, approve));
        prop_assert_eq!(n_pauses, 0);
        check_transcript(&script, &outcome);
        // Whatever a filter makes of it, nothing that the model is asked has a call without its output.
        for asked in &outcome.asked {
            assert_well_formed(asked);
        }
    }

    #[test]
    fn a_stream_is_the_same_run_with_pauses_and_handoffs(script in script()) {
        let run = |is_streamed| in_runtime(RandomStage::new(&script, ApprovalNeed::Needed).run(is_streamed, approve));
        let plain = run(false);
        prop_assert_eq!(&run(true), &plain);
        check_transcript(&script, &plain.0);
    }

    #[test]
    fn a_run_that_paused_is_the_run_that_did_not(script in script(), is_streamed: bool) {
        let run = |approval, decide: fn(&mut RunState, &[Interruption])| in_runtime(RandomStage::new(&script, approval).run(is_streamed, decide));
        let (through, _) = run(ApprovalNeed::NotNeeded, approve);
        for decide in [approve, approve_last, approve_first_always] {
            prop_assert_eq!(&run(ApprovalNeed::Needed, decide).0, &through);
        }
    }

    #[test]
    fn a_traced_run_is_the_run_that_is_not_traced(script in script(), is_streamed: bool) {
        let run = |tracer: Option<&Tracer>| {
            let mut stage = RandomStage::new(&script, ApprovalNeed::Needed);
            if let Some(tracer) = tracer {
                stage.runner = stage.runner.tracer(tracer);
            }
            let first = in_runtime(play(stage.runner.run(&stage.main, "go")));
            let state = first.1.err().and_then(|error| error.into_state().ok());
            let state = state.map(|state| without_run_ids(&state));
            let mut stage = RandomStage::new(&script, ApprovalNeed::Needed);
            if let Some(tracer) = tracer {
                stage.runner = stage.runner.tracer(tracer);
            }
            (state, in_runtime(stage.run(is_streamed, approve)))
        };
        let spans = MemorySpans::default();
        let tracer = Tracer::builder().processor(spans.clone()).build();
        prop_assert_eq!(run(Some(&tracer)), run(None));
        // Each span ended, within one that is there.
        let ended = spans.ended();
        for span in &ended {
            let is_inside = ended.iter().any(|around| Some(around.id) == span.parent);
            prop_assert!(is_inside || span.parent.is_none(), "{}", span.to_json());
        }
    }

    #[test]
    fn a_rejected_call_is_answered_too(script in script()) {
        let stage = RandomStage::new(&script, ApprovalNeed::Needed);
        let (outcome, _) = in_runtime(stage.run(false, reject));
        check_transcript(&script, &outcome);
        let was_made = |item: &&Item| match item.kind() {
            ItemKind::FunctionCallOutput(output) => output.output.text().starts_with("danger"),
            _ => false,
        };
        prop_assert_eq!(outcome.items.iter().find(was_made), None);
    }
}
