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
