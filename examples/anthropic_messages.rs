//! A back end of one's own: Anthropic's Messages API, which this crate does not ship, in one file.
//!
//! ```text
//! ANTHROPIC_API_KEY=.. cargo run --example anthropic_messages -- MODEL "What is 17 * 23?"
//! ```
//!
//! A [`Wire`] says how a request is written and a response is read; an [`HttpModel`] does the rest. The API is described at
//! `platform.claude.com/docs/en/api/messages` and `.../build-with-claude/streaming`, looked up on 2026-11-26.
#![cfg_attr(
    not(test),
    expect(
        clippy::indexing_slicing,
        clippy::print_stdout,
        reason = "a field that JSON does not have is null; the answer is printed"
    )
)]

use std::borrow::Cow;
use std::collections::VecDeque;

use bytes::Bytes;
use openai_agents::http::{Headers, HttpError};
use openai_agents::item::{
    Content, FunctionCall, FunctionCallOutput, ItemKind, Message, OutputContent, Part, Reasoning,
    Role,
};
use openai_agents::model::wire::{
    ResponseBudget, ResponseDecoder, ResponseLimits, Wire, check_finish_reason, excerpt,
    parse_json, server_error,
};
use openai_agents::model::{
    Continuation, Delivery, Deviation, Dialect, FinishReason, HttpModel, HttpModelBuilder,
    ModelError, ModelEvent, ModelRequest, ModelSettings, Received, ResponseMeta, ToolChoice,
};
use openai_agents::{Agent, ErrorKind, Item, Runner, Secret, Usage};
use serde_json::{Map, Value, json};

/// The type of an item that holds a block which this file does not act on, and which goes back as it came.
const BLOCK: &str = "anthropic_block";

/// Begins a model of Anthropic's API, for a base URL with `/v1`.
pub(crate) fn anthropic(base_url: &str, model: &str) -> HttpModelBuilder<MessagesWire> {
    HttpModel::with_wire(MessagesWire, base_url, model)
}

/// The wire of `/messages`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessagesWire;

impl Wire for MessagesWire {
    fn path(&self, _model: &str, _delivery: Delivery) -> Cow<'_, str> {
        "messages".into()
    }

    fn set_headers(&self, headers: &mut Headers, key: Option<&Secret>) -> Result<(), HttpError> {
        headers.insert("anthropic-version", "2023-06-01")?;
        key.map_or(Ok(()), |key| headers.insert_secret("x-api-key", key))
    }

    fn encode(&self, model: &str, request: &ModelRequest) -> Result<Bytes> {
        check_supported(request)?;
        let settings = &request.settings;
        let Some(max_tokens) = settings.max_tokens else {
            return fail(
                ErrorKind::Config,
                "the Messages API wants `max_tokens` of the settings",
            );
        };
        let streams = request.delivery == Delivery::Stream;
        let mut body = json!({ "model": model, "max_tokens": max_tokens, "stream": streams });
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                body[key] = value;
            }
        };
        set("system", request.instructions.as_deref().map(Value::from));
        set("temperature", settings.temperature.map(Value::from));
        set("top_p", settings.top_p.map(Value::from));
        set("stop_sequences", settings.stop.clone().map(Value::from));
        set("metadata", settings.metadata.clone().map(Value::from));
        if !request.tools.specs().is_empty() {
            set("tools", Some(tools(request)));
            set("tool_choice", tool_choice(settings));
        }
        if let Some(effort) = &settings.reasoning_effort {
            body["output_config"]["effort"] = json!(effort);
        }
        if let Some(output) = &request.output {
            let format = json!({ "type": "json_schema", "schema": output.schema });
            body["output_config"]["format"] = format;
        }
        for (key, value) in &settings.extra_body {
            if body.get(key).is_some() || key == "messages" {
                let message = format!("`{key}` is set twice, once by extra_body");
                return fail(ErrorKind::Config, message);
            }
            body[key] = value.clone();
        }
        // The conversation stands last: the next body begins with the bytes of this one, which is what caches look at.
        body["messages"] = messages(&request.items)?;
        Ok(body.to_string().into())
    }

    fn decoder(&self, request: &ModelRequest, limits: ResponseLimits) -> Box<dyn ResponseDecoder> {
        let mut decoder = MessagesDecoder {
            budget: ResponseBudget::new(limits),
            ..MessagesDecoder::default()
        };
        let is_foreign = |item: &Item| matches!(item.kind(), ItemKind::Reasoning(it) if it.extra.get(BLOCK).is_none());
        if request.items.iter().any(is_foreign) {
            let detail = "a thought without a signature was not sent";
            decoder.note("foreign_reasoning", detail);
        }
        Box::new(decoder)
    }
}

