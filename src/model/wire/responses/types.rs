//! A response and its events as they stand on the wire, read part by part.

use std::borrow::Cow;

use crate::model::wire::raw_json::RawJson;

use crate::model::ModelError;
use crate::model::wire::ServerError;
use crate::model::wire::deviations::Deviations;
use crate::model::wire::object::{self, Object};
use crate::model::wire::usage::{Reported, reported};

/// A response, whole or as an event carries it.
pub(super) struct ResponseBody<'a> {
    pub(super) object: Object<'a>,
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) model: Option<Cow<'a, str>>,
    pub(super) status: Option<Cow<'a, str>>,
    pub(super) error: Option<ServerError>,
    /// Why it is incomplete.
    pub(super) reason: Option<Cow<'a, str>>,
    pub(super) usage: Option<Reported>,
}

impl<'a> ResponseBody<'a> {
    /// Reads everything but the output.
    ///
    /// # Errors
    ///
    /// `wrong_type` when the status is something else.
    pub(super) fn read(object: Object<'a>, notes: &mut Deviations) -> Result<Self, ModelError> {
        Ok(Self {
            id: object.text("id", notes),
            model: object.text("model", notes),
            status: object
                .required_text("status", notes)?
                .filter(|status| !status.is_empty()),
            error: ServerError::inside(&object, notes),
            reason: object
                .optional("incomplete_details", notes, reason)
                .filter(|reason| !reason.is_empty()),
            usage: reported(&object, notes),
            object,
        })
    }

    /// Returns the items.
    ///
    /// # Errors
    ///
    /// `wrong_type` when they are no list.
    pub(super) fn output(
        &self,
        notes: &mut Deviations,
    ) -> Result<Option<object::List<'a>>, ModelError> {
        self.object.required_list("output", notes)
    }
}

/// Reads a reason, which some servers give without the object around it; an object may give none.
fn reason(raw: RawJson<'_>) -> Option<Cow<'_, str>> {
    if let Some(text) = object::text(raw) {
        return Some(text);
    }
    let details = Object::of(raw, "incomplete_details")?;
    let reason = details.text("reason", &mut Deviations::default());
    Some(reason.unwrap_or_default())
}
