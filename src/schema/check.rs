//! Checks a value against a schema that is known only at run time.

use std::fmt;

use serde_json::Value;

use super::SchemaError;

/// A schema that values are checked against, by all of JSON Schema. No reference is fetched.
pub(crate) struct SchemaCheck(jsonschema::Validator);

/// The first place of a value that does not match its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// A JSON pointer; empty for the value as a whole.
    pub(crate) path: String,
    /// What is wrong there, without the value itself.
    pub(crate) detail: String,
}

impl SchemaCheck {
    pub(crate) fn new(schema: &Value) -> Result<Self, SchemaError> {
        let invalid = |error: jsonschema::ValidationError<'_>| SchemaError::Invalid {
            detail: error.to_string(),
        };
        jsonschema::validator_for(schema).map(Self).map_err(invalid)
    }

    pub(crate) fn check(&self, value: &Value) -> Result<(), Mismatch> {
        self.0.validate(value).map_err(|error| Mismatch {
            path: error.instance_path().to_string(),
            // The message may be logged, and must not contain what a user asked or a model answered.
            detail: error.masked_with("the value").to_string(),
        })
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.detail),
            path => write!(f, "at `{path}`: {}", self.detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(schema: &Value, value: &Value, expect: &str) {
        let found = SchemaCheck::new(schema).unwrap().check(value);
        assert_eq!(
            found.map_or_else(|error| error.to_string(), |()| String::new()),
            expect
        );
    }

    #[test]
    fn a_mismatch_names_its_place_and_not_the_value() {
        let schema = json!({
            "type": "object",
            "properties": { "a": { "type": "array", "items": { "$ref": "#/$defs/n" } } },
            "required": ["a"],
            "$defs": { "n": { "type": "integer", "maximum": 9 } },
        });
        check(&schema, &json!({ "a": [1, 9] }), "");
        check(&schema, &json!({ "a": [], "more": 1 }), "");
        check(&schema, &json!([1]), "the value is not of type \"object\"");
        check(&schema, &json!({}), "\"a\" is a required property");
        check(
            &schema,
            &json!({ "a": [1, "secret"] }),
            "at `/a/1`: the value is not of type \"integer\"",
        );
        check(
            &schema,
            &json!({ "a": [10] }),
            "at `/a/0`: the value is greater than the maximum of 9",
        );
    }

    #[test]
    fn a_schema_that_is_none_is_an_error() {
        for schema in [
            json!({ "type": "number of things" }),
            json!({ "$ref": "https://example.com/schema.json" }),
            json!(1),
        ] {
            assert!(
                matches!(SchemaCheck::new(&schema), Err(SchemaError::Invalid { .. })),
                "{schema}"
            );
        }
    }
}
