//! JSON Schema as the TypeScript types in which Harmony models are told about their tools.
//!
//! The layout is that of OpenAI's renderer, line break by line break, since the models were trained on it. Where that renderer
//! loses what a schema says (`$ref`, `anyOf`, `const`, ...), this one says it; `tests/fixtures/harmony/differences.json` lists where.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Returns the type of a tool's arguments, or `None` when the tool takes none.
pub(super) fn arguments_type(schema: &Value) -> Option<String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let is_plain = union_of(schema).is_none() && schema.get("$ref").is_none();
    if is_plain && properties.is_none_or(Map::is_empty) {
        return None;
    }
    let mut writer = TypeScriptWriter {
        root: schema,
        open: Vec::new(),
    };
    Some(writer.type_of(schema, ""))
}

struct TypeScriptWriter<'a> {
    root: &'a Value,
    /// The references that are being written; a type that holds itself ends there.
    open: Vec<String>,
}

impl TypeScriptWriter<'_> {
    fn type_of(&mut self, schema: &Value, indent: &str) -> String {
        self.with_resolved(schema, |writer, schema| writer.plain(schema, indent))
    }

    /// Calls with the schema that a reference means; what stands beside the reference goes first.
    fn with_resolved<T>(&mut self, schema: &Value, then: impl FnOnce(&mut Self, &Value) -> T) -> T {
        let reference = schema.get("$ref").and_then(Value::as_str);
        let (Some(reference), Some(object)) = (reference, schema.as_object()) else {
            return then(self, schema);
        };
        let mut beside = object.clone();
        beside.shift_remove("$ref");
        let target = reference
            .strip_prefix('#')
            .and_then(|pointer| self.root.pointer(pointer))
            .and_then(Value::as_object)
            .filter(|_| !self.open.iter().any(|open| open == reference));
        let Some(target) = target else {
            return then(self, &Value::Object(beside));
        };
        let mut merged = target.clone();
        merged.extend(beside);
        self.open.push(reference.to_owned());
        let result = self.with_resolved(&Value::Object(merged), then);
        self.open.pop();
        result
    }

    fn plain(&mut self, schema: &Value, indent: &str) -> String {
        if let Some(variants) = union_of(schema) {
            return self.union(variants, indent);
        }
        if let Some([only]) = list(schema, "allOf") {
            return self.type_of(only, indent);
        }
        if let Some(constant) = schema.get("const") {
            return literal(constant);
        }
        match schema.get("type") {
            Some(Value::Array(types)) if !types.is_empty() => self.type_list(schema, types, indent),
            Some(Value::String(name)) => self.named(schema, name, indent),
            _ => enum_of(schema).map_or_else(|| "any".to_owned(), literals),
        }
    }

    fn union(&mut self, variants: &[Value], indent: &str) -> String {
        let deeper = format!("{indent}   ");
        let mut out = String::new();
        for variant in variants {
            let type_name = self.nullable_type(variant, &deeper);
            let _ = write!(out, "\n{indent} | {type_name}");
            let mut notes: Vec<String> = description(variant).map(one_line).into_iter().collect();
            notes.extend(
                variant
                    .get("default")
                    .map(|default| format!("default: {}", literal(default))),
            );
            if !notes.is_empty() {
                let _ = write!(out, " // {}", notes.join(" "));
            }
        }
        out
    }

    fn type_list(&mut self, schema: &Value, types: &[Value], indent: &str) -> String {
        if let Some(values) = enum_of(schema) {
            return literals(values);
        }
        let names = types
            .iter()
            .filter_map(Value::as_str)
            .map(|name| match name {
                "object" | "array" => self.named(schema, name, indent),
                "integer" => "number".to_owned(),
                other => other.to_owned(),
            });
        names.collect::<Vec<_>>().join(" | ")
    }

    fn named(&mut self, schema: &Value, name: &str, indent: &str) -> String {
        match name {
            "object" => self.object(schema, indent),
            "array" => match schema.get("items") {
                Some(items) => format!("{}[]", self.type_of(items, indent)),
                None => "Array<any>".to_owned(),
            },
            "string" | "number" | "integer" | "boolean" => match (enum_of(schema), name) {
                (Some(values), _) => literals(values),
                (None, "integer") => "number".to_owned(),
                (None, name) => name.to_owned(),
            },
            "null" => "null".to_owned(),
            _ => "any".to_owned(),
        }
    }

    fn object(&mut self, schema: &Value, indent: &str) -> String {
        let mut out = String::new();
        if let Some(text) = description(schema) {
            comment(&mut out, indent, text);
        }
        out.push_str("{\n");
        let required = list(schema, "required").unwrap_or_default();
        for (key, value) in schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let mark = if required.iter().any(|name| name == key) {
                ""
            } else {
                "?"
            };
            let property = self.with_resolved(value, |writer, value| {
                writer.property(&format!("{key}{mark}"), value, indent)
            });
            out.push_str(&property);
        }
        out.push_str(indent);
        out.push('}');
        out
    }

    fn property(&mut self, key: &str, schema: &Value, indent: &str) -> String {
        let mut out = String::new();
        if let Some(title) = schema.get("title").and_then(Value::as_str) {
            comment(&mut out, indent, title);
            let _ = writeln!(out, "{indent}//");
        }
        let variants = union_of(schema);
        if variants.is_none()
            && let Some(text) = description(schema)
        {
            comment(&mut out, indent, text);
        }
        let examples = list(schema, "examples").unwrap_or_default();
        if !examples.is_empty() {
            let _ = writeln!(out, "{indent}// Examples:");
            for example in examples.iter().filter_map(Value::as_str) {
                let _ = writeln!(out, "{indent}// - \"{}\"", one_line(example));
            }
        }
        if let Some(variants) = variants {
            self.union_property(&mut out, key, (schema, variants), indent);
            return out;
        }
        let mut type_name = self.plain(schema, &format!("{indent}    "));
        add_null(&mut type_name, schema);
        let _ = write!(out, "{indent}{key}: {type_name},");
        if let Some(default) = default_note(schema) {
            let _ = write!(out, " // {default}");
        }
        out.push('\n');
        out
    }

    fn union_property(
        &mut self,
        out: &mut String,
        key: &str,
        (schema, variants): (&Value, &[Value]),
        indent: &str,
    ) {
        let own = description(schema);
        // A description that the first variant repeats stands there alone.
        let above = own.filter(|own| variants.first().and_then(description) != Some(*own));
        if let Some(text) = above {
            comment(out, indent, text);
        }
        if let Some(default) = default_note(schema) {
            let _ = writeln!(out, "{indent}// {default}");
        }
        let _ = writeln!(out, "{indent}{key}:");
        let deeper = format!("{indent}   ");
        for (n, variant) in variants.iter().enumerate() {
            let type_name = self.nullable_type(variant, &deeper);
            let _ = write!(out, "{indent} | {type_name}");
            let text = description(variant)
                .filter(|text| Some(*text) != own && !(n == 0 && above.is_some()));
            let notes: Vec<String> = text
                .map(one_line)
                .into_iter()
                .chain(default_note(variant))
                .collect();
            if !notes.is_empty() {
                let _ = write!(out, " // {}", notes.join(" "));
            }
            out.push('\n');
        }
        let _ = writeln!(out, "{indent},");
    }

    fn nullable_type(&mut self, schema: &Value, indent: &str) -> String {
        let mut type_name = self.type_of(schema, indent);
        add_null(&mut type_name, schema);
        type_name
    }
}

