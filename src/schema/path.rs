//! The place of something in a schema.

use std::fmt;

/// Leads from the root of a schema to one place in it.
///
/// `Display` prints a JSON Pointer as a URI fragment, such as `#/properties/tags/items`; the root is `#`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct SchemaPath {
    keys: Vec<String>,
}

impl SchemaPath {
    /// Returns the keys from the root; a position in a list is its number.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// Returns the name of the innermost property that the place belongs to.
    pub fn property(&self) -> Option<&str> {
        let marker = self.keys.iter().rposition(|key| key == "properties")?;
        self.keys.get(marker + 1).map(String::as_str)
    }

    pub(super) fn push(&mut self, key: impl Into<String>) {
        self.keys.push(key.into());
    }

    pub(super) fn pop(&mut self) {
        self.keys.pop();
    }

    /// Describes the place: the property, if there is one, and the pointer.
    pub(super) fn in_words(&self) -> String {
        match self.property() {
            Some(name) => format!("property `{name}` ({self})"),
            None if self.keys.is_empty() => "the root (#)".to_owned(),
            None => format!("the schema at {self}"),
        }
    }
}

impl fmt::Display for SchemaPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("#")?;
        for key in &self.keys {
            write!(f, "/{}", key.replace('~', "~0").replace('/', "~1"))?;
        }
        Ok(())
    }
}
