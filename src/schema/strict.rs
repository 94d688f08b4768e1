//! The strict form of a schema.
//!
//! The rules are those of the Python Agents SDK 0.24, case for case, so that a schema means the
//! same to a model whichever SDK sent it. `tests/fixtures/strict` has the results of that SDK.

use serde_json::{Value, json};

use super::all_of;
use super::error::SchemaError;
use super::graph::{Graph, MAX_DEPTH, MAX_NODES, NamedNodes, NodeId, SchemaNode, too_deep};
use super::path::SchemaPath;
use super::reference::{Resolver, constraining_siblings, declares_resource};

/// Returns the strict form of a schema, in which every object is closed.
///
/// - An object gets `additionalProperties: false`, and all its properties are required, in order. A schema with properties and
///   no type is an object; `{}` is an object without properties.
/// - `oneOf` becomes `anyOf`. An `allOf` of one entry is merged into its parent; longer ones stay.
/// - `default: null` goes; other defaults stay.
/// - A `$ref` with annotations beside it is replaced by what it refers to, and the annotations win. A lone `$ref` stays.
/// - Schemas in `properties`, `items`, `anyOf`, `oneOf`, `allOf`, `$defs` and `definitions` are converted; those elsewhere, as
///   in `prefixItems` and `not`, are kept as they are.
///
/// The conversion visits at most 100,000 nodes, nested at most 100 deep.
///
/// # Errors
///
/// Returns a [`SchemaError`] with the place in the schema if closing it would change what it accepts (a map, a union or a nullable
/// type at the root, constraints beside a `$ref`, contradictions in an `allOf`), if a reference that has to be inlined leads
/// nowhere, or if a limit is reached.
pub fn strict(schema: Value) -> Result<Value, SchemaError> {
    if schema.as_object().is_some_and(serde_json::Map::is_empty) {
        return Ok(json!({
            "additionalProperties": false,
            "type": "object",
            "properties": {},
            "required": [],
        }));
    }
    let (graph, root) = Graph::import(schema)?;
    let mut converter = Converter {
        graph,
        root,
        n_nodes_left: MAX_NODES,
        path: SchemaPath::default(),
    };
    let start = SchemaPlace {
        depth: 1,
        in_resource: false,
    };
    converter.schema(root, start)?;
    converter.check_root()?;
    converter.graph.export(root)
}

struct Converter {
    graph: Graph,
    root: NodeId,
    n_nodes_left: usize,
    path: SchemaPath,
}

/// How a schema was reached.
#[derive(Clone, Copy)]
struct SchemaPlace {
    depth: usize,
    /// Whether a schema with an `$id` is between the root and here, which changes the meaning of references.
    in_resource: bool,
}

impl Converter {
    /// Converts a schema and everything below it, in place.
    ///
    /// The order of the steps decides the order of the keys, which the fixtures of the Python SDK
    /// fix.
    fn schema(&mut self, schema: NodeId, place: SchemaPlace) -> Result<(), SchemaError> {
        if place.depth > MAX_DEPTH {
            return Err(too_deep(&self.path));
        }
        let Some(entries) = self.graph.object(schema) else {
            return Err(self.not_a_schema(schema));
        };
        // Looked up before `close`, which sets the same keyword itself.
        let closed_by_author = all_of::is_false(&self.graph, entries.get("additionalProperties"));
        self.spend(1)?;
        let is_nested_resource = schema != self.root && declares_resource(&self.graph, schema);
        let below = SchemaPlace {
            depth: place.depth + 1,
            in_resource: place.in_resource || is_nested_resource,
        };
        self.check_reference(schema, below)?;
        for definitions in ["$defs", "definitions"] {
            self.named_children(schema, definitions, below)?;
        }
        self.close(schema)?;
        self.properties(schema, below)?;
        if let Some(items) = self.graph.get(schema, "items")
            && self.graph.object(items).is_some()
        {
            self.child(&["items"], items, below)?;
        }
        self.listed_children(schema, "anyOf", below)?;
        self.one_of(schema, below)?;
        // Merging `allOf` and inlining a reference bring in keywords that were not converted yet:
        // convert the schema again.
        if self.all_of(schema, below, closed_by_author)? {
            return self.schema(schema, below);
        }
        self.drop_null_default(schema);
        if self.inline_reference(schema)? {
            return self.schema(schema, below);
        }
        Ok(())
    }

    fn check_reference(&self, schema: NodeId, place: SchemaPlace) -> Result<(), SchemaError> {
        let Some(entries) = self
            .graph
            .object(schema)
            .filter(|entries| entries.contains_key("$ref"))
        else {
            return Ok(());
        };
        if place.in_resource {
            return Err(SchemaError::RefResource {
                path: self.path.clone(),
            });
        }
        let is_root = schema == self.root;
        let keywords: Vec<String> = constraining_siblings(entries)
            .into_iter()
            .filter(|key| !(is_root && *key == "$id"))
            .map(str::to_owned)
            .collect();
        if keywords.is_empty() {
            return Ok(());
        }
        Err(SchemaError::RefSiblings {
            path: self.path.clone(),
            keywords,
        })
    }

