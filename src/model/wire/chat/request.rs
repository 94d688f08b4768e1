//! `ModelRequest` into the body of `POST /chat/completions`.
//!
//! The messages stand last, so that the body of turn k+1 begins with the bytes of turn k up to the end of its messages: that is
//! what servers' prompt caches look at. Items and tools keep their encoded bytes, so that no turn encodes them anew.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{messages, tool_media};
use crate::kind::ErrorKind;
use crate::memo::{Encoding, PrefixBasis};
use crate::model::wire::body::{Body, refuse, unencodable};
use crate::model::{
    Continuation, Delivery, Deviation, Dialect, ModelError, ModelRequest, ModelSettings,
    ToolChoice, ToolMedia, ToolSet,
};
use crate::tools::ToolSpec;

/// What errors call this wire.
const API: &str = "the chat API";

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
    // Whatever else the body may have: `items` are not the whole conversation then, or will not be in the next request.
    if request.continuation != Continuation::Replay {
        return Err(only_responses("a conversation that the server keeps"));
    }
    if request.prompt.is_some() {
        return Err(only_responses("a stored prompt"));
    }
    let mut body = Body::new(&request.items);
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
    let basis = PrefixBasis {
        encoding: if dialect.force_functions {
            Encoding::ChatFunctions
        } else {
            Encoding::Chat
        },
        replays_reasoning: dialect.replay_reasoning,
        shows_tool_media: dialect.tool_media == ToolMedia::UserMessage,
        instructions: request.instructions.clone(),
    };
    let instructions = request.instructions.as_deref();
    // Whether the next turn may begin with these bytes: see `Body::finish`.
    let is_closed = messages::is_closed(&request.items, dialect);
    body.finish(
        "messages",
        (basis, &request.items),
        is_closed,
        |bytes, rest| messages::encode(bytes, &rest, instructions, &request.items, dialect),
    )
}

/// Says what of a request has no place in this wire, so that the model is told of it in words.
pub(crate) fn deviations(request: &ModelRequest, dialect: &Dialect) -> Vec<Deviation> {
    let omitted = match dialect.tool_media {
        ToolMedia::Described => tool_media::deviation(&request.items),
        ToolMedia::UserMessage => None,
    };
    let legacy_parallel = dialect.force_functions
        && !dialect.min_payload
        && request.settings.parallel_tool_calls.is_some();
    let parallel = legacy_parallel.then(|| {
        Deviation::new(
            "parallel_tool_calls_not_sent",
            "legacy functions know no `parallel_tool_calls`; it was not sent",
        )
    });
    omitted.into_iter().chain(parallel).collect()
}

fn only_responses(what: &str) -> ModelError {
    ModelError::new(
        ErrorKind::Unsupported,
        format!("{what} exists on the Responses API only, not on {API}"),
    )
}

fn options<'a>(
    body: &mut Body<'a>,
    request: &'a ModelRequest,
    dialect: &Dialect,
) -> Result<(), ModelError> {
    let settings = &*request.settings;
    if let Some(verbatim) = &settings.verbatim.0 {
        body.set_verbatim(&verbatim.chat);
    }
    let legacy = dialect.force_functions;
    if let Some(tool) = request.tools.hosted().first() {
        let tool = tool.type_name();
        return Err(only_responses(&format!("the hosted tool `{tool}`")));
    }
    if matches!(settings.tool_choice, Some(ToolChoice::Hosted(_))) {
        return Err(only_responses("the choice of a hosted tool"));
    }
    if dialect.send_tools && !request.tools.specs().is_empty() {
        body.encoded(
            if legacy { "functions" } else { "tools" },
            &encoded_tools(&request.tools, legacy)?,
        )?;
        if let Some(choice) = dialect.tool_choice(settings.tool_choice.as_ref()) {
            body.field(
                if legacy {
                    "function_call"
                } else {
                    "tool_choice"
                },
                &choice,
            )?;
        }
        if dialect.send_parallel_tool_calls && !legacy {
            body.optional("parallel_tool_calls", settings.parallel_tool_calls.as_ref())?;
        }
    }
    sampling(body, settings)?;
    if let Some(output) = &request.output {
        body.field("response_format", &output.to_chat())?;
    }
    body.extra(
        settings,
        &["model", "messages", "stream", "tools", "functions"],
        API,
    )
}

fn sampling(body: &mut Body<'_>, settings: &ModelSettings) -> Result<(), ModelError> {
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
    body.optional("store", settings.store.as_ref())?;
    body.optional("metadata", settings.metadata.as_ref())?;
    refuse("include", settings.include.is_some(), API)?;
    refuse("truncation", settings.truncation.is_some(), API)?;
    let has_summary = settings.reasoning_summary.is_some() && !body.leaves_out("reasoning_summary");
    refuse("reasoning_summary", has_summary, API)
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
    if let Some(function) = &spec.verbatim {
        return json!({ "type": "function", "function": function });
    }
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
