//! The tool calls of a chat answer as they come together, and the rules by which a piece belongs to one of them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_json::{Map, json};

use super::types::{ChatCall, ChatFunction};
use crate::item::{FunctionCall, Item};
use crate::kind::ErrorKind;
use crate::model::ModelError;
use crate::model::wire::budget::{ResponseBudget, VALUE_COST, append};
use crate::model::wire::deviations::Deviations;
use crate::model::wire::harmony::served;
use crate::model::wire::{DecodeContext, excerpt, object};

/// The calls so far.
pub(super) struct Calls {
    /// The turn of the run, of which ids are made that the server leaves out.
    turn: u32,
    list: Vec<PartialCall>,
    /// The newest call of each index: lmdeploy and vLLM 0.7 used index 0 for every call.
    by_index: HashMap<u64, usize>,
    by_id: HashMap<String, usize>,
    /// Whether the call came as a legacy function call, which has no id.
    is_legacy: bool,
}

/// A tool call so far.
#[derive(Default)]
pub(super) struct PartialCall {
    index: Option<u64>,
    id: String,
    /// Whether the id was made here. It stays then, also if the server sends one later: who watches knows the call by it.
    has_made_id: bool,
    name: String,
    arguments: String,
    /// Whether `ToolCallStarted` was sent for it.
    started: bool,
    extra: Map<String, serde_json::Value>,
}

/// News of a call for the caller: that it started, and more of its arguments.
pub(super) struct CallDelta {
    pub(super) index: usize,
    /// Id and name.
    pub(super) started: Option<(String, String)>,
    pub(super) delta: String,
}

