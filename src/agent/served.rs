//! Agents as the client of a server wants them for one run: told more, or answering in another form.

use std::sync::Arc;

use super::{Agent, Instructions, OutputType, Parts};

impl Agent {
    /// Makes an agent of the same name whose final output is of this type; the model is told natively.
    pub(crate) fn with_output(&self, output: OutputType) -> Self {
        Self(Arc::new(Parts {
            output: Some(output),
            ..Parts::clone(&self.0)
        }))
    }

    /// Makes an agent of the same name that is told more, behind its own instructions.
    pub(crate) fn with_more_instructions(&self, more: &str) -> Self {
        Self(Arc::new(Parts {
            instructions: Some(Instructions::join(self.0.instructions.as_ref(), more)),
            ..Parts::clone(&self.0)
        }))
    }
}

impl Instructions {
    fn join(first: Option<&Self>, more: &str) -> Self {
        match first {
            None => Self::Fixed(more.into()),
            Some(Self::Fixed(text)) => Self::Fixed(format!("{text}\n\n{more}").into()),
            Some(Self::Computed(compute)) => {
                let (compute, more) = (Arc::clone(compute), Arc::<str>::from(more));
                Self::Computed(Arc::new(move |cx, agent| {
                    let (text, more) = (compute(cx, agent), Arc::clone(&more));
                    Box::pin(async move { Ok(format!("{}\n\n{more}", text.await?)) })
                }))
            }
        }
    }
}
