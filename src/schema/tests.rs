use serde_json::{Value, json};

use super::*;

mod types;

const GOLDEN: &str = include_str!("../../tests/fixtures/strict/golden.jsonl");
const MORE: &str = include_str!("../../tests/fixtures/strict/more.jsonl");

/// Names the classes that the Python SDK raises where this crate gives an error.
fn python_classes(error: &SchemaError) -> &'static [&'static str] {
    match error {
        SchemaError::RefOutside { .. } => &["ValueError"],
        SchemaError::RefEncoding { .. } => &["UnicodeDecodeError"],
        SchemaError::RefMissing { .. } => &["KeyError", "AssertionError"],
        SchemaError::NotASchema { .. } => &["TypeError"],
        _ => &["UserError"],
    }
}

fn check_golden(line: &str) {
    let case: Value = serde_json::from_str(line).unwrap();
    let result = strict(case["in"].clone());
    match (case.get("ok"), result) {
        (None, Err(error)) => {
            let expected = case["error"].as_str().unwrap();
            assert!(
                python_classes(&error).contains(&expected),
                "{error:?}: {line}"
            );
        }
        // Text, so that the order of keys counts.
        (Some(expected), Ok(ok)) => assert_eq!(expected.to_string(), ok.to_string(), "{line}"),
        (_, result) => panic!("{result:?}: {line}"),
    }
}

#[test]
fn agrees_with_the_python_sdk() {
    for line in GOLDEN.lines().chain(MORE.lines()) {
        check_golden(line);
    }
}

#[test]
fn is_its_own_strict_form() {
    for line in GOLDEN.lines().chain(MORE.lines()) {
        let case: Value = serde_json::from_str(line).unwrap();
        if let Ok(once) = strict(case["in"].clone()) {
            // A reference that was inlined may leave a schema that only the first pass accepts.
            if let Ok(twice) = strict(once.clone()) {
                assert_eq!(twice, once, "{line}");
            }
        }
    }
}

fn check_error(schema: Value, message: &str) {
    assert_eq!(strict(schema).unwrap_err().to_string(), message);
}

#[test]
fn errors_say_where_and_what_to_do() {
    check_error(
        json!({"properties": {"rows": {"type": "array", "items": {"additionalProperties": {"type": "string"}}}}}),
        "property `rows` (#/properties/rows/items) is a map or allows undeclared properties, which strict mode forbids; \
         use a list of key-value pairs, or turn strict off",
    );
    check_error(
        json!({"properties": {"a/b": true}}),
        "property `a/b` (#/properties/a~1b) is `true`, which accepts any value, where strict mode needs a schema object; \
         give it a concrete type, or turn strict off",
    );
    check_error(
        json!({"oneOf": [{"type": "string"}]}),
        "the root (#) is a union, which strict mode forbids; put the union into a property of an object",
    );
    check_error(
        json!({"properties": {"p": {"$ref": "#/$defs/Gone", "description": "d"}}}),
        "property `p` (#/properties/p) refers to `#/$defs/Gone`, where there is no schema; define it or correct the reference",
    );
    check_error(
        json!({"$defs": {"A": {"$ref": "#/$defs/B", "minLength": 1, "maxLength": 2}}}),
        "the schema at #/$defs/A has a `$ref` beside maxLength, minLength, which cannot be merged without changing what is \
         accepted; move them into the definition",
    );
    check_error(
        json!({"properties": {"p": {"type": "string", "allOf": [{"type": "number"}]}}}),
        "property `p` (#/properties/p) and the only entry of its `allOf` disagree on type; write them as one schema",
    );
}

/// Nests arrays by moving, since `json!` copies, and recursively.
fn nested(n_levels: usize) -> Value {
    (0..n_levels).fold(json!({"type": "string"}), |inner, _| {
        let mut array = json!({"type": "array"});
        array["items"] = inner;
        array
    })
}

#[test]
fn depth_is_limited() {
    assert!(strict(nested(99)).is_ok());
    for n_levels in [100, 101, 100_000] {
        assert!(matches!(
            strict(nested(n_levels)),
            Err(SchemaError::TooDeep { limit: 100, .. })
        ));
    }
}

/// Definitions that each use the next one several times, inlined.
fn fan_out(n_levels: usize, width: usize) -> Value {
    let mut definitions = serde_json::Map::new();
    for level in 0..n_levels {
        let reference = format!("#/$defs/{}", level + 1);
        let properties: serde_json::Map<String, Value> = (0..width)
            .map(|idx| {
                (
                    idx.to_string(),
                    json!({"$ref": reference, "description": "d"}),
                )
            })
            .collect();
        definitions.insert(level.to_string(), json!({"properties": properties}));
    }
    definitions.insert(n_levels.to_string(), json!({"type": "string"}));
    json!({"$defs": definitions})
}

#[test]
fn size_is_limited() {
    assert!(strict(fan_out(8, 2)).is_ok());
    assert!(matches!(
        strict(fan_out(20, 2)),
        Err(SchemaError::TooLarge { limit: 100_000, .. })
    ));
    // Few nodes to visit, but each use repeats a large annotation.
    let examples: Vec<usize> = (0..10_000).collect();
    let uses: serde_json::Map<String, Value> = (0..1_000)
        .map(|idx| (idx.to_string(), json!({"$ref": "#/$defs/A", "title": "t"})))
        .collect();
    let wide =
        json!({"$defs": {"A": {"type": "string", "examples": examples}}, "properties": uses});
    assert!(matches!(
        strict(wide),
        Err(SchemaError::TooLarge {
            limit: 1_000_000,
            ..
        })
    ));
}

#[test]
fn endless_sharing_is_an_error() {
    // A map of properties, used as a schema, makes a schema a part of itself where the conversion does not look.
    let schema = json!({"properties": {
        "p": {"properties": {"q": {"$ref": "#/properties/p/properties", "title": "t"}}},
    }});
    assert!(matches!(strict(schema), Err(SchemaError::TooDeep { .. })));
}
