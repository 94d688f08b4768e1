//! Elicitation without a connection: the call ends with a question, and the client makes it again with the answer.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rmcp::model::{
    ClientCapabilities, ErrorData, InputRequest, InputRequests, InputRequiredResult, InputResponses,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::seal::StateSeal;
use super::tools::APPROVAL_KEY;

/// The questions of one call to its client, and the answers so far.
#[derive(Debug, Default)]
pub(super) struct ElicitationRounds {
    known: SealedRounds,
    outcome: Mutex<CallOutcome>,
}

/// What the client keeps between the rounds, sealed.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct SealedRounds {
    /// The answers of this round and those before.
    answers: BTreeMap<String, Value>,
    /// The run that waits for them here, if the call is one of an agent.
    run: Option<String>,
}

/// What a call left behind.
#[derive(Debug, Default)]
struct CallOutcome {
    asked: InputRequests,
    missing: Option<ClientCapabilities>,
    bad_answer: Option<String>,
    run: Option<String>,
}

/// Which call it is, so that the answers of one are not taken for another.
pub(super) struct Subject(Vec<u8>);

impl Subject {
    pub(super) fn new(method: &str, name: &str, arguments: Option<&Map<String, Value>>) -> Self {
        Self(json!([method, name, arguments]).to_string().into_bytes())
    }
}

impl ElicitationRounds {
    /// Takes up a call where it was left.
    pub(super) fn resume(
        seal: &StateSeal,
        subject: &Subject,
        state: Option<&str>,
        responses: Option<InputResponses>,
    ) -> Result<Self, ErrorData> {
        let mut answers = responses.unwrap_or_default();
        let mut known = match state {
            None => {
                // An approval is an answer to a question that was put: who was asked has the state that came with it. What a
                // tool asks can be answered beforehand, as the protocol has it.
                answers.remove(APPROVAL_KEY);
                SealedRounds::default()
            }
            Some(state) => {
                let opened = seal.open::<SealedRounds>(state, &subject.0);
                opened.map_err(|error| {
                    let message = format!("the request state cannot be used: {error}");
                    ErrorData::invalid_params(message, None)
                })?
            }
        };
        // All answers of all rounds, because the call is made again from its beginning each time.
        known.answers.extend(answers);
        Ok(Self {
            known,
            outcome: Mutex::default(),
        })
    }

    /// Returns the id of the run that waits for the answers.
    pub(super) fn run(&self) -> Option<&str> {
        self.known.run.as_deref()
    }

    /// Notes which run waits for the answers.
    pub(super) fn wait(&self, run: String) {
        self.outcome().run = Some(run);
    }

    /// Returns the answer to a question.
    pub(super) fn answer(&self, key: &str) -> Option<&Value> {
        self.known.answers.get(key)
    }

    /// Notes that a question is open.
    pub(super) fn ask(&self, key: &str, request: InputRequest) {
        self.outcome().asked.insert(key.to_owned(), request);
    }

    /// Notes that an answer is not one to the question.
    pub(super) fn refuse_answer(&self, key: &str, detail: &str) {
        let complaint = format!("the answer to `{key}` cannot be used: {detail}");
        self.outcome().bad_answer = Some(complaint);
    }

    /// Notes that the client cannot answer such a question.
    pub(super) fn require_capability(&self, capabilities: ClientCapabilities) {
        self.outcome().missing = Some(capabilities);
    }

    /// Returns what a call that failed ends with, if it failed for want of an answer.
    pub(super) fn end(
        &self,
        seal: &StateSeal,
        subject: &Subject,
    ) -> Option<Result<InputRequiredResult, ErrorData>> {
        let outcome = std::mem::take(&mut *self.outcome());
        if let Some(complaint) = outcome.bad_answer {
            return Some(Err(ErrorData::invalid_params(complaint, None)));
        }
        if !outcome.asked.is_empty() {
            let known = SealedRounds {
                answers: self.known.answers.clone(),
                run: outcome.run,
            };
            let state = seal.seal(known, &subject.0);
            return Some(match state {
                Ok(state) => Ok(InputRequiredResult::new(Some(outcome.asked), Some(state))),
                Err(error) => Err(ErrorData::internal_error(error.to_string(), None)),
            });
        }
        let missing = outcome.missing?;
        Some(Err(ErrorData::missing_required_client_capability(missing)))
    }

    fn outcome(&self) -> MutexGuard<'_, CallOutcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
