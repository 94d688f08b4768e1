//! Events of both eras, of a real server, and with something wrong in them.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{decode, encode, session};
use crate::model::ToolChoice;
use crate::model::realtime::{
    ClientEvent, ContentPart, ConversationItem, Eagerness, Modality, NewItem, Outgoing,
    RealtimeSettings, ResponseStatus, SemanticVad, ServerEvent, ServerVad, Transcription,
    TurnDetection,
};
use crate::tools::{ToolName, ToolSpec};

#[track_caller]
fn event(json: &Value) -> ServerEvent {
    decode(&json.to_string()).unwrap().event
}

fn sent(event: ClientEvent) -> Value {
    let event_id = "client_1".to_owned();
    serde_json::from_str(&encode(&Outgoing { event_id, event })).unwrap()
}

#[test]
fn decode_events_without_what_they_consist_of_are_refused_by_name() {
    for (json, expected) in [
        ("{}", "`type` is missing in an event of the server"),
        (
            r#"{"type":"response.output_text.delta","delta":"x"}"#,
            "`item_id` is missing in an event of the server",
        ),
        (
            r#"{"type":"response.output_text.delta","item_id":"i","delta":7}"#,
            "`delta` is not a text: 7",
        ),
        (
            r#"{"type":"response.done"}"#,
            "`response` is missing in an event of the server",
        ),
        (
            r#"{"type":"response.done","response":{"id":"r"}}"#,
            "`response.status` is missing in an event of the server",
        ),
        (
            r#"{"type":"response.output_item.done","item":{"type":"function_call","name":"f"}}"#,
            "`item.call_id` is missing in an event of the server",
        ),
        (
            r#"{"type":"response.output_item.done","item":{"type":"function_call","call_id":"c","name":"f","arguments":{}}}"#,
            "`item.arguments` is not a text: {}",
        ),
    ] {
        assert_eq!(decode(json).unwrap_err().to_string(), expected, "{json}");
    }
}

#[test]
fn decode_fields_that_nothing_needs_cannot_lose_the_event() {
    let json = r#"{"type":"response.done","event_id":7,"response":{"id":[],"status":"cancelled","status_details":{"reason":"turn_detected"},"usage":"lots","output":null,"x":1}}"#;
    let received = decode(json).unwrap();
    let ServerEvent::ResponseDone(end) = received.event else {
        panic!("{:?}", received.event)
    };
    assert_eq!(
        (end.response_id, end.status),
        (None, ResponseStatus::Cancelled)
    );
    assert_eq!(
        (end.reason.as_deref(), end.usage),
        (Some("turn_detected"), None)
    );
    let codes: Vec<&str> = received
        .deviations
        .iter()
        .map(|deviation| &*deviation.code)
        .collect();
    assert_eq!(codes, ["unreadable_field", "unreadable_field"]);
}

#[test]
fn decode_error_in_either_shape_has_code_and_words() {
    for error in [
        json!({ "type": "invalid_request_error", "code": "session_expired", "message": "too old", "event_id": "e" }),
        // As speech-to-speech 1.1.0 writes it.
        json!({ "type": "session_expired", "code": null, "message": "too old", "event_id": "e", "param": null }),
    ] {
        let ServerEvent::Error(fault) = event(&json!({ "type": "error", "error": error })) else {
            panic!("{error}")
        };
        assert_eq!(fault.code.as_deref(), Some("session_expired"));
        assert_eq!(
            (fault.message.as_str(), fault.event_id.as_deref()),
            ("too old", Some("e"))
        );
    }
}

