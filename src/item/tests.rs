use serde_json::json;

use super::*;

fn check_round_trip(json: &Value) -> Item {
    let text = json.to_string();
    let item = Item::from_json(&text).expect("an item");
    assert_eq!(item.to_json(), text);
    let again: Item = serde_json::from_str(&serde_json::to_string(&item).unwrap()).unwrap();
    assert_eq!(again, item);
    assert_eq!(again.to_json(), text);
    item
}

#[test]
fn known_items_keep_unknown_fields_verbatim() {
    for json in [
        json!({"role": "user", "content": "hi"}),
        json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a", "x": [1]}], "z": null}),
        json!({"type": "message", "id": "m", "role": "assistant", "status": "completed",
               "content": [{"type": "output_text", "text": "t", "annotations": [], "logprobs": null}, {"type": "output_hologram", "q": 1}]}),
        json!({"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{}", "status": "completed", "n": 1.50}),
        json!({"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image", "image_url": "u", "w": 3}]}),
        json!({"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "gAAA+/="}),
        json!({"type": "web_search_call", "id": "ws", "action": {"type": "search", "queries": ["q"]}}),
    ] {
        check_round_trip(&json);
    }
}

#[test]
fn numbers_are_kept_as_written() {
    let json = r#"{"type":"x","n":1.50,"big":123456789012345678901234567890,"e":1E5}"#;
    assert_eq!(Item::from_json(json).unwrap().to_json(), json);
}

#[test]
fn items_built_here_have_the_responses_shape() {
    let check = |item: &Item, json: Value| {
        assert_eq!(serde_json::from_str::<Value>(item.to_json()).unwrap(), json);
    };
    check(
        &Item::user("hi"),
        json!({"type": "message", "role": "user", "content": "hi"}),
    );
    check(
        &Item::assistant("ok"),
        json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ok", "annotations": []}]}),
    );
    check(
        &FunctionCall::new("c", "f", "{}").into(),
        json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}),
    );
    check(
        &FunctionCallOutput::new("c", "r".into()).into(),
        json!({"type": "function_call_output", "call_id": "c", "output": "r"}),
    );
    check(
        &Reasoning::from_summary("why").into(),
        json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "why"}]}),
    );
}

#[test]
fn json_that_is_no_item_is_refused() {
    for (json, says) in [
        ("[]", "not a JSON object"),
        ("{}", "neither `type` nor `role`"),
        (r#"{"type":"function_call","name":"f"}"#, "call_id"),
        (r#"{"type":"message","role":"user"}"#, "content"),
        (r#"{"type":"message""#, "EOF"),
    ] {
        let error = Item::from_json(json).unwrap_err().to_string();
        assert!(error.contains(says), "{json}: {error}");
    }
}

#[test]
fn annotations_of_every_kind_are_read_with_their_places() {
    let odd = [
        json!({"type": "url_citation", "title": "without an address", "start_index": 3, "end_index": 1}),
        json!({"type": "hologram", "q": 1}),
        json!("a text"),
    ];
    let item = check_round_trip(&json!({"type": "message", "role": "assistant", "content": [
        {"type": "output_text", "text": "abc", "annotations": [
            {"type": "url_citation", "start_index": 0, "end_index": 2, "url": "https://a.example", "title": "A"},
            {"type": "file_citation", "index": 2, "file_id": "file-1", "filename": "a.txt"},
            {"type": "container_file_citation", "container_id": "c", "file_id": "cfile-1", "start_index": 1, "end_index": 3},
        ]},
        {"type": "refusal", "refusal": "no"},
        {"type": "output_text", "text": "d", "annotations": [
            {"type": "file_path", "file_id": "file-2"}, odd[0], odd[1], odd[2],
        ]},
    ]}));
    let read: Vec<_> = item
        .annotations()
        .into_iter()
        .map(|annotation| (annotation.part_idx, annotation.range, annotation.source))
        .collect();
    assert_eq!(
        read,
        [
            (
                0,
                Some(0..2),
                AnnotationSource::Url {
                    url: "https://a.example".to_owned(),
                    title: Some("A".to_owned()),
                }
            ),
            (
                0,
                Some(2..2),
                AnnotationSource::File {
                    file_id: "file-1".to_owned(),
                    filename: Some("a.txt".to_owned()),
                }
            ),
            (
                0,
                Some(1..3),
                AnnotationSource::ContainerFile {
                    container_id: "c".to_owned(),
                    file_id: "cfile-1".to_owned(),
                    filename: None,
                }
            ),
            (
                2,
                None,
                AnnotationSource::FilePath {
                    file_id: "file-2".to_owned(),
                }
            ),
            (2, None, AnnotationSource::Unknown(odd[0].clone())),
            (2, None, AnnotationSource::Unknown(odd[1].clone())),
            (2, None, AnnotationSource::Unknown(odd[2].clone())),
        ]
    );
}

#[test]
fn items_that_name_no_source_have_no_annotations() {
    for json in [
        json!({"type": "message", "role": "user", "content": "\"annotations\""}),
        json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "t", "annotations": null}]}),
        json!({"type": "web_search_call", "content": [{"annotations": [{"type": "file_path", "file_id": "f"}]}]}),
    ] {
        assert_eq!(check_round_trip(&json).annotations(), [], "{json}");
    }
    assert_eq!(Item::assistant("t").annotations(), []);
}
