//! Merges the only entry of an `allOf` into the schema around it.

use serde_json::{Number, Value};

use super::error::SchemaError;
use super::graph::{Graph, NamedNodes, NodeId, SchemaNode};
use super::path::SchemaPath;
use super::reference::is_annotation;

/// Merges two schemas that both apply. Only annotations may differ, and those of the parent win.
pub(super) fn merge(
    graph: &Graph,
    entry: &NamedNodes,
    parent: &NamedNodes,
    path: &SchemaPath,
) -> Result<NamedNodes, SchemaError> {
    let mut conflicts = Vec::new();
    // `additionalProperties` knows only the properties beside it, so that a closed parent forbids those of the entry.
    let parent_takes_nothing = is_false(graph, parent.get("additionalProperties"))
        && parent
            .get("properties")
            .is_none_or(|&id| is_empty_object(graph, id));
    let entry_has_properties = entry.get("properties").is_some_and(|&id| {
        graph
            .object(id)
            .is_some_and(|properties| !properties.is_empty())
    });
    if parent_takes_nothing && entry_has_properties {
        conflicts.push("properties");
    }

    let mut merged = entry.clone();
    for (key, &value) in parent {
        match merged.get(key) {
            Some(_) if is_annotation(key) => {
                merged.insert(key.clone(), value);
            }
            Some(&other) if equal(graph, value, other) || adds_nothing(graph, key, value) => {}
            Some(_) => conflicts.push(key),
            None => {
                merged.insert(key.clone(), value);
            }
        }
    }
    if conflicts.is_empty() {
        return Ok(merged);
    }
    conflicts.sort_unstable();
    conflicts.dedup();
    Err(SchemaError::AllOfConflict {
        path: path.clone(),
        keywords: conflicts.into_iter().map(str::to_owned).collect(),
    })
}

fn adds_nothing(graph: &Graph, key: &str, value: NodeId) -> bool {
    match key {
        "properties" => is_empty_object(graph, value),
        "required" => graph.list(value).is_some_and(<[_]>::is_empty),
        _ => false,
    }
}

fn is_empty_object(graph: &Graph, id: NodeId) -> bool {
    graph.object(id).is_some_and(NamedNodes::is_empty)
}

pub(super) fn is_false(graph: &Graph, id: Option<&NodeId>) -> bool {
    id.and_then(|&id| graph.scalar(id)) == Some(&Value::Bool(false))
}

/// Compares as JSON Schema does: the order of keys does not matter, and 1 equals 1.0.
fn equal(graph: &Graph, left: NodeId, right: NodeId) -> bool {
    match (graph.node(left), graph.node(right)) {
        (SchemaNode::Scalar(Value::Number(left)), SchemaNode::Scalar(Value::Number(right))) => {
            equal_numbers(left, right)
        }
        (SchemaNode::Scalar(left), SchemaNode::Scalar(right)) => left == right,
        (SchemaNode::List(left), SchemaNode::List(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(&left, &right)| equal(graph, left, right))
        }
        (SchemaNode::Object(left), SchemaNode::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, &left)| {
                    right
                        .get(key)
                        .is_some_and(|&right| equal(graph, left, right))
                })
        }
        (SchemaNode::Scalar(_) | SchemaNode::List(_) | SchemaNode::Object(_), _) => false,
    }
}

fn equal_numbers(left: &Number, right: &Number) -> bool {
    if left.is_f64() == right.is_f64() {
        return left == right;
    }
    // An integer and a float are compared as text, since a large integer may not have an exact float. Adding 0.0
    // turns -0.0 into 0.0.
    let (integer, float) = if left.is_f64() {
        (right, left)
    } else {
        (left, right)
    };
    float.as_f64().is_some_and(|float| {
        float.fract() == 0.0 && format!("{:.0}", float + 0.0) == integer.to_string()
    })
}
