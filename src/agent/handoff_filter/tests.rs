//! The filters against what those of the Python SDK made of the same conversations.

use super::*;

const GOLDEN: &str = include_str!("../../../tests/fixtures/python-parity/handoff_golden.jsonl");

fn items(list: &Value) -> Vec<Item> {
    serde_json::from_value(list.clone()).unwrap()
}

/// Items as values, without the type of messages, which the Python SDK leaves out of some.
fn values(items: impl IntoIterator<Item = Item>) -> Vec<Value> {
    let value = |item: Item| {
        let mut value = json_of(&item);
        if value["type"] == "message" {
            value.as_object_mut().unwrap().shift_remove("type");
        }
        value
    };
    items.into_iter().map(value).collect()
}

async fn apply(filter: &HandoffFilter, case: &Value) -> Vec<Value> {
    let history = HandoffHistory {
        cx: RunContext::default(),
        from: "A".into(),
        to: "B".into(),
        input: items(&case["in"]["input"]),
        earlier: items(&case["in"]["earlier"]),
        new: items(&case["in"]["new"]),
    };
    let HandoffHistory {
        input,
        earlier,
        new,
        ..
    } = filter.apply(history).await.unwrap();
    values([input, earlier, new].into_iter().flatten())
}

#[tokio::test]
async fn conversations_become_those_of_the_python_sdk() {
    for (n, line) in GOLDEN.lines().enumerate() {
        let case: Value = serde_json::from_str(line).unwrap();
        for (filter, key) in [
            (HandoffFilter::nested_history(), "nested"),
            (HandoffFilter::remove_tools(), "without_tools"),
        ] {
            let theirs = values(items(&case[key]));
            assert_eq!(apply(&filter, &case).await, theirs, "line {}, {key}", n + 1);
        }
    }
}

/// What is told has the form that can be read back, whatever it holds.
#[test]
fn handoff_transcript_is_parsed_back() {
    for text in [
        "",
        "a",
        "a: b",
        "1. user: x",
        END,
        "{\"a\": 1}",
        "a\n\nb",
        "\u{2028}",
        " a ",
    ] {
        let told = [
            serde_json::json!({ "role": "user", "content": text }),
            serde_json::json!({ "role": "user", "name": "Bob", "content": text }),
            serde_json::json!({ "type": "function_call_output", "call_id": "c", "output": text }),
        ];
        let again = unfold(&tell(&told));
        assert_eq!(again, told, "{text:?}");
    }
}
