//! A schema as a graph whose nodes may be shared.
//!
//! The strict form inlines references, and later steps must see what earlier steps did to a
//! definition. A tree would need a copy of the definition at each use, which doubles at each level
//! of a recursive type. Shared nodes cost nothing, and converting one converts all of its uses.

use indexmap::IndexMap;
use serde_json::Value;

use super::error::SchemaError;
use super::path::SchemaPath;

/// The most levels of nested containers.
pub(super) const MAX_DEPTH: usize = 100;

/// The most nodes that one conversion visits.
pub(super) const MAX_NODES: usize = 100_000;

/// The most values of the result, in which shared nodes are written out: ten per node.
const MAX_VALUES: usize = 10 * MAX_NODES;

pub(super) type NamedNodes = IndexMap<String, NodeId>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeId(usize);

#[derive(Debug)]
pub(super) enum SchemaNode {
    Scalar(Value),
    List(Vec<NodeId>),
    Object(NamedNodes),
}

#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: Vec<SchemaNode>,
}

impl Graph {
    /// Imports a schema.
    pub(super) fn import(value: Value) -> Result<(Self, NodeId), SchemaError> {
        // Checked before anything else recurses: input comes from MCP servers and files, and may be
        // nested as deep as it likes.
        if let Err(error) = check_depth(&value, 1, &mut SchemaPath::default()) {
            discard(value);
            return Err(error);
        }
        let mut graph = Self::default();
        let root = graph.import_value(value);
        Ok((graph, root))
    }

    /// Exports the schema at a node.
    pub(super) fn export(&self, root: NodeId) -> Result<Value, SchemaError> {
        let mut export = Export {
            graph: self,
            n_values: 0,
            path: SchemaPath::default(),
        };
        export.value(root, 1)
    }

    pub(super) fn add(&mut self, node: SchemaNode) -> NodeId {
        self.nodes.push(node);
        NodeId(self.nodes.len() - 1)
    }

    pub(super) fn node(&self, id: NodeId) -> &SchemaNode {
        // Never used: only `add` makes ids, and nodes are never removed.
        const NOTHING: &SchemaNode = &SchemaNode::Scalar(Value::Null);
        self.nodes.get(id.0).unwrap_or(NOTHING)
    }

    pub(super) fn scalar(&self, id: NodeId) -> Option<&Value> {
        match self.node(id) {
            SchemaNode::Scalar(value) => Some(value),
            SchemaNode::List(_) | SchemaNode::Object(_) => None,
        }
    }

    pub(super) fn text(&self, id: NodeId) -> Option<&str> {
        self.scalar(id).and_then(Value::as_str)
    }

    pub(super) fn list(&self, id: NodeId) -> Option<&[NodeId]> {
        match self.node(id) {
            SchemaNode::List(items) => Some(items),
            SchemaNode::Scalar(_) | SchemaNode::Object(_) => None,
        }
    }

    pub(super) fn object(&self, id: NodeId) -> Option<&NamedNodes> {
        match self.node(id) {
            SchemaNode::Object(entries) => Some(entries),
            SchemaNode::Scalar(_) | SchemaNode::List(_) => None,
        }
    }

    pub(super) fn get(&self, object: NodeId, key: &str) -> Option<NodeId> {
        self.object(object)?.get(key).copied()
    }

    /// Replaces a value in its place, or adds it at the end.
    pub(super) fn set(&mut self, object: NodeId, key: &str, value: SchemaNode) {
        let value = self.add(value);
        if let Some(entries) = self.object_mut(object) {
            entries.insert(key.to_owned(), value);
        }
    }

    pub(super) fn remove(&mut self, object: NodeId, key: &str) {
        if let Some(entries) = self.object_mut(object) {
            entries.shift_remove(key);
        }
    }

    pub(super) fn object_mut(&mut self, id: NodeId) -> Option<&mut NamedNodes> {
        match self.nodes.get_mut(id.0) {
            Some(SchemaNode::Object(entries)) => Some(entries),
            Some(SchemaNode::Scalar(_) | SchemaNode::List(_)) | None => None,
        }
    }

    fn import_value(&mut self, value: Value) -> NodeId {
        let node = match value {
            Value::Array(items) => {
                SchemaNode::List(items.into_iter().map(|it| self.import_value(it)).collect())
            }
            Value::Object(entries) => SchemaNode::Object(
                entries
                    .into_iter()
                    .map(|(key, entry)| (key, self.import_value(entry)))
                    .collect(),
            ),
            scalar => SchemaNode::Scalar(scalar),
        };
        self.add(node)
    }
}

fn check_depth(value: &Value, depth: usize, path: &mut SchemaPath) -> Result<(), SchemaError> {
    let (Value::Array(_) | Value::Object(_)) = value else {
        return Ok(());
    };
    if depth > MAX_DEPTH {
        return Err(too_deep(path));
    }
    for (idx, item) in value.as_array().into_iter().flatten().enumerate() {
        path.push(idx.to_string());
        check_depth(item, depth + 1, path)?;
        path.pop();
    }
    for (key, entry) in value.as_object().into_iter().flatten() {
        path.push(key.as_str());
        check_depth(entry, depth + 1, path)?;
        path.pop();
    }
    Ok(())
}

/// Drops a value of any depth. The generated drop would recurse once per level and overflow the
/// stack.
fn discard(value: Value) {
    let mut pending = vec![value];
    while let Some(value) = pending.pop() {
        match value {
            Value::Array(items) => pending.extend(items),
            Value::Object(entries) => pending.extend(entries.into_iter().map(|(_, entry)| entry)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

pub(super) fn too_deep(path: &SchemaPath) -> SchemaError {
    SchemaError::TooDeep {
        path: path.clone(),
        limit: MAX_DEPTH,
    }
}

/// Writes shared nodes out, within limits on size and depth: sharing can make the result far larger
/// than the graph, or endless.
struct Export<'a> {
    graph: &'a Graph,
    n_values: usize,
    path: SchemaPath,
}

impl Export<'_> {
    fn value(&mut self, id: NodeId, depth: usize) -> Result<Value, SchemaError> {
        self.n_values += 1;
        if self.n_values > MAX_VALUES {
            return Err(SchemaError::TooLarge {
                path: self.path.clone(),
                limit: MAX_VALUES,
            });
        }
        // A definition that is inlined at the deepest place may itself have the full depth.
        if depth > 2 * MAX_DEPTH {
            return Err(too_deep(&self.path));
        }
        match self.graph.node(id) {
            SchemaNode::Scalar(value) => Ok(value.clone()),
            SchemaNode::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for (idx, &item) in items.iter().enumerate() {
                    list.push(self.child(&idx.to_string(), item, depth)?);
                }
                Ok(Value::Array(list))
            }
            SchemaNode::Object(entries) => {
                let mut object = serde_json::Map::with_capacity(entries.len());
                for (key, &entry) in entries {
                    object.insert(key.clone(), self.child(key, entry, depth)?);
                }
                Ok(Value::Object(object))
            }
        }
    }

    fn child(&mut self, key: &str, id: NodeId, depth: usize) -> Result<Value, SchemaError> {
        self.path.push(key);
        let value = self.value(id, depth + 1)?;
        self.path.pop();
        Ok(value)
    }
}
