//! Resolves `$ref`, and knows what may be beside it.

use std::collections::HashSet;

use serde_json::Value;

use super::error::SchemaError;
use super::graph::{Graph, NamedNodes, NodeId, SchemaNode};
use super::path::SchemaPath;

/// Keywords without constraints, which may be beside a `$ref`.
///
/// Maps of definitions are among them, because they do not constrain a value themselves.
const ANNOTATIONS: &[&str] = &[
    "$anchor",
    "$comment",
    "$defs",
    "$schema",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "default",
    "definitions",
    "deprecated",
    "description",
    "examples",
    "readOnly",
    "title",
    "writeOnly",
];

pub(super) fn is_annotation(keyword: &str) -> bool {
    ANNOTATIONS.contains(&keyword)
}

/// Lists the keywords beside a `$ref` that constrain, sorted.
pub(super) fn constraining_siblings(entries: &NamedNodes) -> Vec<&str> {
    let mut siblings: Vec<&str> = entries
        .keys()
        .map(String::as_str)
        .filter(|key| *key != "$ref" && !is_annotation(key))
        .collect();
    siblings.sort_unstable();
    siblings
}

/// Says whether a schema is a resource with its own base for references.
pub(super) fn declares_resource(graph: &Graph, schema: NodeId) -> bool {
    graph
        .get(schema, "$id")
        .is_some_and(|id| graph.text(id).is_some())
}

/// Splits a reference such as `#/$defs/a~1b%20c` into its decoded keys.
///
/// The fragment is percent-decoded before the pointer is split, so `%2F` separates and `~1` does not.
pub(super) fn decode(reference: &str) -> Result<Vec<String>, DecodeError> {
    let fragment = reference.strip_prefix("#/").ok_or(DecodeError::Outside)?;
    let pointer = percent_decode(fragment).ok_or(DecodeError::Encoding)?;
    Ok(pointer
        .split('/')
        .map(|key| key.replace("~1", "/").replace("~0", "~"))
        .collect())
}

/// Why a reference cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DecodeError {
    Outside,
    Encoding,
}

/// Decodes `%XX`. A `%` without two digits after it stays as it is.
pub(crate) fn percent_decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escape = match (byte, after) {
            (b'%', [high, low, tail @ ..]) => hex_pair(*high, *low).map(|value| (value, tail)),
            _ => None,
        };
        let (value, tail) = escape.unwrap_or((byte, after));
        decoded.push(value);
        rest = tail;
    }
    String::from_utf8(decoded).ok()
}

fn hex_pair(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
    };
    Some(digit(high)? * 16 + digit(low)?)
}

/// Finds the targets of references, in the schema as converted so far.
pub(super) struct Resolver<'a> {
    pub(super) graph: &'a Graph,
    pub(super) root: NodeId,
    pub(super) path: &'a SchemaPath,
}

impl Resolver<'_> {
    /// Finds the schema that a `$ref` leads to.
    pub(super) fn resolve(&self, reference: NodeId) -> Result<NodeId, SchemaError> {
        let Some(text) = self.graph.text(reference) else {
            return Err(self.missing(&printed(self.graph, reference)));
        };
        let keys = decode(text).map_err(|error| match error {
            DecodeError::Outside => SchemaError::RefOutside {
                path: self.path.clone(),
                reference: text.to_owned(),
            },
            DecodeError::Encoding => SchemaError::RefEncoding {
                path: self.path.clone(),
                reference: text.to_owned(),
            },
        })?;
        let mut found = self.root;
        for key in &keys {
            found = self
                .graph
                .get(found, key)
                .filter(|&next| self.graph.object(next).is_some())
                .ok_or_else(|| self.missing(text))?;
            if declares_resource(self.graph, found) {
                return Err(SchemaError::RefResource {
                    path: self.path.clone(),
                });
            }
        }
        Ok(found)
    }

    /// Follows references that have only annotations beside them, up to a schema.
    ///
    /// Annotations on the way are kept; the first of a name wins. Also gives the number of steps.
    pub(super) fn follow(&self, entry: NodeId) -> Result<(NamedNodes, usize), SchemaError> {
        let mut schema = entry;
        let mut seen = HashSet::new();
        let mut carried: Vec<NamedNodes> = Vec::new();
        loop {
            let entries = self.graph.object(schema).cloned().unwrap_or_default();
            let reference = entries.get("$ref").copied();
            let Some(reference) = reference.filter(|_| constraining_siblings(&entries).is_empty())
            else {
                let n_steps = carried.len();
                let mut result = entries;
                result.extend(merged_annotations(carried));
                return Ok((result, n_steps));
            };
            if let Some(text) = self.graph.text(reference)
                && !seen.insert(text)
            {
                return Err(SchemaError::RefCircle {
                    path: self.path.clone(),
                    reference: text.to_owned(),
                });
            }
            let mut siblings = entries;
            siblings.shift_remove("$ref");
            carried.push(siblings);
            schema = self.resolve(reference)?;
        }
    }

    fn missing(&self, reference: &str) -> SchemaError {
        SchemaError::RefMissing {
            path: self.path.clone(),
            reference: reference.to_owned(),
        }
    }
}

/// Merges the annotations of a chain of references: the outermost wins, the innermost comes first.
fn merged_annotations(carried: Vec<NamedNodes>) -> NamedNodes {
    let mut merged = NamedNodes::new();
    for siblings in carried.into_iter().rev() {
        merged.extend(siblings);
    }
    merged
}

fn printed(graph: &Graph, id: NodeId) -> String {
    match graph.node(id) {
        SchemaNode::Scalar(value) => value.to_string(),
        SchemaNode::List(_) => Value::Array(Vec::new()).to_string(),
        SchemaNode::Object(_) => Value::Object(serde_json::Map::new()).to_string(),
    }
}
