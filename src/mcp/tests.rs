//! Whatever a server sends beside what is needed, at whatever place: the answer is the same, and the difference is listed.
#![cfg(feature = "mcp-client")]

use serde_json::{Value, json};

use super::probe;

/// What servers send, by method, with the fields that the answer is made of.
const RECORDED: &str = r#"{
"tools/list": {
    "result": {
        "tools": [
            {
                "name": "look", "title": "Look", "description": "Looks.", "inputSchema": {"type": "object"},
                "outputSchema": {"type": "object"}, "annotations": {"title": "Look", "readOnlyHint": true},
                "icons": [{"src": "data:,", "mimeType": "image/png", "sizes": ["48x48"]}],
                "execution": {"taskSupport": "optional"}, "_meta": {"a": 1}
            },
            {"name": "go", "inputSchema": {"type": "object"}}
        ],
        "nextCursor": "2", "_meta": {}
    },
    "needed": ["tools", "tools[].name", "tools[].inputSchema", "tools[].description", "tools[].title", "nextCursor"]
},
"tools/call": {
    "result": {
        "content": [
            {"type": "text", "text": "Seen.", "annotations": {"audience": ["user"], "priority": 0.5}, "_meta": {}},
            {"type": "image", "data": "AA==", "mimeType": "image/png", "annotations": {"priority": 1}},
            {"type": "resource_link", "uri": "file:///a", "name": "a", "icons": [{"src": "data:,"}]},
            {"type": "resource", "resource": {"uri": "file:///a", "text": "A", "_meta": {}}}
        ],
        "structuredContent": {"seen": true}, "isError": false, "_meta": {}
    },
    "needed": [
        "content", "content[].type", "content[].text", "content[].data", "content[].mimeType", "content[].uri", "content[].name",
        "content[].resource", "content[].resource.uri", "content[].resource.text", "structuredContent", "isError"
    ]
},
"resources/list": {
    "result": {"resources": [{"uri": "file:///a", "name": "a", "annotations": {"priority": 1}, "icons": [{"src": "data:,"}], "_meta": {}}]},
    "needed": ["resources", "resources[].uri", "resources[].name"]
},
"resources/read": {
    "result": {"contents": [{"uri": "file:///a", "blob": "AA==", "_meta": {}}], "ttlMs": 5},
    "needed": ["contents", "contents[].uri", "contents[].blob"]
},
"prompts/list": {
    "result": {"prompts": [{"name": "ask", "arguments": [{"name": "who"}], "icons": [{"src": "data:,"}]}]},
    "needed": ["prompts", "prompts[].name", "prompts[].arguments", "prompts[].arguments[].name"]
},
"prompts/get": {
    "result": {"messages": [{"role": "user", "content": {"type": "text", "text": "Hi", "annotations": {"priority": 1}}}]},
    "needed": ["messages", "messages[].role", "messages[].content", "messages[].content.type", "messages[].content.text"]
},
"completion/complete": {
    "result": {"completion": {"values": ["a"], "total": 1, "hasMore": false}},
    "needed": ["completion", "completion.values"]
},
"initialize": {
    "result": {
        "protocolVersion": "2025-06-18", "capabilities": {"tools": {"listChanged": true}, "experimental": {}},
        "serverInfo": {"name": "s", "version": "1", "icons": [{"src": "data:,"}], "websiteUrl": "https://example.com"},
        "instructions": "Ask."
    },
    "needed": [
        "protocolVersion", "capabilities", "capabilities.tools", "capabilities.tools.listChanged", "serverInfo",
        "serverInfo.name", "serverInfo.version", "instructions"
    ]
}
}"#;

