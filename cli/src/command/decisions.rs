//! The flags `--approve` and `--reject`: decisions about the calls of a paused run.

use anyhow::Result;
use clap::Args;
use openai_agents::{ErrorKind, RunState};

use crate::failure::{Unusable, Usage};

/// The decisions about the calls of a paused run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Approval")]
pub(crate) struct Decisions {
    /// Approve this call; can be repeated.
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    approve: Vec<String>,
    /// Reject this call; the model is told MESSAGE. Can be repeated.
    #[arg(long, value_name = "ID[=MESSAGE]", allow_hyphen_values = true)]
    reject: Vec<String>,
    /// Approve all calls that are not rejected.
    #[arg(long)]
    approve_all: bool,
    /// Apply the same decision to all later calls of these tools by these agents in this run.
    #[arg(long)]
    always: bool,
}

impl Decisions {
    /// Refuses decisions when there is no paused run they could be about.
    pub(crate) fn refuse(&self, needed: &str) -> Result<()> {
        if self.always || self.decides() {
            let message = format!("--approve, --reject, --approve-all and --always need {needed}");
            return Err(Usage(message).into());
        }
        Ok(())
    }

    pub(crate) fn decides(&self) -> bool {
        self.approve_all || !self.approve.is_empty() || !self.reject.is_empty()
    }

    /// Writes the decisions into the state, all or none.
    pub(crate) fn decide(&self, state: &mut RunState) -> Result<()> {
        if self.always && !self.decides() {
            let message = "--always needs --approve, --approve-all or --reject";
            return Err(Usage(message.to_owned()).into());
        }
        let mut waiting: Vec<String> = state
            .interruptions()
            .into_iter()
            .map(|call| call.id)
            .collect();
        let rejected = self.reject.iter().map(|text| split(text, &waiting));
        let rejected: Vec<(&str, Option<&str>)> = rejected.collect();
        let approved = self.approve.iter().map(String::as_str);
        // All ids are checked before the first decision is written. An id that is given twice is no
        // longer in the list the second time.
        for id in approved.clone().chain(rejected.iter().map(|(id, _)| *id)) {
            let Some(place) = waiting.iter().position(|waiting| waiting == id) else {
                return Err(unknown(id, state).into());
            };
            waiting.remove(place);
        }
        for id in approved {
            self.approve(state, id)?;
        }
        for (id, message) in rejected {
            self.reject(state, id, message)?;
        }
        if self.approve_all {
            for id in waiting {
                self.approve(state, &id)?;
            }
        }
        Ok(())
    }

    fn approve(&self, state: &mut RunState, id: &str) -> Result<()> {
        Ok(if self.always {
            state.approve_always(id)
        } else {
            state.approve(id)
        }?)
    }

    fn reject(&self, state: &mut RunState, id: &str, message: Option<&str>) -> Result<()> {
        Ok(match (self.always, message) {
            (true, Some(message)) => state.reject_always(id, message),
            (true, None) => state.reject_always(id, "Tool execution was not approved."),
            (false, Some(message)) => state.reject_with(id, message),
            (false, None) => state.reject(id),
        }?)
    }
}

/// Splits `ID` or `ID=MESSAGE`. An id of a server may contain `=`, so that the ids that wait decide
/// where it ends.
fn split<'a>(text: &'a str, waiting: &[String]) -> (&'a str, Option<&'a str>) {
    let ends = text.match_indices('=').map(|(end, _)| end);
    let split = |end: usize| Some((text.get(..end)?, Some(text.get(end + 1..)?)));
    let is_known = |id: &str| waiting.iter().any(|waiting| waiting == id);
    if is_known(text) {
        return (text, None);
    }
    let mut splits = ends.filter_map(split);
    let known = splits.clone().find(|(id, _)| is_known(id));
    known.or_else(|| splits.next()).unwrap_or((text, None))
}

fn unknown(id: &str, state: &RunState) -> Unusable {
    let waiting: Vec<String> = state
        .interruptions()
        .into_iter()
        .map(|call| call.id)
        .collect();
    let is_waiting = waiting.iter().any(|waiting| waiting == id);
    Unusable {
        kind: ErrorKind::StateInvalid,
        message: if is_waiting {
            format!("the call {id} is decided about twice")
        } else {
            format!(
                "no call waits under the id {id} (waiting: {})",
                waiting.join(", ")
            )
        },
        hint: None,
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn an_id_may_have_the_sign_that_ends_it() {
        let waiting = ["call_1".to_owned(), "a=b".to_owned()];
        for (text, expected) in [
            ("call_1", ("call_1", None)),
            ("call_1=", ("call_1", Some(""))),
            ("call_1=no=never", ("call_1", Some("no=never"))),
            ("a=b", ("a=b", None)),
            ("a=b=no", ("a=b", Some("no"))),
            ("other=no", ("other", Some("no"))),
            ("other", ("other", None)),
        ] {
            assert_eq!(split(text, &waiting), expected);
        }
    }
}
