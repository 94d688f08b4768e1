//! A chat answer as it stands on the wire, read part by part; texts borrow from the received bytes.
//!
//! Everything may be left out, since everything is left out by some server; what must be there is decided where it is used.

use std::borrow::Cow;

use crate::model::wire::json_index::JsonIndex;
use crate::model::wire::raw_json::{FieldNames, RawJson};

use super::extra::{BodyExtra, Extra};
use crate::few::Few;
use crate::kind::ErrorKind;
use crate::model::ModelError;
use crate::model::wire::deviations::Deviations;
use crate::model::wire::object::{self, Object};
use crate::model::wire::usage::{Reported, reported};
use crate::model::wire::{ServerError, excerpt};

/// Whether a body is an answer or a chunk of one, which have other names for the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Whole,
    Chunk,
}

/// A whole answer, or one chunk of a stream.
pub(super) struct ChatBody<'a> {
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) model: Option<Cow<'a, str>>,
    /// One, unless a server does what nobody asked for.
    pub(super) choices: Option<Few<Choice<'a>, 1>>,
    pub(super) usage: Option<Reported>,
    pub(super) extra: BodyExtra<'a>,
}

pub(super) struct Choice<'a> {
    pub(super) index: Option<u64>,
    pub(super) message: Option<ChatMessage<'a>>,
    pub(super) finish_reason: Option<Cow<'a, str>>,
    pub(super) logprobs: Logprobs<'a>,
    pub(super) extra: Extra<'a>,
}

/// The probabilities of a choice's tokens.
#[derive(Default)]
pub(super) struct Logprobs<'a> {
    /// Of the text's tokens, in the shape that the Responses API has too.
    pub(super) content: Option<RawJson<'a>>,
    /// Of a refusal's, or in another shape.
    pub(super) extra: Extra<'a>,
}

#[derive(Default)]
pub(super) struct ChatMessage<'a> {
    pub(super) content: Option<Cow<'a, str>>,
    pub(super) refusal: Option<Cow<'a, str>>,
    pub(super) reasoning_content: Option<Cow<'a, str>>,
    pub(super) reasoning: Option<Cow<'a, str>>,
    pub(super) thinking_blocks: Option<RawJson<'a>>,
    pub(super) tool_calls: Few<ChatCall<'a>, 1>,
    pub(super) function_call: Option<ChatFunction<'a>>,
    pub(super) annotations: Option<RawJson<'a>>,
    pub(super) extra: Extra<'a>,
}

/// A tool call, or a fragment of one.
#[derive(Default)]
pub(super) struct ChatCall<'a> {
    pub(super) index: Option<u64>,
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) r#type: Option<Cow<'a, str>>,
    pub(super) function: Option<ChatFunction<'a>>,
    pub(super) extra: Extra<'a>,
}

#[derive(Default)]
pub(super) struct ChatFunction<'a> {
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) arguments: Option<Cow<'a, str>>,
}

impl<'a> ChatBody<'a> {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// What is wrong with the parts that an answer consists of, and the server's own words if it reports an error.
    pub(super) fn parse(
        (json, index): (&'a str, &'a mut JsonIndex),
        form: Form,
        notes: &mut Deviations,
    ) -> Result<Self, ModelError> {
        let body = Object::parse(json, index)?;
        check_error(&body, form, notes)?;
        body.text("object", notes);
        body.optional("created", notes, |raw| raw.is_number().then_some(()));
        let mut read = Self {
            id: None,
            model: None,
            choices: None,
            usage: None,
            extra: BodyExtra::default(),
        };
        if let Some(choices) = body.required_list("choices", notes)? {
            // Into its place: a choice is large, and moved for nothing otherwise.
            let list = read.choices.get_or_insert_default();
            for raw in choices.iter() {
                list.push(Choice::read(*raw, form, notes)?);
            }
        }
        read.id = body.text("id", notes);
        read.model = body.text("model", notes);
        read.usage = reported(&body, notes);
        read.extra = body.rest(&BODY, notes);
        Ok(read)
    }
}

/// Reports the error that an answer holds. One that says nothing is none: some gateways fill in every field.
fn check_error(object: &Object<'_>, form: Form, notes: &mut Deviations) -> Result<(), ModelError> {
    let kind = match form {
        Form::Whole => ErrorKind::ApiError,
        Form::Chunk => ErrorKind::StreamError,
    };
    ServerError::inside(object, notes).map_or(Ok(()), |error| Err(error.into_error(kind)))
}

impl<'a> Choice<'a> {
    fn read(raw: RawJson<'a>, form: Form, notes: &mut Deviations) -> Result<Self, ModelError> {
        let Some(choice) = Object::of(raw, "choices[0]") else {
            return Err(not_an_object("choices[0]", raw));
        };
        check_error(&choice, form, notes)?;
        // Some servers stream whole messages under the name that those have, and some answer whole with a delta.
        let (name, other) = match form {
            Form::Whole => ("message", "delta"),
            Form::Chunk => ("delta", "message"),
        };
        let mut message = choice.required_object(name, "message", notes)?;
        if message.is_none() {
            message = choice.required_object(other, "message", notes)?;
        }
        Ok(Self {
            index: choice.count("index", notes),
            message: message
                .map(|message| ChatMessage::read(&message, notes))
                .transpose()?,
            finish_reason: choice.required_text("finish_reason", notes)?,
            logprobs: Logprobs::read(&choice, notes),
            extra: choice.rest(&CHOICE, notes),
        })
    }
}

