//! `ModelRequest` into the body of `POST /responses`.
//!
//! Items are this API's own shape: they go out as they came in. The input stands last, so that the body of turn k+1 begins with the
//! bytes of turn k up to the end of its input.

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Map, Value, json};

use crate::memo::{Encoding, PrefixBasis};
use crate::model::wire::body::{Body, Rest, put, refuse, unencodable, write_json};
use crate::model::{
    Continuation, Delivery, Dialect, ModelError, ModelRequest, ModelSettings, ToolChoice, ToolSet,
};
use crate::tools::{ToolNamespace, ToolSpec};

/// What errors call this wire.
const API: &str = "the Responses API";

/// Encodes a request.
///
/// # Errors
///
/// `unsupported` when a setting has no word in this wire, `config` when a setting is given twice.
pub(crate) fn encode(
    request: &ModelRequest,
    model: &str,
    dialect: &Dialect,
) -> Result<Bytes, ModelError> {
    let mut body = Body::new(&request.items);
    body.field("model", &model)?;
    if request.delivery == Delivery::Stream {
        body.field("stream", &true)?;
    }
    let instructions = request.instructions.as_deref();
    body.optional(
        "instructions",
        instructions.filter(|_| !dialect.min_payload).as_ref(),
    )?;
    match &request.continuation {
        Continuation::Replay | Continuation::Begin => {}
        Continuation::Response(id) => body.field("previous_response_id", id)?,
        Continuation::Conversation(id) => body.field("conversation", id)?,
    }
    if dialect.min_payload {
        // It would be another question without it.
        refuse("prompt", request.prompt.is_some(), "a minimal payload")?;
    } else {
        body.optional("prompt", request.prompt.as_deref())?;
        options(&mut body, request, dialect)?;
    }
    // A body that may have nothing else carries them as the first item.
    let in_input = instructions.filter(|_| dialect.min_payload);
    let basis = PrefixBasis {
        encoding: Encoding::Responses,
        replays_reasoning: true,
        shows_tool_media: true,
        instructions: request.instructions.clone().filter(|_| dialect.min_payload),
    };
    // Always closed: each item is written by itself, so nothing that comes later changes it.
    body.finish("input", (basis, &request.items), true, |bytes, rest| {
        write_items(bytes, &rest, in_input)
    })
}

fn options<'a>(
    body: &mut Body<'a>,
    request: &'a ModelRequest,
    dialect: &Dialect,
) -> Result<(), ModelError> {
    let settings = &*request.settings;
    if let Some(verbatim) = &settings.verbatim.0 {
        body.set_verbatim(&verbatim.responses);
    }
    let tools = &request.tools;
    if dialect.send_tools && !(tools.specs().is_empty() && tools.hosted().is_empty()) {
        body.encoded("tools", &encoded_tools(tools)?)?;
        let choice = match &settings.tool_choice {
            // This API names a tool without the inner object of the chat API.
            Some(ToolChoice::Function(name)) if dialect.tool_choice.is_none() => {
                Some(json!({ "type": "function", "name": name }))
            }
            Some(ToolChoice::Hosted(choice)) if dialect.tool_choice.is_none() => {
                Some(Value::Object(choice.clone()))
            }
            choice => dialect.tool_choice(choice.as_ref()),
        };
        body.optional("tool_choice", choice.as_ref())?;
        if dialect.send_parallel_tool_calls {
            body.optional("parallel_tool_calls", settings.parallel_tool_calls.as_ref())?;
        }
    }
    body.object("text", text(request))?;
    sampling(body, settings)?;
    body.extra(
        settings,
        &[
            "model",
            "input",
            "stream",
            "tools",
            "instructions",
            "previous_response_id",
            "conversation",
            "prompt",
        ],
        API,
    )
}

fn sampling(body: &mut Body<'_>, settings: &ModelSettings) -> Result<(), ModelError> {
    body.optional("temperature", settings.temperature.as_ref())?;
    body.optional("top_p", settings.top_p.as_ref())?;
    body.optional("max_output_tokens", settings.max_tokens.as_ref())?;
    body.optional("top_logprobs", settings.top_logprobs.as_ref())?;
    body.optional("store", settings.store.as_ref())?;
    body.optional("include", settings.include.as_ref())?;
    body.optional("truncation", settings.truncation.as_ref())?;
    body.optional("metadata", settings.metadata.as_ref())?;
    let mut reasoning = Map::new();
    for (key, value) in [
        ("effort", &settings.reasoning_effort),
        ("summary", &settings.reasoning_summary),
    ] {
        if let Some(value) = value {
            reasoning.insert(key.to_owned(), value.as_str().into());
        }
    }
    body.object("reasoning", reasoning)?;
    refuse("stop", settings.stop.is_some(), API)?;
    refuse("seed", settings.seed.is_some(), API)?;
    refuse(
        "frequency_penalty",
        settings.frequency_penalty.is_some(),
        API,
    )?;
    refuse("presence_penalty", settings.presence_penalty.is_some(), API)
}

