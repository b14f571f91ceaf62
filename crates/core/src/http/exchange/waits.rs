//! Waits: when the present wait of an exchange is over, and what becomes of it then.
//!
//! Must never begin a wait: a change of state does, and what moves.

use super::{Consultation, Exchange, ExchangeAction, ExchangeState, ExchangeWait, Surroundings, state};
use crate::close::{CloseReason, ConsultFault, Fault};
use crate::consult::ConsultantIndex;
use crate::time::Millis;

impl Exchange {
    /// Returns when its present wait began.
    pub fn since(&self) -> Millis {
        self.since
    }

    /// Returns when its present wait is over; None while nothing is waited for.
    pub fn deadline(&self, around: &Surroundings<'_>) -> Option<Millis> {
        let limits = state::Bounds {
            timeouts: &around.listener.spec.timeouts,
            backend: self.backend(around).map(|backend| &*backend.spec),
            answer: self.answer_due(around),
        };
        let wait = self.state.wait()?;
        if let Some(due) = self.body_answer_due(around) {
            return Some(self.since.saturating_add(due));
        }
        let each = self.since.saturating_add(limits.of(wait));
        let Some(begun) = self.interim_since.filter(|_| wait == ExchangeWait::Response) else {
            return Some(each);
        };
        Some(limits.backend.map_or(each, |spec| each.min(begun.saturating_add(spec.interim_timeout))))
    }

    /// Returns how long the analyzer that is asked about a head may take.
    fn answer_due(&self, around: &Surroundings<'_>) -> Millis {
        let ExchangeState::Consulting(Consultation { analyzer, .. }) = self.state else { return 0 };
        around.plan.consultants[usize::from(analyzer)].spec.deadline
    }

    /// Returns how long those may take that are asked about parts of bodies.
    fn body_answer_due(&self, around: &Surroundings<'_>) -> Option<Millis> {
        let asked = self.questions?;
        let deadline = |index: ConsultantIndex| around.plan.consultants[usize::from(index)].spec.deadline;
        asked.into_iter().flatten().map(deadline).min()
    }

    /// Whether bytes that were handed to the kernel still move towards the client: a slow reader takes from
    /// megabytes there. Asked when the exchange seems idle for as long as it may.
    pub fn still_delivers(&mut self, in_flight: usize, now: Millis) -> bool {
        if !matches!(self.state, ExchangeState::Answering(_) | ExchangeState::Told | ExchangeState::Tunnel(_))
        {
            return false;
        }
        let moves = in_flight != 0 && in_flight != std::mem::replace(&mut self.in_flight, in_flight);
        if moves {
            self.since = now;
        }
        moves
    }

    pub(super) fn expired(&mut self, state: ExchangeState, around: &Surroundings<'_>) -> ExchangeAction {
        if self.questions.is_some() {
            return self.body_late(around);
        }
        match state {
            ExchangeState::Ruling | ExchangeState::Over => ExchangeAction::Wait,
            ExchangeState::Consulting(asked) => self.unadvised(ConsultFault::Late, asked, around),
            ExchangeState::Collecting(_) => self.refuse(CloseReason::BodyTimeout, around),
            ExchangeState::InLine => self.refuse(CloseReason::QueueTimeout, around),
            ExchangeState::Connecting => self.connect_failed(Fault::TimedOut, around),
            ExchangeState::Asking(attempt) if !attempt.is_held_up() => {
                self.refuse(CloseReason::BodyTimeout, around)
            }
            ExchangeState::Asking(_) | ExchangeState::Awaiting(_) => {
                self.refuse(CloseReason::ResponseTimeout, around)
            }
            ExchangeState::Answering(_) | ExchangeState::Told => {
                ExchangeAction::Abort(CloseReason::IdleTimeout)
            }
            ExchangeState::Tunnel(_) => ExchangeAction::Abort(CloseReason::TunnelTimeout),
        }
    }
}
