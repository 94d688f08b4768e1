//! A streamed answer of the Responses API.

use std::collections::{HashMap, VecDeque};

use crate::model::wire::json_index::JsonIndex;
use crate::model::wire::raw_json::RawJson;

use super::item::ItemReader;
use super::response::{check_items, check_status, meta};
use super::types::ResponseBody;
use crate::item::{FunctionCall, Item, ItemKind};
use crate::kind::ErrorKind;
use crate::model::wire::budget::ResponseBudget;
use crate::model::wire::harmony::{leak::LeakGuard, served};
use crate::model::wire::object::{List, Object};
use crate::model::wire::{DecodeContext, ResponseDecoder, ServerError, append, excerpt, text_of};
use crate::model::{ModelError, ModelEvent, Received};

/// Decodes one answer: a whole body, or server-sent events into model events.
pub(crate) struct ResponsesDecoder {
    cx: DecodeContext,
    received: Received,
    guard: LeakGuard,
    calls: OpenCalls,
    /// The items that are complete, in order.
    items: Vec<Item>,
    /// The places in `items` of the calls, by their ids.
    call_places: HashMap<String, usize>,
    reader: ItemReader,
    /// How many bytes came in pieces since the last item, which has them again.
    n_in_pieces: usize,
    /// What is passed on and not kept: events that repeat what came, and those of other kinds.
    passed_on: ResponseBudget,
}

/// The tool calls begun, in order.
#[derive(Default)]
struct OpenCalls {
    arguments: Vec<String>,
    /// The places of which the ids of those were made that came without one.
    made_places: Vec<Option<usize>>,
    by_output_index: HashMap<u64, usize>,
    /// By the item's id, or the call's: servers that leave out the first refer to the item by the second.
    by_id: HashMap<String, usize>,
}

impl ResponsesDecoder {
    pub(crate) fn new(cx: DecodeContext) -> Self {
        Self {
            received: Received::default(),
            guard: LeakGuard::default(),
            calls: OpenCalls::default(),
            items: Vec::new(),
            call_places: HashMap::new(),
            reader: ItemReader::new(&cx),
            n_in_pieces: 0,
            passed_on: ResponseBudget::new(cx.limits),
            cx,
        }
    }
}

impl ResponseDecoder for ResponsesDecoder {
    fn on_body(
        &mut self,
        body: &[u8],
        events: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        super::response::decode(body, &self.cx, events)
    }

    fn on_event(
        &mut self,
        name: &str,
        data: &[u8],
        events: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        // The API ends by `response.completed`. The chat API's word before that means a proxy that gave up, or another API.
        if data == b"[DONE]" {
            return Err(cut("the stream ended by [DONE]"));
        }
        let text = text_of(data)?;
        let mut index = JsonIndex::default();
        let event = match Object::parse(text, &mut index) {
            Ok(event) => event,
            Err(_) if name == "error" => {
                return Err(ServerError::from_body(data).into_error(ErrorKind::StreamError));
            }
            Err(error) => return Err(error),
        };
        // The JSON and the SSE event both name the type. The JSON counts, and either alone is
        // enough.
        let own_name = event.text("type", &mut self.reader.notes);
        let kind = own_name.as_deref().unwrap_or(name);
        match kind {
            "response.output_text.delta" => self.on_text(&event, text, events)?,
            "response.refusal.delta" => {
                let delta = self.delta(&event, text)?;
                events.push_back(ModelEvent::RefusalDelta { delta });
            }
            "response.reasoning_text.delta" | "response.reasoning_summary_text.delta" => {
                let delta = self.delta(&event, text)?;
                append(&mut self.received.reasoning, &delta);
                events.push_back(ModelEvent::ReasoningDelta { delta });
            }
            "response.function_call_arguments.delta" => self.on_arguments(&event, text, events)?,
            "response.output_item.added" => self.on_added(&event, events)?,
            "response.output_item.done" => {
                let item = self.required(&event, "item", text)?;
                self.on_item_done(item, events)?;
            }
            "response.completed" => {
                let response = self.required(&event, "response", text)?;
                self.on_completed(response, events)?;
            }
            "response.failed" | "response.incomplete" | "response.cancelled" => {
                return Err(self.refused(kind, &event, text));
            }
            "error" => return Err(ServerError::from_body(data).into_error(ErrorKind::StreamError)),
            _ if own_name.is_none() && event.has("error") => {
                return Err(ServerError::from_body(data).into_error(ErrorKind::StreamError));
            }
            // Beginnings, ends of parts, and the progress of hosted tools: their contents come with the items.
            _ => {
                self.passed_on.spend(text.len())?;
                events.push_back(ModelEvent::Other {
                    name: kind.to_owned(),
                    json: text.to_owned(),
                });
            }
        }
        Ok(())
    }

