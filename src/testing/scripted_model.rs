//! A model that plays a script.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{StreamExt, stream};
use serde_json::{Map, Value};

use crate::agent::handoff_name;
use crate::future::BoxStream;
use crate::item::{FunctionCall, Item};
use crate::kind::ErrorKind;
use crate::model::{
    Delivery, Model, ModelError, ModelEvent, ModelRequest, ModelResponse, ResponseMeta,
};
use crate::usage::Usage;

/// Answers each request with the next turn of a script, and keeps the requests.
///
/// A request past the end of the script is an error of the run, never an invented answer. Clones share the script, so that a test
/// keeps one to look at the requests.
///
/// ```
/// use openai_agents::testing::{ScriptedModel, ScriptedTurn};
/// use openai_agents::{Agent, FunctionTool, Runner};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let model = ScriptedModel::new([
///     ScriptedTurn::tool_call("double", json!({ "n": 21 })),
///     ScriptedTurn::text("It is 42."),
/// ]);
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Doubling { n: i64 }
/// let double = FunctionTool::new("double", "Doubles a number.", async |_cx, doubling: Doubling| Ok::<_, String>(doubling.n * 2))?;
/// let agent = Agent::builder("Counter").tool(double).build()?;
///
/// let result = Runner::new(model.clone()).run(&agent, "Twice 21?").await?;
/// assert_eq!(result.final_output(), "It is 42.");
/// assert_eq!(model.requests()[1].items.len(), 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ScriptedModel(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    turns: VecDeque<ScriptedTurn>,
    n_calls: usize,
    requests: Vec<ModelRequest>,
}

/// What a [`ScriptedModel`] answers to one request.
#[derive(Debug)]
pub struct ScriptedTurn {
    items: Vec<Item>,
    usage: Option<Usage>,
    error: Option<ModelError>,
}

impl ScriptedModel {
    /// Makes a model that plays these turns.
    pub fn new(turns: impl IntoIterator<Item = ScriptedTurn>) -> Self {
        Self(Arc::new(Mutex::new(Script {
            turns: turns.into_iter().collect(),
            ..Script::default()
        })))
    }

    /// Makes a model that answers one request with a text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new([ScriptedTurn::text(text)])
    }

    /// Returns the requests so far.
    pub fn requests(&self) -> Vec<ModelRequest> {
        self.script().requests.clone()
    }

    /// Counts the turns that were not asked for.
    pub fn n_left(&self) -> usize {
        self.script().turns.len()
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, request: ModelRequest) -> Vec<Result<ModelEvent, ModelError>> {
        let delivery = request.delivery;
        let mut script = self.script();
        script.n_calls += 1;
        script.requests.push(request);
        let Some(turn) = script.turns.pop_front() else {
            let message = format!("the scripted model has no turn {}", script.n_calls);
            return vec![Err(ModelError::new(ErrorKind::Config, message))];
        };
        turn.events(delivery)
    }
}

impl ScriptedTurn {
    /// Answers with a text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::items([Item::assistant(text)])
    }

    /// Answers with a tool call, whose id is `call_` and the tool's name.
    pub fn tool_call(name: &str, arguments: Value) -> Self {
        Self::tool_calls([(name, arguments)])
    }

    /// Answers with tool calls.
    ///
    /// Their ids are `call_`, the tool's name, and from the second call on their place.
    pub fn tool_calls<'a>(calls: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        Self::items(calls.into_iter().enumerate().map(|(n, (name, arguments))| {
            let id = if n == 0 {
                format!("call_{name}")
            } else {
                format!("call_{name}_{n}")
            };
            Item::from(FunctionCall::new(id, name, arguments.to_string()))
        }))
    }

    /// Hands off to the agent of this name.
    ///
    /// It does so by the tool that a [`Handoff`](crate::Handoff) has unless it is named otherwise.
    ///
    /// ```
    /// use openai_agents::testing::{ScriptedModel, ScriptedTurn};
    /// use openai_agents::{Agent, Runner};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), openai_agents::Error> {
    /// let refunds = Agent::builder("Refund Desk").build()?;
    /// let triage = Agent::builder("Triage").handoff(&refunds).build()?;
    /// let model = ScriptedModel::new([ScriptedTurn::handoff("Refund Desk"), ScriptedTurn::text("Done.")]);
    /// let result = Runner::new(model).run(&triage, "My money, please.").await?;
    /// assert_eq!(result.last_agent().name(), "Refund Desk");
    /// # Ok(())
    /// # }
    /// ```
    pub fn handoff(agent: &str) -> Self {
        Self::tool_call(&handoff_name(agent), Value::Object(Map::new()))
    }

    /// Answers with these items.
    pub fn items(items: impl IntoIterator<Item = Item>) -> Self {
        Self {
            items: items.into_iter().collect(),
            usage: None,
            error: None,
        }
    }

    /// Fails at once; to fail in the middle of an answer there is [`with_error`](Self::with_error).
    pub fn error(error: ModelError) -> Self {
        Self {
            error: Some(error),
            ..Self::items([])
        }
    }

    /// Fails after what was scripted before.
    #[must_use]
    pub fn with_error(mut self, error: ModelError) -> Self {
        self.error = Some(error);
        self
    }

    /// Reports usage.
    #[must_use]
    pub fn with_usage(mut self, usage: Usage) -> Self {
        self.usage = Some(usage);
        self
    }

    fn events(self, delivery: Delivery) -> Vec<Result<ModelEvent, ModelError>> {
        let meta = ResponseMeta {
            usage: self.usage,
            ..ResponseMeta::default()
        };
        let mut events = ModelResponse::new(self.items)
            .with_meta(meta)
            .into_events(delivery);
        if self.error.is_some() {
            events.pop();
        }
        let events = events.into_iter().map(Ok);
        events.chain(self.error.map(Err)).collect()
    }
}

impl Model for ScriptedModel {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn call(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, ModelError>> {
        let model = self.clone();
        // Nothing happens before the stream is polled, as with a real model.
        Box::pin(stream::once(async move { stream::iter(model.next(request)) }).flatten())
    }
}

impl std::fmt::Debug for ScriptedModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptedModel")
            .field("n_left", &self.n_left())
            .finish_non_exhaustive()
    }
}
