//! A document as JSON: what stands in it under which reference.

use serde_json::{Map, Value};

use super::{MAX_DOCUMENT_BYTES, OpenApiError};

/// The methods that an operation can have, as the document writes them.
pub(super) const METHODS: [&str; 7] = ["get", "head", "options", "post", "put", "patch", "delete"];
/// How many references may lead to each other.
const MAX_REFERENCES: usize = 16;
/// The longest name of a tool.
const MAX_NAME_CHARS: usize = 64;

pub(super) struct Document {
    json: Value,
}

impl Document {
    pub(super) fn parse(text: &str) -> Result<Self, OpenApiError> {
        if text.len() > MAX_DOCUMENT_BYTES {
            return Err(OpenApiError::TooLarge);
        }
        let syntax = |reason| OpenApiError::Syntax { reason };
        let json: Value = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| syntax(error.to_string()))?
        } else {
            let options = serde_saphyr::options! {
                with_snippet: false,
                alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 10_000 },
            };
            serde_saphyr::from_str_with_options(text, options)
                .map_err(|error| syntax(error.to_string()))?
        };
        let version = match json.get("openapi") {
            Some(Value::String(version)) => version.clone(),
            Some(other) => other.to_string(),
            None => "(nothing)".to_owned(),
        };
        if !version.starts_with("3.0") && !version.starts_with("3.1") {
            return Err(OpenApiError::Version { found: version });
        }
        Ok(Self { json })
    }

    /// The names that operations give tools, each with its path and method.
    pub(super) fn operation_names(
        &self,
    ) -> Result<Vec<(String, String, &'static str)>, OpenApiError> {
        let mut names = Vec::new();
        let paths = self.json.get("paths").and_then(Value::as_object);
        for (path, item) in paths.into_iter().flatten() {
            let item = self.object(item, path)?;
            for method in METHODS {
                let Some(operation) = item.get(method) else {
                    continue;
                };
                let written = operation.get("operationId").and_then(Value::as_str);
                let name = match written {
                    Some(id) => to_name(id),
                    None => to_name(&format!("{method}{path}")),
                };
                names.push((name, path.clone(), method));
            }
        }
        Ok(names)
    }

    /// What the document says of a path.
    pub(super) fn path_item(&self, path: &str) -> Result<&Map<String, Value>, OpenApiError> {
        let item = self.json.get("paths").and_then(|paths| paths.get(path));
        self.object(item.unwrap_or(&Value::Null), path)
    }

    /// An object, or what it refers to.
    pub(super) fn object<'a>(
        &'a self,
        value: &'a Value,
        place: &str,
    ) -> Result<&'a Map<String, Value>, OpenApiError> {
        let mut value = value;
        for _ in 0..MAX_REFERENCES {
            let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
                return value
                    .as_object()
                    .ok_or_else(|| problem(place, "here is no object"));
            };
            value = self.referred(reference, place)?;
        }
        Err(problem(place, "references lead in a circle"))
    }

    fn referred(&self, reference: &str, place: &str) -> Result<&Value, OpenApiError> {
        let Some(pointer) = reference.strip_prefix('#') else {
            let what =
                format!("`{reference}` refers to another document, and only this one is read");
            return Err(problem(place, what));
        };
        let found = self.json.pointer(pointer);
        found.ok_or_else(|| problem(place, format!("`{reference}` refers to nothing")))
    }

    /// A schema that stands for itself: what it refers to is added to the definitions, under a name that each has once.
    pub(super) fn schema(
        &self,
        schema: &Value,
        definitions: &mut Map<String, Value>,
        place: &str,
    ) -> Result<Value, OpenApiError> {
        Ok(match schema {
            Value::Object(object) => {
                let mut own = Map::with_capacity(object.len());
                for (key, value) in object {
                    let value = match (key.as_str(), value) {
                        ("$ref", Value::String(reference)) => {
                            let name = to_name(reference.trim_start_matches("#/"));
                            if !definitions.contains_key(&name) {
                                // It may refer to itself.
                                definitions.insert(name.clone(), Value::Null);
                                let referred = self.referred(reference, place)?.clone();
                                let definition = self.schema(&referred, definitions, place)?;
                                definitions.insert(name.clone(), definition);
                            }
                            Value::from(format!("#/$defs/{name}"))
                        }
                        // What it is an example of, or equals, is no schema.
                        ("example" | "examples" | "default" | "enum" | "const", value) => {
                            value.clone()
                        }
                        (_, value) => self.schema(value, definitions, place)?,
                    };
                    own.insert(key.clone(), value);
                }
                nullable(&mut own);
                Value::Object(own)
            }
            Value::Array(values) => {
                let values = values.iter();
                values
                    .map(|value| self.schema(value, definitions, place))
                    .collect::<Result<_, _>>()?
            }
            other => other.clone(),
        })
    }
}

/// `nullable` of version 3.0 is a type of its own in JSON Schema.
fn nullable(schema: &mut Map<String, Value>) {
    if schema.get("nullable") != Some(&Value::Bool(true)) {
        return;
    }
    schema.shift_remove("nullable");
    if let Some(Value::String(kind)) = schema.get("type").cloned() {
        schema.insert(
            "type".to_owned(),
            Value::from(vec![kind, "null".to_owned()]),
        );
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
}

pub(super) fn problem(place: &str, problem: impl Into<String>) -> OpenApiError {
    OpenApiError::Place {
        place: place.to_owned(),
        problem: problem.into(),
    }
}

/// A name of a tool that is like a text.
fn to_name(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let mut name = String::new();
    for c in text.chars().take(4 * MAX_NAME_CHARS) {
        if allowed(c) {
            name.push(c);
        } else if !name.ends_with('_') {
            name.push('_');
        }
    }
    let name: String = name
        .trim_matches('_')
        .chars()
        .take(MAX_NAME_CHARS)
        .collect();
    name
}
