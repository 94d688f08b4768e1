//! What the arguments of a call must satisfy before the tool sees them.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::{optional_nulls, plain, unknown};

/// Checks the arguments of every call of one tool.
pub(super) struct ArgumentRules {
    /// Whether nothing is checked.
    is_none: bool,
    /// The fields that exist, when the schema allows no others.
    closed: Option<Vec<String>>,
    /// The schema as the model sees it, when objects inside of the arguments allow no other fields.
    closed_inside: Option<Value>,
    /// The schema as the tool declared it, when fields may have to be taken for absent.
    with_absent: Option<Value>,
}

impl ArgumentRules {
    /// Reads the rules from the schema as declared and as the model sees it.
    pub(super) fn new(declared: Value, offered: &Value) -> Self {
        let is_closed = offered.get("additionalProperties") == Some(&Value::Bool(false));
        let properties = offered.get("properties").and_then(Value::as_object);
        Self {
            is_none: false,
            closed: properties
                .filter(|_| is_closed)
                .map(|properties| properties.keys().cloned().collect()),
            closed_inside: unknown::is_possible(offered).then(|| offered.clone()),
            with_absent: optional_nulls::is_possible(&declared).then_some(declared),
        }
    }

    /// Lets everything pass, JSON or not.
    #[cfg(feature = "server")]
    pub(super) const fn none() -> Self {
        Self {
            is_none: true,
            closed: None,
            closed_inside: None,
            with_absent: None,
        }
    }

    /// Checks arguments as a model wrote them, or says what is wrong.
    pub(super) fn check<'a>(&self, text: &'a str) -> Result<Arguments<'a>, String> {
        if self.is_none {
            return Ok(Arguments::Text(text));
        }
        let text = if text.trim().is_empty() { "{}" } else { text };
        let mut scan = Scan::default();
        let mut json = serde_json::Deserializer::from_str(text);
        (&mut scan)
            .deserialize(&mut json)
            .and_then(|()| json.end())
            .map_err(|error| not_json(&error))?;

        if let Some(field) = scan.duplicate {
            return Err(format!("the field `{field}` appears twice"));
        }
        let Some(names) = scan.names else {
            return Err("they must be a JSON object".to_owned());
        };
        if let Some(closed) = &self.closed
            && let Some(unknown) = names.iter().find(|&name| !closed.contains(name))
        {
            return Err(unknown_field(unknown, closed));
        }
        if self.closed_inside.is_none() && self.with_absent.is_none() {
            return Ok(Arguments::Text(text));
        }
        let mut tree = serde_json::from_str(text).map_err(|error| not_json(&error))?;
        if let Some(unknown) = self
            .closed_inside
            .as_ref()
            .and_then(|offered| unknown::find(&tree, offered))
        {
            return Err(unknown);
        }
        let Some(declared) = &self.with_absent else {
            return Ok(Arguments::Text(text));
        };
        optional_nulls::remove(&mut tree, declared);
        Ok(Arguments::Tree(tree))
    }
}

/// Holds arguments that passed the rules of their tool.
pub(super) enum Arguments<'a> {
    Text(&'a str),
    Tree(Value),
}

impl Arguments<'_> {
    /// Gives them as JSON.
    pub(super) fn to_text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Tree(tree) => Cow::Owned(tree.to_string()),
        }
    }

    /// Reads the arguments into their type, or says which field is wrong.
    pub(super) fn decode<T: DeserializeOwned>(self) -> Result<T, String> {
        match self {
            Self::Text(text) => {
                serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text))
            }
            Self::Tree(tree) => serde_path_to_error::deserialize(tree),
        }
        .map_err(|error| {
            let path = error.path().to_string();
            let words = plain::words(&error.inner().to_string());
            if path == "." {
                words
            } else {
                format!("field `{path}`: {words}")
            }
        })
    }
}

fn not_json(error: &serde_json::Error) -> String {
    format!("they are not JSON: {error}")
}

fn unknown_field(unknown: &str, known: &[String]) -> String {
    if known.is_empty() {
        return format!("unknown field `{unknown}`, there are none");
    }
    format!(
        "unknown field `{unknown}`, expected `{}`",
        known.join("`, `")
    )
}

/// Reads over JSON and notes the fields of the outermost object and the first field that appears twice.
///
/// serde cannot be relied on for that: maps keep the last of two equal keys without a word.
#[derive(Default)]
struct Scan {
    path: Vec<String>,
    names: Option<HashSet<String>>,
    duplicate: Option<String>,
}

impl<'de> DeserializeSeed<'de> for &mut Scan {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Scan {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            self.path.push(match &*self.path {
                [] => name.clone(),
                _ => format!(".{name}"),
            });
            if !names.insert(name) && self.duplicate.is_none() {
                self.duplicate = Some(self.path.concat());
            }
            map.next_value_seed(&mut *self)?;
            self.path.pop();
        }
        if self.path.is_empty() {
            self.names = Some(names);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let mut element_idx = 0_usize;
        loop {
            self.path.push(format!("[{element_idx}]"));
            let element = elements.next_element_seed(&mut *self)?;
            self.path.pop();
            if element.is_none() {
                return Ok(());
            }
            element_idx += 1;
        }
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
