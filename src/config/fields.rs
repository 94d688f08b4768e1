//! Reads one map of the tree field by field: checks types, refuses unknown keys, lists origins.

use std::mem;
use std::str::FromStr;

use serde_json::{Map as JsonMap, Value as Json};

use crate::Secret;
use crate::secret::{Redactor, RedactorBuilder};

use super::error::UnknownKey;
use super::nearest::nearest;
use super::tree::{Map, TreeEntry, TreeNode, Value};
use super::{ConfigError, Origin, Setting};

/// The most unknown keys that an error names. A wrong file can have thousands.
const MAX_NAMED_KEYS: usize = 10;

/// The most decimal digits that any `f64` keeps exactly (`f64::DIGITS`).
const MAX_EXACT_DIGITS: usize = 15;

/// Every key that a map may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys {
    /// The keys that do something.
    pub(super) known: &'static [&'static str],
    /// Keys that only builds with another feature support.
    pub(super) unsupported: &'static [&'static str],
}

/// Collects every value as it may be shown, and every secret.
///
/// Fields report to it as they are read, so that no section can forget a secret.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) settings: Vec<Setting>,
    secrets: RedactorBuilder,
}

impl Seen {
    /// Adds a value as it may be shown.
    pub(super) fn push(&mut self, setting: Setting) {
        self.settings.push(setting);
    }

    /// Adds a secret, which must never be shown.
    pub(super) fn keep_secret(&mut self, add: impl FnOnce(RedactorBuilder) -> RedactorBuilder) {
        self.secrets = add(mem::take(&mut self.secrets));
    }

    /// Returns the values without any of the secrets, and the redactor for everything else.
    pub(super) fn finish(self) -> (Vec<Setting>, Redactor) {
        let redactor = self.secrets.build();
        let mut settings = self.settings;
        for setting in &mut settings {
            redactor.redact_in(&mut setting.value);
        }
        (settings, redactor)
    }
}

/// The fields of one map that are not read yet.
pub(super) struct Fields<'a> {
    path: String,
    entries: Map,
    settings: &'a mut Seen,
}

impl<'a> Fields<'a> {
    /// Takes a map, after checking that it has only the keys that it may have.
    pub(super) fn new(
        path: &str,
        node: TreeNode,
        keys: Keys,
        settings: &'a mut Seen,
    ) -> Result<Self, ConfigError> {
        let entries = match node.value {
            Value::Map(entries) => entries,
            Value::Null => Map::new(),
            _ => {
                return Err(ConfigError::Invalid {
                    key: path.to_owned(),
                    expected: "a map of settings",
                    origin: node.origin,
                });
            }
        };
        let mut fields = Self {
            path: path.to_owned(),
            entries,
            settings,
        };
        fields.check(keys)?;
        fields
            .entries
            .retain(|entry| entry.node.value != Value::Null);
        Ok(fields)
    }

    /// A map without entries, for a section that is not in the file.
    pub(super) const fn nothing() -> TreeNode {
        TreeNode {
            value: Value::Null,
            origin: Origin::Default,
        }
    }

    fn check(&self, keys: Keys) -> Result<(), ConfigError> {
        let unknown = || {
            self.entries.iter().filter(|entry| {
                let key = entry.key.as_str();
                !keys.known.contains(&key) && !keys.unsupported.contains(&key)
            })
        };
        let mut told: Vec<UnknownKey> = unknown()
            .take(MAX_NAMED_KEYS)
            .map(|entry| UnknownKey {
                nearest: nearest(&entry.key, keys.known.iter().copied())
                    .map(|key| self.path_of(key)),
                key: self.path_of(&entry.key),
                origin: entry.origin.clone(),
            })
            .collect();
        // One unknown key has a variant of its own, which says what was meant. More are one error,
        // so that a file for another version is corrected in one go.
        if told.len() > 1 {
            return Err(ConfigError::UnknownKeys {
                n_more: unknown().count() - told.len(),
                keys: told,
            });
        }
        if let Some(UnknownKey {
            key,
            nearest,
            origin,
        }) = told.pop()
        {
            return Err(ConfigError::UnknownKey {
                key,
                nearest,
                origin,
            });
        }
        let unsupported = self.entries.iter().find(|entry| {
            keys.unsupported.contains(&entry.key.as_str()) && entry.node.value != Value::Null
        });
        match unsupported {
            Some(entry) => Err(ConfigError::Unsupported {
                key: self.path_of(&entry.key),
                origin: entry.origin.clone(),
            }),
            None => Ok(()),
        }
    }