/// Reads a result as the client does; gives the answer and the deviations.
fn read(method: &str, result: &str) -> (String, Vec<String>) {
    let message = format!(r#"{{"jsonrpc":"2.0","id":7,"result":{result}}}"#);
    let (answers, deviations) = probe::answers(method, message.as_bytes());
    let [answer] = &answers[..] else {
        panic!("{method}: {message}: {answers:?}");
    };
    assert_ne!(answer, "None", "{method}: {message}");
    (answer.clone(), deviations)
}

/// The places of the objects in a value, as pointers and as paths without numbers.
fn objects(value: &Value, pointer: &str, path: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) => {
            found.push((pointer.to_owned(), path.to_owned()));
            // What stands below is the server's own.
            for (key, value) in map.iter().filter(|(key, _)| !is_open(key)) {
                let dot = if path.is_empty() { "" } else { "." };
                objects(
                    value,
                    &format!("{pointer}/{key}"),
                    &format!("{path}{dot}{key}"),
                    found,
                );
            }
        }
        Value::Array(values) => {
            for (n, value) in values.iter().enumerate() {
                objects(
                    value,
                    &format!("{pointer}/{n}"),
                    &format!("{path}[]"),
                    found,
                );
            }
        }
        _ => {}
    }
}

fn is_open(key: &str) -> bool {
    matches!(
        key,
        "_meta" | "inputSchema" | "outputSchema" | "structuredContent" | "experimental"
    )
}

/// Writes a value with a key that stands twice in one of its objects.
fn with_repeated(value: &Value, pointer: &str, key: &str, again: &Value) -> String {
    let mut marked = value.clone();
    let object = marked
        .pointer_mut(pointer)
        .and_then(Value::as_object_mut)
        .unwrap();
    object.insert("MARK".to_owned(), json!(0));
    marked
        .to_string()
        .replacen(r#""MARK":0"#, &format!("{}:{again}", json!(key)), 1)
}

/// Returns the document with another value in one of its objects.
fn changed(document: &Value, pointer: &str, key: &str, value: Value) -> String {
    let mut changed = document.clone();
    let object = changed.pointer_mut(pointer).and_then(Value::as_object_mut);
    object.unwrap().insert(key.to_owned(), value);
    changed.to_string()
}

/// Everything that can stand in a document beside what the answer is made of.
fn variants(document: &Value, needed: &[String]) -> Vec<String> {
    let mut places = Vec::new();
    objects(document, "", "", &mut places);
    let mut variants = Vec::new();
    for (pointer, path) in places {
        for extra in [json!(null), json!({"a": [1]})] {
            variants.push(changed(document, &pointer, "unexpected", extra));
        }
        let object = document.pointer(&pointer).and_then(Value::as_object);
        for (key, value) in object.unwrap() {
            variants.push(with_repeated(document, &pointer, key, value));
            let dot = if path.is_empty() { "" } else { "." };
            if needed.contains(&format!("{path}{dot}{key}")) {
                continue;
            }
            variants.push(with_repeated(document, &pointer, key, &json!([7])));
            for wrong in [json!(null), json!([{"x": 1}]), json!("wrong"), json!(7)] {
                if std::mem::discriminant(&wrong) != std::mem::discriminant(value) {
                    variants.push(changed(document, &pointer, key, wrong));
                }
            }
        }
    }
    variants
}

#[test]
fn optional_field_of_wrong_type_is_a_deviation() {
    let recorded: Value = serde_json::from_str(RECORDED).unwrap();
    let mut n_variants = 0;
    for (method, recorded) in recorded.as_object().unwrap() {
        let document = &recorded["result"];
        let needed: Vec<String> = serde_json::from_value(recorded["needed"].clone()).unwrap();
        let (expected, deviations) = read(method, &document.to_string());
        assert_eq!(deviations, Vec::<String>::new(), "{method}");
        for sent in variants(document, &needed) {
            let (answer, deviations) = read(method, &sent);
            assert_eq!(answer, expected, "{method}: {sent}");
            assert!(!deviations.is_empty(), "no deviation in {method}: {sent}");
            n_variants += 1;
        }
    }
    assert!(n_variants > 300, "{n_variants}");
}