fn add_null(type_name: &mut String, schema: &Value) {
    if schema.get("nullable") == Some(&Value::Bool(true)) && !type_name.contains("null") {
        type_name.push_str(" | null");
    }
}

/// Writes a comment, every line of it behind `//`.
pub(super) fn comment(out: &mut String, indent: &str, text: &str) {
    for line in text.lines() {
        let _ = writeln!(out, "{indent}// {line}");
    }
    if text.is_empty() {
        let _ = writeln!(out, "{indent}// ");
    }
}

/// Joins the lines of a text that stands behind code.
fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join(" ")
}

fn default_note(schema: &Value) -> Option<String> {
    let default = schema.get("default")?;
    Some(match (default, enum_of(schema)) {
        (Value::String(text), Some(_)) => format!("default: {}", one_line(text)),
        _ => format!("default: {}", literal(default)),
    })
}

fn description(schema: &Value) -> Option<&str> {
    schema.get("description")?.as_str()
}

fn union_of(schema: &Value) -> Option<&[Value]> {
    list(schema, "oneOf").or_else(|| list(schema, "anyOf"))
}

fn enum_of(schema: &Value) -> Option<&[Value]> {
    list(schema, "enum").filter(|values| !values.is_empty())
}

fn list<'a>(schema: &'a Value, key: &str) -> Option<&'a [Value]> {
    schema.get(key)?.as_array().map(Vec::as_slice)
}

fn literals(values: &[Value]) -> String {
    values.iter().map(literal).collect::<Vec<_>>().join(" | ")
}

/// A value as it stands in code; a text on one line is not escaped further, as the reference has it.
fn literal(value: &Value) -> String {
    match value {
        Value::String(text) if !text.contains('\n') => format!("\"{text}\""),
        other => other.to_string(),
    }
}
