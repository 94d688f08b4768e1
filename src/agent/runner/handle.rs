//! Reaching a run from elsewhere: ending it, and telling it more.

use std::fmt;
use std::sync::Arc;

use super::Input;
use crate::context::{Cancel, Control};
use crate::item::Item;

/// Reaches a run from wherever it is held; made by [`RunStream::handle`](super::RunStream::handle), cheap to clone.
///
/// A run that was cancelled ends with the error `cancelled`, which carries what was done.
#[derive(Clone)]
pub struct RunHandle(pub(super) Arc<Control>);

/// Input that came too late: the run has its final output, or is over.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the run takes no more input: it has its final output or is over")]
#[non_exhaustive]
pub struct RunOver {
    /// What was sent.
    pub input: Vec<Item>,
}

impl RunHandle {
    /// Ends the run, now or after its turn.
    ///
    /// A run that is over stays as it is.
    pub fn cancel(&self, when: Cancel) {
        self.0.cancel(when);
    }

    /// Sends input to the run, which takes it before its next model call.
    ///
    /// Input that comes while the model gives its final output leads to a further turn, so that it is answered. It is lost only if the run
    /// fails before. Input guardrails do not check it: they look at what a run begins with.
    ///
    /// ```
    /// use openai_agents::testing::{ScriptedModel, ScriptedTurn};
    /// use openai_agents::{Agent, Runner};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let model = ScriptedModel::new([ScriptedTurn::text("Paris."), ScriptedTurn::text("In French: Paris.")]);
    /// let run = Runner::new(model.clone()).run(&Agent::builder("Guide").build()?, "The capital of France?").stream();
    /// let handle = run.handle();
    /// handle.send("In French, please.")?;
    /// let result = run.finish().await?;
    /// assert_eq!(model.requests()[0].items.len(), 2);
    /// assert!(handle.send("Too late.").is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`RunOver`] with the input, when the run takes no more.
    pub fn send(&self, input: impl Into<Input>) -> Result<(), RunOver> {
        self.0
            .send(input.into().0)
            .map_err(|input| RunOver { input })
    }
}

impl fmt::Debug for RunHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RunHandle").finish_non_exhaustive()
    }
}