impl<'a> Logprobs<'a> {
    fn read(choice: &Object<'a>, notes: &mut Deviations) -> Self {
        let Some(logprobs) = choice.object("logprobs", "logprobs", notes) else {
            return Self::default();
        };
        Self {
            content: logprobs.optional("content", notes, is_list),
            extra: logprobs.rest(&LOGPROBS, notes),
        }
    }
}

impl<'a> ChatMessage<'a> {
    fn read(message: &Object<'a>, notes: &mut Deviations) -> Result<Self, ModelError> {
        message.text("role", notes);
        let mut read = Self {
            reasoning_content: message.text_by("reasoning_content", notes, thought),
            reasoning: message.text_by("reasoning", notes, thought),
            refusal: message.text("refusal", notes),
            annotations: message.optional("annotations", notes, is_list),
            thinking_blocks: message.optional("thinking_blocks", notes, is_list),
            function_call: message
                .required_object("function_call", "function_call", notes)?
                .map(|function| ChatFunction::read(&function, notes))
                .transpose()?,
            extra: message.rest(&MESSAGE, notes),
            ..Self::default()
        };
        read.read_content(message, notes)?;
        for raw in message
            .required_list("tool_calls", notes)?
            .unwrap_or_default()
        {
            read.tool_calls.push(ChatCall::read(raw, notes)?);
        }
        Ok(read)
    }

    /// Reads a content that is a text, or (Mistral) a list of parts.
    fn read_content(
        &mut self,
        message: &Object<'a>,
        notes: &mut Deviations,
    ) -> Result<(), ModelError> {
        let Some(raw) = message.required("content", notes)? else {
            return Ok(());
        };
        if !raw.get().starts_with('[') {
            self.content = message.required_text("content", notes)?;
            return Ok(());
        }
        let mut whole = String::new();
        for raw in object::list(raw).unwrap_or_default() {
            let Some(part) = Object::of(raw, "message.content[]") else {
                return Err(not_an_object("message.content[]", raw));
            };
            match part.text("type", notes).as_deref() {
                Some("text" | "output_text") | None => match part.required_text("text", notes)? {
                    Some(text) => whole.push_str(&text),
                    None => notes.field("unknown_content_part", "message.content[]", raw.get()),
                },
                Some("refusal") if self.refusal.is_none() => {
                    self.refusal = part.text("refusal", notes);
                }
                Some(_) => notes.field("unknown_content_part", "message.content[]", raw.get()),
            }
        }
        self.content = Some(Cow::Owned(whole));
        Ok(())
    }

    /// Returns the reasoning if there is any, and whether it came in the field `reasoning`, not `reasoning_content`.
    pub(super) fn thought(&mut self) -> Option<(Cow<'a, str>, bool)> {
        let said = |text: &Cow<'a, str>| !text.is_empty();
        let content = self.reasoning_content.take().filter(said);
        let reasoning = self.reasoning.take().filter(said);
        match (content, reasoning) {
            (Some(text), _) => Some((text, false)),
            (None, Some(text)) => Some((text, true)),
            (None, None) => None,
        }
    }
}

/// The fields of a body that are read.
const BODY: FieldNames = FieldNames::of(&[
    "id", "model", "choices", "usage", "error", "object", "created",
]);

/// Those of a choice.
const CHOICE: FieldNames = FieldNames::of(&[
    "index",
    "message",
    "delta",
    "finish_reason",
    "error",
    "logprobs",
]);

/// Those of its log probabilities.
const LOGPROBS: FieldNames = FieldNames::of(&["content"]);

/// Those of a message.
const MESSAGE: FieldNames = FieldNames::of(&[
    "role",
    "content",
    "refusal",
    "reasoning_content",
    "reasoning",
    "thinking_blocks",
    "tool_calls",
    "function_call",
    "annotations",
]);

/// Those of a call. `custom` is what a custom tool is given; such a call is refused by its type.
const CALL: FieldNames = FieldNames::of(&["index", "id", "type", "function", "custom"]);

fn is_list(raw: RawJson<'_>) -> Option<RawJson<'_>> {
    raw.get().starts_with('[').then_some(raw)
}

/// Reads a text, or a list of text parts.
fn thought(raw: RawJson<'_>) -> Option<Cow<'_, str>> {
    if raw.get().starts_with('"') {
        return object::text(raw);
    }
    let mut whole = String::new();
    let mut unread = Deviations::default();
    for part in object::list(raw)? {
        whole.push_str(&Object::of(part, "")?.text("text", &mut unread)?);
    }
    Some(Cow::Owned(whole))
}

impl<'a> ChatCall<'a> {
    fn read(raw: RawJson<'a>, notes: &mut Deviations) -> Result<Self, ModelError> {
        let Some(call) = Object::of(raw, "tool_calls[]") else {
            return Err(not_an_object("tool_calls[]", raw));
        };
        let function = call.required_object("function", "tool_calls[].function", notes)?;
        Ok(Self {
            index: call.count("index", notes),
            id: call.text("id", notes),
            r#type: call.text("type", notes),
            function: function
                .map(|function| ChatFunction::read(&function, notes))
                .transpose()?,
            extra: call.rest(&CALL, notes),
        })
    }
}

impl<'a> ChatFunction<'a> {
    fn read(function: &Object<'a>, notes: &mut Deviations) -> Result<Self, ModelError> {
        Ok(Self {
            name: function.required_text("name", notes)?,
            arguments: function.required_text("arguments", notes)?,
        })
    }
}

fn not_an_object(path: &str, raw: RawJson<'_>) -> ModelError {
    let message = format!("`{path}` is not an object: {}", excerpt(raw.get()));
    ModelError::new(ErrorKind::WrongType, message)
}
