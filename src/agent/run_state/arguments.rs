//! Other arguments for a call that waits, by who decides about it.

use serde_json::{Map, Value};

use super::{RunState, SavedStatus, StateError, call_at, id_of};

impl RunState {
    /// Sets other arguments for a call that waits.
    ///
    /// The call is made with them once it is approved.
    ///
    /// The call of the conversation has them from then on, so that the model sees what was done, not what it asked for. The tool's guardrails
    /// look at them.
    ///
    /// # Errors
    ///
    /// [`StateError::UnknownCall`] when no call of a function waits under this id, or several do, and [`StateError::Arguments`] when they are no
    /// JSON object.
    pub fn set_arguments(
        &mut self,
        id: &str,
        arguments: impl Into<String>,
    ) -> Result<(), StateError> {
        let arguments = arguments.into();
        if let Err(error) = serde_json::from_str::<Map<String, Value>>(&arguments) {
            let (id, detail) = (id.to_owned(), error.to_string());
            return Err(StateError::Arguments { id, detail });
        }
        match self.set_arguments_at(id, &[], &arguments) {
            1 => Ok(()),
            n_found => Err(StateError::UnknownCall {
                id: id.to_owned(),
                n_found,
            }),
        }
    }

    /// Counts the calls that were found; there are several only where call ids are not unique.
    fn set_arguments_at(&mut self, id: &str, path: &[&str], arguments: &str) -> usize {
        let mut n_found = 0;
        for saved in &mut self.calls {
            let Some(call) = call_at(&self.history, saved.item) else {
                continue;
            };
            match &mut saved.status {
                SavedStatus::Asked(asked) if id_of(path, &call.call_id) == id => {
                    // Their verdicts are about the arguments before.
                    asked.guardrails = None;
                    let edited = call.with_arguments(arguments);
                    let before = self.history.get(saved.item).cloned();
                    let seen = self.view.iter_mut().flat_map(|view| &mut view.items);
                    for item in self.history.iter_mut().chain(seen) {
                        if before.as_ref() == Some(item) {
                            *item = edited.clone();
                        }
                    }
                    n_found += 1;
                }
                SavedStatus::Paused { state, .. } => {
                    let path = [path, &[call.call_id.as_str()]].concat();
                    n_found += state.set_arguments_at(id, &path, arguments);
                }
                SavedStatus::Planned
                | SavedStatus::Asked(_)
                | SavedStatus::Done { .. }
                | SavedStatus::Handoff { .. }
                | SavedStatus::Output => {}
            }
        }
        n_found
    }
}
