//! Values with their origins, as a tree, and how the trees of all sources are overlaid.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::MergeKeyPolicy;
use serde_saphyr::{Error as YamlError, Spanned};

use super::{ConfigError, Origin};

/// A value and the place where it is set.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TreeNode {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// A value as YAML has it. Whole numbers have 128 bits, so that none is rounded before its field
/// checks it.
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

/// The entries of a map in the order of the source, in which errors and agents are listed.
pub(super) type Map = Vec<TreeEntry>;

/// A key with its value. The key has an origin of its own, since an unknown key may stand on
/// another line than its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TreeEntry {
    pub(super) key: String,
    pub(super) origin: Origin,
    pub(super) node: TreeNode,
}

/// The source that a YAML text belongs to.
#[derive(Debug, Clone)]
pub(super) enum Source {
    File(Arc<Path>),
    /// A variable or flag, which has no lines.
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

/// Parses YAML. No error quotes the text, which may hold keys.
pub(super) fn parse(text: &str, source: &Source) -> Result<TreeNode, ConfigError> {
    let options = serde_saphyr::options! {
        // YAML 1.1 reads `no` as false, `012` as 10 and `1_000` as 1000. All three are read as text
        // here, so that a country code, a token or an id stays as it was written.
        //
        // Aliases are replayed where they are used. The bound stops a small file that expands to
        // gigabytes.
        with_snippet: false,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        merge_keys: MergeKeyPolicy::Merge,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 10_000 },
    };
    // The parser calls an empty text an error; an empty file or variable sets nothing.
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

/// Describes an error of the parser in words that cannot quote the text, as its own messages can.
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

/// Puts a value into the tree at a path. Maps are merged, anything else is replaced.
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
    // A variable such as `OPENAI_AGENTS__LIMITS__MAX_TURNS` reaches into a section that the file
    // left empty, or wrote as something else: the later source wins.
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
        // An empty value sets nothing, as for a variable.
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

/// A value with its lines, before its source is known.
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
