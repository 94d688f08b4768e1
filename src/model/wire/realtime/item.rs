//! One item of a conversation, read part by part.

use crate::model::wire::raw_json::RawJson;

use crate::kind::ErrorKind;
use crate::model::ModelError;
use crate::model::realtime::{ContentPart, ConversationItem};
use crate::model::wire::deviations::Deviations;
use crate::model::wire::object::{self, Object};

/// Reads the field `item` of an event.
///
/// # Errors
///
/// What is wrong with the item's type, text or call, by the field's name.
pub(super) fn of_event(
    event: &Object<'_>,
    notes: &mut Deviations,
) -> Result<ConversationItem, ModelError> {
    let raw = event.required("item", notes)?;
    let raw = raw.ok_or_else(|| missing("item"))?;
    read(raw, notes)?.ok_or_else(|| event.wrong_type("item", "an object", raw))
}

/// Reads an item; `None` if it is no object.
pub(super) fn read(
    raw: RawJson<'_>,
    notes: &mut Deviations,
) -> Result<Option<ConversationItem>, ModelError> {
    let Some(item) = Object::of(raw, "item") else {
        return Ok(None);
    };
    let type_name = item.required_text("type", notes)?.unwrap_or_default();
    let id = item.text("id", notes).unwrap_or_default().into_owned();
    let needed = |key: &str, notes: &mut Deviations| -> Result<String, ModelError> {
        let text = item.required_text(key, notes)?;
        text.map_or_else(
            || Err(missing(&item.path(key))),
            |text| Ok(text.into_owned()),
        )
    };
    Ok(Some(match &*type_name {
        "message" => {
            let role = needed("role", notes)?;
            let content = item.required_list("content", notes)?.unwrap_or_default();
            let content = content.into_iter().map(|part| content_part(part, notes));
            let content = content.collect::<Result<_, _>>()?;
            if id.is_empty() {
                return Err(missing("item.id"));
            }
            ConversationItem::Message { id, role, content }
        }
        "function_call" => {
            let call_id = needed("call_id", notes)?;
            ConversationItem::FunctionCall {
                id: if id.is_empty() { call_id.clone() } else { id },
                call_id,
                name: needed("name", notes)?,
                arguments: item
                    .required_text("arguments", notes)?
                    .unwrap_or_default()
                    .into_owned(),
                status: item.text("status", notes).map(Into::into),
            }
        }
        "function_call_output" => {
            let call_id = needed("call_id", notes)?;
            ConversationItem::FunctionCallOutput {
                id: if id.is_empty() {
                    format!("{call_id}/output")
                } else {
                    id
                },
                call_id,
                output: item.text("output", notes).unwrap_or_default().into_owned(),
            }
        }
        other => ConversationItem::Other {
            id,
            type_name: other.to_owned(),
            json: raw.get().to_owned(),
        },
    }))
}

/// The audio itself is not kept: it came as deltas, or was sent from here.
fn content_part(raw: RawJson<'_>, notes: &mut Deviations) -> Result<ContentPart, ModelError> {
    let other = || ContentPart::Other(raw.get().to_owned());
    let Some(part) = Object::of(raw, "item.content[]") else {
        return Ok(other());
    };
    let type_name = part.text("type", notes).unwrap_or_default();
    Ok(match &*type_name {
        "input_text" | "output_text" | "text" => {
            let text = part.required_text("text", notes)?.unwrap_or_default();
            ContentPart::Text(text.into_owned())
        }
        "input_audio" | "output_audio" | "audio" => {
            let transcript = part.required_text("transcript", notes)?;
            ContentPart::Audio {
                transcript: transcript.map(Into::into),
            }
        }
        "input_image" => ContentPart::Image {
            url: part
                .optional("image_url", notes, object::text)
                .map(Into::into),
        },
        _ => other(),
    })
}

pub(super) fn missing(field: &str) -> ModelError {
    ModelError::new(
        ErrorKind::MissingField,
        format!("`{field}` is missing in an event of the server"),
    )
}
