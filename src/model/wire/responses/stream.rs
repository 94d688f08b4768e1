//! A streamed answer of the Responses API.

use std::collections::{HashMap, VecDeque};

use serde_json::value::RawValue;

use super::response::{check_items, check_status, end, item, with_call_id};
use super::types::{Body, Event, ItemHead};
use crate::item::{Item, ItemKind};
use crate::kind::ErrorKind;
use crate::model::wire::harmony::{leak::LeakGuard, served};
use crate::model::wire::{Answer, DecodeContext, ServerError, excerpt, parse, text_of};
use crate::model::{Deviation, ModelError, ModelEvent, Received, ResponseEnd};

/// Decodes one answer: a whole body, or server-sent events into model events.
pub(crate) struct Decoder {
    asked: DecodeContext,
    received: Received,
    guard: LeakGuard,
    /// The tool calls begun, in order.
    calls: Vec<OpenCall>,
    /// The items that are complete, in order.
    items: Vec<Item>,
    deviations: Vec<Deviation>,
    done: bool,
}

/// A tool call whose arguments come in pieces.
struct OpenCall {
    output_index: Option<u64>,
    /// The item's id, or the call's: servers that leave out the first refer to the item by the second.
    ids: [String; 2],
    arguments: String,
}

impl Decoder {
    pub(crate) fn new(asked: DecodeContext) -> Self {
        Self {
            asked,
            received: Received::default(),
            guard: LeakGuard::default(),
            calls: Vec::new(),
            items: Vec::new(),
            deviations: Vec::new(),
            done: false,
        }
    }
}

impl Answer for Decoder {
    fn decode(&mut self, body: &[u8]) -> Result<(Vec<Item>, ResponseEnd), ModelError> {
        super::response::decode(body, &self.asked)
    }

    fn take(
        &mut self,
        name: &str,
        data: &[u8],
        out: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        if data == b"[DONE]" {
            return Err(self.cut("the stream ended by [DONE]"));
        }
        let text = text_of(data)?;
        let event: Event<'_> = match parse(text) {
            Ok(event) => event,
            Err(_) if name == "error" => {
                return Err(ServerError::from_body(data).into_error(ErrorKind::StreamError));
            }
            Err(error) => return Err(error),
        };
        let kind = event.r#type.as_deref().unwrap_or(name);
        match kind {
            "response.output_text.delta" => {
                let delta = text_delta(&event, text)?;
                let shown = self
                    .guard
                    .push(delta.into())
                    .map_err(|leak| served::leaked("the answer", &leak))?
                    .into_owned();
                self.show(shown, out);
            }
            "response.refusal.delta" => out.push_back(ModelEvent::RefusalDelta {
                delta: text_delta(&event, text)?,
            }),
            "response.reasoning_text.delta" | "response.reasoning_summary_text.delta" => {
                let delta = text_delta(&event, text)?;
                self.received.reasoning.push_str(&delta);
                out.push_back(ModelEvent::ReasoningDelta { delta });
            }
            "response.function_call_arguments.delta" => self.arguments(&event, text, out)?,
            "response.output_item.added" => self.added(&event, out)?,
            "response.output_item.done" => {
                self.item_done(required(event.item, "item", text)?, out)?;
            }
            "response.completed" => {
                self.completed(required(event.response, "response", text)?, out)?;
            }
            "response.failed" | "response.incomplete" | "response.cancelled" => {
                return Err(self.refused(kind, event.response, text));
            }
            "error" => return Err(ServerError::from_body(data).into_error(ErrorKind::StreamError)),
            _ if event.r#type.is_none() && event.error.is_some() => {
                return Err(ServerError::from_body(data).into_error(ErrorKind::StreamError));
            }
            // Beginnings, ends of parts, and the progress of hosted tools: their contents come with the items.
            _ => out.push_back(ModelEvent::Other {
                name: kind.to_owned(),
                json: text.to_owned(),
            }),
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn received(&self) -> Received {
        self.received.clone()
    }

