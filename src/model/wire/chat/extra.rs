//! Fields of an answer that this crate does not act on: kept with the answer.

use std::borrow::Cow;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::model::wire::budget::{ResponseBudget, VALUE_COST};
use crate::model::wire::deviations::Deviations;
use crate::model::wire::object;
use crate::model::{JsonText, ModelError};

/// Fields as they stand on the wire.
pub(super) type Extra<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// The fields of a message or a choice that are kept; what comes in several chunks is put together.
#[derive(Debug)]
pub(super) struct ExtraFields {
    place: &'static str,
    map: Map<String, Value>,
}

/// The fields of the body that are kept: of each the last that came, as it stands there.
///
/// Every answer has some (`system_fingerprint`), in every chunk, and nearly nobody looks at them.
#[derive(Debug, Default)]
pub(super) struct BodyFields(Vec<(String, Box<str>)>);

impl BodyFields {
    /// Keeps fields.
    ///
    /// # Errors
    ///
    /// `limit_exceeded` when the answer is larger than it may be.
    pub(super) fn push(
        &mut self,
        extra: Extra<'_>,
        notes: &mut Deviations,
        budget: &mut ResponseBudget,
    ) -> Result<(), ModelError> {
        for (key, raw) in extra {
            let known = self.0.iter_mut().find(|(known, _)| *known == key);
            if known.as_ref().is_some_and(|(_, json)| **json == *raw.get()) {
                continue;
            }
            if !object::is_readable(raw) {
                notes.field("unreadable_field", &key, raw.get());
                continue;
            }
            let n_known = known.as_ref().map_or(0, |(_, json)| json.len());
            budget.spend(
                raw.get()
                    .len()
                    .saturating_sub(n_known)
                    .saturating_mul(VALUE_COST),
            )?;
            match known {
                Some((_, json)) => *json = raw.get().into(),
                None => self.0.push((key.into_owned(), raw.get().into())),
            }
        }
        Ok(())
    }

    /// Gives the fields as one object, with those of the choice and the message in it.
    pub(super) fn take(&mut self, inner: [(&str, Map<String, Value>); 2]) -> Option<JsonText> {
        let fields = std::mem::take(&mut self.0);
        let inner = inner.into_iter().filter(|(_, kept)| !kept.is_empty());
        let inner: Vec<_> = inner
            .map(|(key, kept)| (key, Value::Object(kept).to_string()))
            .collect();
        let fields = fields.iter().map(|(key, json)| (&**key, &**json));
        let all = fields.chain(inner.iter().map(|(key, json)| (*key, &**json)));
        let mut json = String::new();
        for (key, value) in all {
            json.push(if json.is_empty() { '{' } else { ',' });
            let key = Value::from(key).to_string();
            json.extend([&*key, ":", value]);
        }
        if json.is_empty() {
            return None;
        }
        json.push('}');
        Some(JsonText::of_json(json))
    }
}

impl ExtraFields {
    pub(super) fn new(place: &'static str) -> Self {
        Self {
            place,
            map: Map::new(),
        }
    }

    /// Keeps fields.
    ///
    /// # Errors
    ///
    /// `limit_exceeded` when the answer is larger than it may be.
    pub(super) fn push(
        &mut self,
        extra: Extra<'_>,
        notes: &mut Deviations,
        budget: &mut ResponseBudget,
    ) -> Result<(), ModelError> {
        for (key, raw) in extra {
            let Some(value) = object::value_of(raw) else {
                let path = format!("{}.{key}", self.place);
                notes.field("unreadable_field", &path, raw.get());
                continue;
            };
            let n_bytes = raw.get().len();
            match (self.map.get_mut(&*key), value) {
                (Some(Value::Array(known)), Value::Array(more)) => {
                    budget.spend(n_bytes.saturating_mul(VALUE_COST))?;
                    known.extend(more);
                }
                // The same text again is a mark, such as a format; another one goes on.
                (Some(Value::String(known)), Value::String(more)) => {
                    if *known != more {
                        budget.spend(more.len())?;
                        known.push_str(&more);
                    }
                }
                (known, value) => {
                    let n_known = known.map_or(0, |known| known.to_string().len());
                    let n_more = n_bytes.saturating_sub(n_known);
                    budget.spend(n_more.saturating_mul(VALUE_COST))?;
                    self.map.insert(key.into_owned(), value);
                }
            }
        }
        Ok(())
    }

    pub(super) fn insert(&mut self, key: &str, value: Value) {
        self.map.insert(key.to_owned(), value);
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// Gives the fields.
    pub(super) fn take(&mut self) -> Map<String, Value> {
        std::mem::take(&mut self.map)
    }
}