fn fail<T>(kind: ErrorKind, message: impl Into<String>) -> Result<T> {
    Err(ModelError::new(kind, message))
}

fn unsupported<T>(what: &str) -> Result<T> {
    fail(
        ErrorKind::Unsupported,
        format!("{what} has no place in the Messages API"),
    )
}

/// Refuses what would otherwise be left out silently.
fn check_supported(request: &ModelRequest) -> Result<()> {
    let settings = &request.settings;
    let kept = request.continuation != Continuation::Replay;
    for (what, is_set) in [
        ("a kept conversation", kept),
        ("a stored prompt", request.prompt.is_some()),
        ("a hosted tool", !request.tools.hosted().is_empty()),
        ("`frequency_penalty`", settings.frequency_penalty.is_some()),
        ("`presence_penalty`", settings.presence_penalty.is_some()),
        ("`seed`", settings.seed.is_some()),
        ("`top_logprobs`", settings.top_logprobs.is_some()),
        ("`verbosity`", settings.verbosity.is_some()),
        ("`store`", settings.store.is_some()),
        ("`include`", settings.include.is_some()),
        ("`truncation`", settings.truncation.is_some()),
        ("`reasoning_summary`", settings.reasoning_summary.is_some()),
    ] {
        if is_set {
            return unsupported(what);
        }
    }
    Ok(())
}

fn tools(request: &ModelRequest) -> Value {
    let specs = request.tools.specs().iter();
    let tool = specs.map(|spec| {
        json!({ "name": spec.name.as_str(), "description": spec.description,
            "input_schema": spec.parameters, "strict": spec.strict })
    });
    tool.collect()
}

fn tool_choice(settings: &ModelSettings) -> Option<Value> {
    let mut choice = match &settings.tool_choice {
        Some(ToolChoice::Required) => json!({ "type": "any" }),
        Some(ToolChoice::None) => return Some(json!({ "type": "none" })),
        Some(ToolChoice::Function(name)) => json!({ "type": "tool", "name": name }),
        _ => json!({ "type": "auto" }),
    };
    let parallel = settings.parallel_tool_calls;
    choice["disable_parallel_tool_use"] = json!(parallel == Some(false));
    Some(choice).filter(|_| settings.tool_choice.is_some() || parallel.is_some())
}

/// Writes the conversation as turns: what follows one another from one side is one message.
fn messages(items: &[Item]) -> Result<Value> {
    let mut messages: Vec<(&str, Vec<Value>)> = Vec::new();
    for item in items {
        let (role, blocks) = match item.kind() {
            ItemKind::Message(message) => message_blocks(message)?,
            ItemKind::FunctionCall(call) => ("assistant", vec![tool_use(call)]),
            ItemKind::FunctionCallOutput(output) => ("user", vec![tool_result(output)?]),
            // The thought of another model has no signature, and would be refused: a deviation says so.
            ItemKind::Reasoning(thought) => {
                let block = thought.extra.get(BLOCK).cloned();
                ("assistant", block.into_iter().collect())
            }
            kind if kind.type_name() == BLOCK => {
                let own: Value = parse_json(item.to_json().as_bytes())?;
                ("assistant", vec![own["block"].clone()])
            }
            kind => return unsupported(&format!("an item `{}`", kind.type_name())),
        };
        match messages.last_mut() {
            Some((last, known)) if *last == role => known.extend(blocks),
            _ if blocks.is_empty() => {}
            _ => messages.push((role, blocks)),
        }
    }
    let message = |(role, content)| json!({ "role": role, "content": content });
    Ok(messages.into_iter().map(message).collect())
}

fn message_blocks(message: &Message) -> Result<(&'static str, Vec<Value>)> {
    let role = match message.role {
        Role::User => "user",
        Role::Assistant => "assistant",
        _ => return unsupported("a message of neither user nor assistant"),
    };
    let blocks = match &message.content {
        Content::Text(text) => vec![json!({ "type": "text", "text": text })],
        Content::Parts(parts) => parts.iter().map(part_block).collect::<Result<_, _>>()?,
        _ => return unsupported("a content that is neither text nor parts"),
    };
    // An empty text is refused by the server.
    let is_empty = |block: &Value| block["text"] == "";
    let blocks = blocks.into_iter().filter(|block| !is_empty(block));
    Ok((role, blocks.collect()))
}

