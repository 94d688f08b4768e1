//! Replaces `${NAME}` in values of the file by variables of the environment.

use std::collections::BTreeMap;

use super::tree::{Map, TreeNode, Value};
use super::{ConfigError, Origin};

/// The variables that a file may refer to: the whole environment, and those of `.env`.
#[derive(Default)]
pub(super) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Sets a variable; the last value wins, and an empty one unsets it.
    pub(super) fn set(&mut self, name: &str, value: String) {
        if value.is_empty() {
            self.0.remove(name);
        } else {
            self.0.insert(name.to_owned(), value);
        }
    }

    /// Adds the variables that are not set yet.
    pub(super) fn fill(&mut self, others: Self) {
        for (name, value) in others.0 {
            self.0.entry(name).or_insert(value);
        }
    }

    /// Substitutes variables in every text of the tree that comes from the file.
    ///
    /// A value that another source replaced is no longer in the tree.
    pub(super) fn substitute(&self, root: &mut Map) -> Result<(), ConfigError> {
        for entry in root {
            self.node(&entry.key, &mut entry.node)?;
        }
        Ok(())
    }

    fn node(&self, key: &str, node: &mut TreeNode) -> Result<(), ConfigError> {
        match &mut node.value {
            // A variable or flag was substituted by the shell already. Its `$` may be part of a
            // key.
            Value::Text(text) if text.contains('$') && is_of_file(&node.origin) => {
                *text = self.text(key, text, &node.origin)?;
            }
            Value::List(nodes) => {
                for (idx, node) in nodes.iter_mut().enumerate() {
                    self.node(&format!("{key}[{idx}]"), node)?;
                }
            }
            Value::Map(entries) => {
                for entry in entries {
                    self.node(&format!("{key}.{}", entry.key), &mut entry.node)?;
                }
            }
            Value::Null | Value::Bool(_) | Value::Whole(_) | Value::Number(_) | Value::Text(_) => {}
        }
        Ok(())
    }

    /// Substitutes in one text. `$$` is a dollar, and so is a `$` before anything but `{`.
    fn text(&self, key: &str, text: &str, origin: &Origin) -> Result<String, ConfigError> {
        let mut whole = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            whole.push_str(before);
            if let Some(behind) = after.strip_prefix('$') {
                whole.push('$');
                rest = behind;
            } else if let Some(named) = after.strip_prefix('{') {
                let (value, behind) = self.variable(key, named, origin)?;
                whole.push_str(value);
                rest = behind;
            } else {
                whole.push('$');
                rest = after;
            }
        }
        whole.push_str(rest);
        Ok(whole)
    }

    /// Looks up the name that a text begins with; gives its value and the text after the brace.
    fn variable<'a>(
        &'a self,
        key: &str,
        named: &'a str,
        origin: &Origin,
    ) -> Result<(&'a str, &'a str), ConfigError> {
        let is_name = |name: &str| {
            !name.is_empty()
                && !name.starts_with(|first: char| first.is_ascii_digit())
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        let Some((name, behind)) = named.split_once('}').filter(|(name, _)| is_name(name)) else {
            return Err(ConfigError::Invalid {
                key: key.to_owned(),
                expected: "without `${`, or with the name of a variable in the braces, as in ${NAME} (`$$` is a dollar)",
                origin: origin.clone(),
            });
        };
        match self.0.get(name) {
            Some(value) => Ok((value, behind)),
            None => Err(ConfigError::UnsetVariable {
                key: key.to_owned(),
                variable: name.to_owned(),
                origin: origin.clone(),
            }),
        }
    }
}

fn is_of_file(origin: &Origin) -> bool {
    matches!(origin, Origin::File { .. })
}

/// Shows the names only, since the values may be keys.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
