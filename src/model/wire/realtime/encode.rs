//! Client events as JSON.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::model::ToolChoice;
use crate::model::realtime::{
    AudioFormat, ClientEvent, NewContent, NewItem, Outgoing, RealtimeSettings, ResponseOptions,
    SemanticVad, ServerVad, TurnDetection,
};
use crate::tools::ToolSpec;

/// Writes an event.
pub(crate) fn encode(outgoing: &Outgoing) -> String {
    let (name, fields) = match &outgoing.event {
        // A second of audio comes fifty times: it is written without a tree of values.
        ClientEvent::AppendAudio(audio) => return append(&outgoing.event_id, audio),
        ClientEvent::Verbatim(json) => return json.clone(),
        ClientEvent::UpdateSession(settings) => {
            ("session.update", json!({ "session": session(settings) }))
        }
        ClientEvent::UpdateTranscription(settings) => (
            "session.update",
            json!({ "session": { "type": "transcription", "audio": { "input": input(settings) } } }),
        ),
        ClientEvent::CommitAudio => ("input_audio_buffer.commit", json!({})),
        ClientEvent::ClearAudio => ("input_audio_buffer.clear", json!({})),
        ClientEvent::CreateItem(item) => (
            "conversation.item.create",
            json!({ "item": new_item(item) }),
        ),
        ClientEvent::TruncateItem {
            item_id,
            content_index,
            audio_end_ms,
        } => (
            "conversation.item.truncate",
            json!({ "item_id": item_id, "content_index": content_index, "audio_end_ms": audio_end_ms }),
        ),
        ClientEvent::DeleteItem { item_id } => {
            ("conversation.item.delete", json!({ "item_id": item_id }))
        }
        ClientEvent::CreateResponse(options) => ("response.create", response(options)),
        ClientEvent::CancelResponse { response_id } => (
            "response.cancel",
            response_id
                .as_ref()
                .map_or_else(|| json!({}), |id| json!({ "response_id": id })),
        ),
        ClientEvent::ClearOutputAudio => ("output_audio_buffer.clear", json!({})),
    };
    let mut event = Map::new();
    event.insert("type".to_owned(), name.into());
    event.insert("event_id".to_owned(), outgoing.event_id.as_str().into());
    if let Value::Object(fields) = fields {
        event.extend(fields);
    }
    Value::Object(event).to_string()
}

fn append(event_id: &str, audio: &[u8]) -> String {
    let mut json = String::with_capacity(96 + audio.len().div_ceil(3) * 4);
    json.push_str(r#"{"type":"input_audio_buffer.append","event_id":"#);
    json.push_str(&Value::from(event_id).to_string());
    json.push_str(r#","audio":""#);
    STANDARD.encode_string(audio, &mut json);
    json.push_str("\"}");
    json
}

/// Writes the settings as a session object.
///
/// Both formats stand in it always, so that no server resets them because they are not there.
pub(crate) fn session(settings: &RealtimeSettings) -> Value {
    let mut session = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            session.insert(key.to_owned(), value);
        }
    };
    put("type", Some("realtime".into()));
    put(
        "instructions",
        settings.instructions.as_deref().map(Value::from),
    );
    put(
        "output_modalities",
        Some(json!([settings.modality.as_str()])),
    );
    put(
        "audio",
        Some(json!({ "input": input(settings), "output": output(settings) })),
    );
    // An empty list too: after a handoff the tools of the agent before must not stay.
    let tools: Vec<Value> = settings.tools.iter().map(tool).collect();
    put("tools", Some(tools.into()));
    put(
        "tool_choice",
        settings.tool_choice.as_ref().map(tool_choice),
    );
    put(
        "max_output_tokens",
        settings.max_output_tokens.map(Value::from),
    );
    session.extend(settings.extra.clone());
    Value::Object(session)
}

