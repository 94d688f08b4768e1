//! `null` for a field that may be absent.
//!
//! A strict schema requires every field, so a model has no way to leave one out; it writes `null` instead. The type behind the
//! field may have a default and no `null`. The schema as declared, before it was made strict, says which fields those are.

use serde_json::{Map, Value};

use super::shapes::{self, MAX_DEPTH, branches, property, reference};

/// Whether a schema has a field that may be absent but not `null`.
pub(super) fn is_possible(declared: &Value) -> bool {
    fn visit(schema: &Value, root: &Value) -> bool {
        match schema {
            Value::Object(object) => {
                let has_one = field_names(object).any(|name| may_be_absent(object, name, root));
                has_one || object.values().any(|child| visit(child, root))
            }
            Value::Array(children) => children.iter().any(|child| visit(child, root)),
            _ => false,
        }
    }
    visit(declared, declared)
}

/// Removes every `null` that stands for an absent field.
pub(super) fn remove(arguments: &mut Value, declared: &Value) {
    visit(arguments, declared, declared);
}

fn visit(value: &mut Value, schema: &Value, root: &Value) {
    let shapes = shapes::of(schema, root);
    match value {
        Value::Object(fields) => {
            fields.retain(|name, field| {
                // Alternatives may disagree about a field; it goes only if all that have it agree.
                let mut owners = shapes
                    .iter()
                    .filter(|shape| property(shape, name).is_some());
                let is_absent = field.is_null()
                    && owners.clone().next().is_some()
                    && owners.all(|shape| may_be_absent(shape, name, root));
                !is_absent
            });
            for (name, field) in fields {
                let mut children = shapes.iter().filter_map(|shape| property(shape, name));
                if let (Some(child), None) = (children.next(), children.next()) {
                    visit(field, child, root);
                }
            }
        }
        Value::Array(elements) => {
            let mut children = shapes.iter().filter_map(|shape| shape.get("items"));
            if let (Some(child), None) = (children.next(), children.next()) {
                for element in elements {
                    visit(element, child, root);
                }
            }
        }
        _ => {}
    }
}

fn may_be_absent(object: &Map<String, Value>, name: &str, root: &Value) -> bool {
    let is_required = object
        .get("required")
        .and_then(Value::as_array)
        .is_some_and(|required| required.iter().any(|required| required == name));
    !is_required
        && property(object, name).is_some_and(|schema| !accepts_null(schema, root, MAX_DEPTH))
}

fn accepts_null(schema: &Value, root: &Value, depth: usize) -> bool {
    let Value::Object(object) = schema else {
        return schema != &Value::Bool(false);
    };
    let Some(depth) = depth.checked_sub(1) else {
        return true;
    };
    let accepts = |schema: &Value| accepts_null(schema, root, depth);
    let allows_type = object.get("type").is_none_or(|kind| match kind {
        Value::Array(kinds) => kinds.iter().any(|kind| kind == "null"),
        kind => kind == "null",
    });
    allows_type
        && object.get("const").is_none_or(Value::is_null)
        && object
            .get("enum")
            .and_then(Value::as_array)
            .is_none_or(|values| values.iter().any(Value::is_null))
        && reference(object, root).is_none_or(accepts)
        && branches(object, "allOf").all(accepts)
        && ["anyOf", "oneOf"]
            .iter()
            .all(|key| !object.contains_key(*key) || branches(object, key).any(accepts))
}

fn field_names(object: &Map<String, Value>) -> impl Iterator<Item = &str> {
    object
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(Map::keys)
        .map(String::as_str)
}