/// The form of the text and how wordy it is share an object.
fn text(request: &ModelRequest) -> Map<String, Value> {
    let mut text = Map::new();
    if let Some(output) = &request.output {
        text.insert("format".to_owned(), output.to_responses());
    }
    if let Some(verbosity) = &request.settings.verbosity {
        text.insert("verbosity".to_owned(), verbosity.as_str().into());
    }
    text
}

fn encoded_tools(tools: &ToolSet) -> Result<Bytes, ModelError> {
    tools.memo().get_or_encode(Encoding::Responses, || {
        let functions = functions(tools.specs());
        let hosted = tools
            .hosted()
            .iter()
            .map(|tool| Value::Object(tool.to_json().clone()));
        let list: Vec<Value> = functions.into_iter().chain(hosted).collect();
        serde_json::to_vec(&list)
            .map(Bytes::from)
            .map_err(unencodable)
    })
}

/// The functions in order, those of a namespace at the place of its first.
fn functions(specs: &[ToolSpec]) -> Vec<Value> {
    let mut places: Vec<(Option<&ToolNamespace>, Vec<Value>)> = Vec::with_capacity(specs.len());
    for spec in specs {
        let namespace = spec.namespace.as_ref();
        let mut known = places.iter_mut();
        let known = known.find(|(known, _)| namespace.is_some() && *known == namespace);
        match known {
            Some((_, functions)) => functions.push(function(spec)),
            None => places.push((namespace, vec![function(spec)])),
        }
    }
    let encode = |(namespace, functions): (Option<&ToolNamespace>, Vec<Value>)| match namespace {
        None => functions,
        Some(ToolNamespace {
            name, description, ..
        }) => vec![json!({
            "type": "namespace", "name": name.as_str(), "description": description,
            "tools": functions,
        })],
    };
    places.into_iter().flat_map(encode).collect()
}

fn function(spec: &ToolSpec) -> Value {
    let Some(function) = &spec.verbatim else {
        let mut tool = Map::from_iter([
            ("type".to_owned(), json!("function")),
            ("name".to_owned(), json!(spec.name.as_str())),
            ("description".to_owned(), json!(spec.description)),
            ("parameters".to_owned(), spec.parameters.clone()),
            ("strict".to_owned(), json!(spec.strict)),
        ]);
        if spec.defer_loading {
            tool.insert("defer_loading".to_owned(), json!(true));
        }
        return Value::Object(tool);
    };
    let mut tool = Map::from_iter([("type".to_owned(), json!("function"))]);
    tool.extend(function.clone());
    Value::Object(tool)
}

fn write_items(
    bytes: &mut BytesMut,
    rest: &Rest<'_>,
    instructions: Option<&str>,
) -> Result<(), ModelError> {
    let mut is_first = rest.is_start;
    if let Some(instructions) = instructions.filter(|_| rest.is_start) {
        write_json(bytes, &json!({ "role": "system", "content": instructions }))?;
        is_first = false;
    }
    for item in rest.items {
        if !std::mem::take(&mut is_first) {
            bytes.put_u8(b',');
        }
        let json = item.to_json();
        // A search is cheap and nearly always fails. What it finds wrongly, inside of a text, is
        // parsed and stays as it was.
        if json.contains("\"provider_data\"") {
            let encode = || without_provider_data(json);
            bytes.put(item.memo().get_or_encode(Encoding::Responses, encode)?);
        } else {
            put(bytes, json.as_bytes());
        }
    }
    Ok(())
}

/// An item without what was noted beside it for another wire.
fn without_provider_data(json: &str) -> Result<Bytes, ModelError> {
    let mut value: Value = serde_json::from_str(json).map_err(unencodable)?;
    if let Some(object) = value.as_object_mut() {
        object.shift_remove("provider_data");
    }
    serde_json::to_vec(&value)
        .map(Bytes::from)
        .map_err(unencodable)
}
