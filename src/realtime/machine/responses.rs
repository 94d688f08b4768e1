//! Answers, one at a time: asked for, under way, over; and those that wait.

use crate::model::realtime::{ClientEvent, ResponseOptions};
use crate::realtime::agent::RealtimeAgent;

/// What is known of the answers of a session.
#[derive(Debug, Default)]
pub(super) struct Responses {
    phase: Phase,
    /// The one that is to be asked for next. Requests that wait together become one: the model answers all that is there.
    pending: Option<ResponseRequest>,
    n_begun: u64,
}

/// A request for an answer.
#[derive(Debug, Clone, Default)]
pub(super) struct ResponseRequest {
    pub(super) options: ResponseOptions,
    /// Whether it is to correct an answer that a guardrail stopped; one that is stopped again is not corrected.
    pub(super) is_correction: bool,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Idle,
    /// Asked for; the server has not begun it.
    Requested {
        event_id: String,
        request: ResponseRequest,
        agent: RealtimeAgent,
        is_cancelled: bool,
        /// Whether the cancel came before the server had begun it: it has to be sent again.
        missed_cancel: bool,
    },
    Active(Active),
}

/// The answer under way.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) id: Option<String>,
    /// Its number in the session.
    pub(super) number: u64,
    /// What this session asked for, if it did: the server may say that it began another one in between.
    request: Option<ResponseRequest>,
    /// Who answers: its calls are those of this agent, whoever speaks when they end.
    pub(super) agent: RealtimeAgent,
    pub(super) is_correction: bool,
    pub(super) state: ActiveState,
    /// Whether it has handed off: the first handoff of an answer counts.
    pub(super) has_handed_off: bool,
}

/// What became of an answer under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ActiveState {
    Speaking,
    /// Audio that still comes is not played; the server ends it by itself, or has to be asked.
    Interrupted,
    /// The same, and the server was asked to end it.
    Cancelled,
}

impl Responses {
    pub(super) const fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    pub(super) const fn active(&mut self) -> Option<&mut Active> {
        match &mut self.phase {
            Phase::Active(active) => Some(active),
            Phase::Idle | Phase::Requested { .. } => None,
        }
    }

    /// Returns the number of the answer that content belongs to; content outside of any answer belongs to the last.
    pub(super) const fn number(&self) -> u64 {
        self.n_begun
    }

    pub(super) fn request(&mut self, options: ResponseOptions) {
        let request = self.pending.get_or_insert_default();
        if options != ResponseOptions::default() {
            request.options = options;
        }
    }

    pub(super) fn request_correction(&mut self) {
        self.pending.get_or_insert_default().is_correction = true;
    }

    pub(super) const fn take_pending(&mut self) -> Option<ResponseRequest> {
        self.pending.take()
    }

    pub(super) fn set_requested(
        &mut self,
        event_id: String,
        request: ResponseRequest,
        agent: RealtimeAgent,
    ) {
        self.phase = Phase::Requested {
            event_id,
            request,
            agent,
            is_cancelled: false,
            missed_cancel: false,
        };
    }

    /// Notes that the server has begun an answer, by itself or because it was asked.
    pub(super) fn on_created(&mut self, id: Option<String>, agent: &RealtimeAgent) {
        self.n_begun += 1;
        let (asked, agent, state) = match std::mem::take(&mut self.phase) {
            Phase::Requested {
                request,
                agent,
                is_cancelled,
                missed_cancel,
                ..
            } => {
                let state = match (is_cancelled, missed_cancel) {
                    (false, _) => ActiveState::Speaking,
                    (true, true) => ActiveState::Interrupted,
                    (true, false) => ActiveState::Cancelled,
                };
                (Some(request), agent, state)
            }
            // The server answers the user's turn. What waited is in the conversation by now, so that this answers it too.
            Phase::Idle | Phase::Active(_) => {
                (self.pending.take(), agent.clone(), ActiveState::Speaking)
            }
        };
        self.phase = Phase::Active(Active {
            id,
            number: self.n_begun,
            is_correction: asked.as_ref().is_some_and(|request| request.is_correction),
            request: asked,
            agent,
            state,
            has_handed_off: false,
        });
    }

    /// Notes that an answer is over; gives it, if it is the one under way.
    pub(super) fn on_done(&mut self, id: Option<&str>) -> Option<Active> {
        match std::mem::take(&mut self.phase) {
            Phase::Active(active)
                if id.is_none() || active.id.is_none() || active.id.as_deref() == id =>
            {
                Some(active)
            }
            other => {
                self.phase = other;
                None
            }
        }
    }

    /// Cancels what is asked for or under way; gives the event that says so, unless it was said before.
    pub(super) fn cancel(&mut self) -> Option<ClientEvent> {
        let response_id = match &mut self.phase {
            Phase::Idle => return None,
            Phase::Requested { is_cancelled, .. } => {
                if std::mem::replace(is_cancelled, true) {
                    return None;
                }
                None
            }
            Phase::Active(active) => {
                if active.state == ActiveState::Cancelled {
                    return None;
                }
                active.state = ActiveState::Cancelled;
                active.id.clone()
            }
        };
        Some(ClientEvent::CancelResponse { response_id })
    }

    /// Notes that the server refused to begin an answer: one is under way already. It is asked for again when that is over.
    pub(super) fn on_already_active(&mut self) {
        let asked = match &mut self.phase {
            // The other one was taken for the one that was asked for.
            Phase::Active(active) => active.request.take(),
            Phase::Requested { request, agent, .. } => {
                let (request, agent) = (request.clone(), agent.clone());
                self.n_begun += 1;
                self.phase = Phase::Active(Active {
                    id: None,
                    number: self.n_begun,
                    request: None,
                    agent,
                    is_correction: false,
                    state: ActiveState::Speaking,
                    has_handed_off: false,
                });
                Some(request)
            }
            Phase::Idle => None,
        };
        if let Some(asked) = asked {
            self.pending.get_or_insert(asked);
        }
    }

    /// Notes that the server refused to begin the answer that this event asked for.
    pub(super) fn on_create_refused(&mut self, refused: Option<&str>) {
        if matches!(&self.phase, Phase::Requested { event_id, .. } if Some(event_id.as_str()) == refused)
        {
            self.phase = Phase::Idle;
        }
    }

    /// Notes that there was nothing to cancel.
    pub(super) fn on_cancel_not_active(&mut self) {
        match &mut self.phase {
            Phase::Idle => {}
            // The cancel overtook the request: the server had not begun the answer. It is
            // interrupted when it begins, and has to be cancelled again.
            Phase::Requested {
                is_cancelled,
                missed_cancel,
                ..
            } => *missed_cancel = *is_cancelled,
            Phase::Active(active) if active.state == ActiveState::Cancelled => {
                self.phase = Phase::Idle;
            }
            Phase::Active(_) => {}
        }
    }

    /// Notes that the connection is gone, and the answer with it; one that had not begun is asked for again.
    pub(super) fn on_connection_lost(&mut self) {
        if let Phase::Requested {
            request,
            is_cancelled: false,
            ..
        } = std::mem::take(&mut self.phase)
        {
            self.pending.get_or_insert(request);
        }
    }
}
