//! Ending a run from elsewhere.

use std::fmt;
use std::sync::Arc;

use crate::context::{Cancel, Control};

/// Cancels a run from wherever it is held; made by [`RunStream::handle`](super::RunStream::handle), cheap to clone.
///
/// A run that was cancelled ends with the error `cancelled`, which carries what was done.
#[derive(Clone)]
pub struct RunHandle(pub(super) Arc<Control>);

impl RunHandle {
    /// Ends the run, now or after its turn; a run that is over stays as it is.
    pub fn cancel(&self, when: Cancel) {
        self.0.cancel(when);
    }
}

impl fmt::Debug for RunHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RunHandle").finish_non_exhaustive()
    }
}