fn input(settings: &RealtimeSettings) -> Value {
    let mut input = Map::new();
    input.insert("format".to_owned(), format(settings.input_format));
    if let Some(transcription) = &settings.transcription {
        let mut by = Map::from_iter([(
            "model".to_owned(),
            Value::from(transcription.model.as_str()),
        )]);
        for (key, value) in [
            ("language", &transcription.language),
            ("prompt", &transcription.prompt),
        ] {
            if let Some(value) = value {
                by.insert(key.to_owned(), value.as_str().into());
            }
        }
        input.insert("transcription".to_owned(), by.into());
    }
    if let Some(kind) = &settings.noise_reduction {
        input.insert("noise_reduction".to_owned(), json!({ "type": kind }));
    }
    if let Some(detection) = &settings.turn_detection {
        input.insert("turn_detection".to_owned(), turn_detection(detection));
    }
    input.into()
}

fn output(settings: &RealtimeSettings) -> Value {
    let mut output = Map::new();
    output.insert("format".to_owned(), format(settings.output_format));
    if let Some(voice) = &settings.voice {
        output.insert("voice".to_owned(), voice.as_str().into());
    }
    if let Some(speed) = settings.speed {
        output.insert("speed".to_owned(), speed.into());
    }
    output.into()
}

fn format(format: AudioFormat) -> Value {
    match format {
        AudioFormat::Pcm16 => json!({ "type": format.as_str(), "rate": format.sample_rate_hz() }),
        AudioFormat::Pcmu | AudioFormat::Pcma => json!({ "type": format.as_str() }),
    }
}

fn turn_detection(detection: &TurnDetection) -> Value {
    let milliseconds = |time: Option<Duration>| {
        time.map(|time| Value::from(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
    };
    let fields: Vec<(&str, Option<Value>)> = match detection {
        TurnDetection::Manual => return Value::Null,
        TurnDetection::Server(ServerVad {
            threshold,
            prefix_padding,
            silence,
            idle_timeout,
            create_response,
            interrupt_response,
        }) => vec![
            ("type", Some("server_vad".into())),
            ("threshold", threshold.map(Value::from)),
            ("prefix_padding_ms", milliseconds(*prefix_padding)),
            ("silence_duration_ms", milliseconds(*silence)),
            ("idle_timeout_ms", milliseconds(*idle_timeout)),
            ("create_response", create_response.map(Value::from)),
            ("interrupt_response", interrupt_response.map(Value::from)),
        ],
        TurnDetection::Semantic(SemanticVad {
            eagerness,
            create_response,
            interrupt_response,
        }) => vec![
            ("type", Some("semantic_vad".into())),
            (
                "eagerness",
                eagerness.map(|eagerness| eagerness.as_str().into()),
            ),
            ("create_response", create_response.map(Value::from)),
            ("interrupt_response", interrupt_response.map(Value::from)),
        ],
    };
    let said = fields
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(said.collect())
}

/// This API has no `strict`.
fn tool(spec: &ToolSpec) -> Value {
    json!({
        "type": "function", "name": spec.name.as_str(), "description": spec.description,
        "parameters": spec.parameters,
    })
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Hosted(choice) => choice.clone().into(),
        ToolChoice::Function(name) => json!({ "type": "function", "name": name }),
    }
}

fn response(options: &ResponseOptions) -> Value {
    let mut response = Map::new();
    if let Some(instructions) = &options.instructions {
        response.insert("instructions".to_owned(), instructions.as_str().into());
    }
    response.extend(options.extra.clone());
    if response.is_empty() {
        json!({})
    } else {
        json!({ "response": response })
    }
}

fn new_item(item: &NewItem) -> Value {
    match item {
        NewItem::Message { role, content } => {
            let content: Vec<Value> = content.iter().map(|part| new_content(role, part)).collect();
            json!({ "type": "message", "role": role, "content": content })
        }
        NewItem::FunctionCall {
            call_id,
            name,
            arguments,
        } => {
            json!({ "type": "function_call", "call_id": call_id, "name": name, "arguments": arguments })
        }
        NewItem::FunctionCallOutput { call_id, output } => {
            json!({ "type": "function_call_output", "call_id": call_id, "output": output })
        }
    }
}

fn new_content(role: &str, content: &NewContent) -> Value {
    match content {
        NewContent::Text(text) if role == "assistant" => {
            json!({ "type": "output_text", "text": text })
        }
        NewContent::Text(text) => json!({ "type": "input_text", "text": text }),
        NewContent::Image(url) => json!({ "type": "input_image", "image_url": url }),
    }
}