    /// Closes an object: it allows only its declared properties.
    fn close(&mut self, schema: NodeId) -> Result<(), SchemaError> {
        let kind = self
            .graph
            .get(schema, "type")
            .filter(|&id| self.graph.scalar(id) != Some(&Value::Null));
        let has_properties = self
            .graph
            .get(schema, "properties")
            .is_some_and(|id| self.graph.object(id).is_some());
        let is_object = match kind {
            Some(kind) => self.allows_object(kind),
            None if has_properties => {
                let object = SchemaNode::Scalar(Value::from("object"));
                self.graph.set(schema, "type", object);
                true
            }
            None => false,
        };
        match self.graph.get(schema, "additionalProperties") {
            Some(id) if all_of::is_false(&self.graph, Some(&id)) => {}
            Some(_) if is_object || kind.is_none() => {
                return Err(SchemaError::OpenObject {
                    path: self.path.clone(),
                });
            }
            None if is_object => {
                let closed = SchemaNode::Scalar(Value::Bool(false));
                self.graph.set(schema, "additionalProperties", closed);
            }
            Some(_) | None => {}
        }
        Ok(())
    }

    /// Makes all properties required, and converts them.
    fn properties(&mut self, schema: NodeId, below: SchemaPlace) -> Result<(), SchemaError> {
        let Some(entries) = self
            .graph
            .get(schema, "properties")
            .and_then(|id| self.graph.object(id))
            .cloned()
        else {
            return Ok(());
        };
        let names: Vec<NodeId> = entries
            .keys()
            .map(|name| {
                self.graph
                    .add(SchemaNode::Scalar(Value::from(name.as_str())))
            })
            .collect();
        self.graph.set(schema, "required", SchemaNode::List(names));
        self.named_children(schema, "properties", below)?;
        // The map may be shared with a place where it is a schema itself and gains keywords. This copy is not shared.
        self.graph
            .set(schema, "properties", SchemaNode::Object(entries));
        Ok(())
    }

    fn one_of(&mut self, schema: NodeId, below: SchemaPlace) -> Result<(), SchemaError> {
        let Some(variants) = self.list(schema, "oneOf") else {
            return Ok(());
        };
        self.listed_children(schema, "oneOf", below)?;
        let mut any_of = self.list(schema, "anyOf").unwrap_or_default();
        any_of.extend(variants);
        self.graph.set(schema, "anyOf", SchemaNode::List(any_of));
        self.graph.remove(schema, "oneOf");
        Ok(())
    }

    /// Converts an `allOf`. Says whether it was merged into the schema, which must then be
    /// converted again.
    fn all_of(
        &mut self,
        schema: NodeId,
        below: SchemaPlace,
        closed_by_author: bool,
    ) -> Result<bool, SchemaError> {
        let entry = match self.list(schema, "allOf").as_deref() {
            Some(&[entry]) => entry,
            Some(_) => {
                self.listed_children(schema, "allOf", below)?;
                return Ok(false);
            }
            None => return Ok(false),
        };
        let entry = self.all_of_entry(entry, below)?;
        self.graph.remove(schema, "allOf");
        if !closed_by_author {
            // The merged object is closed later, when all of its properties are known.
            self.graph.remove(schema, "additionalProperties");
        }
        let parent = self.graph.object(schema).cloned().unwrap_or_default();
        let merged = all_of::merge(&self.graph, &entry, &parent, &self.path)?;
        if let Some(entries) = self.graph.object_mut(schema) {
            *entries = merged;
        }
        Ok(true)
    }

    fn all_of_entry(
        &mut self,
        entry: NodeId,
        below: SchemaPlace,
    ) -> Result<NamedNodes, SchemaError> {
        let is_reference = self.graph.object(entry).is_some_and(|entries| {
            entries.contains_key("$ref") && constraining_siblings(entries).is_empty()
        });
        if !is_reference {
            self.child(&["allOf", "0"], entry, below)?;
            return Ok(self.graph.object(entry).cloned().unwrap_or_default());
        }
        if below.in_resource {
            return Err(SchemaError::RefResource {
                path: self.path.clone(),
            });
        }
        let (entries, n_steps) = self.resolver().follow(entry)?;
        self.spend(1 + n_steps)?;
        Ok(entries)
    }

    fn drop_null_default(&mut self, schema: NodeId) {
        let default = self.graph.get(schema, "default");
        if default.and_then(|id| self.graph.scalar(id)) == Some(&Value::Null) {
            self.graph.remove(schema, "default");
        }
    }