fn part_block(part: &Part) -> Result<Value> {
    Ok(match part {
        Part::InputText { text } | Part::OutputText { text } | Part::Refusal { refusal: text } => {
            json!({ "type": "text", "text": text })
        }
        Part::Image { image_url, .. } => json!({ "type": "image", "source": source(image_url) }),
        Part::File {
            file_data: Some(data),
            ..
        } => json!({ "type": "document", "source": source(data) }),
        _ => return unsupported("audio, a file by its id, or another part"),
    })
}

/// Takes a `data:` URL apart; any other URL is read by the server.
fn source(url: &str) -> Value {
    let rest = url.strip_prefix("data:").unwrap_or_default();
    match rest.split_once(";base64,") {
        Some((kind, data)) => json!({ "type": "base64", "media_type": kind, "data": data }),
        None => json!({ "type": "url", "url": url }),
    }
}

fn tool_use(call: &FunctionCall) -> Value {
    let input = match serde_json::from_str::<Value>(&call.arguments) {
        _ if call.arguments.is_empty() => json!({}),
        Ok(input) if input.is_object() => input,
        // An input must be an object; what the model wrote wrongly is shown to it like this, as the documentation says.
        _ => json!({ "INVALID_JSON": call.arguments }),
    };
    json!({ "type": "tool_use", "id": call.call_id, "name": call.name, "input": input })
}

fn tool_result(output: &FunctionCallOutput) -> Result<Value> {
    let content = match &output.output {
        OutputContent::Text(text) => json!(text),
        OutputContent::Parts(parts) => parts.iter().map(part_block).collect::<Result<_, _>>()?,
        _ => return unsupported("an output that is neither text nor parts"),
    };
    Ok(json!({ "type": "tool_result", "tool_use_id": output.call_id, "content": content }))
}

/// Reads one response. Blocks come one behind the other, each as it begins and then in pieces.
#[derive(Default)]
struct MessagesDecoder {
    budget: ResponseBudget,
    received: Received,
    /// The parts of the message so far: texts with sources come as several blocks.
    parts: Vec<Part>,
    open: Option<Block>,
    n_blocks: u64,
    /// The ids of the tool calls.
    calls: Vec<String>,
    has_items: bool,
    meta: ResponseMeta,
    usage: Map<String, Value>,
}

/// A block as the server began it, and the pieces of a call's input that came since.
type Block = (Map<String, Value>, String);
type Events = VecDeque<ModelEvent>;
type Result<T, E = ModelError> = std::result::Result<T, E>;

impl ResponseDecoder for MessagesDecoder {
    fn on_body(&mut self, body: &[u8], events: &mut Events) -> Result<()> {
        let body: Value = parse_json(body)?;
        let Some(blocks) = body["content"].as_array() else {
            return odd(ErrorKind::MissingField, "there is no `content`", &body);
        };
        self.on_message(&body);
        for (index, block) in (0_u64..).zip(blocks) {
            self.on_block_start(&json!({ "index": index, "content_block": block }), events)?;
            self.on_block_stop(&json!({ "index": index }), events)?;
        }
        self.complete(events)
    }

    fn on_event(&mut self, name: &str, data: &[u8], events: &mut Events) -> Result<()> {
        let event: Value = parse_json(data)?;
        match event["type"].as_str().unwrap_or(name) {
            "message_start" => self.on_message(&event["message"]),
            "content_block_start" => self.on_block_start(&event, events)?,
            "content_block_delta" => self.on_block_delta(&event, events)?,
            "content_block_stop" => self.on_block_stop(&event, events)?,
            "message_delta" => {
                self.on_message(&event["delta"]);
                self.on_usage(&event);
            }
            "message_stop" => self.complete(events)?,
            "ping" => {}
            "error" => return Err(server_error(ErrorKind::StreamError, data)),
            other => {
                // New kinds of events are announced as harmless.
                self.budget.spend(data.len())?;
                let detail = format!("an event was passed over: {}", excerpt(other));
                self.note("unknown_event", &detail);
            }
        }
        Ok(())
    }

    fn on_end(&mut self, _events: &mut Events) -> Result<()> {
        fail(
            ErrorKind::NoTerminalEvent,
            "the stream ended without message_stop",
        )
    }

    fn take_received(&mut self) -> Received {
        std::mem::take(&mut self.received)
    }
}

impl MessagesDecoder {
    /// Lists what was tolerated, once for each code.
    fn note(&mut self, code: &'static str, detail: &str) {
        if !self.meta.deviations.iter().any(|known| known.code == code) {
            self.meta.deviations.push(Deviation::new(code, detail));
        }
    }

