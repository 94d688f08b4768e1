//! Values with their origins, as a tree; the trees of all sources are overlaid.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::MergeKeyPolicy;
use serde_saphyr::{Error as YamlError, Spanned};

use super::{ConfigError, Origin};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct TreeNode {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Whole(i128),
    Number(f64),
    Text(String),
    List(Vec<TreeNode>),
    Map(Map),
}

/// Entries in the order of the source.
pub(super) type Map = Vec<TreeEntry>;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct TreeEntry {
    pub(super) key: String,
    /// Where the key itself stands, which for an unknown key is what matters.
    pub(super) origin: Origin,
    pub(super) node: TreeNode,
}

/// What a text of YAML is part of.
#[derive(Debug, Clone)]
pub(super) enum Source {
    File(Arc<Path>),
    /// A variable or flag: lines mean nothing in it.
    Value(Origin),
}

impl Source {
    fn origin(&self, line: u64) -> Origin {
        match self {
            Self::File(path) => Origin::File {
                path: Arc::clone(path),
                line,
            },
            Self::Value(origin) => origin.clone(),
        }
    }
}

/// Reads YAML; nothing of the text can get into an error.
pub(super) fn parse(text: &str, source: &Source) -> Result<TreeNode, ConfigError> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        merge_keys: MergeKeyPolicy::Merge,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 10_000 },
    };
    if text.trim().is_empty() {
        return Ok(TreeNode {
            value: Value::Null,
            origin: source.origin(0),
        });
    }
    serde_saphyr::from_str_with_options::<Spanned<Yaml>>(text, options)
        .map(|yaml| yaml.value.located(source, yaml.referenced.line()))
        .map_err(|error| ConfigError::Yaml {
            origin: source.origin(error.location().map_or(0, |location| location.line())),
            problem: problem(error.without_snippet()),
        })
}

/// The parser's own messages can quote the text, so each is replaced by one that cannot.
fn problem(error: &YamlError) -> &'static str {
    match error {
        YamlError::DuplicateMappingKey { .. } => "a key appears twice",
        YamlError::MultipleDocuments { .. } => "there is more than one YAML document",
        YamlError::UnknownAnchor { .. } => "an alias refers to an anchor that does not exist",
        YamlError::NonFiniteFloat { .. } => "a number is not finite",
        YamlError::Budget { .. } | YamlError::AliasReplayLimitExceeded { .. } => {
            "the YAML is too large or too deeply nested"
        }
        YamlError::Eof { .. } => "the YAML ends too early",
        _ => "this is not valid YAML",
    }
}

/// Lays a value over the tree at a path; maps are merged, anything else replaces.
pub(super) fn set(tree: &mut Map, path: &[&str], key_origin: &Origin, node: TreeNode) {
    let Some((key, rest)) = path.split_first() else {
        return;
    };
    let found = tree.iter().position(|entry| entry.key == *key);
    let idx = found.unwrap_or_else(|| {
        tree.push(TreeEntry {
            key: (*key).to_owned(),
            origin: key_origin.clone(),
            node: TreeNode {
                value: Value::Null,
                origin: key_origin.clone(),
            },
        });
        tree.len() - 1
    });
    let Some(TreeEntry { node: slot, .. }) = tree.get_mut(idx) else {
        return;
    };
    if rest.is_empty() {
        overlay(slot, node);
        return;
    }
    if !matches!(slot.value, Value::Map(_)) {
        *slot = TreeNode {
            value: Value::Map(Map::new()),
            origin: key_origin.clone(),
        };
    }
    if let Value::Map(map) = &mut slot.value {
        set(map, rest, key_origin, node);
    }
}

fn overlay(below: &mut TreeNode, above: TreeNode) {
    match (&mut below.value, above.value) {
        (_, Value::Null) => {}
        (Value::Map(below), Value::Map(above)) => {
            for entry in above {
                set(below, &[&entry.key], &entry.origin, entry.node);
            }
        }
        (_, value) => {
            *below = TreeNode {
                value,
                origin: above.origin,
            };
        }
    }
}

/// A value with the lines that the parser knows, before it is told which source it is from.
enum Yaml {
    Leaf(Value),
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl Yaml {
    fn located(self, source: &Source, line: u64) -> TreeNode {
        let value = match self {
            Self::Leaf(value) => value,
            Self::List(items) => Value::List(
                items
                    .into_iter()
                    .map(|item| item.value.located(source, item.referenced.line()))
                    .collect(),
            ),
            Self::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, item)| TreeEntry {
                        key: key.value,
                        origin: source.origin(key.referenced.line()),
                        node: item.value.located(source, item.referenced.line()),
                    })
                    .collect(),
            ),
        };
        TreeNode {
            value,
            origin: source.origin(line),
        }
    }
}

impl<'de> Deserialize<'de> for Yaml {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(YamlVisitor)
    }
}

struct YamlVisitor;

impl<'de> Visitor<'de> for YamlVisitor {
    type Value = Yaml;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Yaml, E> {
        Ok(Yaml::Leaf(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Yaml, E> {
        Ok(Yaml::Leaf(Value::Whole(value.into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Yaml, E> {
        Ok(Yaml::Leaf(Value::Whole(value.into())))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Yaml, E> {
        Ok(Yaml::Leaf(Value::Whole(value)))
    }

    fn visit_u128<E: serde::de::Error>(self, value: u128) -> Result<Yaml, E> {
        i128::try_from(value)
            .map(|value| Yaml::Leaf(Value::Whole(value)))
            .map_err(|_| E::custom("the number is too large"))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Yaml, E> {
        Ok(Yaml::Leaf(Value::Number(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Yaml, E> {
        Ok(Yaml::Leaf(Value::Text(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<Yaml, E> {
        Ok(Yaml::Leaf(Value::Text(value)))
    }

    fn visit_unit<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Leaf(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Leaf(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Yaml, D::Error> {
        Yaml::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Yaml, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Yaml::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Yaml, A::Error> {
        let mut entries: Vec<(Spanned<String>, Spanned<Yaml>)> = Vec::new();
        let mut known = HashSet::new();
        while let Some((key, value)) = access.next_entry::<Spanned<String>, _>()? {
            if !known.insert(key.value.clone()) {
                return Err(A::Error::custom("duplicate key"));
            }
            entries.push((key, value));
        }
        Ok(Yaml::Map(entries))
    }
}
