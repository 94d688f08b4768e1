//! Fields of an answer that this crate does not act on: kept with the answer.

use std::borrow::Cow;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::model::ModelError;
use crate::model::wire::budget::{Budget, VALUE_COST};
use crate::model::wire::deviations::Deviations;
use crate::model::wire::object;

/// Fields as they stand on the wire.
pub(super) type Extra<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// What is made of a field that comes in several chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pieces {
    /// Lists and texts are put together.
    Joined,
    /// The last one counts.
    Last,
}

/// The fields of one object that are kept.
#[derive(Debug)]
pub(super) struct ExtraFields {
    place: &'static str,
    pieces: Pieces,
    map: Map<String, Value>,
}

impl ExtraFields {
    pub(super) fn new(place: &'static str, pieces: Pieces) -> Self {
        Self {
            place,
            pieces,
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
        budget: &mut Budget,
    ) -> Result<(), ModelError> {
        for (key, raw) in extra {
            let Some(value) = object::value_of(raw) else {
                let path = if self.place.is_empty() {
                    key.into_owned()
                } else {
                    format!("{}.{key}", self.place)
                };
                notes.field("unreadable_field", &path, raw.get());
                continue;
            };
            let n_bytes = raw.get().len();
            match (self.map.get_mut(&*key), value) {
                (Some(Value::Array(known)), Value::Array(more))
                    if self.pieces == Pieces::Joined =>
                {
                    budget.spend(n_bytes.saturating_mul(VALUE_COST))?;
                    known.extend(more);
                }
                // The same text again is a mark, such as a format; another one goes on.
                (Some(Value::String(known)), Value::String(more))
                    if self.pieces == Pieces::Joined =>
                {
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