    /// Takes over the fields that a message has beside its content, as far as they are there.
    fn on_message(&mut self, message: &Value) {
        for (slot, key) in [
            (&mut self.meta.response_id, "id"),
            (&mut self.meta.model, "model"),
            (&mut self.meta.finish_reason, "stop_reason"),
        ] {
            if let Some(text) = message[key].as_str() {
                *slot = Some(text.to_owned());
            }
        }
        self.on_usage(message);
    }

    /// Counts are of the whole answer so far: the last of each holds.
    fn on_usage(&mut self, message: &Value) {
        let usage = message["usage"].as_object().into_iter().flatten();
        for (key, count) in usage.filter(|(_, count)| !count.is_null()) {
            self.usage.insert(key.clone(), count.clone());
        }
    }

    fn on_block_start(&mut self, event: &Value, events: &mut Events) -> Result<()> {
        let Some(value) = event["content_block"].as_object() else {
            return odd(ErrorKind::MissingField, "an empty block", event);
        };
        if self.open.is_some() || event["index"] != self.n_blocks {
            return odd(ErrorKind::Inconsistent, "a block out of its order", event);
        }
        // A byte of JSON takes up to 16 in memory.
        self.budget
            .spend(event.to_string().len().saturating_mul(16))?;
        let kind = text(value, "type");
        if kind != "text" {
            self.end_message(events);
        }
        match kind {
            "text" | "thinking" => self.show(kind, text(value, kind), events),
            "tool_use" => self.on_call(text(value, "id"), text(value, "name"), event, events)?,
            _ => {}
        }
        self.open = Some((value.clone(), String::new()));
        Ok(())
    }

    fn on_call(&mut self, id: &str, name: &str, event: &Value, events: &mut Events) -> Result<()> {
        if id.is_empty() || name.is_empty() {
            return odd(ErrorKind::MissingField, "a call without id or name", event);
        }
        if self.calls.iter().any(|known| known == id) {
            return odd(
                ErrorKind::DuplicateToolCallId,
                "two calls have one id",
                event,
            );
        }
        self.budget.spend_call()?;
        events.push_back(ModelEvent::tool_call_started(self.calls.len(), id, name));
        self.calls.push(id.to_owned());
        Ok(())
    }

    fn on_block_delta(&mut self, event: &Value, events: &mut Events) -> Result<()> {
        let delta = &event["delta"];
        let piece = |key: &str| match delta[key].as_str() {
            Some(piece) => Ok(piece),
            None => odd(ErrorKind::MissingField, "a delta has no piece", event),
        };
        self.budget.spend(delta.to_string().len())?;
        let (block, input) = self.open_block(event)?;
        match delta["type"].as_str() {
            Some(kind @ ("text_delta" | "thinking_delta")) => {
                let kind = kind.trim_end_matches("_delta");
                append(block, kind, piece(kind)?);
                self.show(kind, piece(kind)?, events);
            }
            Some("signature_delta") => append(block, "signature", piece("signature")?),
            Some("input_json_delta") => {
                let delta = piece("partial_json")?;
                input.push_str(delta);
                if !delta.is_empty() && text(block, "type") == "tool_use" {
                    let index = self.calls.len().saturating_sub(1);
                    events.push_back(ModelEvent::tool_call_delta(index, delta));
                }
            }
            other => {
                let other = excerpt(other.unwrap_or("without a type"));
                self.note(
                    "unknown_delta",
                    &format!("a delta was passed over: {other}"),
                );
            }
        }
        Ok(())
    }

    /// Returns the block that a piece belongs to; it is never guessed.
    fn open_block(&mut self, event: &Value) -> Result<&mut Block> {
        match &mut self.open {
            Some(block) if event["index"] == self.n_blocks => Ok(block),
            _ => odd(ErrorKind::AmbiguousToolDelta, "a stray piece", event),
        }
    }

