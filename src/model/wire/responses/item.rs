//! One output item: verbatim if it can be, and without what cannot be read and is not needed if it cannot.

use crate::model::wire::raw_json::RawJson;
use serde_json::{Map, Value};

use crate::item::{Item, ItemKind};
use crate::kind::ErrorKind;
use crate::model::ModelError;
use crate::model::wire::budget::{ResponseBudget, VALUE_COST};
use crate::model::wire::deviations::Deviations;
use crate::model::wire::harmony::{leak, served};
use crate::model::wire::object::{self, Object};
use crate::model::wire::{DecodeContext, excerpt};

/// Reads the items of one answer.
#[derive(Debug)]
pub(super) struct ItemReader {
    turn: u32,
    pub(super) notes: Deviations,
    pub(super) budget: ResponseBudget,
}

impl ItemReader {
    pub(super) fn new(cx: &DecodeContext) -> Self {
        Self {
            turn: cx.turn,
            notes: Deviations::default(),
            budget: ResponseBudget::new(cx.limits),
        }
    }

    /// Reads an item; a call without an id is left without one.
    ///
    /// # Errors
    ///
    /// What is wrong with the text, the call or the arguments, by the field's name; `harmony` for control tokens.
    pub(super) fn read(&mut self, raw: RawJson<'_>) -> Result<Item, ModelError> {
        let Some(object) = Object::of(raw, "output[]") else {
            let message = format!("`output[]` is not an object: {}", excerpt(raw.get()));
            return Err(ModelError::new(ErrorKind::WrongType, message));
        };
        let type_name = object.required_text("type", &mut self.notes)?;
        let item = match type_name.as_deref() {
            Some("message") => self.message(&object, raw)?,
            Some("function_call") => self.function_call(&object, raw)?,
            Some("reasoning") => self.reasoning(&object, raw)?,
            Some(name) => self.other(name, &object, raw),
            None if object.has("role") => self.message(&object, raw)?,
            None => {
                let message = format!("`output[].type` is missing: {}", excerpt(raw.get()));
                return Err(ModelError::new(ErrorKind::MissingField, message));
            }
        };
        self.check_tokens(item)
    }

    /// The id of a call that came without one, made of its place.
    pub(super) fn made_call_id(&self, n: usize) -> String {
        format!("call_{}_{n}", self.turn)
    }

    /// Returns a call without an id one that is made of its place, and counts calls.
    pub(super) fn with_call_id(&mut self, item: Item, n: usize) -> Result<Item, ModelError> {
        let ItemKind::FunctionCall(call) = item.kind() else {
            return Ok(item);
        };
        self.budget.spend_call()?;
        if !call.call_id.is_empty() {
            return Ok(item);
        }
        let mut call = call.clone();
        call.call_id = self.made_call_id(n);
        let detail = format!(
            "the server sent a tool call without an id; it was given {}",
            call.call_id
        );
        self.notes.note("missing_tool_call_id", detail);
        Ok(call.into())
    }

    fn message(&mut self, object: &Object<'_>, raw: RawJson<'_>) -> Result<Item, ModelError> {
        self.spend_on_others(object, &["content"])?;
        let role = object.text("role", &mut self.notes);
        let content = match object.required("content", &mut self.notes)? {
            None => Vec::new(),
            Some(raw) if raw.get().starts_with('[') => object::list(raw)
                .unwrap_or_default()
                .into_iter()
                .map(|part| self.content_part(part))
                .collect::<Result<_, _>>()?,
            Some(_) => {
                let text = object.required_text("content", &mut self.notes)?;
                vec![ContentPart::text(text.unwrap_or_default().into_owned())]
            }
        };
        // The usual case: the item can be read as it stands, so it keeps its bytes. Its typed form
        // must say the same as its parts one by one, or something was read wrongly.
        if role.is_some()
            && !object.has_repeats()
            && let Ok(item) = Item::from_json(raw.get())
            && let ItemKind::Message(message) = item.kind()
            && says_the_same(message, &content)
        {
            return Ok(item);
        }
        let mut map = object.to_map(&mut self.notes);
        map.insert("type".to_owned(), "message".into());
        map.insert(
            "role".to_owned(),
            role.as_deref().unwrap_or("assistant").into(),
        );
        let parts = content.into_iter().map(|part| part.json);
        map.insert("content".to_owned(), parts.collect());
        repaired(map)
    }

    fn function_call(&mut self, object: &Object<'_>, raw: RawJson<'_>) -> Result<Item, ModelError> {
        self.spend_on_others(object, &["arguments"])?;
        let notes = &mut self.notes;
        let name = object.required_text("name", notes)?;
        let arguments = object.required_text("arguments", notes)?;
        let call_id = object.text("call_id", notes);
        if !object.has_repeats()
            && call_id.is_some()
            && let Ok(item) = Item::from_json(raw.get())
        {
            return Ok(item);
        }
        let mut map = object.to_map(notes);
        for (key, value) in [
            ("name", name),
            ("arguments", arguments),
            ("call_id", call_id),
        ] {
            let value = value.unwrap_or_default().into_owned();
            map.insert(key.to_owned(), value.into());
        }
        map.insert("type".to_owned(), "function_call".into());
        repaired(map)
    }

