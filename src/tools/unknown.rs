//! Fields that a schema does not allow, at every level of the arguments.
//!
//! serde drops them without a word, and a model whose word is dropped does not learn that it was.

use serde_json::{Map, Value};

use super::shapes::{self, property};

/// Whether an object below the outermost one is closed, so that its fields have to be looked at.
pub(super) fn is_possible(schema: &Value) -> bool {
    match schema {
        Value::Object(object) => object
            .iter()
            .any(|(_, child)| is_closed_somewhere(child) || is_possible(child)),
        Value::Array(children) => children
            .iter()
            .any(|child| is_closed_somewhere(child) || is_possible(child)),
        _ => false,
    }
}

/// Says which field of a value is not in its schema, and which are.
pub(super) fn find(value: &Value, schema: &Value) -> Option<String> {
    visit(value, schema, schema, &mut Vec::new())
}

fn is_closed_somewhere(schema: &Value) -> bool {
    schema.as_object().is_some_and(is_closed)
}

fn is_closed(object: &Map<String, Value>) -> bool {
    object.get("additionalProperties") == Some(&Value::Bool(false))
}

fn visit(value: &Value, schema: &Value, root: &Value, path: &mut Vec<String>) -> Option<String> {
    let shapes = shapes::of(schema, root);
    match value {
        Value::Object(fields) => {
            // Where an alternative allows other fields, or says nothing of fields, nothing is known.
            let said: Vec<_> = shapes
                .iter()
                .filter(|shape| shape.contains_key("properties"))
                .collect();
            let is_closed = !said.is_empty() && said.iter().all(|shape| is_closed(shape));
            for (name, field) in fields {
                let mut children = shapes.iter().filter_map(|shape| property(shape, name));
                let (child, other) = (children.next(), children.next());
                path.push(match &**path {
                    [] => name.clone(),
                    _ => format!(".{name}"),
                });
                if child.is_none() && is_closed {
                    return Some(complaint(&path.concat(), &said));
                }
                if let (Some(child), None) = (child, other)
                    && let Some(found) = visit(field, child, root, path)
                {
                    return Some(found);
                }
                path.pop();
            }
        }
        Value::Array(elements) => {
            let mut children = shapes.iter().filter_map(|shape| shape.get("items"));
            if let (Some(child), None) = (children.next(), children.next()) {
                for (element_idx, element) in elements.iter().enumerate() {
                    path.push(format!("[{element_idx}]"));
                    let found = visit(element, child, root, path);
                    if found.is_some() {
                        return found;
                    }
                    path.pop();
                }
            }
        }
        _ => {}
    }
    None
}

fn complaint(field: &str, shapes: &[&&Map<String, Value>]) -> String {
    let mut known: Vec<&str> = Vec::new();
    for shape in shapes {
        let properties = shape.get("properties").and_then(Value::as_object);
        for name in properties.into_iter().flat_map(Map::keys) {
            if !known.contains(&name.as_str()) {
                known.push(name);
            }
        }
    }
    if known.is_empty() {
        return format!("unknown field `{field}`, there are none");
    }
    format!("unknown field `{field}`, expected `{}`", known.join("`, `"))
}