#[test]
fn decode_item_keeps_its_parts() {
    let item = json!({ "id": "i", "type": "message", "role": "user", "content": [
        { "type": "input_text", "text": "Hi" },
        { "type": "input_audio", "transcript": null },
        { "type": "input_image", "image_url": null },
        { "type": "smell", "of": "roses" },
    ] });
    let ServerEvent::ItemAdded {
        item,
        previous_item_id,
    } = event(
        &json!({ "type": "conversation.item.created", "previous_item_id": null, "item": item }),
    )
    else {
        panic!("no item")
    };
    assert_eq!(previous_item_id, None);
    assert_eq!(
        item,
        ConversationItem::Message {
            id: "i".to_owned(),
            role: "user".to_owned(),
            content: vec![
                ContentPart::Text("Hi".to_owned()),
                ContentPart::Audio { transcript: None },
                ContentPart::Image { url: None },
                ContentPart::Other(r#"{"type":"smell","of":"roses"}"#.to_owned()),
            ],
        }
    );
}

/// What speech-to-speech 1.1.0 sent on 2026-11-22, with its audio cut.
#[test]
fn decode_captures_of_a_real_server_are_understood() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/realtime/captures");
    let (mut n_events, mut others) = (0, Vec::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let received =
                decode(line).unwrap_or_else(|error| panic!("{}: {error}: {line}", path.display()));
            if let ServerEvent::Other { name, .. } = received.event {
                others.push(name);
            }
            assert_eq!(received.deviations, [], "{}: {line}", path.display());
            n_events += 1;
        }
    }
    others.sort();
    others.dedup();
    assert_eq!(
        others,
        [
            "response.content_part.added",
            "response.content_part.done",
            "response.function_call_arguments.done",
        ]
    );
    assert!(n_events > 100, "{n_events}");
}

#[test]
fn encode_session_has_all_settings_in_their_places() {
    let mut spec = ToolSpec::new(
        ToolName::new("book").unwrap(),
        "Books.",
        json!({ "type": "object" }),
    );
    spec.strict = false;
    let mut transcription = Transcription::by("whisper-1");
    transcription.language = Some("en".to_owned());
    let settings = RealtimeSettings {
        instructions: Some("Be brief.".into()),
        tools: [spec].into(),
        tool_choice: Some(ToolChoice::Function("book".to_owned())),
        modality: Modality::Text,
        voice: Some("alloy".to_owned()),
        speed: Some(1.5),
        transcription: Some(transcription),
        noise_reduction: Some("far_field".to_owned()),
        turn_detection: Some(TurnDetection::Server(ServerVad {
            threshold: Some(0.5),
            silence: Some(Duration::from_millis(300)),
            create_response: Some(false),
            ..ServerVad::default()
        })),
        max_output_tokens: Some(100),
        extra: serde_json::Map::from_iter([("tracing".to_owned(), json!("auto"))]),
        ..RealtimeSettings::default()
    };
    assert_eq!(
        session(&settings),
        json!({
            "type": "realtime", "instructions": "Be brief.", "output_modalities": ["text"],
            "audio": {
                "input": {
                    "format": { "type": "audio/pcm", "rate": 24000 },
                    "transcription": { "model": "whisper-1", "language": "en" },
                    "noise_reduction": { "type": "far_field" },
                    "turn_detection": { "type": "server_vad", "threshold": 0.5, "silence_duration_ms": 300, "create_response": false },
                },
                "output": { "format": { "type": "audio/pcm", "rate": 24000 }, "voice": "alloy", "speed": 1.5 },
            },
            "tools": [{ "type": "function", "name": "book", "description": "Books.", "parameters": { "type": "object" } }],
            "tool_choice": { "type": "function", "name": "book" }, "max_output_tokens": 100, "tracing": "auto",
        })
    );
}

#[test]
fn encode_semantic_and_manual_turns() {
    for (detection, expected) in [
        (TurnDetection::Manual, Value::Null),
        (
            TurnDetection::Semantic(SemanticVad {
                eagerness: Some(Eagerness::High),
                interrupt_response: Some(false),
                ..SemanticVad::default()
            }),
            json!({ "type": "semantic_vad", "eagerness": "high", "interrupt_response": false }),
        ),
    ] {
        let settings = RealtimeSettings {
            turn_detection: Some(detection),
            ..RealtimeSettings::default()
        };
        assert_eq!(
            session(&settings)["audio"]["input"]["turn_detection"],
            expected
        );
    }
}

