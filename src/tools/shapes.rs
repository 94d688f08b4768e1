//! The schemas that a value may have to satisfy, behind references and alternatives.

use serde_json::{Map, Value};

/// How far references and alternatives are followed; a schema may refer to itself.
pub(super) const MAX_DEPTH: usize = 16;

/// Finds them all; the schema itself is the first.
pub(super) fn of<'a>(schema: &'a Value, root: &'a Value) -> Vec<&'a Map<String, Value>> {
    let mut shapes = Vec::new();
    collect_shapes(schema, root, MAX_DEPTH, &mut shapes);
    shapes
}

fn collect_shapes<'a>(
    schema: &'a Value,
    root: &'a Value,
    depth: usize,
    shapes: &mut Vec<&'a Map<String, Value>>,
) {
    let (Value::Object(object), Some(depth)) = (schema, depth.checked_sub(1)) else {
        return;
    };
    shapes.push(object);
    if let Some(target) = reference(object, root) {
        collect_shapes(target, root, depth, shapes);
    }
    for branch in ["anyOf", "oneOf", "allOf"]
        .iter()
        .flat_map(|key| branches(object, key))
    {
        collect_shapes(branch, root, depth, shapes);
    }
}

pub(super) fn reference<'a>(object: &Map<String, Value>, root: &'a Value) -> Option<&'a Value> {
    let target = object.get("$ref")?.as_str()?;
    root.pointer(target.strip_prefix('#')?)
}

pub(super) fn branches<'a>(
    object: &'a Map<String, Value>,
    key: &str,
) -> impl Iterator<Item = &'a Value> {
    object
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

pub(super) fn property<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get("properties")?.as_object()?.get(name)
}