    fn on_end(&mut self, _events: &mut VecDeque<ModelEvent>) -> Result<(), ModelError> {
        Err(cut("the stream ended"))
    }

    fn n_kept_bytes(&self) -> usize {
        self.reader.budget.n_bytes()
    }

    fn take_received(&mut self) -> Received {
        std::mem::take(&mut self.received)
    }
}

fn cut(how: &str) -> ModelError {
    let message = format!("{how} before the answer did: no response.completed was seen");
    ModelError::new(ErrorKind::NoTerminalEvent, message)
}

impl ResponsesDecoder {
    /// Takes the piece that an event brings.
    fn delta(&mut self, event: &Object<'_>, text: &str) -> Result<String, ModelError> {
        let delta = event.required_text("delta", &mut self.reader.notes)?;
        let delta = delta.ok_or_else(|| missing("delta", text))?;
        self.reader.budget.spend(delta.len())?;
        self.n_in_pieces += delta.len();
        Ok(delta.into_owned())
    }

    fn required<'a>(
        &mut self,
        event: &Object<'a>,
        field: &str,
        text: &str,
    ) -> Result<RawJson<'a>, ModelError> {
        let raw = event.required(field, &mut self.reader.notes)?;
        raw.ok_or_else(|| missing(field, text))
    }

    fn on_text(
        &mut self,
        event: &Object<'_>,
        text: &str,
        events: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        let delta = self.delta(event, text)?;
        let shown = self
            .guard
            .push(delta.into())
            .map_err(|leak| served::leaked("the answer", &leak))?
            .into_owned();
        self.show(shown, events);
        Ok(())
    }

    fn show(&mut self, delta: String, events: &mut VecDeque<ModelEvent>) {
        if !delta.is_empty() {
            append(&mut self.received.text, &delta);
            events.push_back(ModelEvent::TextDelta { delta });
        }
    }

    /// The error of a response that ended without being complete.
    fn refused(&mut self, name: &str, event: &Object<'_>, text: &str) -> ModelError {
        let kind = if name == "response.incomplete" {
            ErrorKind::ResponseIncomplete
        } else {
            ErrorKind::ResponseFailed
        };
        let notes = &mut self.reader.notes;
        // As far as it can be read: an answer that failed must not fail again for a field of its frame.
        let body = event
            .object("response", "response", notes)
            .and_then(|response| ResponseBody::read(response, notes).ok());
        let Some(mut body) = body else {
            let message = format!("the server ended with {name}: {}", excerpt(text));
            return ModelError::new(kind, message);
        };
        match body.error.take() {
            Some(error) => error.into_error(kind),
            None => check_status(&mut body, &self.cx)
                .err()
                .unwrap_or_else(|| ModelError::new(kind, format!("the server ended with {name}"))),
        }
    }

    fn on_added(
        &mut self,
        event: &Object<'_>,
        events: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        let notes = &mut self.reader.notes;
        let Some(item) = event.object("item", "item", notes) else {
            return Ok(());
        };
        if item.text("type", notes).as_deref() != Some("function_call") {
            return Ok(());
        }
        let name = item.required_text("name", notes)?.unwrap_or_default();
        let (id, call_id) = (item.text("id", notes), item.text("call_id", notes));
        let index = event.count("output_index", notes);
        let n_calls = self.calls.arguments.len() + 1;
        self.reader.budget.check_calls(n_calls)?;
        self.reader.budget.spend(name.len())?;
        let known = call_id.as_deref().filter(|id| !id.is_empty());
        // Shown before it is known where the item will stand: the id that is made now has to be the one of the whole item.
        let place = self.calls.next_place(self.items.len());
        let made = known.is_none().then_some(place);
        let shown = known.map_or_else(|| self.reader.made_call_id(place), str::to_owned);
        let (n, name) = (self.calls.arguments.len(), served::tool_name(&name));
        events.push_back(ModelEvent::tool_call_started(n, shown, name));
        let ids = [id, call_id].into_iter().flatten().map(String::from);
        self.calls.open(index, made, ids);
        Ok(())
    }

    fn on_arguments(
        &mut self,
        event: &Object<'_>,
        text: &str,
        events: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        let delta = self.delta(event, text)?;
        let notes = &mut self.reader.notes;
        let index = event.count("output_index", notes);
        let id = event.text("item_id", notes);
        let Some(index) = self.calls.place(index, id.as_deref()) else {
            let message = format!(
                "a piece of arguments belongs to no tool call that began: {}",
                excerpt(text)
            );
            return Err(ModelError::new(ErrorKind::AmbiguousToolDelta, message));
        };
        if let Some(arguments) = self.calls.arguments.get_mut(index) {
            append(arguments, &delta);
        }
        events.push_back(ModelEvent::ToolCallDelta { index, delta });
        Ok(())
    }

    fn on_item_done(
        &mut self,
        raw: RawJson<'_>,
        events: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        // The text is over, so that what was held back as the beginning of a token was none.
        if let Some(rest) = self.guard.finish() {
            self.show(rest, events);
        }
        // What came in pieces is in the item again, and counts once.
        let in_pieces = std::mem::take(&mut self.n_in_pieces);
        self.reader
            .budget
            .spend(raw.get().len().saturating_sub(in_pieces))?;
        let item = self.reader.read(raw)?;
        // Two checks that need what came before: the arguments against their pieces, and the id
        // against the one that was shown.
        let item = self.with_arguments(item)?;
        let place = self.calls.place_of(&item).unwrap_or(self.items.len());
        let item = self.reader.with_call_id(item, place)?;
        if let ItemKind::FunctionCall(call) = item.kind() {
            let place = self.items.len();
            self.call_places
                .entry(call.call_id.clone())
                .or_insert(place);
        }
        self.items.push(item.clone());
        events.push_back(ModelEvent::ItemDone { item });
        Ok(())
    }

    /// Holds the final arguments of a call against the pieces that came before.
    fn with_arguments(&mut self, item: Item) -> Result<Item, ModelError> {
        let ItemKind::FunctionCall(call) = item.kind() else {
            return Ok(item);
        };
        let id = call
            .extra
            .get("id")
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default();
        let Some(pieces) = self
            .calls
            .pieces([id, &call.call_id])
            .filter(|pieces| !pieces.is_empty() && *pieces != call.arguments)
        else {
            return Ok(item);
        };
        if !call.arguments.is_empty() {
            let message = format!(
                "the pieces of a tool call say {}, its end says {}",
                excerpt(pieces),
                excerpt(&call.arguments)
            );
            return Err(ModelError::new(ErrorKind::Inconsistent, message));
        }
        let detail = "the arguments of a tool call came in pieces only; the pieces were taken";
        self.reader.notes.note("arguments_in_pieces_only", detail);
        let mut call = call.clone();
        pieces.clone_into(&mut call.arguments);
        Ok(call.into())
    }

    fn on_completed(
        &mut self,
        raw: RawJson<'_>,
        events: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        let Some(response) = Object::of(raw, "response") else {
            let message = format!("`response` is not an object: {}", excerpt(raw.get()));
            return Err(ModelError::new(ErrorKind::WrongType, message));
        };
        let mut body = ResponseBody::read(response, &mut self.reader.notes)?;
        // The event says "completed"; the response inside may say otherwise.
        check_status(&mut body, &self.cx)?;
        match body.output(&mut self.reader.notes)? {
            Some(output) => self.compare_with(output, events)?,
            None => self.reader.notes.note(
                "missing_output",
                "response.completed has no output; the items came before",
            ),
        }
        check_items(&self.items, &self.cx)?;
        let meta = meta(body, &mut self.reader);
        events.push_back(ModelEvent::ResponseDone(Box::new(meta)));
        Ok(())
    }

    /// Holds the final output against the items that came before, and tells those that did not.
    ///
    /// Calls are known by their ids; other items by their place among those of their type, since some servers give them other ids here.
    fn compare_with(
        &mut self,
        output: List<'_>,
        events: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        // How many items of each type have come. Each item of the final output takes one off; what
        // is left over is new and is told now.
        let mut before: HashMap<String, usize> = HashMap::new();
        for item in &self.items {
            *before
                .entry(item.kind().type_name().to_owned())
                .or_default() += 1;
        }
        // The second reading of an item: what it deviates in was noted at the first, or is not worth it.
        let mut second = ItemReader::new(&self.cx);
        for raw in output {
            let last = self.with_arguments(second.read(raw)?)?;
            let known = match last.kind() {
                ItemKind::FunctionCall(call) => self.known_call(call),
                _ => None,
            };
            match (known, last.kind()) {
                (Some(before), ItemKind::FunctionCall(call)) => {
                    if (&before.name, &before.arguments) != (&call.name, &call.arguments) {
                        return Err(other_call(before, call));
                    }
                }
                (_, kind) => {
                    let is_call =
                        matches!(kind, ItemKind::FunctionCall(call) if !call.call_id.is_empty());
                    let n_before = before.entry(kind.type_name().to_owned()).or_default();
                    if is_call || *n_before == 0 {
                        self.on_item_done(raw, events)?;
                    } else {
                        *n_before -= 1;
                    }
                }
            }
        }
        Ok(())
    }

    fn known_call(&self, call: &FunctionCall) -> Option<&FunctionCall> {
        let place = self.call_places.get(&call.call_id)?;
        match self.items.get(*place)?.kind() {
            ItemKind::FunctionCall(before) => Some(before),
            _ => None,
        }
    }
}

