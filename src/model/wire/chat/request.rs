//! `ModelRequest` into the body of `POST /chat/completions`.
//!
//! The messages stand last, so that the body of turn k+1 begins with the bytes of turn k up to the end of its messages: that is
//! what servers' prompt caches look at. Items and tools keep their encoded bytes, so that no turn encodes them anew.

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde_json::{Value, json};

use super::messages;
use crate::kind::ErrorKind;
use crate::memo::{EncodedPrefix, Encoding, PrefixBasis};
use crate::model::{Delivery, Dialect, ModelError, ModelRequest, ModelSettings, ToolSet};
use crate::tools::ToolSpec;

/// Encodes a request.
///
/// # Errors
///
/// `unsupported` when an item cannot be said in this wire, `config` when a setting is given twice.
pub(crate) fn encode(
    request: &ModelRequest,
    model: &str,
    dialect: &Dialect,
) -> Result<Bytes, ModelError> {
    let mut body = Object::new();
    body.field("model", &model)?;
    let streams = request.delivery == Delivery::Stream;
    if streams {
        body.field("stream", &true)?;
    }
    if !dialect.min_payload {
        if streams && dialect.stream_usage {
            body.field("stream_options", &json!({ "include_usage": true }))?;
        }
        options(&mut body, request, dialect)?;
    }
    body.key("messages")?;
    body.bytes.put_u8(b'[');
    let start = body.bytes.len();
    let encoding = if dialect.force_functions {
        Encoding::ChatFunctions
    } else {
        Encoding::Chat
    };
    let basis = PrefixBasis {
        encoding,
        replays_reasoning: dialect.replay_reasoning,
        instructions: request.instructions.clone(),
    };
    messages::encode(&mut body.bytes, &basis, &request.items, dialect)?;
    let end = body.bytes.len();
    body.bytes.put_slice(b"]}");
    let bytes = body.bytes.freeze();
    if messages::is_closed(&request.items) {
        request.items.keep_encoded(EncodedPrefix {
            basis,
            n_items: request.items.len(),
            bytes: bytes.slice(start..end),
        });
    }
    Ok(bytes)
}

fn options(body: &mut Object, request: &ModelRequest, dialect: &Dialect) -> Result<(), ModelError> {
    let settings = &*request.settings;
    for key in settings.extra_body.keys() {
        if ["model", "messages", "stream", "tools", "functions"].contains(&key.as_str()) {
            return Err(ModelError::new(
                ErrorKind::Config,
                format!("`{key}` cannot be set by extra_body"),
            ));
        }
    }
    if dialect.send_tools && !request.tools.specs().is_empty() {
        body.key(if dialect.force_functions {
            "functions"
        } else {
            "tools"
        })?;
        body.bytes
            .put(encoded_tools(&request.tools, dialect.force_functions)?);
        if let Some(choice) = dialect.tool_choice(settings.tool_choice.as_ref()) {
            body.field(
                if dialect.force_functions {
                    "function_call"
                } else {
                    "tool_choice"
                },
                &choice,
            )?;
        }
        if dialect.send_parallel_tool_calls && !dialect.force_functions {
            body.optional("parallel_tool_calls", settings.parallel_tool_calls.as_ref())?;
        }
    }
    sampling(body, settings)?;
    if let Some(output) = &request.output {
        let schema =
            json!({ "name": output.name, "strict": output.strict, "schema": output.schema });
        body.field(
            "response_format",
            &json!({ "type": "json_schema", "json_schema": schema }),
        )?;
    }
    for (key, value) in &settings.extra_body {
        body.field(key, value)?;
    }
    Ok(())
}

fn sampling(body: &mut Object, settings: &ModelSettings) -> Result<(), ModelError> {
    body.optional("temperature", settings.temperature.as_ref())?;
    body.optional("top_p", settings.top_p.as_ref())?;
    body.optional("frequency_penalty", settings.frequency_penalty.as_ref())?;
    body.optional("presence_penalty", settings.presence_penalty.as_ref())?;
    body.optional("max_tokens", settings.max_tokens.as_ref())?;
    body.optional("stop", settings.stop.as_ref())?;
    body.optional("seed", settings.seed.as_ref())?;
    body.optional("reasoning_effort", settings.reasoning_effort.as_ref())?;
    body.optional("verbosity", settings.verbosity.as_ref())?;
    if let Some(top_logprobs) = settings.top_logprobs {
        body.field("logprobs", &true)?;
        body.field("top_logprobs", &top_logprobs)?;
    }
    body.optional("store", settings.store.as_ref())
}

fn encoded_tools(tools: &ToolSet, legacy: bool) -> Result<Bytes, ModelError> {
    let encoding = if legacy {
        Encoding::ChatFunctions
    } else {
        Encoding::Chat
    };
    tools.memo().get_or_encode(encoding, || {
        let list: Vec<Value> = tools
            .specs()
            .iter()
            .map(|spec| if legacy { function(spec) } else { tool(spec) })
            .collect();
        serde_json::to_vec(&list)
            .map(Bytes::from)
            .map_err(unencodable)
    })
}

fn tool(spec: &ToolSpec) -> Value {
    json!({
        "type": "function",
        "function": {
            "name": spec.name.as_str(), "description": spec.description, "parameters": spec.parameters, "strict": spec.strict,
        },
    })
}

fn function(spec: &ToolSpec) -> Value {
    json!({ "name": spec.name.as_str(), "description": spec.description, "parameters": spec.parameters })
}

/// A JSON object that is being written; a key that is written twice is refused.
struct Object {
    bytes: BytesMut,
    keys: Vec<String>,
}

impl Object {
    fn new() -> Self {
        let mut bytes = BytesMut::with_capacity(4096);
        bytes.put_u8(b'{');
        Self {
            bytes,
            keys: Vec::with_capacity(8),
        }
    }

    fn key(&mut self, key: &str) -> Result<(), ModelError> {
        if self.keys.iter().any(|known| known == key) {
            return Err(ModelError::new(
                ErrorKind::Config,
                format!("`{key}` is set twice, once by extra_body"),
            ));
        }
        if !self.keys.is_empty() {
            self.bytes.put_u8(b',');
        }
        self.keys.push(key.to_owned());
        write_json(&mut self.bytes, &key)?;
        self.bytes.put_u8(b':');
        Ok(())
    }

    fn field(&mut self, key: &str, value: &impl Serialize) -> Result<(), ModelError> {
        self.key(key)?;
        write_json(&mut self.bytes, value)
    }

    fn optional(&mut self, key: &str, value: Option<&impl Serialize>) -> Result<(), ModelError> {
        match value {
            Some(value) => self.field(key, value),
            None => Ok(()),
        }
    }
}

pub(super) fn write_json(bytes: &mut BytesMut, value: &impl Serialize) -> Result<(), ModelError> {
    serde_json::to_writer(bytes.writer(), value).map_err(unencodable)
}

fn unencodable(error: serde_json::Error) -> ModelError {
    ModelError::new(ErrorKind::Config, "the request cannot be written as JSON").with_source(error)
}