    /// Returns the path of a key of this map.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            return key.to_owned();
        }
        format!("{}.{key}", self.path)
    }

    /// Returns where a key is set, or `Default`.
    pub(super) fn origin_of(&self, key: &str) -> Origin {
        let entry = self.entries.iter().find(|entry| entry.key == key);
        entry.map_or(Origin::Default, |entry| entry.node.origin.clone())
    }

    /// Returns the list of settings, for a map inside this one.
    pub(super) fn settings(&mut self) -> &mut Seen {
        self.settings
    }

    /// Adds a value that was read to the list of settings.
    pub(super) fn list(&mut self, key: &str, value: String, origin: &Origin) {
        let key = self.path_of(key);
        self.settings.push(Setting {
            key,
            value,
            origin: origin.clone(),
        });
    }

    /// Makes the error for a value of the wrong type or range.
    pub(super) fn invalid(&self, key: &str, expected: &'static str, origin: Origin) -> ConfigError {
        ConfigError::Invalid {
            key: self.path_of(key),
            expected,
            origin,
        }
    }

    /// Takes a field as it is, without adding it to the list.
    pub(super) fn take(&mut self, key: &str) -> Option<TreeNode> {
        let idx = self.entries.iter().position(|entry| entry.key == key)?;
        let TreeEntry { node, .. } = self.entries.swap_remove(idx);
        Some(node)
    }

    /// Reads a text that is not empty.
    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, ConfigError> {
        let Some((text, origin)) = self.text_and_origin(key)? else {
            return Ok(None);
        };
        self.list(key, text.clone(), &origin);
        Ok(Some(text))
    }

    /// Reads a secret: a text that is not empty and must not be shown.
    pub(super) fn secret(&mut self, key: &str) -> Result<Option<Secret>, ConfigError> {
        let Some((text, origin)) = self.text_and_origin(key)? else {
            return Ok(None);
        };
        let shown = format!("(set, {} characters)", text.chars().count());
        self.list(key, shown, &origin);
        let secret = Secret::new(text);
        self.settings.keep_secret(|secrets| secrets.secret(&secret));
        Ok(Some(secret))
    }

    /// Reads a text that is not empty, without adding it to the list.
    pub(super) fn text_and_origin(
        &mut self,
        key: &str,
    ) -> Result<Option<(String, Origin)>, ConfigError> {
        match self.take(key) {
            None => Ok(None),
            Some(TreeNode {
                value: Value::Text(text),
                origin,
            }) if !text.trim().is_empty() => Ok(Some((text, origin))),
            Some(TreeNode { origin, .. }) => Err(self.invalid(
                key,
                "text, and not empty (a number needs quotes to be text)",
                origin,
            )),
        }
    }

    /// Reads a whole number of at least 1.
    pub(super) fn count(&mut self, key: &str) -> Result<Option<u64>, ConfigError> {
        let Some(TreeNode { value, origin }) = self.take(key) else {
            return Ok(None);
        };
        let count = match value {
            Value::Whole(number) => u64::try_from(number).ok().filter(|count| *count > 0),
            _ => None,
        };
        let count = count
            .ok_or_else(|| self.invalid(key, "a whole number of at least 1", origin.clone()))?;
        self.list(key, count.to_string(), &origin);
        Ok(Some(count))
    }

    /// Reads a whole number, which may be negative.
    pub(super) fn whole(&mut self, key: &str) -> Result<Option<i64>, ConfigError> {
        let Some(TreeNode { value, origin }) = self.take(key) else {
            return Ok(None);
        };
        let number = match value {
            Value::Whole(number) => i64::try_from(number).ok(),
            _ => None,
        };
        let number = number.ok_or_else(|| self.invalid(key, "a whole number", origin.clone()))?;
        self.list(key, number.to_string(), &origin);
        Ok(Some(number))
    }

    /// Reads a number.
    pub(super) fn number(&mut self, key: &str) -> Result<Option<f64>, ConfigError> {
        let Some(TreeNode { value, origin }) = self.take(key) else {
            return Ok(None);
        };
        let number = match value {
            Value::Number(number) => Some(number),
            // Exact for 32 bits. No setting is a larger number with decimals.
            Value::Whole(number) => i32::try_from(number).ok().map(f64::from),
            _ => None,
        };
        let number = number.ok_or_else(|| self.invalid(key, "a number", origin.clone()))?;
        self.list(key, number.to_string(), &origin);
        Ok(Some(number))
    }

    /// Reads an amount of money: a number, or a text of digits with a point.
    pub(super) fn amount<T: FromStr>(
        &mut self,
        key: &str,
        expected: &'static str,
    ) -> Result<Option<T>, ConfigError> {
        let Some(TreeNode { value, origin }) = self.take(key) else {
            return Ok(None);
        };
        let text = match value {
            Value::Whole(number) => Some(number.to_string()),
            // Rust prints the shortest text that parses to the same `f64`. Up to this many digits that is the text of the file; beyond it a digit may have been lost, and money must not be rounded.
            Value::Number(number) => Some(number.to_string())
                .filter(|text| text.bytes().filter(u8::is_ascii_digit).count() <= MAX_EXACT_DIGITS),
            Value::Text(text) => Some(text),
            _ => None,
        };
        let amount = text.and_then(|text| Some((text.parse().ok()?, text)));
        let Some((amount, text)) = amount else {
            return Err(self.invalid(key, expected, origin));
        };
        self.list(key, text, &origin);
        Ok(Some(amount))
    }

    /// Reads `true` or `false`.
    pub(super) fn switch(&mut self, key: &str) -> Result<Option<bool>, ConfigError> {
        let Some(TreeNode { value, origin }) = self.take(key) else {
            return Ok(None);
        };
        let Value::Bool(switch) = value else {
            return Err(self.invalid(key, "true or false", origin));
        };
        self.list(key, switch.to_string(), &origin);
        Ok(Some(switch))
    }

    /// Reads a list of texts, none of them empty.
    pub(super) fn texts(&mut self, key: &str) -> Result<Option<Vec<String>>, ConfigError> {
        let Some(TreeNode { value, origin }) = self.take(key) else {
            return Ok(None);
        };
        let texts =
            texts_of(value).ok_or_else(|| self.invalid(key, "a list of texts", origin.clone()))?;
        self.list(key, texts.join(", "), &origin);
        Ok(Some(texts))
    }

    /// Reads a list of texts without adding it to the list of settings.
    #[cfg(feature = "mcp-client")]
    pub(super) fn unlisted_texts(&mut self, key: &str) -> Result<Option<Vec<String>>, ConfigError> {
        let Some(TreeNode { value, origin }) = self.take(key) else {
            return Ok(None);
        };
        let texts = texts_of(value);
        texts
            .map(Some)
            .ok_or_else(|| self.invalid(key, "a list of texts", origin))
    }

    /// Says whether a field is set and not read yet.
    #[cfg(feature = "mcp-client")]
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }

    /// Reads a map from names to secret texts. `add` tells the redactor which part of each is
    /// secret.
    #[cfg(any(feature = "mcp-client", feature = "openapi"))]
    pub(super) fn secrets(
        &mut self,
        key: &str,
        add: fn(RedactorBuilder, &str, &Secret) -> RedactorBuilder,
    ) -> Result<Vec<(String, Secret)>, ConfigError> {
        const EXPECTED: &str = "a map from names to texts (a number needs quotes to be text)";
        let Some(TreeNode { value, origin }) = self.take(key) else {
            return Ok(Vec::new());
        };
        let Value::Map(entries) = value else {
            return Err(self.invalid(key, EXPECTED, origin));
        };
        let mut secrets = Vec::with_capacity(entries.len());
        for entry in entries {
            let place = format!("{key}.{}", entry.key);
            let Value::Text(text) = entry.node.value else {
                return Err(self.invalid(&place, EXPECTED, entry.node.origin));
            };
            let shown = format!("(set, {} characters)", text.chars().count());
            self.list(&place, shown, &entry.node.origin);
            let secret = Secret::new(text);
            self.settings
                .keep_secret(|secrets| add(secrets, &entry.key, &secret));
            secrets.push((entry.key, secret));
        }
        Ok(secrets)
    }

    /// Reads a map of JSON values. They are counted and not shown: one may be a token for the
    /// server.
    pub(super) fn json(&mut self, key: &str) -> Result<Option<JsonMap<String, Json>>, ConfigError> {
        let Some(TreeNode { value, origin }) = self.take(key) else {
            return Ok(None);
        };
        let Some(Json::Object(map)) = to_json(value) else {
            return Err(self.invalid(key, "a map of JSON values", origin));
        };
        let shown = format!("({} keys)", map.len());
        self.list(key, shown, &origin);
        Ok(Some(map))
    }

    /// Reads a list of anything, with the path of each of its values.
    pub(super) fn nodes(
        &mut self,
        key: &str,
        expected: &'static str,
    ) -> Result<Vec<(String, TreeNode)>, ConfigError> {
        let Some(TreeNode { value, origin }) = self.take(key) else {
            return Ok(Vec::new());
        };
        let Value::List(nodes) = value else {
            return Err(self.invalid(key, expected, origin));
        };
        let path = self.path_of(key);
        let place = |(idx, node)| (format!("{path}[{idx}]"), node);
        Ok(nodes.into_iter().enumerate().map(place).collect())
    }
}

/// Returns the texts of a list if all of its values are texts and none is empty.
pub(super) fn texts_of(value: Value) -> Option<Vec<String>> {
    let Value::List(nodes) = value else {
        return None;
    };
    nodes
        .into_iter()
        .map(|node| match node.value {
            Value::Text(text) if !text.trim().is_empty() => Some(text),
            _ => None,
        })
        .collect()
}

fn to_json(value: Value) -> Option<Json> {
    Some(match value {
        Value::Null => Json::Null,
        Value::Bool(value) => value.into(),
        Value::Whole(value) => i64::try_from(value)
            .map(Json::from)
            .or_else(|_| u64::try_from(value).map(Json::from))
            .ok()?,
        Value::Number(value) => serde_json::Number::from_f64(value)?.into(),
        Value::Text(value) => value.into(),
        Value::List(nodes) => nodes
            .into_iter()
            .map(|node| to_json(node.value))
            .collect::<Option<Vec<Json>>>()?
            .into(),
        Value::Map(entries) => entries
            .into_iter()
            .map(|entry| Some((entry.key, to_json(entry.node.value)?)))
            .collect::<Option<JsonMap<String, Json>>>()?
            .into(),
    })
}