    fn on_block_stop(&mut self, event: &Value, events: &mut Events) -> Result<()> {
        self.open_block(event)?;
        let Some((value, mut input)) = self.open.take() else {
            return Ok(());
        };
        self.n_blocks += 1;
        let item = match text(&value, "type") {
            "text" => {
                let text = text(&value, "text").to_owned();
                self.parts.push(Part::OutputText { text });
                return Ok(());
            }
            "thinking" | "redacted_thinking" => {
                let mut reasoning = match text(&value, "thinking") {
                    "" => Reasoning::default(),
                    thought => Reasoning::from_content(thought),
                };
                let block = Value::Object(value);
                reasoning.extra.insert(BLOCK.to_owned(), block);
                reasoning.into()
            }
            "tool_use" => {
                // Without pieces the input stands in the block's beginning, as in a whole body.
                if input.is_empty() {
                    input = value["input"].to_string();
                    let index = self.calls.len().saturating_sub(1);
                    events.push_back(ModelEvent::tool_call_delta(index, &*input));
                }
                FunctionCall::new(text(&value, "id"), text(&value, "name"), input).into()
            }
            _ => Item::other(BLOCK, Map::from_iter([("block".to_owned(), value.into())])),
        };
        self.has_items = true;
        events.push_back(ModelEvent::item_done(item));
        Ok(())
    }

    /// Passes a piece of a text or a thought on.
    fn show(&mut self, kind: &str, piece: &str, events: &mut Events) {
        let (received, event) = match kind {
            "text" => (&mut self.received.text, ModelEvent::text_delta(piece)),
            _ => (
                &mut self.received.reasoning,
                ModelEvent::reasoning_delta(piece),
            ),
        };
        if !piece.is_empty() {
            received.push_str(piece);
            events.push_back(event);
        }
    }

    fn end_message(&mut self, events: &mut Events) {
        let parts = std::mem::take(&mut self.parts);
        if parts.iter().any(|part| part.as_text() != Some("")) {
            self.has_items = true;
            let message = Message::from_parts(Role::Assistant, parts);
            events.push_back(ModelEvent::item_done(message.into()));
        }
    }

    /// Decides whether the answer is one.
    fn complete(&mut self, events: &mut Events) -> Result<()> {
        self.end_message(events);
        let Some(reason) = self.meta.finish_reason.as_deref() else {
            return fail(ErrorKind::NoTerminalEvent, "the answer has no stop_reason");
        };
        let end = check_finish_reason(&Dialect::default(), "stop_reason", reason)?;
        if self.open.is_some() || (end == FinishReason::ToolCalls && self.calls.is_empty()) {
            let message = format!("`{reason}`, but a block is open or no tool is called");
            return fail(ErrorKind::Inconsistent, message);
        }
        if !self.has_items {
            return fail(ErrorKind::EmptyResponse, "no text and no tool call");
        }
        let mut meta = std::mem::take(&mut self.meta);
        let usage = std::mem::take(&mut self.usage);
        meta.usage = counted(&usage);
        meta.usage_json = (!usage.is_empty()).then(|| Value::Object(usage).into());
        events.push_back(ModelEvent::response_done(meta));
        Ok(())
    }
}

/// Sums up: here input tokens are those of the prompt without the cache, elsewhere all of them.
fn counted(usage: &Map<String, Value>) -> Option<Usage> {
    let count = |key: &str| usage.get(key).and_then(Value::as_u64);
    let cached = count("cache_read_input_tokens").unwrap_or(0);
    let written = count("cache_creation_input_tokens").unwrap_or(0);
    let (input, output) = (count("input_tokens")?, count("output_tokens")?);
    let all = [input, cached, written]
        .into_iter()
        .fold(0, u64::saturating_add);
    let usage = Usage::of_request(all, output, all.saturating_add(output));
    let usage = usage.with_cached_tokens(cached);
    Some(usage.with_cache_write_tokens(written))
}

fn append(block: &mut Map<String, Value>, key: &str, piece: &str) {
    match block.get_mut(key) {
        Some(Value::String(text)) => text.push_str(piece),
        _ => drop(block.insert(key.to_owned(), json!(piece))),
    }
}

fn text<'a>(block: &'a Map<String, Value>, key: &str) -> &'a str {
    block.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Refuses what the server sent.
fn odd<T>(kind: ErrorKind, what: &str, json: &Value) -> Result<T> {
    fail(kind, format!("{what}: {}", excerpt(&json.to_string())))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(prompt)) = (arguments.next(), arguments.next()) else {
        return Err("usage: anthropic_messages MODEL PROMPT".into());
    };
    let key = std::env::var("ANTHROPIC_API_KEY").map_err(|_| "ANTHROPIC_API_KEY is not set")?;
    let base_url = "https://api.anthropic.com/v1";
    let model = anthropic(base_url, &name).api_key(key).build()?;
    let settings = ModelSettings::default().max_tokens(1024);
    let agent = Agent::builder("Guide").model_settings(settings).build()?;
    let result = Runner::new(model).run(&agent, prompt.as_str()).await?;
    println!("{}", result.final_output());
    Ok(())
}
