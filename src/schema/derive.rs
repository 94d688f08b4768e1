//! Derives JSON Schema from Rust types, cleaned for models.

use std::collections::{BTreeMap, BTreeSet};

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use super::reference;

/// The values of `format` that JSON Schema defines. Servers reject or ignore others.
const FORMATS: &[&str] = &[
    "date-time",
    "date",
    "time",
    "duration",
    "email",
    "idn-email",
    "hostname",
    "idn-hostname",
    "ipv4",
    "ipv6",
    "uri",
    "uri-reference",
    "uri-template",
    "iri",
    "iri-reference",
    "uuid",
    "json-pointer",
    "relative-json-pointer",
    "regex",
];

/// Describes a type as JSON Schema, draft 2020-12.
///
/// Doc comments become descriptions, and an `Option` may be null. Left out is what models do not need: `$schema`, the title of
/// the root, and formats outside JSON Schema such as `int64`. An enum without fields becomes an `enum` of strings, with the docs
/// of its variants in the description. The schema is not strict; [`strict`](super::strict) makes it so.
pub fn of<T: JsonSchema>() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.meta_schema = None;
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    RecursiveTransform(clean).transform(&mut schema);
    let mut schema = schema.to_value();
    if let Some(root) = schema.as_object_mut() {
        root.shift_remove("title");
    }
    guard_recursion(&mut schema);
    schema
}

fn clean(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    let is_foreign = |format: &Value| !format.as_str().is_some_and(|it| FORMATS.contains(&it));
    if object.get("format").is_some_and(is_foreign) {
        object.shift_remove("format");
    }
    fold_names(object);
    declare_nothing(object);
}

/// Says that an object without fields has no properties, which servers want to see spelled out.
fn declare_nothing(object: &mut Map<String, Value>) {
    let is_bare = object
        .keys()
        .all(|key| matches!(key.as_str(), "type" | "title" | "description" | "$schema"));
    if is_bare && object.get("type").is_some_and(|it| it == "object") {
        object.insert("properties".to_owned(), Value::Object(Map::new()));
    }
}

/// Folds a choice between constant strings, the form of documented variants, into one `enum`.
fn fold_names(object: &mut Map<String, Value>) {
    let Some(variants) = object.get("oneOf").and_then(Value::as_array) else {
        return;
    };
    let Some(variants) = variants.iter().map(Names::of).collect::<Option<Vec<_>>>() else {
        return;
    };
    let described = object.get("description").and_then(Value::as_str);
    let mut lines: Vec<String> = described.map(str::to_owned).into_iter().collect();
    if described.is_some() && variants.iter().any(|it| it.description.is_some()) {
        lines.push(String::new());
    }
    lines.extend(variants.iter().filter_map(Names::line));
    let names: Vec<Value> = variants.into_iter().flat_map(|it| it.names).collect();

    object.shift_remove("oneOf");
    if !lines.is_empty() {
        object.insert("description".to_owned(), lines.join("\n").into());
    }
    object.insert("type".to_owned(), "string".into());
    object.insert("enum".to_owned(), names.into());
}

/// One or more variants without fields.
struct Names {
    names: Vec<Value>,
    description: Option<String>,
}

impl Names {
    fn of(variant: &Value) -> Option<Self> {
        let mut names = Vec::new();
        let mut description = None;
        for (key, value) in variant.as_object()? {
            match (key.as_str(), value) {
                ("type", Value::String(kind)) if kind == "string" => {}
                ("const", Value::String(_)) => names.push(value.clone()),
                ("enum", Value::Array(values)) if values.iter().all(Value::is_string) => {
                    names.extend(values.iter().cloned());
                }
                ("description", Value::String(text)) => description = Some(text.clone()),
                _ => return None,
            }
        }
        (!names.is_empty()).then_some(Self { names, description })
    }

    fn line(&self) -> Option<String> {
        let description = self.description.as_deref()?;
        let names: Vec<String> = self.names.iter().map(Value::to_string).collect();
        Some(format!("- {}: {description}", names.join(", ")))
    }
}

/// Wraps documented references to recursive types, `{"$ref", "description"}`, into an `anyOf` with
/// one entry.
///
/// The strict form inlines a reference that has siblings, which would never end for a recursive
/// type.
fn guard_recursion(schema: &mut Value) {
    let mut inlined: BTreeMap<Vec<String>, BTreeSet<Vec<String>>> = BTreeMap::new();
    let mut definitions = Map::new();
    if let Some(Value::Object(found)) = schema
        .as_object_mut()
        .and_then(|it| it.shift_remove("$defs"))
    {
        definitions = found;
    }
    inlined.insert(Vec::new(), inlined_by(schema));
    for (name, definition) in &definitions {
        let keys = vec!["$defs".to_owned(), name.clone()];
        inlined.insert(keys, inlined_by(definition));
    }
    // The strict form cannot inline the root at all, so that a documented reference to it always counts as recursive.
    let recursive: BTreeSet<Vec<String>> = inlined
        .keys()
        .filter(|keys| keys.is_empty() || reaches(&inlined, keys, keys))
        .cloned()
        .collect();

    wrap_references(schema, &recursive);
    for (_, definition) in &mut definitions {
        wrap_references(definition, &recursive);
    }
    if let Some(object) = schema.as_object_mut()
        && !definitions.is_empty()
    {
        object.insert("$defs".to_owned(), Value::Object(definitions));
    }
}

/// Lists the targets of the references with siblings in a schema.
fn inlined_by(schema: &Value) -> BTreeSet<Vec<String>> {
    let mut targets = BTreeSet::new();
    let mut pending = vec![schema];
    while let Some(value) = pending.pop() {
        match value {
            Value::Object(object) => {
                targets.extend(inlined_target(object));
                pending.extend(object.values());
            }
            Value::Array(items) => pending.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    targets
}

fn inlined_target(object: &Map<String, Value>) -> Option<Vec<String>> {
    let reference = object.get("$ref").filter(|_| object.len() > 1)?.as_str()?;
    match reference {
        "#" => Some(Vec::new()),
        _ => reference::decode(reference).ok(),
    }
}

fn reaches(
    inlined: &BTreeMap<Vec<String>, BTreeSet<Vec<String>>>,
    from: &[String],
    to: &[String],
) -> bool {
    let mut seen = BTreeSet::new();
    let mut pending: Vec<&[String]> = vec![from];
    while let Some(keys) = pending.pop() {
        for next in inlined.get(keys).into_iter().flatten() {
            if next == to {
                return true;
            }
            if seen.insert(next) {
                pending.push(next);
            }
        }
    }
    false
}

fn wrap_references(schema: &mut Value, recursive: &BTreeSet<Vec<String>>) {
    match schema {
        Value::Object(object) => {
            for value in object.values_mut() {
                wrap_references(value, recursive);
            }
            let target = inlined_target(object).filter(|keys| recursive.contains(keys));
            if target.is_some()
                && let Some(reference) = object.shift_remove("$ref")
            {
                object.insert("anyOf".to_owned(), json!([{ "$ref": reference }]));
            }
        }
        Value::Array(items) => {
            for item in items {
                wrap_references(item, recursive);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
