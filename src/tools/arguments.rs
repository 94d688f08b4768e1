//! What the arguments of a call must satisfy before the tool sees them.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::{optional_nulls, plain, unknown};
use crate::few::Few;

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
    pub(super) fn check<'a>(&self, text: &'a str) -> Result<CheckedArguments<'a>, String> {
        if self.is_none {
            return Ok(CheckedArguments::Text(text));
        }
        // Several models write nothing for a tool without parameters.
        let text = if text.trim().is_empty() { "{}" } else { text };
        // The text is read over once, without building anything from it. For most calls that is
        // all.
        let mut scan = Scan {
            closed: self.closed.as_deref(),
            ..Scan::default()
        };
        let mut json = serde_json::Deserializer::from_str(text);
        ScannedValue::outermost(&mut scan)
            .deserialize(&mut json)
            .and_then(|()| json.end())
            .map_err(|error| not_json(&error))?;

        if let Some(field) = scan.repeated {
            return Err(format!("the field `{field}` appears twice"));
        }
        if !scan.is_object {
            return Err("they must be a JSON object".to_owned());
        }
        if let (Some(unknown), Some(closed)) = (scan.unknown, &self.closed) {
            return Err(unknown_field(&unknown, closed));
        }
        if self.closed_inside.is_none() && self.with_absent.is_none() {
            return Ok(CheckedArguments::Text(text));
        }
        // Only tools with closed objects inside, or with fields that may be absent, need the tree.
        let mut tree = serde_json::from_str(text).map_err(|error| not_json(&error))?;
        if let Some(unknown) = self
            .closed_inside
            .as_ref()
            .and_then(|offered| unknown::find(&tree, offered))
        {
            return Err(unknown);
        }
        let Some(declared) = &self.with_absent else {
            return Ok(CheckedArguments::Text(text));
        };
        optional_nulls::remove(&mut tree, declared);
        Ok(CheckedArguments::Tree(tree))
    }
}

/// Holds arguments that passed the rules of their tool.
pub(super) enum CheckedArguments<'a> {
    Text(&'a str),
    Tree(Value),
}

impl CheckedArguments<'_> {
    /// Returns them as JSON.
    pub(super) fn to_text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Tree(tree) => Cow::Owned(tree.to_string()),
        }
    }

    /// Reads the arguments into their type, or says which field is wrong.
    pub(super) fn decode<T: DeserializeOwned>(self) -> Result<T, String> {
        match self {
            // Where it is read is only followed for those that cannot be.
            Self::Text(text) => serde_json::from_str(text).or_else(|_| {
                let mut json = serde_json::Deserializer::from_str(text);
                serde_path_to_error::deserialize(&mut json).map_err(|error| misfit(&error))
            }),
            Self::Tree(tree) => {
                serde_path_to_error::deserialize(tree).map_err(|error| misfit(&error))
            }
        }
    }
}

/// What of the arguments does not fit their type.
fn misfit(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let path = error.path().to_string();
    let words = plain::words(&error.inner().to_string());
    if path == "." {
        words
    } else {
        format!("field `{path}`: {words}")
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

/// What is found in reading over arguments: the first field that appears twice, and of the outermost object the first that does not exist.
///
/// serde cannot be relied on for that: maps keep the last of two equal keys without a word.
#[derive(Default)]
struct Scan<'r> {
    closed: Option<&'r [String]>,
    is_object: bool,
    repeated: Option<String>,
    unknown: Option<String>,
}

/// A value that is read over, and where it stands. Every call of a tool is read so: nothing is copied of one that is as it should be.
struct ScannedValue<'a, 'r> {
    scan: &'a mut Scan<'r>,
    place: Option<&'a ArgumentPath<'a>>,
}

/// A step on the way to a value.
struct ArgumentPath<'a> {
    up: Option<&'a Self>,
    step: PlaceStep<'a>,
}

enum PlaceStep<'a> {
    Field(&'a str),
    Element(usize),
}

impl fmt::Display for ArgumentPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(up) = self.up {
            write!(f, "{up}")?;
        }
        match self.step {
            PlaceStep::Field(name) if self.up.is_none() => f.write_str(name),
            PlaceStep::Field(name) => write!(f, ".{name}"),
            PlaceStep::Element(element_idx) => write!(f, "[{element_idx}]"),
        }
    }
}

/// The names of an object's fields. A set costs an allocation, and comparing all with all costs their square.
#[derive(Default)]
struct FieldNames<'de> {
    few: Few<Cow<'de, str>, 8>,
    more: HashSet<Cow<'de, str>>,
}

impl<'de> FieldNames<'de> {
    fn contains(&self, name: &str) -> bool {
        self.few.iter().any(|known| known == name) || self.more.contains(name)
    }

    fn push(&mut self, name: Cow<'de, str>) {
        if self.few.len() < 8 {
            self.few.push(name);
        } else {
            self.more.insert(name);
        }
    }
}

#[derive(Deserialize)]
struct FieldName<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a, 'r> ScannedValue<'a, 'r> {
    const fn outermost(scan: &'a mut Scan<'r>) -> Self {
        Self { scan, place: None }
    }

    fn inside<'b>(&'b mut self, place: &'b ArgumentPath<'b>) -> ScannedValue<'b, 'r> {
        ScannedValue {
            scan: self.scan,
            place: Some(place),
        }
    }

    fn note_field(&mut self, name: &str, is_repeated: bool) {
        if is_repeated && self.scan.repeated.is_none() {
            let place = ArgumentPath {
                up: self.place,
                step: PlaceStep::Field(name),
            };
            self.scan.repeated = Some(place.to_string());
        }
        let closed = self.scan.closed.filter(|_| self.place.is_none());
        if self.scan.unknown.is_none()
            && closed.is_some_and(|closed| closed.iter().all(|known| known != name))
        {
            self.scan.unknown = Some(name.to_owned());
        }
    }
}

impl<'de> DeserializeSeed<'de> for ScannedValue<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ScannedValue<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.scan.is_object |= self.place.is_none();
        let mut names = FieldNames::default();
        while let Some(FieldName(name)) = map.next_key()? {
            self.note_field(&name, names.contains(&name));
            let place = ArgumentPath {
                up: self.place,
                step: PlaceStep::Field(&name),
            };
            map.next_value_seed(self.inside(&place))?;
            names.push(name);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        let mut element_idx = 0_usize;
        loop {
            let place = ArgumentPath {
                up: self.place,
                step: PlaceStep::Element(element_idx),
            };
            if elements.next_element_seed(self.inside(&place))?.is_none() {
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
