//! Parses the input of a Responses request into items.

use serde_json::{Map, Value};

use crate::item::{FunctionCall, FunctionCallOutput, Item, OutputContent};
use crate::server::error::ApiError;
use crate::server::fields::BodyFields;

/// What a client sent, in order.
#[derive(Debug, Default)]
pub(super) struct ResponseInput {
    pub(super) entries: Vec<InputEntry>,
    pub(super) approvals: Vec<ApprovalAnswer>,
}

/// One entry of the conversation.
#[derive(Debug)]
pub(super) enum InputEntry {
    Item(Item),
    /// An item that the server keeps, by its id.
    Reference(String),
}

/// What a client decided about a call that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApprovalAnswer {
    pub(super) request_id: String,
    pub(super) approve: bool,
    pub(super) reason: Option<String>,
}

/// The types of parts that messages and tool outputs may have.
const PARTS: [&str; 6] = [
    "input_text",
    "input_image",
    "input_file",
    "input_audio",
    "output_text",
    "refusal",
];

impl ResponseInput {
    pub(super) fn parse(input: Value) -> Result<Self, ApiError> {
        let mut parsed = Self::default();
        match input {
            Value::String(text) => parsed.entries.push(InputEntry::Item(Item::user(text))),
            Value::Array(items) => {
                for (n, item) in items.into_iter().enumerate() {
                    parsed.take(item, &format!("input[{n}]"))?;
                }
            }
            _ => {
                return Err(ApiError::invalid(
                    "input",
                    "`input` must be a text or a list of items",
                ));
            }
        }
        Ok(parsed)
    }

    /// Takes an item; also one that the server keeps, which is what a client would have sent.
    pub(super) fn take(&mut self, item: Value, param: &str) -> Result<(), ApiError> {
        let Value::Object(mut item) = item else {
            return Err(ApiError::invalid(param, "an item must be an object"));
        };
        let kind = item
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or("message")
            .to_owned();
        match kind.as_str() {
            "message" | "function_call" | "function_call_output" | "reasoning" => {
                check_parts(&item, param)?;
                // Ids are those of this server; the model's server does not know them.
                for own in ["id", "status"] {
                    item.shift_remove(own);
                }
                self.push(read(item, param)?);
            }
            "mcp_call" => self.call(item, param)?,
            // It says nothing that the answer to it does not say.
            "mcp_approval_request" => {}
            "mcp_approval_response" => {
                let mut fields = BodyFields::of(Value::Object(item), param)?;
                fields.take::<String>("type")?;
                fields.take::<String>("id")?;
                self.approvals.push(ApprovalAnswer {
                    request_id: fields.need("approval_request_id")?,
                    approve: fields.need("approve")?,
                    reason: fields.take("reason")?,
                });
                fields.finish()?;
            }
            "item_reference" => {
                let id = item.get("id").and_then(Value::as_str);
                let id = id.ok_or_else(|| ApiError::invalid(param, "a reference needs an `id`"))?;
                self.entries.push(InputEntry::Reference(id.to_owned()));
            }
            "additional_tools" => {
                let message = "input items of the type `additional_tools` are not supported: an agent has its own tools";
                return Err(ApiError::unsupported(param, message));
            }
            // Those of tools that the model's provider runs: it knows them by their ids.
            _ => self.push(read(item, param)?),
        }
        Ok(())
    }

    fn push(&mut self, item: Item) {
        self.entries.push(InputEntry::Item(item));
    }

    /// A call that the server made before is a call and its output.
    fn call(&mut self, item: Map<String, Value>, param: &str) -> Result<(), ApiError> {
        let mut fields = BodyFields::of(Value::Object(item), param)?;
        let id: String = fields.need("id")?;
        let (name, arguments): (String, String) = (fields.need("name")?, fields.need("arguments")?);
        let output: Option<String> = fields.take("output")?;
        let error: Option<Value> = fields.take("error")?;
        let error = error.map(|error| match error {
            Value::String(text) => text,
            other => other.to_string(),
        });
        let output = output.or(error).unwrap_or_default();
        self.push(FunctionCall::new(&*id, name, arguments).into());
        self.push(FunctionCallOutput::new(id, OutputContent::Text(output)).into());
        Ok(())
    }
}

fn read(item: Map<String, Value>, param: &str) -> Result<Item, ApiError> {
    if let Some(role) = item.get("role").and_then(Value::as_str)
        && !["user", "assistant", "system", "developer"].contains(&role)
    {
        let message = format!("messages of the role `{role}` are not supported");
        return Err(ApiError::unsupported(format!("{param}.role"), message));
    }
    let json = Value::Object(item).to_string();
    Item::from_json(&json).map_err(|error| ApiError::invalid(param, error.to_string()))
}

fn check_parts(item: &Map<String, Value>, param: &str) -> Result<(), ApiError> {
    if item.get("type").and_then(Value::as_str) == Some("reasoning") {
        return Ok(());
    }
    for field in ["content", "output"] {
        let parts = item
            .get(field)
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        for (n, part) in parts.enumerate() {
            let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
            if !PARTS.contains(&kind) {
                let message = format!("parts of the type `{kind}` are not supported");
                return Err(ApiError::unsupported(
                    format!("{param}.{field}[{n}].type"),
                    message,
                ));
            }
        }
    }
    Ok(())
}