    fn end(&mut self, _out: &mut VecDeque<ModelEvent>) -> Result<(), ModelError> {
        Err(self.cut("the stream ended"))
    }
}

impl Decoder {
    fn cut(&self, how: &str) -> ModelError {
        let message = format!("{how} before the answer did: no response.completed was seen");
        ModelError::new(ErrorKind::NoTerminalEvent, message).with_received(self.received.clone())
    }

    fn show(&mut self, delta: String, out: &mut VecDeque<ModelEvent>) {
        if !delta.is_empty() {
            self.received.text.push_str(&delta);
            out.push_back(ModelEvent::TextDelta { delta });
        }
    }

    /// The error of a response that ended without being complete.
    fn refused(&self, event: &str, response: Option<&RawValue>, text: &str) -> ModelError {
        let kind = if event == "response.incomplete" {
            ErrorKind::ResponseIncomplete
        } else {
            ErrorKind::ResponseFailed
        };
        let body: Option<Body<'_>> = response.and_then(|raw| serde_json::from_str(raw.get()).ok());
        match body {
            Some(Body {
                error: Some(error), ..
            }) => ServerError::from_raw(error).into_error(kind),
            Some(body) => check_status(&body, &self.asked)
                .err()
                .unwrap_or_else(|| ModelError::new(kind, format!("the server ended with {event}"))),
            None => ModelError::new(
                kind,
                format!("the server ended with {event}: {}", excerpt(text)),
            ),
        }
    }