    fn reasoning(&mut self, object: &Object<'_>, raw: RawJson<'_>) -> Result<Item, ModelError> {
        self.spend_on_others(object, &["encrypted_content"])?;
        if !object.has_repeats()
            && let Ok(item) = Item::from_json(raw.get())
        {
            return Ok(item);
        }
        let notes = &mut self.notes;
        let mut map = object.to_map(notes);
        for key in ["summary", "content"] {
            let Some(value) = map.shift_remove(key) else {
                continue;
            };
            let parts: Vec<Value> = match value {
                Value::Array(parts) => parts,
                other => vec![other],
            };
            let (fit, unfit): (Vec<_>, Vec<_>) = parts.into_iter().partition(is_thought);
            for part in unfit.iter().filter(|part| !part.is_null()) {
                notes.field("unreadable_field", &object.path(key), &part.to_string());
            }
            map.insert(key.to_owned(), fit.into());
        }
        map.insert("type".to_owned(), "reasoning".into());
        repaired(map)
    }

    /// An item that is not acted on; it is kept whatever it is.
    fn other(&mut self, name: &str, object: &Object<'_>, raw: RawJson<'_>) -> Item {
        if !object.has_repeats()
            && let Ok(item) = Item::from_json(raw.get())
        {
            return item;
        }
        let mut map = object.to_map(&mut self.notes);
        map.shift_remove("type");
        Item::other(name, map)
    }

    fn content_part(&mut self, raw: RawJson<'_>) -> Result<ContentPart, ModelError> {
        let Some(part) = Object::of(raw, "output[].content[]") else {
            let message = format!(
                "`output[].content[]` is not an object: {}",
                excerpt(raw.get())
            );
            return Err(ModelError::new(ErrorKind::WrongType, message));
        };
        // The parsed values of log probabilities take a few times of what their JSON does.
        let n_others = part.n_bytes_without(&["text", "refusal"]);
        self.budget.spend(n_others.saturating_mul(4))?;
        let notes = &mut self.notes;
        let type_name = part.text("type", notes);
        let (key, type_name) = match type_name.as_deref() {
            Some("refusal") => ("refusal", "refusal"),
            Some(name @ ("output_text" | "text" | "input_text")) => ("text", name),
            None if part.has("text") => ("text", "output_text"),
            None if part.has("refusal") => ("refusal", "refusal"),
            Some(_) | None => {
                let json = Value::Object(part.to_map(notes));
                return Ok(ContentPart { text: None, json });
            }
        };
        let text = part
            .required_text(key, notes)?
            .unwrap_or_default()
            .into_owned();
        let mut map = part.to_map(notes);
        map.insert("type".to_owned(), type_name.into());
        map.insert(key.to_owned(), text.as_str().into());
        Ok(ContentPart {
            text: Some(text),
            json: Value::Object(map),
        })
    }

    /// Counts what an item's typed form holds beside the fields that are one text.
    fn spend_on_others(&mut self, object: &Object<'_>, texts: &[&str]) -> Result<(), ModelError> {
        self.budget
            .spend(object.n_bytes_without(texts).saturating_mul(VALUE_COST))
    }

    /// Refuses control tokens of Harmony that leaked, and takes its namespace off a tool's name.
    fn check_tokens(&mut self, item: Item) -> Result<Item, ModelError> {
        match item.kind() {
            ItemKind::Message(message) => {
                leak::check(&message.text(""))
                    .map_err(|leak| served::leaked("the answer", &leak))?;
            }
            ItemKind::FunctionCall(call) => {
                served::check_tool_name(&call.name)?;
                let name = served::tool_name(&call.name);
                if name != call.name {
                    let detail = format!("the tool {:?} was taken as {name:?}", call.name);
                    self.notes.note("harmony_tool_prefix", detail);
                    let mut renamed = call.clone();
                    name.clone_into(&mut renamed.name);
                    return Ok(renamed.into());
                }
            }
            ItemKind::FunctionCallOutput(_) | ItemKind::Reasoning(_) | ItemKind::Unknown { .. } => {
            }
        }
        Ok(item)
    }
}

/// A part of a message: what it says, and its JSON.
struct ContentPart {
    text: Option<String>,
    json: Value,
}

impl ContentPart {
    fn text(text: String) -> Self {
        Self {
            json: serde_json::json!({ "type": "output_text", "text": text, "annotations": [] }),
            text: Some(text),
        }
    }
}

/// Whether a message that was read as it came says what its parts say one by one.
fn says_the_same(message: &crate::item::Message, parts: &[ContentPart]) -> bool {
    use crate::item::{Content, Part};
    let Content::Parts(read) = &message.content else {
        return false;
    };
    let said = read.iter().filter_map(|part| match part {
        Part::Refusal { refusal } => Some(refusal.as_str()),
        other => other.as_text(),
    });
    said.eq(parts.iter().filter_map(|part| part.text.as_deref()))
}

fn is_thought(part: &Value) -> bool {
    part.get("text").is_some_and(Value::is_string) && part.get("type").is_some_and(Value::is_string)
}

fn repaired(map: Map<String, Value>) -> Result<Item, ModelError> {
    let json = Value::Object(map).to_string();
    Item::from_json(&json).map_err(|error| {
        let message = format!("an output item cannot be read: {error}: {}", excerpt(&json));
        ModelError::new(ErrorKind::WrongType, message)
    })
}