    /// Replaces a `$ref` with siblings by its target. Says whether it did.
    fn inline_reference(&mut self, schema: NodeId) -> Result<bool, SchemaError> {
        let has_siblings = self.graph.object(schema).is_some_and(|it| it.len() > 1);
        let reference = self
            .graph
            .get(schema, "$ref")
            .filter(|&id| has_siblings && !self.is_empty_value(id));
        let Some(reference) = reference else {
            return Ok(false);
        };
        let target = self.resolver().resolve(reference)?;
        // Removed first: if the target is the schema itself, only its annotations must remain, and not the reference.
        self.graph.remove(schema, "$ref");
        let inlined = self.graph.object(target).cloned().unwrap_or_default();
        if let Some(entries) = self.graph.object_mut(schema) {
            for (key, value) in inlined {
                entries.entry(key).or_insert(value);
            }
        }
        Ok(true)
    }

    fn check_root(&mut self) -> Result<(), SchemaError> {
        if self.list(self.root, "anyOf").is_some() {
            return Err(SchemaError::RootUnion);
        }
        let Some(kind) = self.graph.get(self.root, "type") else {
            return Ok(());
        };
        match self.graph.list(kind) {
            Some(&[only]) if self.graph.text(only) == Some("object") => {
                let object = SchemaNode::Scalar(Value::from("object"));
                self.graph.set(self.root, "type", object);
                Ok(())
            }
            Some(_) if self.allows_object(kind) => Err(SchemaError::RootType {
                found: self.graph.export(kind)?.to_string(),
            }),
            Some(_) | None => Ok(()),
        }
    }

    fn named_children(
        &mut self,
        schema: NodeId,
        keyword: &str,
        below: SchemaPlace,
    ) -> Result<(), SchemaError> {
        let map = self.graph.get(schema, keyword);
        let Some(entries) = map.and_then(|id| self.graph.object(id)).cloned() else {
            return Ok(());
        };
        for (name, child) in &entries {
            self.child(&[keyword, name], *child, below)?;
        }
        Ok(())
    }

    fn listed_children(
        &mut self,
        schema: NodeId,
        keyword: &str,
        below: SchemaPlace,
    ) -> Result<(), SchemaError> {
        let children = self.list(schema, keyword).unwrap_or_default();
        for (idx, child) in children.into_iter().enumerate() {
            self.child(&[keyword, &idx.to_string()], child, below)?;
        }
        Ok(())
    }

    fn child(
        &mut self,
        keys: &[&str],
        child: NodeId,
        below: SchemaPlace,
    ) -> Result<(), SchemaError> {
        for key in keys {
            self.path.push(*key);
        }
        self.schema(child, below)?;
        for _ in keys {
            self.path.pop();
        }
        Ok(())
    }

    fn list(&self, schema: NodeId, keyword: &str) -> Option<Vec<NodeId>> {
        let id = self.graph.get(schema, keyword)?;
        self.graph.list(id).map(<[_]>::to_vec)
    }

    fn allows_object(&self, kind: NodeId) -> bool {
        let is_object = |id| self.graph.text(id) == Some("object");
        is_object(kind)
            || self
                .graph
                .list(kind)
                .is_some_and(|kinds| kinds.iter().any(|&id| is_object(id)))
    }

    /// Says whether a `$ref` is empty. Such a reference is kept, as the Python SDK does.
    fn is_empty_value(&self, id: NodeId) -> bool {
        match self.graph.node(id) {
            SchemaNode::Scalar(Value::Null | Value::Bool(false)) => true,
            SchemaNode::Scalar(Value::Number(number)) => number.as_f64() == Some(0.0),
            SchemaNode::Scalar(Value::String(text)) => text.is_empty(),
            SchemaNode::Scalar(_) => false,
            SchemaNode::List(items) => items.is_empty(),
            SchemaNode::Object(entries) => entries.is_empty(),
        }
    }

    fn resolver(&self) -> Resolver<'_> {
        Resolver {
            graph: &self.graph,
            root: self.root,
            path: &self.path,
        }
    }

    fn spend(&mut self, n_nodes: usize) -> Result<(), SchemaError> {
        self.n_nodes_left =
            self.n_nodes_left
                .checked_sub(n_nodes)
                .ok_or_else(|| SchemaError::TooLarge {
                    path: self.path.clone(),
                    limit: MAX_NODES,
                })?;
        Ok(())
    }

    fn not_a_schema(&self, id: NodeId) -> SchemaError {
        let found = match self.graph.node(id) {
            SchemaNode::Scalar(Value::Bool(true)) => "`true`, which accepts any value,",
            SchemaNode::Scalar(Value::Bool(false)) => "`false`, which accepts no value,",
            SchemaNode::Scalar(Value::Null) => "null",
            SchemaNode::Scalar(Value::Number(_)) => "a number",
            SchemaNode::Scalar(_) => "a string",
            SchemaNode::List(_) => "a list",
            SchemaNode::Object(_) => "an object",
        };
        SchemaError::NotASchema {
            path: self.path.clone(),
            found,
        }
    }
}