    fn added(
        &mut self,
        event: &Event<'_>,
        out: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        let Some(raw) = event.item else { return Ok(()) };
        let head: ItemHead<'_> = parse(raw.get())?;
        if head.r#type.as_deref() != Some("function_call") {
            return Ok(());
        }
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        out.push_back(ModelEvent::ToolCallStarted {
            index: self.calls.len(),
            name: served::tool_name(head.name.as_deref().unwrap_or_default()).to_owned(),
        });
        self.calls.push(OpenCall {
            output_index: event.output_index,
            ids: [text(head.id.as_deref()), text(head.call_id.as_deref())],
            arguments: String::new(),
        });
        Ok(())
    }

    fn arguments(
        &mut self,
        event: &Event<'_>,
        text: &str,
        out: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        let delta = text_delta(event, text)?;
        let Some(index) = self.place(event) else {
            let message = format!(
                "a piece of arguments belongs to no tool call that began: {}",
                excerpt(text)
            );
            return Err(ModelError::new(ErrorKind::AmbiguousToolDelta, message));
        };
        if let Some(call) = self.calls.get_mut(index) {
            call.arguments.push_str(&delta);
        }
        out.push_back(ModelEvent::ToolCallDelta { index, delta });
        Ok(())
    }

    /// Finds the call of a piece of arguments: by the item's place, by its id, or as the only one.
    fn place(&self, event: &Event<'_>) -> Option<usize> {
        let by_index = event.output_index.and_then(|index| {
            self.calls
                .iter()
                .position(|call| call.output_index == Some(index))
        });
        let id = event.item_id.as_deref().filter(|id| !id.is_empty());
        let by_id = || {
            id.and_then(|id| {
                self.calls
                    .iter()
                    .position(|call| call.ids.iter().any(|known| known == id))
            })
        };
        let only = || (self.calls.len() == 1).then_some(0);
        by_index.or_else(by_id).or_else(only)
    }

    fn item_done(
        &mut self,
        raw: &RawValue,
        out: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        if let Some(rest) = self.guard.finish() {
            self.show(rest, out);
        }
        let item = item(raw, &mut self.deviations)?;
        let item = self.with_arguments(item)?;
        let item = with_call_id(
            item,
            self.asked.turn,
            self.items.len(),
            &mut self.deviations,
        );
        self.items.push(item.clone());
        out.push_back(ModelEvent::ItemDone { item });
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
        let open = self.calls.iter().find(|open| {
            (!id.is_empty() && open.ids.iter().any(|known| known == id))
                || (!call.call_id.is_empty() && open.ids.contains(&call.call_id))
        });
        let Some(pieces) = open
            .map(|open| &open.arguments)
            .filter(|pieces| !pieces.is_empty() && **pieces != call.arguments)
        else {
            return Ok(item);
        };
        if !call.arguments.is_empty() {
            let message = format!(
                "the pieces of a tool call say {pieces}, its end says {}",
                call.arguments
            );
            return Err(ModelError::new(ErrorKind::Inconsistent, message));
        }
        let detail = "the arguments of a tool call came in pieces only; the pieces were taken";
        self.deviations
            .push(Deviation::new("arguments_in_pieces_only", detail));
        let mut call = call.clone();
        call.arguments.clone_from(pieces);
        Ok(call.into())
    }

    fn completed(
        &mut self,
        raw: &RawValue,
        out: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        let body: Body<'_> = parse(raw.get())?;
        check_status(&body, &self.asked)?;
        let mut end = end(&body);
        match &body.output {
            Some(output) => self.hold_against(output, out)?,
            None => self.deviations.push(Deviation::new(
                "missing_output",
                "response.completed has no output; the items came before",
            )),
        }
        check_items(&self.items, &self.asked)?;
        end.deviations = std::mem::take(&mut self.deviations);
        self.done = true;
        out.push_back(ModelEvent::ResponseDone(Box::new(end)));
        Ok(())
    }

    /// Holds the final output against the items that came before, and tells those that did not.
    ///
    /// Calls are known by their ids; other items by their place among those of their type, since some servers give them other ids here.
    fn hold_against(
        &mut self,
        output: &[&RawValue],
        out: &mut VecDeque<ModelEvent>,
    ) -> Result<(), ModelError> {
        let mut of_type: HashMap<String, usize> = HashMap::new();
        for raw in output {
            let last = self.with_arguments(item(raw, &mut Vec::new())?)?;
            let before = match last.kind() {
                ItemKind::FunctionCall(call) => {
                    self.items.iter().find_map(|item| match item.kind() {
                        ItemKind::FunctionCall(before) if before.call_id == call.call_id => {
                            Some(before)
                        }
                        _ => None,
                    })
                }
                _ => None,
            };
            match (before, last.kind()) {
                (Some(before), ItemKind::FunctionCall(call))
                    if (&before.name, &before.arguments) != (&call.name, &call.arguments) =>
                {
                    let message = format!(
                        "a tool call ended as {}({}) and stands as {}({}) in the completed response",
                        before.name, before.arguments, call.name, call.arguments
                    );
                    return Err(ModelError::new(ErrorKind::Inconsistent, message));
                }
                (Some(_), _) => {}
                (None, kind) => {
                    let n = of_type.entry(kind.type_name().to_owned()).or_default();
                    *n += 1;
                    let is_call =
                        matches!(kind, ItemKind::FunctionCall(call) if !call.call_id.is_empty());
                    let n_before = self
                        .items
                        .iter()
                        .filter(|item| item.kind().type_name() == kind.type_name())
                        .count();
                    if is_call || n_before < *n {
                        self.item_done(raw, out)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn text_delta(event: &Event<'_>, text: &str) -> Result<String, ModelError> {
    match event.delta.as_ref().and_then(|delta| delta.0.as_deref()) {
        Some(delta) => Ok(delta.to_owned()),
        None => Err(missing("delta", text)),
    }
}

fn required<'a>(
    raw: Option<&'a RawValue>,
    field: &str,
    text: &str,
) -> Result<&'a RawValue, ModelError> {
    raw.ok_or_else(|| missing(field, text))
}

fn missing(field: &str, text: &str) -> ModelError {
    ModelError::new(
        ErrorKind::MissingField,
        format!("an event has no `{field}`: {}", excerpt(text)),
    )
}