#[test]
fn encode_events_have_their_names_and_ids() {
    let truncate = ClientEvent::TruncateItem {
        item_id: "i".to_owned(),
        content_index: 0,
        audio_end_ms: 800,
    };
    for (event, expected) in [
        (
            ClientEvent::CommitAudio,
            json!({ "type": "input_audio_buffer.commit" }),
        ),
        (
            ClientEvent::ClearAudio,
            json!({ "type": "input_audio_buffer.clear" }),
        ),
        (
            ClientEvent::ClearOutputAudio,
            json!({ "type": "output_audio_buffer.clear" }),
        ),
        (
            ClientEvent::AppendAudio(vec![0, 1, 2].into()),
            json!({ "type": "input_audio_buffer.append", "audio": "AAEC" }),
        ),
        (
            truncate,
            json!({ "type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": 800 }),
        ),
        (
            ClientEvent::DeleteItem {
                item_id: "i".to_owned(),
            },
            json!({ "type": "conversation.item.delete", "item_id": "i" }),
        ),
        (
            ClientEvent::CancelResponse { response_id: None },
            json!({ "type": "response.cancel" }),
        ),
        (
            ClientEvent::CreateResponse(Box::default()),
            json!({ "type": "response.create" }),
        ),
        (
            ClientEvent::CreateItem(NewItem::user("Hi")),
            json!({ "type": "conversation.item.create", "item": { "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "Hi" }] } }),
        ),
    ] {
        let mut expected = expected;
        expected["event_id"] = json!("client_1");
        assert_eq!(sent(event), expected);
    }
}

fn json_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map("[a-z_]{1,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// A text comes back from the wire as it went in, whatever stands in it.
    #[test]
    fn decode_text_delta_gives_the_text(text in ".*", index in 0_u32..9) {
        let json = json!({ "type": "response.output_text.delta", "item_id": "i", "content_index": index, "delta": text });
        let ServerEvent::TextDelta(delta) = event(&json) else { panic!("no text") };
        prop_assert_eq!((delta.content, delta.content_index), (text, index));
    }

    #[test]
    fn encode_audio_is_read_back(audio in proptest::collection::vec(any::<u8>(), 0..200)) {
        let json = sent(ClientEvent::AppendAudio(audio.clone().into()));
        let delta = json!({ "type": "response.audio.delta", "item_id": "i", "delta": json["audio"] });
        let ServerEvent::AudioDelta(delta) = event(&delta) else { panic!("no audio") };
        prop_assert_eq!(delta.content, audio);
    }

    /// Fields of no meaning do not lose an event, and fields of a wrong type lose it by name, without a panic.
    #[test]
    fn decode_odd_fields_end_well_or_by_name(
        name in prop_oneof![
            Just("response.done"), Just("response.created"), Just("response.output_item.done"), Just("conversation.item.added"),
            Just("error"), Just("session.updated"), Just("response.output_audio.delta"), Just("input_audio_buffer.committed"),
        ],
        key in prop_oneof![Just("item"), Just("response"), Just("error"), Just("delta"), Just("item_id"), Just("event_id"), Just("x")],
        value in json_values(),
    ) {
        let mut json = json!({
            "type": name, "item_id": "i", "delta": "", "response": { "id": "r", "status": "completed", "output": [] },
            "item": { "id": "i", "type": "message", "role": "user", "content": [] }, "error": { "message": "m" }, "session": {},
        });
        json[key] = value;
        match decode(&json.to_string()) {
            Ok(_) => {}
            Err(error) => prop_assert!(!matches!(key, "event_id" | "x"), "{error}"),
        }
    }
}