impl OpenCalls {
    /// A place of which no id was made, this one if it can be.
    fn next_place(&self, place: usize) -> usize {
        let last = self.made_places.iter().flatten().max();
        last.map_or(place, |last| place.max(last + 1))
    }

    /// The place of which the id of a call was made when it began.
    fn place_of(&self, item: &Item) -> Option<usize> {
        let ItemKind::FunctionCall(call) = item.kind() else {
            return None;
        };
        let id = call.extra.get("id").and_then(serde_json::Value::as_str);
        let n = self.place(None, id)?;
        self.made_places.get(n).copied().flatten()
    }

    fn open(
        &mut self,
        output_index: Option<u64>,
        made_place: Option<usize>,
        ids: impl Iterator<Item = String>,
    ) {
        let n = self.arguments.len();
        self.arguments.push(String::new());
        self.made_places.push(made_place);
        if let Some(index) = output_index {
            self.by_output_index.entry(index).or_insert(n);
        }
        for id in ids.filter(|id| !id.is_empty()) {
            self.by_id.entry(id).or_insert(n);
        }
    }

    /// Finds the call of a piece of arguments: by the item's place, by its id, or as the only one.
    fn place(&self, output_index: Option<u64>, id: Option<&str>) -> Option<usize> {
        let by_index = output_index.and_then(|index| self.by_output_index.get(&index));
        let by_id = || id.and_then(|id| self.by_id.get(id));
        let only = || (self.arguments.len() == 1).then_some(0);
        by_index.or_else(by_id).copied().or_else(only)
    }

    /// Returns the arguments that came in pieces for a call with one of these ids.
    fn pieces(&self, ids: [&str; 2]) -> Option<&str> {
        let n = ids
            .iter()
            .filter(|id| !id.is_empty())
            .find_map(|id| self.by_id.get(*id))?;
        self.arguments.get(*n).map(String::as_str)
    }
}

fn missing(field: &str, text: &str) -> ModelError {
    ModelError::new(
        ErrorKind::MissingField,
        format!("an event has no `{field}`: {}", excerpt(text)),
    )
}

fn other_call(before: &FunctionCall, call: &FunctionCall) -> ModelError {
    let message = format!(
        "a tool call ended as {}({}) and stands as {}({}) in the completed response",
        before.name, before.arguments, call.name, call.arguments
    );
    ModelError::new(ErrorKind::Inconsistent, message)
}