impl Calls {
    pub(super) fn new(turn: u32) -> Self {
        Self {
            turn,
            list: Vec::new(),
            by_index: HashMap::new(),
            by_id: HashMap::new(),
            is_legacy: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether `ToolCallStarted` was sent for a call.
    pub(super) fn is_started(&self, n: usize) -> bool {
        self.list.get(n).is_some_and(|call| call.started)
    }

    /// Takes more arguments of a call.
    pub(super) fn push_arguments(&mut self, n: usize, text: &str) -> bool {
        let call = self.list.get_mut(n);
        call.is_some_and(|call| {
            append(&mut call.arguments, text);
            true
        })
    }

    /// Takes a whole call.
    pub(super) fn push(
        &mut self,
        call: ChatCall<'_>,
        notes: &mut Deviations,
        budget: &mut ResponseBudget,
    ) -> Result<(), ModelError> {
        check_type(&call)?;
        let n = self.open(None, budget)?;
        // Nothing that comes later belongs to it, so that it need not be found by its id.
        self.fill(n, call, notes, budget)
    }

    /// Takes a fragment of a call, and gives its place and the news of it.
    pub(super) fn push_fragment(
        &mut self,
        fragment: ChatCall<'_>,
        notes: &mut Deviations,
        budget: &mut ResponseBudget,
    ) -> Result<(usize, Option<CallDelta>), ModelError> {
        check_type(&fragment)?;
        // Find the call, put the fragment into it, and say what is new. Servers differ most in the
        // first step: see `place`.
        let n = self.place(&fragment, notes, budget)?;
        let n_before = self.list.get(n).map_or(0, |call| call.arguments.len());
        if let Some(id) = fragment.id.as_deref().filter(|id| !id.is_empty()) {
            let is_first = self.list.get(n).is_some_and(|call| !call.has_own_id());
            if is_first {
                self.by_id.entry(id.to_owned()).or_insert(n);
            }
        }
        self.fill(n, fragment, notes, budget)?;
        let Some(call) = self.list.get_mut(n) else {
            return Ok((n, None));
        };
        // A name may come in pieces, but not after the arguments began: so it is whole when they do.
        // What came before the start was held back, and goes out with it.
        let from = if call.started { n_before } else { 0 };
        let delta = call.arguments.get(from..).unwrap_or_default();
        if call.arguments.len() == n_before || call.name.is_empty() {
            return Ok((n, None));
        }
        let delta = CallDelta {
            index: n,
            delta: delta.to_owned(),
            started: call.start(self.turn, n)?,
        };
        Ok((n, Some(delta)))
    }

    fn fill(
        &mut self,
        n: usize,
        fragment: ChatCall<'_>,
        notes: &mut Deviations,
        budget: &mut ResponseBudget,
    ) -> Result<(), ModelError> {
        let Some(call) = self.list.get_mut(n) else {
            return Ok(());
        };
        if call.id.is_empty() {
            call.id = fragment.id.unwrap_or_default().into_owned();
        }
        for (key, raw) in fragment.extra {
            budget.spend(raw.get().len().saturating_mul(VALUE_COST))?;
            match object::value_of(raw) {
                Some(value) => drop(call.extra.insert(key.into_owned(), value)),
                None => {
                    notes.field(
                        "unreadable_field",
                        &format!("tool_calls[].{key}"),
                        raw.get(),
                    );
                }
            }
        }
        let function = fragment.function.unwrap_or_default();
        if let Some(name) = function.name {
            budget.spend(name.len())?;
            call.push_name(name)?;
        }
        let arguments = function.arguments.unwrap_or_default();
        budget.spend(arguments.len())?;
        match arguments {
            // With escapes in them they were copied already.
            Cow::Owned(arguments) if call.arguments.is_empty() => call.arguments = arguments,
            arguments => append(&mut call.arguments, &arguments),
        }
        Ok(())
    }

    /// Finds the call that a fragment belongs to; it is never guessed between two.
    fn place(
        &mut self,
        fragment: &ChatCall<'_>,
        notes: &mut Deviations,
        budget: &mut ResponseBudget,
    ) -> Result<usize, ModelError> {
        let id = fragment.id.as_deref().filter(|id| !id.is_empty());
        let has_name = fragment
            .function
            .as_ref()
            .and_then(|function| function.name.as_deref())
            .is_some_and(|name| !name.is_empty());
        // By index, as OpenAI does it. Gemini's compatible API, old Ollama and SGLang leave it out.
        let Some(index) = fragment.index else {
            notes.note(
                "missing_tool_index",
                "tool calls came without an index; they were told apart by their ids",
            );
            return self.place_without_index(id, has_name, budget);
        };
        let known = self.by_index.get(&index).copied();
        let other_id = known.and_then(|n| {
            let known = self.list.get(n)?;
            id.filter(|id| known.has_own_id() && known.id != *id)
        });
        // The id decides where an index is used again (vLLM 0.7, lmdeploy). A new id needs a name
        // as well to be a new call: vLLM 0.10 sends a fresh id with every fragment.
        match (known, other_id) {
            (None, _) => self.open(Some(index), budget),
            (Some(n), None) => Ok(n),
            (Some(_), Some(id)) if !has_name => Err(ambiguous(format!(
                "a fragment of tool call {index} came with another id ({id:?}) and no name, so that it may belong to either"
            ))),
            (Some(_), Some(_)) => {
                notes.note(
                    "reused_tool_index",
                    format!(
                        "two tool calls came under index {index}; they were told apart by their ids"
                    ),
                );
                self.open(Some(index), budget)
            }
        }
    }

    fn place_without_index(
        &mut self,
        id: Option<&str>,
        has_name: bool,
        budget: &mut ResponseBudget,
    ) -> Result<usize, ModelError> {
        let known = id.and_then(|id| self.by_id.get(id)).copied();
        match (known, id, self.list.len()) {
            (Some(n), _, _) => Ok(n),
            (None, Some(_), _) | (None, None, 0) => self.open(None, budget),
            // With one open call there is nothing to confuse.
            (None, None, 1) if !has_name => Ok(0),
            (None, None, n) => Err(ambiguous(format!(
                "a tool-call fragment has neither index nor id, and {n} calls are open"
            ))),
        }
    }

    fn open(
        &mut self,
        index: Option<u64>,
        budget: &mut ResponseBudget,
    ) -> Result<usize, ModelError> {
        budget.spend_call()?;
        let n = self.list.len();
        if let Some(index) = index {
            self.by_index.insert(index, n);
        }
        if n == 0 {
            // Most answers have one call; a list that grows by itself begins with room for four.
            self.list.reserve_exact(1);
        }
        self.list.push(PartialCall {
            index,
            ..PartialCall::default()
        });
        Ok(n)
    }

    /// Takes a legacy function call, or a piece of one; a server that also sends `tool_calls` says the same twice.
    pub(super) fn push_legacy(
        &mut self,
        function: &ChatFunction<'_>,
        cx: &DecodeContext,
        notes: &mut Deviations,
    ) {
        if !self.is_legacy && !self.list.is_empty() {
            return;
        }
        self.is_legacy = true;
        if !cx.dialect.force_functions {
            let detail = "the server answered a request with `tools` by a legacy `function_call`; it was taken as a tool call";
            notes.note("legacy_function_call", detail);
        }
        if self.list.is_empty() {
            self.list.push(PartialCall::default());
        }
        if let Some(call) = self.list.first_mut() {
            call.name
                .push_str(function.name.as_deref().unwrap_or_default());
            let arguments = function.arguments.as_deref().unwrap_or_default();
            append(&mut call.arguments, arguments);
        }
    }

    /// Starts the calls for which no arguments came: their start waited for a whole name.
    pub(super) fn start_all(&mut self) -> Result<Vec<CallDelta>, ModelError> {
        let mut started = Vec::new();
        for (index, call) in self.list.iter_mut().enumerate() {
            if let Some(begun) = call.start(self.turn, index)? {
                started.push(CallDelta {
                    index,
                    started: Some(begun),
                    delta: call.arguments.clone(),
                });
            }
        }
        Ok(started)
    }

    /// Decides whether the calls can be made, and puts them in their own order, whatever order they came in.
    pub(super) fn check(&mut self, notes: &mut Deviations) -> Result<(), ModelError> {
        // Gateways send index 1 before index 0. Calls without an index keep the order in which they
        // came, since the sort is stable.
        self.list.sort_by_key(|call| call.index);
        let mut assigned = Vec::new();
        for (n, call) in self.list.iter_mut().enumerate() {
            if call.name.is_empty() {
                let says = excerpt(&call.arguments);
                let message = format!("tool call {n} has no name (arguments: {says})");
                return Err(ModelError::new(ErrorKind::MissingField, message));
            }
            served::check_tool_name(&call.name)?;
            call.make_id(self.turn, n);
            if call.has_made_id {
                assigned.push(call.id.clone());
            }
            if call.tool_name() != call.name {
                let detail = format!(
                    "the server called the tool `{}` by its Harmony name `{}`; the namespace was taken off",
                    call.tool_name(),
                    call.name
                );
                notes.note("harmony_tool_prefix", detail);
            }
        }
        self.check_ids()?;
        if !assigned.is_empty() && !self.is_legacy {
            let ids = excerpt(&assigned.join(", "));
            notes.note(
                "missing_tool_call_id",
                format!("the server sent tool calls without an id; they were given {ids}"),
            );
        }
        Ok(())
    }

    /// Returns the calls.
    pub(super) fn items(&mut self) -> impl Iterator<Item = Item> {
        self.list.iter_mut().map(PartialCall::item)
    }
}

impl Calls {
    /// Refuses two calls with one id.
    fn check_ids(&self) -> Result<(), ModelError> {
        let mut ids = HashSet::new();
        // Most answers have one call.
        let calls = self.list.iter().filter(|_| self.list.len() > 1);
        for call in calls {
            if !ids.insert(&*call.id) {
                let message = format!("two tool calls of one answer have the id {:?}", call.id);
                return Err(ModelError::new(ErrorKind::DuplicateToolCallId, message));
            }
        }
        Ok(())
    }
}

impl PartialCall {
    /// Returns the name of the tool: a name of a tool has no dot, so the namespace can only be a leaked one.
    fn tool_name(&self) -> &str {
        served::tool_name(&self.name)
    }

    fn has_own_id(&self) -> bool {
        !self.id.is_empty() && !self.has_made_id
    }

    /// Makes an id of the call's place, if it has none.
    fn make_id(&mut self, turn: u32, n: usize) {
        if self.id.is_empty() {
            self.id = format!("call_{turn}_{n}");
            self.has_made_id = true;
        }
    }

    /// Marks the call as started, and gives its id and name the first time.
    fn start(&mut self, turn: u32, n: usize) -> Result<Option<(String, String)>, ModelError> {
        if std::mem::replace(&mut self.started, true) {
            return Ok(None);
        }
        // Before anyone sees the name: a leaked control token ends the answer.
        served::check_tool_name(&self.name)?;
        self.make_id(turn, n);
        Ok(Some((self.id.clone(), self.tool_name().to_owned())))
    }

    /// Takes a name, whole, repeated with every fragment, or in pieces before the arguments.
    fn push_name(&mut self, name: Cow<'_, str>) -> Result<(), ModelError> {
        if self.name.is_empty() {
            self.name = name.into_owned();
        } else if self.name != name && !name.is_empty() {
            if !self.arguments.is_empty() {
                return Err(ambiguous(format!(
                    "a fragment of the tool call {:?} names another tool, {name:?}",
                    self.name
                )));
            }
            self.name.push_str(&name);
        }
        Ok(())
    }

    fn item(&mut self) -> Item {
        let arguments = std::mem::take(&mut self.arguments);
        let id = std::mem::take(&mut self.id);
        let name = if self.tool_name() == self.name {
            std::mem::take(&mut self.name)
        } else {
            self.tool_name().to_owned()
        };
        let mut call = FunctionCall::new(id, name, arguments);
        if !self.extra.is_empty() {
            call.extra.insert(
                "provider_data".to_owned(),
                json!({ "tool_call": self.extra }),
            );
        }
        call.into()
    }
}

/// Refuses a call of a type that was not offered.
fn check_type(call: &ChatCall<'_>) -> Result<(), ModelError> {
    match call.r#type.as_deref() {
        None | Some("" | "function") => Ok(()),
        Some(other) => Err(ModelError::new(
            ErrorKind::Unsupported,
            format!(
                "the model made a tool call of type `{other}`, and only function tools were offered"
            ),
        )),
    }
}

fn ambiguous(message: String) -> ModelError {
    ModelError::new(ErrorKind::AmbiguousToolDelta, message)
}
